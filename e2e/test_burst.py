"""Bursts of claims on a real control plane: what must hold is asserted, what it costs is printed.

Times are never asserted: the machine is shared, and only ratios taken in the same run mean
something. They are printed and kept as JSON lines in out/e2e-burst-<profile>.json.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop
from e2e.burst import verdict
from e2e.burst.profiles import PROFILES, Profile
from e2e.burst.result import ControllerResult, LimitResult, table, write_json
from e2e.burst.rights import grant
from e2e.burst.run import run_controller, run_limit
from e2e.cluster import WARMCLAIM, ControlPlane

# All runs of a profile are in the first of its tests: about a minute, more on a busy machine.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

OUT = Path(__file__).resolve().parent.parent / "out"


@dataclass(frozen=True)
class Runs:
    """The runs of one profile; `limit` is that before and that after the controller's."""

    profile: Profile
    limit: LimitResult
    controller: ControllerResult


@pytest.fixture(scope="module", params=PROFILES, ids=lambda profile: profile.name)
def runs(
    request: pytest.FixtureRequest,
    control_plane: ControlPlane,
    tmp_path_factory: pytest.TempPathFactory,
) -> Runs:
    """The runs of a profile, made once."""
    profile: Profile = request.param
    grant(control_plane.api, WARMCLAIM)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        before = runner.run(run_limit(control_plane, profile))
        log_dir = tmp_path_factory.mktemp("controller")
        controller = runner.run(run_controller(control_plane, profile, log_dir))
        after = runner.run(run_limit(control_plane, profile))
    return Runs(profile, before.pooled(after), controller)


def test_figures(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    """Asserts nothing: prints, past the capture, and keeps what was measured."""
    file = write_json(OUT, runs.profile, runs.limit, runs.controller)
    with capsys.disabled():
        print(f"\n{table(runs.profile, runs.limit, runs.controller)}")
        print(f"  -> {file.relative_to(OUT.parent)}")


@pytest.mark.parametrize("promise", verdict.PROPERTIES, ids=lambda text: text.replace(" ", "_"))
def test_in_a_burst(runs: Runs, promise: str) -> None:
    """Each promise of `verdict` by itself, so that a broken one does not hide the others."""
    problems = runs.controller.problems[promise]
    tail = f"\n--- tail of the controller's log\n{runs.controller.log_tail}"
    assert not problems, f"{promise}: {len(problems)} breaches\n{verdict.shown(problems)}{tail}"
