"""What users install: the wheel, built from the sdist, works with nothing of the checkout around.

It is installed into an empty venv that sees the packages of this one but not the editable install:
a path named in a .pth file is added as it is, and .pth files inside it are not read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.loadtest.recorded import a_run

ROOT = Path(__file__).resolve().parent.parent
CRDS = sorted((ROOT / "config" / "crd").glob("*.yaml"))

pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True)
class Installed:
    """A venv with the wheel in it, and an empty folder to start programs from."""

    sdist: Path
    wheel: Path
    bin: Path
    elsewhere: Path

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the venv to its end."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV"))}
        return subprocess.run(
            [self.bin / program, *words],
            cwd=self.elsewhere,
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    dist, place = folder / "dist", folder / "venv"
    _python("-m", "build", "--no-isolation", "--outdir", str(dist), str(ROOT))
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    quiet = ("--quiet", "--disable-pip-version-check")
    _python(
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        *quiet,
        "--no-deps",
        "--no-index",
        str(wheel),
    )
    packages = next(place.glob("lib/python*/site-packages"))
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "lent.pth").write_text("\n".join(sorted(lent)))
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return Installed(sdist, wheel, place / "bin", elsewhere)


def _python(*words: str) -> None:
    ended = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_wheel_holds_the_two_packages_and_nothing_beside_them(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"warmclaim", "warmqueue"}
    assert {"warmclaim/py.typed", "warmqueue/py.typed"} <= set(names)
    assert "warmclaim/api/schema/core_types.json" in names
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_carries_the_crds_as_they_are_committed(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        for path in CRDS:
            assert wheel.read(f"warmclaim/assets/crd/{path.name}") == path.read_bytes()


def test_the_sdist_has_what_its_own_tests_need(installed: Installed) -> None:
    with tarfile.open(installed.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "tests/test_wheel.py"} <= names
    assert {f"config/crd/{path.name}" for path in CRDS} <= names
    assert {"docs/compatibility.md", "docs/compatibility/api.md"} <= names
    assert {"Makefile", "release/install.sh", "release/sbom.py", "requirements/run.txt"} <= names
    assert {"requirements/allowed.toml", "config/image/Containerfile"} <= names


def test_nothing_of_the_checkout_is_on_the_path(installed: Installed) -> None:
    code = (
        "import sys, warmclaim, warmqueue; print(warmclaim.__file__, warmqueue.__file__, *sys.path)"
    )
    said = installed.run("python", "-c", code).stdout.split()
    assert [word for word in said if word.startswith(str(installed.bin.parent))][:2] == said[:2]
    assert not {str(ROOT), str(ROOT / "controller"), str(ROOT / "queue")} & set(said)


def test_both_console_scripts_are_there_and_start(installed: Installed) -> None:
    assert installed.run("warmclaim", "--help").returncode == 0
    help_text = installed.run("agent-sandbox-controller", "--help").stdout
    assert help_text.startswith("Usage: agent-sandbox-controller [flags]")
    versions = {
        installed.run("warmclaim", "version").stdout,
        installed.run("agent-sandbox-controller", "--version").stdout,
        installed.run("python", "-m", "warmclaim", "version").stdout,
    }
    assert len(versions) == 1


def test_crds_are_printed_away_from_a_checkout(installed: Installed) -> None:
    printed = installed.run("warmclaim", "crds").stdout
    generated = [path for path in CRDS if path.name != "kustomization.yaml"]
    assert len(generated) == 4
    for path in generated:
        assert path.read_text() in printed


def test_the_load_tests_profiles_come_with_the_wheel(installed: Installed) -> None:
    ended = installed.run("warmclaim", "loadtest", "--profile", "tony")
    assert ended.returncode == 2
    for path in (ROOT / "config" / "loadtest").glob("*.yaml"):
        assert path.stem in ended.stderr
    assert "300-at-once" in ended.stderr


def test_the_load_tests_page_is_made_away_from_a_checkout(
    installed: Installed, tmp_path: Path
) -> None:
    run, page = a_run(tmp_path / "run"), tmp_path / "page.html"
    ended = installed.run("warmclaim", "loadtest", "report", str(run), "-o", str(page))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "--panel" in page.read_text()


def test_the_demo_runs_away_from_a_checkout(installed: Installed) -> None:
    ended = installed.run("warmclaim", "demo", "--pool", "20", "--burst", "10", "-o", "json")
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["ok"] is True
    assert result["claims"] == {"sent": 10, "served": 10, "warm": 10, "cold": 0}
    assert list(installed.elsewhere.iterdir()) == []
