"""Frozen servers: the manager comes back to an API server that stands still at an old version.

There are two servers. The manager's own sees everything; the other freezes right after one commit
of the scenario. Then the manager dies and comes back on the frozen one: its watches say nothing,
and what it answers from its cache is the past. More claims come while it is there. After
`FROZEN_S` the server goes on. Every version of the scenario is tried, in three ways:

    settled   the manager dies when the scenario has ended; consistent reads and writes work
    amid      it dies in the middle of the scenario's burst; the same
    cut       as settled, and the server's store is out of its reach: nothing but its cache answers

What was promised has to hold at every commit; all has to be as desired `CONVERGE_S` after the
server went on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from warmclaim.api.resources import SANDBOX
from warmclaim.testing.explore.contexts import CONTEXTS, CONVERGE_S
from warmclaim.testing.explore.results import Result, Verdict, judged
from warmclaim.testing.explore.scenarios import BURST_S, SCENARIOS, Scenario
from warmclaim.testing.sim.case import Action, Case
from warmclaim.testing.sim.simulation import Outcome, run_case
from warmclaim.testing.sim.workload import claim_target
from warmclaim.testing.store import Commit, Verb

WAYS: Final = ("settled", "amid", "cut")
FROZEN_S: Final = 8.0
_AMID_S: Final = BURST_S + 0.015
_MORE_CLAIMS: Final = 3
_MORE_AFTER_S: Final = 3.2  # a killed manager is back after 3 s
_FIRST_CLAIM: Final = 900
_FREEZING: Final = ("server.freeze", "server.cut")


class Point(NamedTuple):
    """The version after which the server freezes."""

    scenario: str
    way: str
    version: int

    def __str__(self) -> str:
        """The form that `parsed` takes."""
        return "/".join(map(str, self))

    @classmethod
    def parsed(cls, text: str) -> Point:
        """Raises ValueError for what names no point."""
        scenario, way, version = text.split("/")
        if scenario not in SCENARIOS or way not in WAYS:
            raise ValueError(f"no such point: {text}")
        return cls(scenario, way, int(version))

    def case(self) -> Case:
        """The run of this point; version 0: nothing freezes."""
        scenario = SCENARIOS[self.scenario]
        died_s = _AMID_S if self.way == "amid" else scenario.options.span_s
        thawed_s = died_s + FROZEN_S
        actions = sorted(
            (
                *scenario.actions,
                Action(died_s, "server.switch", "m0", 0.5),
                Action(died_s, "manager.kill", "m0"),
                *_more_claims(scenario, died_s + _MORE_AFTER_S),
                Action(thawed_s, "server.thaw", "s1"),
            ),
            key=lambda action: action.at,
        )
        plain = CONTEXTS["quiet"].case(scenario, {})
        span_s = max(plain.options.span_s, thawed_s)
        options = msgspec.structs.replace(plain.options, servers=2, span_s=span_s)
        how = "server.cut" if self.way == "cut" else "server.freeze"
        return msgspec.structs.replace(
            plain,
            options=options,
            actions=tuple(actions),
            on_commit=((self.version, Action(0.0, how, "s1", 1.0)),),
        )


def _more_claims(scenario: Scenario, at: float) -> list[Action]:
    targets = (claim_target(scenario.options, _FIRST_CLAIM + n) for n in range(_MORE_CLAIMS))
    return [Action(at, "claim.create", target) for target in targets]


@dataclass(slots=True)
class _Versions:
    """An observer: the versions from the manager's first sandbox on, and how many of them there
    were when more claims came."""

    all: list[int] = field(default_factory=list[int])
    scenarios_own: int = 0

    def __call__(self, commit: Commit) -> None:
        if self.all or commit.resource == str(SANDBOX):
            self.all.append(commit.rv)
        if commit.verb is Verb.ADDED and commit.key.endswith(f"/c-{_FIRST_CLAIM}"):
            self.scenarios_own = len(self.all) - 1


class Explorer:
    """Runs points; how each scenario goes without a freeze is tried once."""

    def __init__(self) -> None:
        self._references: dict[Point, tuple[Outcome, _Versions]] = {}

    def reference(self, scenario: str, way: str) -> Result:
        """Whether all goes well when nothing freezes."""
        began = time.process_time()
        point = Point(scenario, way, 0)
        verdict, text = _judged(self._reference(point)[0])
        return Result(str(point), verdict, text, time.process_time() - began)

    def points(self, scenario: str, way: str) -> list[Point]:
        """All points of a scenario. A manager that dies amid it may live to see a later freeze."""
        versions = self._reference(Point(scenario, way, 0))[1]
        return [Point(scenario, way, rv) for rv in versions.all[: versions.scenarios_own]]

    def run(self, point: Point) -> Result:
        """Run one point."""
        began = time.process_time()
        outcome = run_case(point.case())
        verdict, text = _judged(outcome)
        if not verdict and not any(name in outcome.faults for name in _FREEZING):
            verdict, text = "missed", "nothing froze"
        return Result(str(point), verdict, text, time.process_time() - began)

    def traced(self, point: Point) -> Outcome:
        """The run of a point with every line of its trace."""
        return run_case(point.case(), has_words=True)

    def _reference(self, point: Point) -> tuple[Outcome, _Versions]:
        if point not in self._references:
            versions = _Versions()
            self._references[point] = (run_case(point.case(), observers=[versions]), versions)
        return self._references[point]


def _judged(outcome: Outcome) -> tuple[Verdict, str]:
    """Counted from the last action: the server goes on, or the scenario ends."""
    return judged(outcome, max(outcome.started_s, outcome.case.actions[-1].at), CONVERGE_S)
