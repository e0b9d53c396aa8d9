"""A connection on which now and then a request fails, and that is cut off for a while."""

from __future__ import annotations

from typing import Final

from warmclaim.errors import NotSentError, UnknownOutcomeError
from warmclaim.seams import ByteStream, Clock, Request, Response, Rng
from warmclaim.testing.sim.answers import refusal
from warmclaim.testing.sim.case import Fault
from warmclaim.testing.transport import InProcessTransport

FAILING_SHARE: Final = 0.01

_FAULTS: Final = ("A1.conflict", "A5.throttled", "A7.error", "A9.unsent", "A9.lost")


class Weather:
    """warmclaim.seams.Transport. One request in a hundred fails, watches and leases too; of writes
    whose answer is lost, all are applied."""

    def __init__(self, inner: InProcessTransport, clock: Clock, rng: Rng) -> None:
        self._inner = inner
        self._clock = clock
        self._rng = rng
        self._cut_until_s = 0.0
        self.failed = 0
        """Requests that failed so far, those while it was cut not counted."""

    async def request(self, request: Request) -> Response:
        self._require_line()
        x = self._rng.random() / FAILING_SHARE
        if x >= 1:
            return await self._inner.request(request)
        self.failed += 1
        name = _FAULTS[int(x * len(_FAULTS))]
        if name == "A9.unsent":
            raise NotSentError("connection refused")
        if name == "A9.lost":
            await self._inner.request(request)
            raise UnknownOutcomeError("connection reset")
        return refusal(Fault(name, self._rng.random()))

    async def stream(self, request: Request) -> ByteStream:
        self._require_line()
        if self._rng.random() < FAILING_SHARE:
            self.failed += 1
            raise NotSentError("connection refused")
        return await self._inner.stream(request)

    async def cut(self, seconds: float) -> None:
        """Nothing gets through for so long; what is open ends."""
        self._cut_until_s = self._clock.monotonic() + seconds
        await self._inner.end_streams()

    async def close(self) -> None:
        await self._inner.close()

    def _require_line(self) -> None:
        if self._clock.monotonic() < self._cut_until_s:
            raise NotSentError("connection refused")
