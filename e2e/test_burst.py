"""Bursts of claims on a real control plane: what must hold is asserted, what it costs is printed.

Times are never asserted: the machine is shared, and only ratios taken in the same run mean
something. They are printed and kept in out/e2e-burst/<profile>, as the load test writes them.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e.burst import verdict
from e2e.burst.rights import grant
from e2e.burst.run import run_controller, run_limit
from e2e.burst.verdict import Problems
from e2e.cluster import WARMCLAIM, ControlPlane
from e2e.controlplane.failures import log_tail
from rich.console import Console

from warmclaim.loadtest.profile import load
from warmclaim.loadtest.record import LOG
from warmclaim.loadtest.report import read, written
from warmclaim.loadtest.result import RunResult
from warmclaim.loadtest.table import page

# All runs of a profile are in the first of its tests: about a minute, more on a busy machine.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

OUT = Path(__file__).resolve().parent.parent / "out" / "e2e-burst"
PROFILES = ("100-at-50", "300-at-300")
CONTROLLER = "controller"


@dataclass(frozen=True)
class Runs:
    """The runs of one profile: the limit before and after the controller, so that a drift of the
    machine shows as a difference between the two."""

    folder: Path
    results: list[RunResult]
    problems: Problems


@pytest.fixture(scope="module", params=PROFILES)
def runs(request: pytest.FixtureRequest, control_plane: ControlPlane) -> Runs:
    """The runs of a profile, made once."""
    profile, folder = load(request.param), OUT / request.param
    shutil.rmtree(folder, ignore_errors=True)
    grant(control_plane.api, WARMCLAIM)
    before = run_limit(control_plane, profile, folder / "limit-1")
    served, problems = run_controller(control_plane, profile, folder / CONTROLLER)
    after = run_limit(control_plane, profile, folder / "limit-2")
    written(read([str(folder)]), folder / "page.html")
    return Runs(folder, [before, served, after], problems)


def test_figures(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints, past the capture, and keeps what was measured; asserts that it was."""
    assert all(not one.problem and one.phases[1].client for one in runs.results)
    with capsys.disabled():
        print()
        Console().print(page(runs.results))
        print(f"  -> {runs.folder.relative_to(OUT.parent.parent)}")


@pytest.mark.parametrize("promise", verdict.PROPERTIES, ids=lambda text: text.replace(" ", "_"))
def test_in_a_burst(runs: Runs, promise: str) -> None:
    """Each promise of `verdict` by itself, so that a broken one does not hide the others."""
    problems = runs.problems[promise]
    tail = f"\n--- tail of the controller's log\n{log_tail(runs.folder / CONTROLLER / LOG, 25)}"
    assert not problems, f"{promise}: {len(problems)} breaches\n{verdict.shown(problems)}{tail}"
