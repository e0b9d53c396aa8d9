"""Claims before everything else: who has to yield to them, and for how long.

From the strongest means to the mildest: *gates* hold up refill, events and what is only noted while
a burst begins, each for its own time at most; then a *window* leaves refill as many requests at
once as the API server can bear beside the claims, or as many as it must have, or the pools would be
empty. Claims that nothing warm is there for *line up* while those that are served warm suffer from
their cold starts.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from warmclaim.api.meta import ObjectKey
from warmclaim.controllers.cold_starts import ColdStarts
from warmclaim.controllers.refill_gate import RefillGate
from warmclaim.controllers.shortage import Shortage
from warmclaim.kube.refill_window import RefillWindow
from warmclaim.runtime.controller import Controller
from warmclaim.seams import Clock
from warmqueue import Lane, WaitingLine

QUIET_S: Final = 0.25
"""Refill's turn comes when no claim was served for that long (or its bound has passed): claims at
50 a second leave gaps of 20 ms, and what is created in them is still in their way."""

REFILL_WAIT_S_MAX: Final = 5.0
"""A burst that takes half of a pool is mostly over by then; its claims were the slower the sooner
refill began: 13 ms before, 40 to 180 ms after, on two cores."""

MARKS_WAIT_S_MAX: Final = 30.0
"""What is noted on served claims is written so long after Ready, if claims come on or their pools
are short: two of five requests on refill's connections, for which a claim might start cold."""


class ClaimsFirst:
    """Of one manager; without a claim controller nobody ever yields."""

    def __init__(self, clock: Clock, *, refill_requests_max: int) -> None:
        self.waiting: WaitingLine[ObjectKey] = WaitingLine()
        self.shortage = Shortage(clock)
        self.window = RefillWindow(
            clock, self.is_serving, self.shortage.share, at_once_max=refill_requests_max
        )
        self.gate = RefillGate(clock, self.is_serving)
        self.refill_gate = RefillGate(clock, self._may_wait, wait_s_max=REFILL_WAIT_S_MAX)
        self.cold_starts = ColdStarts(clock)
        self.marks_gate = RefillGate(clock, self._is_short, wait_s_max=MARKS_WAIT_S_MAX)
        self._claims: Controller[ObjectKey] | None = None

    def watch(self, claims: Controller[ObjectKey]) -> None:
        """This is the controller that serves claims."""
        self._claims = claims
        self.cold_starts.wake = partial(claims.queue.add, lane=Lane.ADOPTION)

    def is_serving(self) -> bool:
        """Whether what can wait should, for claims that get their sandboxes now."""
        if self._claims is None or len(self.waiting) > len(self.cold_starts):
            return False  # what some wait for is refill, and not their turn to start cold
        due = self._claims.queue.core.depth(Lane.ADOPTION)
        return due > 0 or self._claims.idle_s(Lane.ADOPTION) < QUIET_S

    def _may_wait(self) -> bool:
        """Whether claims come, and no pool is so empty that refill is needed."""
        return self.is_serving() and self.shortage.share() == 0

    def _is_short(self) -> bool:
        """Whether claims need all that refill can do, or will soon."""
        return self.is_serving() or len(self.waiting) > 0 or self.shortage.share() > 0
