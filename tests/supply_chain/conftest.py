"""One tree of the image for all tests that need one: a clean install is the dear part."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.supply_chain.locks import LOCKS, ROOT
from tests.supply_chain.scripts import Installed, run_script


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("image")
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    made = Installed(wheel, folder / "tree", folder / "report.json")
    words = (str(wheel), str(LOCKS["run"]), str(made.tree), str(made.report))
    ended = run_script("install.sh", *words)
    assert ended.returncode == 0, ended.stderr
    return made
