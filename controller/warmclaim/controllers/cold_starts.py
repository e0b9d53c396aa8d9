"""Cold starts yield to warm claims: a flood of them is shaped by what the warm ones notice of it.

A claim that is served warm costs two writes, one that starts cold about twelve, with its pod's
scheduler and kubelet. On an API server whose processors are full each of them delays a tenant who
asked for a sandbox that is ready. So beside warm claims cold starts begin at a pace, which
reservations slow down when they are answered late, and which doubles with each second in which none
is; and no more are called than the server keeps up with. While nobody is served warm, all begin.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable
from typing import Final

from warmclaim.api.meta import ObjectKey
from warmclaim.kube.calm import Calm
from warmclaim.seams import Clock
from warmqueue.rotation import Rotation, Ticket

WARM_S: Final = 5.0
"""So long after the last reservation of a warm sandbox somebody is still to be yielded to."""

PER_S_MIN: Final = 10.0
"""However late reservations are, so many begin: a tenant without a pool is slow, never stuck."""
PER_S_FIRST: Final = 20.0
"""The first of a flood begin at this pace: what begins before a late reservation tells of it is in
the way for seconds."""
PER_S_MAX: Final = 640.0
DOUBLES_S: Final = 1.0
BLAMED_S: Final = 1.0
"""What reservations meet so long after the last cold start has other reasons."""

AT_ONCE_MAX: Final = 4
"""Of those that yield, so many at once are on the way to their sandbox's creation: a server that is
full answers late, and sets the pace where no reservation tells of it."""

TURN_S_MAX: Final = 2.0
"""Then the turn is another one's: four claims of a namespace in which nothing may be read must not
hold up those of all others."""

_LOOK_EVERY_S: Final = 0.02
_CALLED_AT_ONCE_MAX: Final = 64


class ColdStarts:
    """Of one manager. A claim that `may_begin` begins; another one lines up, and is woken by `wake`
    when its turn comes: the namespaces in turn, within one the oldest first. It has its turn until
    it leaves, with a sandbox or without, or for `TURN_S_MAX`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.wake: Callable[[ObjectKey], None] = lambda _: None
        self._numbers = itertools.count()
        self._line: Rotation[ObjectKey] = Rotation()
        self._tickets: dict[ObjectKey, Ticket] = {}
        self._called: dict[ObjectKey, float] = {}  # since when
        self._is_lined_up = asyncio.Event()
        self._calm = Calm()
        self._per_s, self._since_s = PER_S_FIRST, -math.inf  # it doubles from then on
        self._slowed_s = -math.inf
        self._warm_s = self._began_s = -math.inf

    def __len__(self) -> int:
        """Claims that stand in line, or were called and have no sandbox yet."""
        return len(self._tickets) + len(self._called)

    @property
    def per_s_max(self) -> float:
        """How many may begin in a second now; infinite where nobody is to be yielded to."""
        now_s = self._clock.monotonic()
        if now_s - self._warm_s > WARM_S:
            return math.inf
        doublings = min((now_s - self._since_s) / DOUBLES_S, 10.0)
        return float(min(self._per_s * 2**doublings, PER_S_MAX))

    def may_begin(self, key: ObjectKey) -> bool:
        """Whether the claim may start cold now."""
        return key in self._called or (not self._tickets and math.isinf(self.per_s_max))

    def begin(self) -> None:
        """One does."""
        self._began_s = self._clock.monotonic()

    def line_up(self, key: ObjectKey) -> None:
        """It waits for its turn; one that does already keeps its place."""
        if key in self._tickets or key in self._called:
            return
        ticket = self._tickets[key] = Ticket(0.0, next(self._numbers))
        self._line.add(key.namespace, ticket, key)
        self._is_lined_up.set()

    def leave(self, key: ObjectKey) -> None:
        """It has its sandbox, needs none, or has to line up again."""
        self._called.pop(key, None)
        if (ticket := self._tickets.pop(key, None)) is not None:
            self._line.remove(key.namespace, ticket)

    def reserved(self, took_s: float) -> None:
        """A warm sandbox was reserved, from the pick to the answer in that time."""
        now_s, lateness = self._clock.monotonic(), self._calm.lateness(took_s)
        self._warm_s = now_s
        if lateness <= 1 or now_s - self._began_s > BLAMED_S:
            return
        if now_s - took_s >= self._slowed_s:  # once for all that were under way together
            self._per_s = max(self.per_s_max / lateness, PER_S_MIN)
            self._slowed_s = now_s
        self._since_s = now_s

    async def run(self) -> None:
        """Call those whose turn it is, as long as this process leads."""
        due, looked_s = 0.0, self._clock.monotonic()
        while True:
            if not self._tickets:
                self._is_lined_up.clear()
                await self._is_lined_up.wait()
                due, looked_s = 1.0, self._clock.monotonic()
                if looked_s - self._began_s > BLAMED_S:
                    self._per_s, self._since_s = PER_S_FIRST, looked_s
            now_s, per_s = self._clock.monotonic(), self.per_s_max
            self._end_turns(now_s)
            at_once_max = _CALLED_AT_ONCE_MAX if math.isinf(per_s) else AT_ONCE_MAX
            due = at_once_max if math.isinf(per_s) else due + per_s * (now_s - looked_s)
            due, looked_s = min(due, at_once_max), now_s
            while due >= 1 and self._tickets and len(self._called) < at_once_max:
                due -= 1
                self._call()
            await self._clock.sleep(_LOOK_EVERY_S)

    def _call(self) -> None:
        _, key = self._line.pop()
        del self._tickets[key]
        self._called[key] = self._clock.monotonic()
        self.wake(key)

    def _end_turns(self, now_s: float) -> None:
        for key in [one for one, since_s in self._called.items() if now_s - since_s > TURN_S_MAX]:
            del self._called[key]
