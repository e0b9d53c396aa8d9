"""The command that tries crash points.

python -m warmclaim.testing.explore.crash_points --jobs 2              # all of them
python -m warmclaim.testing.explore.crash_points --scenario warm-burst --context quiet
python -m warmclaim.testing.explore.crash_points --pairs --context quiet
python -m warmclaim.testing.explore.crash_points --point scale-up/two/40/applied
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import cache

from warmclaim.testing.explore import command
from warmclaim.testing.explore.command import Exploration, Plan
from warmclaim.testing.explore.points import Explorer, Point
from warmclaim.testing.explore.results import Result
from warmclaim.testing.explore.scenarios import SCENARIOS
from warmclaim.testing.sim.simulation import Outcome


@cache
def _explorer() -> Explorer:
    """One for each process."""
    return Explorer()


def reset() -> None:
    """Forget what was learnt in this process: for a test that exchanges parts of the manager."""
    _explorer.cache_clear()


def plan(given: argparse.Namespace) -> Plan:
    """Every single crash; with pairs, every second one after each single one."""
    explorer = _explorer()
    points: list[Point] = []
    failures: list[Result] = []
    for scenario in given.scenario:
        for context in given.context:
            without = Point(scenario, context)
            reference = explorer.run(without)
            if reference.verdict:
                failures.append(reference)
                continue
            single = explorer.points_after(without)
            points += single
            if given.pairs and SCENARIOS[scenario].is_small:
                points += (pair for first in single for pair in explorer.points_after(first))
    return Plan([str(point) for point in points], failures)


def run(point: str) -> Result:
    """Run one point; raises ValueError for a name of none."""
    return _explorer().run(Point.parsed(point))


def trace(point: str) -> Outcome:
    """Run one point with every line of its trace."""
    return _explorer().traced(Point.parsed(point))


CRASH_POINTS = Exploration(
    "warmclaim.testing.explore.crash_points",
    "Crash the manager at every write, let it come back, hold it to its promises.",
    plan,
    run,
    trace,
    has_pairs=True,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every point went well, 1 if one did not."""
    return command.main(CRASH_POINTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
