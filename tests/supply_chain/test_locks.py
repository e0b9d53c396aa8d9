"""What may be installed: known names, pinned, by hash, as wheels. G22 is dependency confusion."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from tests.supply_chain.locks import (
    ALLOWED,
    LOCKS,
    REASONS,
    ROOT,
    LockError,
    direct,
    installs,
    parsed,
    read,
    strangers,
)

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DIRECT_MAX, RUN_TIME_MAX = 14, 50
GOOD = f"aiohttp==3.14.5 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{'1' * 64}\n"
SCRIPTS = ("Makefile", ".ci/run", "requirements/lock.sh", "release/install.sh", "release/dist.sh")
# An sdist has no .ci.
INSTALLING = [script for script in SCRIPTS if (ROOT / script).exists()]


def test_the_run_time_packages_are_few() -> None:
    assert len(direct(PYPROJECT["project"]["dependencies"])) <= DIRECT_MAX
    assert len(read("run")) <= RUN_TIME_MAX


@pytest.mark.parametrize("name", LOCKS)
def test_g22_a_lock_file_holds_pinned_names_and_hashes_and_no_address(name: str) -> None:
    assert read(name)


@pytest.mark.parametrize("name", LOCKS)
def test_g22_only_names_with_a_reason_are_locked(name: str) -> None:
    assert strangers({package.name for package in read(name)}, REASONS) == set()


@pytest.mark.parametrize("name", ["kwok", "etcd", "kubectl", "aiohtttp", "agent-sandbox"])
def test_g22_a_strangers_name_does_not_come_in(name: str) -> None:
    packages = parsed(GOOD + GOOD.replace("aiohttp", name))
    assert strangers({package.name for package in packages}, REASONS) == {name}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("aiohttp==3.14.5\n", "without a hash: aiohttp"),
        (GOOD.replace("==", ">="), "neither"),
        (GOOD.replace("sha256", "md5"), "neither"),
        (GOOD.replace("0" * 64, "0" * 63), "neither"),
        (GOOD.replace("==3.14.5", " @ https://example.org/aiohttp.whl"), "neither"),
        ("./vendor/aiohttp-3.14.5.tar.gz\n", "neither"),
        ("-e .\n" + GOOD, "neither"),
        ("--index-url https://example.org/simple\n" + GOOD, "neither"),
        ("--extra-index-url https://example.org/simple\n" + GOOD, "neither"),
        ("--no-binary :all:\n" + GOOD, "neither"),
        (GOOD + GOOD, "twice"),
        (f"    --hash=sha256:{'0' * 64}\n", "a hash of nothing"),
    ],
)
def test_g22_a_lock_file_that_is_open_to_others_is_refused(text: str, says: str) -> None:
    with pytest.raises(LockError, match=says):
        parsed(text)


def test_no_reason_is_left_of_a_package_that_went() -> None:
    locked = {package.name for name in LOCKS for package in read(name)}
    assert set(REASONS) - locked == set()
    assert sum(map(len, ALLOWED.values())) == len(REASONS), "a name stands in two sections"


def test_what_the_manager_runs_with_has_a_reason_of_its_own() -> None:
    """Not one that is only about tools."""
    for extra in ("tracing", "archive", "loadtest"):
        allowed = {**ALLOWED["run"], **ALLOWED[extra]}
        assert strangers({package.name for package in read(extra)}, allowed) == set()
    assert {package.name for package in read("run")} == set(ALLOWED["run"])


def test_a_reason_that_names_another_package_is_true() -> None:
    """As far as that package is installed here."""
    checked = 0
    for name, why in REASONS.items():
        if not (match := re.match(r"of ([a-z0-9-]+): ", why)):
            continue
        assert match.group(1) in REASONS, name
        try:
            required = importlib.metadata.requires(match.group(1)) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        names = {re.sub(r"[-_.]+", "-", Requirement(line).name).lower() for line in required}
        assert name in names, f"{match.group(1)} does not require {name}"
        checked += 1
    assert checked > 20


def test_run_time_versions_are_the_same_in_every_lock_file() -> None:
    run = {package.name: package for package in read("run")}
    for name in ("tracing", "archive", "loadtest", "test", "lint"):
        for package in read(name):
            if package.name in run:
                assert package.version == run[package.name].version, (name, package.name)


@pytest.mark.parametrize("script", INSTALLING)
def test_g22_every_install_takes_hashed_wheels_or_nothing_from_outside(script: str) -> None:
    text = (ROOT / script).read_text(encoding="utf-8")
    for call in installs(text.replace("$(INSTALL)", "$(PIP) $(INSTALL)")):
        is_hashed = "--require-hashes" in call and "--only-binary :all:" in call
        assert is_hashed or "--no-index" in call or "$(INSTALL)" in call, call
    if script == "Makefile":
        (defined,) = re.findall(r"^INSTALL := (.*)$", text, re.MULTILINE)
        assert "--require-hashes --only-binary :all:" in defined


def test_the_check_of_installs_sees_them() -> None:
    scripts = ("requirements/lock.sh", "release/install.sh", "Makefile")
    texts = [(ROOT / script).read_text(encoding="utf-8") for script in scripts]
    assert [len(list(installs(text))) > 0 for text in texts] == [True, True, True]
    assert list(installs("x && python -m pip install kwok")) == ["x && python -m pip install kwok"]
