"""The command that freezes API servers.

python -m warmclaim.testing.explore.frozen_servers --jobs 2
python -m warmclaim.testing.explore.frozen_servers --scenario claim-delete --context cut
python -m warmclaim.testing.explore.frozen_servers --point claim-delete/cut/117
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import cache

from warmclaim.testing.explore import command
from warmclaim.testing.explore.command import Exploration, Plan
from warmclaim.testing.explore.freezes import WAYS, Explorer, Point
from warmclaim.testing.explore.results import Result
from warmclaim.testing.sim.simulation import Outcome


@cache
def _explorer() -> Explorer:
    """One for each process."""
    return Explorer()


def plan(given: argparse.Namespace) -> Plan:
    """Every version of every scenario."""
    explorer = _explorer()
    points: list[Point] = []
    failures: list[Result] = []
    for scenario in given.scenario:
        for way in given.context:
            reference = explorer.reference(scenario, way)
            if reference.verdict:
                failures.append(reference)
            else:
                points += explorer.points(scenario, way)
    return Plan([str(point) for point in points], failures)


def run(point: str) -> Result:
    """Run one point; raises ValueError for a name of none."""
    return _explorer().run(Point.parsed(point))


def trace(point: str) -> Outcome:
    """Run one point with every line of its trace."""
    return _explorer().traced(Point.parsed(point))


FROZEN_SERVERS = Exploration(
    "warmclaim.testing.explore.frozen_servers",
    "Restart the manager onto an API server that stands still at every version.",
    plan,
    run,
    trace,
    contexts=WAYS,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every point went well, 1 if one did not."""
    return command.main(FROZEN_SERVERS, arguments)


if __name__ == "__main__":
    sys.exit(main())
