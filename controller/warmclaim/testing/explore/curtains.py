"""Hidden events: one event of one watch, or two that follow each other, never reach the manager.

A run without a curtain tells which watches there are and how many events each brings. What is
hidden is known again only when something else tells of it: a later event of the same object, the
answer to a write, or a list. Nothing of that is sure to come, so the hiding ends with the
scenario: all history expires, each watch ends, and each reflector is told 410 and lists anew.
What was promised has to hold at every commit; all has to be as desired `CONVERGE_S` after the end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from warmclaim.testing.explore.contexts import CONTEXTS, CONVERGE_S
from warmclaim.testing.explore.results import Result, Verdict, judged
from warmclaim.testing.explore.scenarios import SCENARIOS
from warmclaim.testing.sim.case import Action, Fault
from warmclaim.testing.sim.simulation import Outcome, run_case

COUNTS: Final = ("one", "two")


class Point(NamedTuple):
    """So many events of the `watch`-th watch opened, from its `first` on; both from 0."""

    scenario: str
    many: str
    watch: int
    first: int

    def __str__(self) -> str:
        """The form that `parsed` takes."""
        return "/".join(map(str, self))

    @classmethod
    def parsed(cls, text: str) -> Point:
        """Raises ValueError for what names no point."""
        scenario, many, watch, first = text.split("/")
        if scenario not in SCENARIOS or many not in COUNTS:
            raise ValueError(f"no such point: {text}")
        return cls(scenario, many, int(watch), int(first))


class Explorer:
    """Runs points; the watches of each scenario are counted once."""

    def __init__(self) -> None:
        self._references: dict[str, Outcome] = {}

    def reference(self, scenario: str) -> Result:
        """Whether the scenario goes well when nothing is hidden."""
        began = time.process_time()
        verdict, text = _judged(self._reference(scenario), scenario)
        return Result(f"{scenario}/none", verdict, text, time.process_time() - began)

    def points(self, scenario: str, many: str) -> list[Point]:
        """All points of a scenario."""
        less = COUNTS.index(many)
        return [
            Point(scenario, many, watch, first)
            for watch, events in enumerate(self._reference(scenario).events.values())
            for first in range(events - less)
        ]

    def run(self, point: Point) -> Result:
        """Run one point."""
        began = time.process_time()
        outcome = self.traced(point, has_words=False)
        verdict, text = _judged(outcome, point.scenario)
        if not verdict and not outcome.hidden.total():
            verdict, text = "missed", "nothing was hidden"
        return Result(str(point), verdict, text, time.process_time() - began)

    def traced(self, point: Point, *, has_words: bool = True) -> Outcome:
        """The run of a point with every line of its trace."""
        watches = list(self._reference(point.scenario).events)
        fault = Fault(f"B12.{point.many}", float(point.first))
        return _run(point.scenario, {watches[point.watch]: fault}, has_words=has_words)

    def _reference(self, scenario: str) -> Outcome:
        if scenario not in self._references:
            watches = _run(scenario, {}).events
            counting = {watch: Fault("B12.none", 0.0) for watch in watches}
            self._references[scenario] = _run(scenario, counting)
        return self._references[scenario]


def _run(scenario: str, added: Mapping[str, Fault], *, has_words: bool = False) -> Outcome:
    case = CONTEXTS["quiet"].case(SCENARIOS[scenario], added)
    end = Action(case.options.span_s, "api.expire")
    case = msgspec.structs.replace(case, actions=(*case.actions, end))
    return run_case(case, has_words=has_words)


def _judged(outcome: Outcome, scenario: str) -> tuple[Verdict, str]:
    return judged(outcome, SCENARIOS[scenario].options.span_s, CONVERGE_S)
