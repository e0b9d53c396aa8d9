"""S4 for what ends by its own word: nothing is deleted before its end has come and is written down.

An end may be moved, and a wall clock may be set. So what counts is the earliest moment that a claim
ever had, held against the latest time that the run's wall clock ever showed. And whoever decides
may have seen a word that was taken back meanwhile: it counts for as long as a cache may lag.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from warmclaim.api.timestamps import seconds_of
from warmclaim.seams import Clock
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.objects import part, ready_of
from warmclaim.testing.sim.tenants import moment_of
from warmclaim.testing.sim.wanted import goes_with_its_end
from warmclaim.testing.sim.wire import CLAIM_EXPIRED
from warmclaim.testing.store import Commit

LAG_S_MAX: Final = 120.0
"""A watch may be silent for 70 s before it is noticed; then the list may fail for a while."""

_ROUNDING_S: Final = 1.0  # times in objects are whole seconds


@dataclass(slots=True)
class _Life:
    """What was known of one claim. `first_s`: its earliest end, by the wall clock; the others:
    until when it said that it is over, and that it goes with that, by the run's own clock."""

    first_s: float = math.inf
    over_until_s: float = -math.inf
    goes_until_s: float = -math.inf


class Lifetimes:
    """Follows the commits of claims, and the wall clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest_s = clock.wall()
        self._lives: dict[str, _Life] = {}

    def look(self) -> None:
        """The wall clock goes on evenly from here, until the next look."""
        self._latest_s = max(self._latest_s, self._clock.wall())

    def on_claim(self, commit: Commit) -> None:
        """After a commit is judged."""
        self.look()
        uid = commit.object["metadata"]["uid"]
        if not commit.is_live:
            self._lives.pop(uid, None)
            return
        if not part(commit.object, "spec", "lifecycle") and uid not in self._lives:
            return
        life, now_s = self._lives.setdefault(uid, _Life()), self._clock.monotonic()
        life.first_s = min(life.first_s, moment_of(commit.object) or math.inf)
        for state in (commit.before, commit.object):
            if state is not None and _is_over(state):
                life.over_until_s = now_s
            if state is not None and goes_with_its_end(state):
                life.goes_until_s = now_s

    def was_due(self, claim: Json) -> bool:
        """Whether an end that the claim ever had has come."""
        self.look()
        life = self._lives.get(claim["metadata"]["uid"], _Life())
        return life.first_s <= self._latest_s + _ROUNDING_S

    def has_ended(self, claim: Json) -> bool:
        """Whether the claim has an end and says that it has come, or did so a moment ago."""
        return _is_over(claim) or self._is_recent(self._life(claim).over_until_s)

    def may_go(self, claim: Json) -> bool:
        """Whether that is so and the claim itself goes then."""
        goes = goes_with_its_end(claim) or self._is_recent(self._life(claim).goes_until_s)
        return goes and self.has_ended(claim)

    def _life(self, claim: Json) -> _Life:
        return self._lives.get(claim["metadata"]["uid"], _Life())

    def _is_recent(self, moment_s: float) -> bool:
        return self._clock.monotonic() - moment_s <= LAG_S_MAX


def says_over(claim: Json | None) -> bool:
    """Whether a claim's status says that its time is over."""
    return claim is not None and ready_of(claim).reason == CLAIM_EXPIRED


def _is_over(claim: Json) -> bool:
    return bool(part(claim, "spec", "lifecycle")) and says_over(claim)


def goes_by_itself(sandbox: Json) -> bool:
    """Whether a sandbox has an end of its own, says that it has come, and is to be deleted then."""
    spec = sandbox["spec"]
    has_end = seconds_of(part(spec, "shutdownTime")) is not None
    is_marked = ready_of(sandbox).reason == "SandboxExpired"
    return has_end and is_marked and part(spec, "shutdownPolicy") == "Delete"
