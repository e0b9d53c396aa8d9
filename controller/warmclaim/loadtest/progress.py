"""How far a run is, on a terminal: one line that changes in place."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

from warmclaim.loadtest.phases import PhaseRun
from warmclaim.loadtest.run import Show


@contextmanager
def shown(console: Console, title: str) -> Generator[Show]:
    """Shows nothing where `console` is no terminal; the line is wiped away at the end."""
    if not console.is_terminal:
        yield _nothing
        return
    # Drawn when shown, and by a thread twice a second: little beside the run that is measured.
    with console.status(f"{title}: setting the stage", refresh_per_second=2) as status:
        yield lambda phases: _update(status, title, phases)


def _update(status: Status, title: str, phases: PhaseRun) -> None:
    scene, ledger = phases.scene, phases.scene.stage.ledger
    name = phases.results[-1].name if phases.results else "begins"
    waits = f", waits for: {phases.waits_for}" if phases.waits_for else ""
    claims = f", {ledger.ready_claims} of {scene.claims_wanted} claims ready"
    members = sum(ledger.ready_members(pool.uid) for pool in scene.pools)
    status.update(f"{title}: {scene.at_s():.0f} s, {name}{waits}{claims}, {members} members ready")


def _nothing(_: PhaseRun) -> None:
    return
