"""`python -m tests.seeded_bugs`: does the simulator find the mistakes that it is there to find?

Plants each bug of the catalogue into a copy of the code and plays seeds there until a promise that
the bug names is broken. The clean code must hold under the seeds that caught something.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.seeded_bugs.bugs import Bug, CatalogueError, chosen, read_catalogue, rewrite_seeds
from tests.seeded_bugs.campaign import (
    HEADER,
    SEEDS_MAX,
    clean_failures,
    hunt_all,
    row,
    search_all,
)
from tests.seeded_bugs.hunt import Hunt


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if each bug was caught and the clean code holds, 1 if not, 2 for an odd catalogue."""
    given = _parser().parse_args(arguments)
    try:
        bugs = chosen(read_catalogue(), given.bug)
        return _run(bugs, given)
    except CatalogueError as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.seeded_bugs", description=__doc__)
    parser.add_argument("--bug", action="append", default=[], metavar="NAME",
                        help="only this one; may be given several times")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="bugs at a time")
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX, metavar="N",
                        help="seeds from 0 that may be tried")  # fmt: skip
    parser.add_argument("--search", action="store_true",
                        help="play all seeds, count the catches; implies --note")  # fmt: skip
    parser.add_argument("--note", action="store_true",
                        help="write the seeds that caught into the catalogue")  # fmt: skip
    return parser


def _run(bugs: Sequence[Bug], given: argparse.Namespace) -> int:
    hunts: list[Hunt] = []
    hunting = search_all if given.search else hunt_all
    print(HEADER)
    for found in hunting(bugs, seeds_max=given.seeds, jobs=given.jobs):
        hunts.append(found)
        print(row(found), flush=True)
    missed = [found.bug.name for found in hunts if not found.catches]
    failures = clean_failures(hunts)
    for play in failures:
        print(f"seed {play.seed} fails on the clean code: {play.promise}: {play.text}")
    if given.search or given.note:
        spoilt = {play.seed for play in failures}
        rewrite_seeds({found.bug.name: seed for found in hunts for seed in _sound(found, spoilt)})
    print(f"{len(hunts) - len(missed)} of {len(hunts)} caught", *missed)
    return 1 if missed or failures else 0


def _sound(found: Hunt, spoilt: set[int]) -> list[int]:
    """The first catching seed, unless the clean code fails there, too."""
    return [play.seed for play in found.catches if play.seed not in spoilt][:1]


if __name__ == "__main__":
    sys.exit(main())
