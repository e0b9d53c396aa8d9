"""How many requests that nobody waits for are under way while claims are served.

Refill, labels, notes and events share an API server with the claims, and one that has no cores left
makes each claim wait for them. How many it can bear at once is found by feedback, as TCP finds out
what a path bears: each write of a claim that was answered as quickly as by a calm server adds a
little, one that took much longer halves it. While no claim is served nothing is held back.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from warmclaim.kube.calm import Calm
from warmclaim.seams import Clock


class RefillWindow:
    """Lets requests in: `enter`, and after the answer `leave`. One of those that wait goes in
    for each that leaves; none waits longer than `wait_s_max`, so a load of claims without end
    never keeps refill from going on."""

    def __init__(
        self,
        clock: Clock,
        is_busy: Callable[[], bool],
        need: Callable[[], float],
        *,
        at_once_max: int,
        wait_s_max: float = 1.0,
    ) -> None:
        """`is_busy`: whether claims are being served. `need`: the part of `at_once_max`, from 0 to
        1, that may be under way in any case, or the next claims find nothing."""
        self._clock = clock
        self._is_busy = is_busy
        self._need = need
        self._at_once_max = at_once_max
        self._wait_s_max = wait_s_max
        self._size = 1.0
        self._calm = Calm()
        self._shrunk_s = -math.inf
        self._under_way = 0
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order of their coming

    @property
    def size(self) -> int:
        """How many may be under way now."""
        if not self._is_busy():
            self._size = 1.0  # the next burst begins with caution
            return self._at_once_max
        return max(int(self._size), int(self._at_once_max * self._need()))

    async def enter(self) -> None:
        """Wait for a place, at most `wait_s_max`."""
        if self._under_way < self.size and not self._waiting:
            self._under_way += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[place] = None
        try:
            async with asyncio.timeout(self._wait_s_max):
                await place
        except TimeoutError:
            if self._is_left(place):
                self._under_way += 1
        except BaseException:
            if not self._is_left(place):
                self.leave()
            raise

    def leave(self) -> None:
        """The request has ended, however."""
        self._under_way -= 1
        while self._waiting and self._under_way < self.size:
            place = next(iter(self._waiting))
            del self._waiting[place]
            if not place.done():  # else its task has given up, and only not run yet
                place.set_result(None)
                self._under_way += 1

    def claim_answered(self, took_s: float) -> None:
        """A claim's write was answered after that long."""
        if self._calm.lateness(took_s) <= 1:
            self._size = min(self._size + 1 / self._size, self._at_once_max)
        elif self._clock.monotonic() - took_s >= self._shrunk_s:
            self.shrink()  # once for all that were under way together

    def shrink(self) -> None:
        """The server has too much to do: half as many."""
        self._size = max(self._size / 2, 1.0)
        self._shrunk_s = self._clock.monotonic()

    def _is_left(self, place: asyncio.Future[None]) -> bool:
        """Whether it waited in vain; then it waits no more."""
        self._waiting.pop(place, None)
        return place.cancelled()
