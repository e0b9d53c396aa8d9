"""Waiting for a signal or a moment, whichever comes first, on a Clock."""

from __future__ import annotations

import asyncio

from warmclaim.seams import Clock


class Alarm:
    """One waiter's bell. `ring` may come before `wait`; several rings before a wait are one.

    The timer is a task that lives on between waits for the same moment, so a waiter that is rung
    a thousand times before its deadline starts one task, not a thousand.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()
        self._timer: asyncio.Task[None] | None = None
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
        if moment == self._moment and (self._timer is None) == (moment is None):
            return
        self.close()
        if moment is not None:
            self._moment = moment
            self._timer = asyncio.ensure_future(self._ring_at(moment))

    async def _ring_at(self, moment: float) -> None:
        await self._clock.sleep(max(0.0, moment - self._clock.monotonic()))
        self._timer = self._moment = None
        self._rung.set()
