"""A controller as a multiple of the limit: the figure that another machine may be compared by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

import msgspec

from warmclaim.loadtest.conditions import Ready
from warmclaim.loadtest.result import CONTROLLER, LIMIT, PhaseResult, RunResult

FILLED = Ready(of="members").title
HEADS = ("phase", "what", "runs", "limit", "controller", "ratio")


class Ratio(msgspec.Struct, frozen=True):
    """Medians over the runs of each side, in milliseconds, and the second by the first."""

    profile: str
    phase: str
    what: str
    runs: int
    """Of the side that has fewer."""
    limit_ms: float
    controller_ms: float
    ratio: float

    def cells(self) -> tuple[str, ...]:
        """A text for each of `HEADS`."""
        sides = (f"{self.limit_ms:,.1f} ms", f"{self.controller_ms:,.1f} ms")
        return (self.phase, self.what, str(self.runs), *sides, f"{self.ratio:.2f}")


def ratios(runs: Sequence[RunResult]) -> list[Ratio]:
    """Of each profile and phase that both sides have: the percentiles of its claims, or how long
    its pools took to fill. Nothing where a side is missing."""
    keys = dict.fromkeys((run.profile, phase.name) for run in runs for phase in run.phases)
    found = (
        _ratio(runs, profile, phase, what, value)
        for profile, phase in keys
        for what, value in _VALUES.items()
    )
    return [one for one in found if one is not None]


def _filled_ms(phase: PhaseResult) -> float | None:
    if phase.sent:
        return None
    full = next((one.at_s for one in phase.milestones if one.name == FILLED), None)
    return None if full is None else (full - phase.begun_s) * 1000


_VALUES: dict[str, Callable[[PhaseResult], float | None]] = {
    "filled": _filled_ms,
    "P50": lambda phase: phase.client.p50_ms if phase.client else None,
    "P90": lambda phase: phase.client.p90_ms if phase.client else None,
    "P99": lambda phase: phase.client.p99_ms if phase.client else None,
}


def _ratio(
    runs: Sequence[RunResult],
    profile: str,
    name: str,
    what: str,
    value: Callable[[PhaseResult], float | None],
) -> Ratio | None:
    sides: dict[str, list[float]] = {LIMIT: [], CONTROLLER: []}
    for run in runs:
        for phase in run.phases if run.profile == profile and not run.problem else []:
            if phase.name == name and (measured := value(phase)):
                sides[run.serves].append(measured)
    if not all(sides.values()):
        return None
    limit, controller = median(sides[LIMIT]), median(sides[CONTROLLER])
    count = min(map(len, sides.values()))
    return Ratio(
        profile, name, what, count, round(limit, 3), round(controller, 3), controller / limit
    )
