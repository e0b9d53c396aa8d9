"""One probe for all who wait: when the API server serves again, every back-off ends at once.

Without it each watch and each key finds a server that came back by its own doubled delay: up to
half a minute late, after an outage of minutes.

1. In health nothing is sent. At the first sign of trouble (no connection, no answer, a 5xx) one
   probe is. If it is answered, the trouble is that request's own, and its back-off stands; such
   probes are a second apart.
2. In an outage there is one probe at a time, four a second at most, however many wait.
3. A probe that is answered after one that was not ends the outage, and with it every wait. Ends
   are a second apart, so a server that comes and goes sees each waiter once a second at most.
4. A starting server serves one kind before the other. So for a few seconds after an end, trouble
   and a probe that is answered at once count as one more end.

The probe reads, and while the database is away every read that needs it waits or fails as a write
does. A database that answers reads and refuses all writes (its disk is full) is no outage here.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final

from warmclaim.errors import means_no_service
from warmclaim.seams import Clock

PROBE_NAME: Final = "outage-probe"
"""What is asked for. A read by name goes to the database itself: kube-apiserver 1.36 answers it as
soon as a write, where a list waits longer, for its cache."""
PROBE_EVERY_S: Final = 0.25
PROBE_S_MAX: Final = 1.0
"""Time limit of a probe. One that waits in the server for its database is answered the moment the
database is back; one on a dead connection must not wait for long."""
DOUBT_EVERY_S: Final = 1.0
ENDS_APART_S: Final = 1.0
SETTLING_S: Final = 5.0

_log = logging.getLogger(__name__)


class Outage:
    """Whether the API server is away, and the end of all waiting when it is back.

    Nothing is probed, and every wait has its full length, unless `run` runs.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._suspected = asyncio.Event()
        self._waits: dict[asyncio.Task[None], None] = {}  # ordered, as no set of tasks is
        self._listeners: list[Callable[[], None]] = []
        self._began_s: float | None = None
        self._ended_s = -math.inf

    @property
    def is_on(self) -> bool:
        """Whether the last probe was not answered."""
        return self._began_s is not None

    def on_end(self, listener: Callable[[], None]) -> None:
        """Have `listener` called at each end, after the waits have ended. It must not block."""
        self._listeners.append(listener)

    def suspect(self, error: BaseException) -> None:
        """A request failed so: look, if that may mean that the server is away. O(1)."""
        if means_no_service(error):
            self._suspected.set()

    def has_ended_since(self, moment_s: float) -> bool:
        """Whether an outage has ended after that monotonic moment: what failed of a request that
        began before it says nothing about the server of now."""
        return self._ended_s > moment_s

    async def back_off(self, delay_s: float) -> None:
        """Sleep for so long, or until an outage ends."""
        wait = asyncio.create_task(self._clock.sleep(delay_s), name="back-off")
        self._waits[wait] = None
        try:
            await asyncio.wait((wait,))
        finally:
            del self._waits[wait]
            wait.cancel()

    async def run(self, probe: Callable[[], Awaitable[bool]]) -> None:
        """Probe whenever there is cause to, until cancelled. `probe` says whether it was answered,
        within `PROBE_S_MAX`; it raises nothing."""
        while True:
            await self._suspected.wait()
            began_s = self._clock.monotonic()
            self._suspected.clear()
            pause_s = self._after(await probe(), began_s)
            await self._clock.sleep(max(began_s + pause_s - self._clock.monotonic(), 0.0))

    def _after(self, is_answered: bool, began_s: float) -> float:
        """Draw the conclusion of a probe; seconds from its beginning to that of the next."""
        if not is_answered:
            self._suspected.set()
            if self._began_s is None:
                self._began_s = began_s
                _log.warning("the API server does not answer")
            return PROBE_EVERY_S
        if not self.is_on and began_s - self._ended_s > SETTLING_S:
            return DOUBT_EVERY_S
        self._end()
        return ENDS_APART_S

    def _end(self) -> None:
        self._ended_s = self._clock.monotonic()
        if self._began_s is not None:
            _log.info("the API server answers again after %.1f s", self._ended_s - self._began_s)
        self._began_s = None
        for wait in tuple(self._waits):
            wait.cancel()
        for listener in self._listeners:
            listener()
