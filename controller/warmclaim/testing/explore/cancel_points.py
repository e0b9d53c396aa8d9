"""Cancellation at every await of a pass: of the claim, the pool and the sandbox controller.

    python -m warmclaim.testing.explore.cancel_points              # every point of every case
    python -m warmclaim.testing.explore.cancel_points --pairs      # and again in what comes after
    python -m warmclaim.testing.explore.cancel_points --case pool-fill --at 7 --after fresh

At each point the same process goes on, and a new one; a write that was cut on its way is gone, and
arrives late. Afterwards every promise must have held at every commit, the world must be as it is
to be, no task may be left, no key lost from the queue, no candidate from the warm queue.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from warmclaim.testing.explore.cancel_cases import CASES
from warmclaim.testing.explore.cancelling import After, Case, Cut, Cutting

AFTERS: Final[tuple[After, ...]] = ("same", "fresh")
_FAILURES_SHOWN: Final = 3


@dataclass(slots=True)
class Found:
    """What a case came to: points, runs, the places of the controllers' code that were reached,
    and of each failing run how it is had again and what it showed."""

    points: int = 0
    runs: int = 0
    places: set[str] = field(default_factory=set[str])
    failures: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def count(self, cut: Cut, points: Sequence[int], after: After, *, is_late: bool) -> None:
        """One more run."""
        self.runs += 1
        self.places.update(cut.places)
        if cut.failures:
            at = ",".join(map(str, points)) or "0"
            how = f"--at {at} --after {after}{' --late' if is_late else ''}"
            self.failures.append((how, "; ".join(cut.failures)))


def explore(case: Case, *, with_pairs: bool = False) -> Found:
    """Every point of a case. Cost: some 5 ms for each, `with_pairs` for each pair."""
    found = Found()
    alone = Cutting(case).run()
    found.points = alone.turns
    found.count(alone, (), "same", is_late=False)
    for point in range(1, alone.turns + 1):
        for after in AFTERS:
            for points in _sequences(case, point, after, with_pairs=with_pairs):
                cut = Cutting(case, points, after).run()
                found.count(cut, points, after, is_late=False)
                if cut.was_cut:
                    cut = Cutting(case, points, after, lands_late=True).run()
                    found.count(cut, points, after, is_late=True)
    return found


def _sequences(
    case: Case, point: int, after: After, *, with_pairs: bool
) -> Iterator[tuple[int, ...]]:
    yield (point,)
    if with_pairs:
        later = Cutting(case, (point,), after).run().turns
        yield from ((point, second) for second in range(1, later + 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if nothing failed, else 1."""
    given = _parser().parse_args(arguments)
    cases = [case for case in CASES if not given.case or case.name in given.case]
    if given.at:
        return _run_one(cases[0], given)
    total, is_bad = Found(), False
    print(f"{'case':28} points   runs  places  failed")
    for case in cases:
        found = explore(case, with_pairs=given.pairs)
        _print_row(case.name, found)
        for how, failure in found.failures[:_FAILURES_SHOWN]:
            print(f"  --case {case.name} {how}: {failure}")
        is_bad = is_bad or bool(found.failures)
        total.points += found.points
        total.runs += found.runs
        total.places |= found.places
        total.failures += found.failures
    _print_row("all", total)
    return 1 if is_bad else 0


def _run_one(case: Case, given: argparse.Namespace) -> int:
    points = [int(word) for word in given.at.split(",")]
    cut = Cutting(case, points, given.after, lands_late=given.late).run()
    print(f"{case.name}, cancelled at {given.at}: {', '.join(cut.places) or 'no pass'}")
    print("\n".join(cut.failures) or "all is as it should be")
    return 1 if cut.failures else 0


def _print_row(name: str, found: Found) -> None:
    counts = (found.points, found.runs, len(found.places), len(found.failures))
    words = "  ".join(f"{count:6,}" for count in counts)
    print(f"{name:26} {words}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m warmclaim.testing.explore.cancel_points", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    names = [case.name for case in CASES]
    parser.add_argument("--case", action="append", choices=names, help="only this one")
    parser.add_argument("--pairs", action="store_true", help="cancel what comes after, too")
    parser.add_argument("--at", metavar="N[,N]", help="run one: cancelled at these points")
    parser.add_argument("--after", choices=AFTERS, default="same", help="who goes on")
    parser.add_argument("--late", action="store_true", help="the cut write arrives at the end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
