"""A machine whose clock runs at a speed of its own."""

from __future__ import annotations

from warmclaim.seams import Clock


class FastClock:
    """warmclaim.seams.Clock that runs `rate` times as fast as `clock`; 1 or more.

    Not slower: a timer of the loop, which knows nothing of this, would fire early each time.
    """

    def __init__(self, clock: Clock, rate: float) -> None:
        if rate < 1:
            raise ValueError(f"a clock of rate {rate}")
        self._clock = clock
        self._rate = rate

    def monotonic(self) -> float:
        return self._clock.monotonic() * self._rate

    def wall(self) -> float:
        return self._clock.wall()

    async def sleep(self, delay_s: float) -> None:
        await self._clock.sleep(delay_s / self._rate)
