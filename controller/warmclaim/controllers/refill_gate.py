"""Claims first: what nobody waits for waits while claims are being served, but never for long."""

from __future__ import annotations

import math
from collections.abc import Callable

from warmclaim.seams import Clock


class RefillGate:
    """`turn` returns once no claim is being served, at the latest after `wait_s_max`.

    Measured on two cores, a refill that runs during a burst is the largest load that can be
    avoided. But claims that come without end would drain the pool to zero, so the bound counts from
    when they began to come: from then on refill only yields by being fewer requests at once
    (`RefillWindow`).
    """

    def __init__(
        self,
        clock: Clock,
        is_busy: Callable[[], bool],
        *,
        wait_s_max: float = 1.0,
        look_every_s: float = 0.1,
    ) -> None:
        self._clock = clock
        self._is_busy = is_busy
        self._wait_s_max = wait_s_max
        self._look_every_s = look_every_s
        self._began_s = math.inf
        self._looked_s = -math.inf

    async def turn(self, since_s: float | None = None) -> None:
        """Wait for the caller's turn. With `since_s` the bound counts from then: what nobody needs
        at all waits for the end of the claims, but not for longer than that."""
        while not self.is_open(since_s):
            await self._clock.sleep(self._look_every_s)

    def is_open(self, since_s: float | None = None) -> bool:
        """Whether `turn` would return at once."""
        if not self._is_busy():
            return True
        began_s = self._began() if since_s is None else since_s
        return self._clock.monotonic() >= began_s + self._wait_s_max

    def _began(self) -> float:
        """When the claims began to come, as far as anybody looked."""
        now_s = self._clock.monotonic()
        if now_s - self._looked_s > self._wait_s_max:
            self._began_s = now_s
        self._looked_s = now_s
        return self._began_s
