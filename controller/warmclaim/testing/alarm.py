"""Waiting for a signal or a moment, whichever comes first, on a Clock."""

from __future__ import annotations

import asyncio
from typing import Final

from warmclaim.seams import Clock

_WAIT_S_MIN: Final = 1e-6  # of a rounding error's wait, a virtual clock never gets to the end


class Alarm:
    """One waiter's bell. `ring` may come before `wait`; several rings before a wait are one.

    The clock must run as the loop's does. The timer lives on between waits for the same moment,
    so a waiter that is rung a thousand times before its deadline sets one timer, not a thousand.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._moment: float | None = None

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, until: float | None = None) -> None:
        """Returns when rung, or at `until` (in Clock.monotonic seconds) if that is earlier."""
        if not self._rung.is_set():
            self._set_timer(until)
        await self._rung.wait()
        self._rung.clear()

    def close(self) -> None:
        """Drops the timer. May be called twice, and before a further wait."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._moment = None

    def _set_timer(self, moment: float | None) -> None:
        if moment == self._moment:
            return
        self.close()
        if moment is not None:
            left_s = moment - self._clock.monotonic()
            delay_s = max(left_s, _WAIT_S_MIN) if left_s > 0 else 0.0
            self._moment = moment
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_time)

    def _on_time(self) -> None:
        self._timer = self._moment = None
        self._rung.set()
