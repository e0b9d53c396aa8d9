"""The image, as far as it goes without a container engine: its file, its tree, a run of it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tests.supply_chain.containerfile import CONTAINERFILE, stages
from tests.supply_chain.locks import LOCKS, ROOT
from tests.supply_chain.rehearsal import USER
from tests.supply_chain.scripts import Installed, run_script

pytestmark = pytest.mark.timeout(600)

TEXT = CONTAINERFILE.read_text(encoding="utf-8")
TREE, LAST = stages(TEXT)
UNCHECKED_HASH = 0b01
"""Flags of a .pyc that is taken as it is, whatever happened to its source."""


def test_bases_are_given_by_digest_and_have_no_default() -> None:
    assert re.match(r"\$\{\w+_IMAGE\}@\$\{BUILD_DIGEST\} AS tree$", TREE.base)
    assert re.match(r"\$\{\w+_IMAGE\}@\$\{RUN_DIGEST\}$", LAST.base)
    before = TEXT[: TEXT.index("\nFROM")].splitlines()
    assert {"ARG BUILD_DIGEST", "ARG RUN_DIGEST"} <= set(before)


def test_the_tree_is_made_by_the_script_that_the_tests_run() -> None:
    assert TREE.all("RUN") == [
        'release/install.sh dist/*.whl "$LOCK" /opt/warmclaim /source/installed.json'
    ]
    for source in TREE.all("COPY"):
        assert list(ROOT.glob(source.split()[0])) or source.startswith("dist/"), source
    assert TREE.all("ARG") == [f"LOCK=requirements/{LOCKS['run'].name}"]


def test_the_last_stage_runs_no_shell_and_adds_the_tree_only() -> None:
    names = [name for name, _ in LAST.steps]
    assert LAST.all("COPY") == ["--from=tree /opt/warmclaim /opt/warmclaim"]
    assert set(names) <= {"ARG", "LABEL", "ENV", "COPY", "USER", "WORKDIR", "RUN", "EXPOSE"} | {
        "ENTRYPOINT"
    }
    assert len(LAST.checks()) == names.count("RUN") == 2
    assert LAST.all("USER") == [f"{USER}:{USER}"]
    assert names.index("USER") < names.index("RUN"), "the checks are made as who runs it"
    environ = LAST.environ()
    assert (environ["PYTHONPATH"], environ["PYTHONDONTWRITEBYTECODE"]) == ("/opt/warmclaim", "1")


def test_labels_say_what_it_is() -> None:
    (labels,) = LAST.all("LABEL")
    found = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", labels))
    assert found == {"title", "description", "licenses", "version", "revision"}


def test_the_entrypoint_takes_the_go_managers_arguments() -> None:
    *start, module = LAST.entrypoint()
    assert (start, module) == (["python3", "-m"], "warmclaim.cli.dropin")
    assert importlib.util.find_spec(module) is not None


def test_the_tree_has_bytecode_for_each_module_that_never_goes_stale(installed: Installed) -> None:
    sources = [path for path in installed.tree.rglob("*.py") if "__pycache__" not in path.parts]
    assert installed.tree / "warmclaim" / "seams.py" in sources
    for source in sources:
        compiled = Path(importlib.util.cache_from_source(str(source)))
        with compiled.open("rb") as file:
            magic, flags = struct.unpack("<4sI", file.read(8))
        assert (magic, flags) == (importlib.util.MAGIC_NUMBER, UNCHECKED_HASH), source


def test_the_tree_has_no_installer_and_no_script(installed: Installed) -> None:
    names = {path.name for path in installed.tree.iterdir()}
    assert {"warmclaim", "warmqueue"} <= names
    assert not names & {"bin", "pip", "setuptools", "wheel", "pytest", "hatchling"}


def test_the_tree_is_enough_for_the_program(installed: Installed, tmp_path: Path) -> None:
    """Wherever it lies, as whoever runs the tests, with its files made read-only."""
    before = set(installed.tree.rglob("*"))
    subprocess.run(["chmod", "-R", "a-w", installed.tree], check=True)
    ended = subprocess.run(
        [os.path.realpath(sys.executable), "-S", *LAST.entrypoint()[1:], "--help"],
        env={**LAST.environ(), "PYTHONPATH": str(installed.tree)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: agent-sandbox-controller [flags]")
    assert set(installed.tree.rglob("*")) == before


def why_not_confined() -> str | None:
    """Why no root and no network of its own can be made here; None: they can."""
    if sys.platform != "linux" or os.getuid() != 0:
        return "a root file system and a network of its own need root on Linux"
    tried = "mount -t tmpfs tmpfs /mnt && setpriv --no-new-privs chroot --version"
    try:
        ended = subprocess.run(
            ["unshare", "--net", "--mount", "sh", "-c", tried],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return "unshare is not installed"
    return None if ended.returncode == 0 else f"not permitted here: {ended.stderr.strip()}"


def test_it_hands_out_a_sandbox_read_only_without_network_as_65532(installed: Installed) -> None:
    if why := why_not_confined():
        pytest.skip(f"the image's run was not rehearsed: {why}")
    module = "tests.supply_chain.rehearsal"
    ended = subprocess.run(
        ["unshare", "--net", "--mount", sys.executable, "-m", module, str(installed.tree)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/controller:{ROOT}/queue"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["user"] == [USER, USER, []]
    assert found["folders"] > 1000
    assert (found["writable"], found["on a writable mount"]) == ([], [])
    assert "lo" in found["interfaces"]
    assert found["reaches others"] is False
    assert found["help"] == "Usage: agent-sandbox-controller [flags]"
    assert found["claim is ready"] is True, found["log"]
    assert found["exit code"] == 0, found["log"]


def test_install_refuses_a_wheel_that_was_changed(installed: Installed, tmp_path: Path) -> None:
    """pip is given the hash of each file of the lock; one that is another file ends the install."""
    lock = tmp_path / "lock.txt"
    first, *others = re.split(r"\n(?=\w)", LOCKS["run"].read_text(encoding="utf-8"))
    forged = f"{first.partition(' ')[0]} --hash=sha256:{'0' * 64}"
    lock.write_text("\n".join([forged, *others]))
    tree, report = tmp_path / "tree", tmp_path / "report"
    ended = run_script("install.sh", str(installed.wheel), str(lock), str(tree), str(report))
    assert ended.returncode != 0
    assert "DO NOT MATCH" in ended.stderr
    assert list(tmp_path.iterdir()) == [lock]


@pytest.mark.parametrize("missing", [0, 1])
def test_install_says_which_file_is_not_there(
    installed: Installed, tmp_path: Path, missing: int
) -> None:
    words = [str(installed.wheel), str(LOCKS["run"]), str(tmp_path / "tree"), str(tmp_path / "r")]
    words[missing] = str(tmp_path / "none")
    ended = run_script("install.sh", *words)
    assert (ended.returncode, list(tmp_path.iterdir())) == (2, [])
    assert ended.stderr.startswith("install.sh: there is no ")


def test_install_leaves_a_folder_that_is_there(installed: Installed) -> None:
    words = (str(installed.wheel), str(LOCKS["run"]), str(installed.tree), str(installed.report))
    before = installed.report.read_bytes()
    ended = run_script("install.sh", *words)
    assert ended.returncode == 2
    assert "give a new folder" in ended.stderr
    assert installed.report.read_bytes() == before
