"""Claims first: what nobody waits for waits while claims are being served, but never for long."""

from __future__ import annotations

from collections.abc import Callable

from warmclaim.seams import Clock


class RefillGate:
    """`turn` returns once no claim is being served, at the latest after `wait_s_max`.

    Measured on two cores, a refill that runs during a burst is the largest load that can be
    avoided; without the bound a steady load of claims would drain the pool to zero.
    """

    def __init__(
        self,
        clock: Clock,
        is_busy: Callable[[], bool],
        *,
        wait_s_max: float = 1.0,
        look_every_s: float = 0.02,
    ) -> None:
        self._clock = clock
        self._is_busy = is_busy
        self._wait_s_max = wait_s_max
        self._look_every_s = look_every_s

    async def turn(self, since_s: float | None = None) -> None:
        """Wait for the caller's turn. The bound counts from `since_s`, else from now: what has
        waited elsewhere must not wait once more."""
        began_s = self._clock.monotonic() if since_s is None else since_s
        deadline = began_s + self._wait_s_max
        while self._is_busy() and self._clock.monotonic() < deadline:
            await self._clock.sleep(self._look_every_s)
