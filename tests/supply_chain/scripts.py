"""Runs the scripts of release/."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.supply_chain.locks import ROOT


@dataclass(frozen=True)
class Installed:
    """What release/install.sh made of the wheel of this working tree."""

    wheel: Path
    tree: Path
    report: Path


def run_script(
    name: str, *words: str, folder: Path = ROOT, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script of `folder`'s release/ with this Python."""
    return subprocess.run(
        [str(folder / "release" / name), *words],
        env={**os.environ, "PYTHON": sys.executable, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
