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
from typing import Final

from warmclaim.seams import Clock

CROWDED: Final = 2.0
"""A claim's write took that many times as long as on a calm server: too much is under way."""
CALM_S_MIN: Final = 0.004
"""Quicker answers are not asked for: a server that needs 1 ms may as well take 8."""
FORGETTING: Final = 1.002
"""What counts as calm grows by this with each answer, so a server that became slower for good is
not taken for a crowded one for longer than some hundred claims."""


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
        self._calm_s = math.inf
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
        self._calm_s = max(min(self._calm_s * FORGETTING, took_s), CALM_S_MIN)
        if took_s <= CROWDED * self._calm_s:
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
