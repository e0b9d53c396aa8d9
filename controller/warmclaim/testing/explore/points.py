"""Crash points: the manager dies at one write, in one of three positions, and comes back.

    before    the write is not sent
    applied   it is applied, the answer is lost
    seen      the answer has come, and what it was is forgotten

A run without a crash, the reference, tells which writes there are; up to the crash a run is
that one again. What was promised has to hold at every commit, and all has to be as desired
`CONVERGE_S` after the restart, the last action, or the last fault, whichever is last.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from warmclaim.testing.explore.books import Books
from warmclaim.testing.explore.contexts import CONTEXTS, CONVERGE_S
from warmclaim.testing.explore.oracle import differences
from warmclaim.testing.explore.results import Result, Verdict, judged
from warmclaim.testing.explore.scenarios import SCENARIOS
from warmclaim.testing.sim.case import Fault
from warmclaim.testing.sim.simulation import Outcome, run_case

POSITIONS: Final = ("before", "applied", "seen")
_COLD_SCENARIO: Final = "small-cold"


class Crash(NamedTuple):
    """The `number`-th write of the run, from 0, and how far it gets."""

    number: int
    position: str


class Point(NamedTuple):
    """One or two crashes; the second is counted in the run that has the first.

    The second may come while the answer of the first, that is to be seen, is still under way.
    """

    scenario: str
    context: str
    crashes: tuple[Crash, ...] = ()

    def __str__(self) -> str:
        """The form that `parsed` takes."""
        crashes = (f"{crash.number}/{crash.position}" for crash in self.crashes)
        return "/".join((self.scenario, self.context, *crashes))

    @classmethod
    def parsed(cls, text: str) -> Point:
        """Raises ValueError for what names no point."""
        scenario, context, *rest = text.split("/")
        crashes = tuple(
            Crash(int(number), position)
            for number, position in zip(rest[::2], rest[1::2], strict=True)
        )
        is_known = scenario in SCENARIOS and context in CONTEXTS
        if not is_known or any(crash.position not in POSITIONS for crash in crashes):
            raise ValueError(f"no such point: {text}")
        return cls(scenario, context, crashes)


class _Run(NamedTuple):
    outcome: Outcome
    books: Books


class Explorer:
    """Runs points. The reference of each scenario and context is run once; so is the run before
    a further crash, while the points after it are asked for."""

    def __init__(self) -> None:
        self._references: dict[Point, _Run] = {}
        self._writes: tuple[Point, Sequence[str]] | None = None
        self._cold_shapes: frozenset[bytes] = frozenset()

    def points_after(self, point: Point) -> list[Point]:
        """All points with one crash more."""
        first = point.crashes[-1].number + 1 if point.crashes else 0
        return [
            point._replace(crashes=(*point.crashes, Crash(number, position)))
            for number in range(first, len(self._writes_of(point)))
            for position in POSITIONS
        ]

    def run(self, point: Point) -> Result:
        """Run one point; without a crash it is the reference."""
        began = time.process_time()
        outcome, books = self._run(point)
        verdict, text = _judged(outcome, point)
        if not verdict and outcome.crashes != len(point.crashes):
            verdict, text = "missed", f"{outcome.crashes} crashes happened"
        if not verdict and CONTEXTS[point.context].is_quiet:
            text = "; ".join(self._differences(point, books))
            verdict = "differs" if text else ""
        return Result(str(point), verdict, text, time.process_time() - began)

    def traced(self, point: Point) -> Outcome:
        """The run of a point with every line of its trace."""
        return self._run(point, has_words=True).outcome

    def _run(self, point: Point, *, has_words: bool = False) -> _Run:
        books, added = Books(), dict[str, Fault]()
        for place, crash in enumerate(point.crashes):
            writes = self._writes_of(point._replace(crashes=point.crashes[:place]))
            added[writes[crash.number]] = Fault(f"C1.{crash.position}", 0.0)
        case = CONTEXTS[point.context].case(SCENARIOS[point.scenario], added)
        return _Run(run_case(case, has_words=has_words, observers=[books]), books)

    def _reference(self, point: Point) -> _Run:
        key = Point(point.scenario, point.context)
        if key not in self._references:
            self._references[key] = self._run(key)
        return self._references[key]

    def _writes_of(self, point: Point) -> Sequence[str]:
        if not point.crashes:
            return self._reference(point).outcome.writes
        if self._writes is None or self._writes[0] != point:
            self._writes = (point, self._run(point).outcome.writes)
        return self._writes[1]

    def _differences(self, point: Point, books: Books) -> Iterator[str]:
        if not self._cold_shapes:
            cold = self._reference(Point(_COLD_SCENARIO, point.context)).books
            self._cold_shapes = frozenset(cold.claims_shapes().values())
        return differences(books, self._reference(point).books, self._cold_shapes)


def _judged(outcome: Outcome, point: Point) -> tuple[Verdict, str]:
    """Counted from the restart, the last action, or the last fault, whichever is last."""
    ended_s = 0.0 if CONTEXTS[point.context].is_quiet else outcome.healed_s
    last_s = SCENARIOS[point.scenario].actions[-1].at
    return judged(outcome, max(outcome.started_s, last_s, ended_s), CONVERGE_S)
