"""The command that hides events.

python -m warmclaim.testing.explore.hidden_events --jobs 2
python -m warmclaim.testing.explore.hidden_events --scenario claim-delete --context two
python -m warmclaim.testing.explore.hidden_events --point claim-delete/two/1/17
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import cache

from warmclaim.testing.explore import command
from warmclaim.testing.explore.command import Exploration, Plan
from warmclaim.testing.explore.curtains import COUNTS, Explorer, Point
from warmclaim.testing.explore.results import Result
from warmclaim.testing.sim.simulation import Outcome


@cache
def _explorer() -> Explorer:
    """One for each process."""
    return Explorer()


def plan(given: argparse.Namespace) -> Plan:
    """Every event of every watch, or every two that follow each other."""
    explorer = _explorer()
    points: list[Point] = []
    failures: list[Result] = []
    for scenario in given.scenario:
        reference = explorer.reference(scenario)
        if reference.verdict:
            failures.append(reference)
            continue
        for count in given.context:
            points += explorer.points(scenario, count)
    return Plan([str(point) for point in points], failures)


def run(point: str) -> Result:
    """Run one point; raises ValueError for a name of none."""
    return _explorer().run(Point.parsed(point))


def trace(point: str) -> Outcome:
    """Run one point with every line of its trace."""
    return _explorer().traced(Point.parsed(point))


HIDDEN_EVENTS = Exploration(
    "warmclaim.testing.explore.hidden_events",
    "Hide every event, and every two that follow each other, from the manager.",
    plan,
    run,
    trace,
    contexts=COUNTS,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every point went well, 1 if one did not."""
    return command.main(HIDDEN_EVENTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
