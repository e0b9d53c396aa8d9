"""Who gets the next connection: of those that wait, the namespaces in turn.

First come first served would let one tenant's thousand requests stand before another's two,
whatever the work queue did about it: a claim of a quiet namespace waited a second for the first of
its writes beside a flood of claims that were started cold.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from warmqueue.rotation import Rotation, Ticket

_NAMESPACES = "/namespaces/"


class Turns:
    """Lets `at_once_max` in at a time (0: no limit). A place that becomes free goes to the first
    of the namespace whose turn it is. Who waits is bounded by who asks: workers."""

    def __init__(self, at_once_max: int) -> None:
        self._free = at_once_max
        self._is_limited = at_once_max > 0
        self._numbers = itertools.count()
        self._waiting: Rotation[asyncio.Future[None]] = Rotation()

    @asynccontextmanager
    async def place(self, path: str) -> AsyncGenerator[None]:
        """A place for a request of this path, held while the block runs. Waits without limit."""
        if not self._is_limited:
            yield
            return
        await self._enter(namespace_of(path))
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, namespace: str) -> None:
        if self._free:
            self._free -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ticket = Ticket(0.0, next(self._numbers))
        self._waiting.add(namespace, ticket, place)
        try:
            await place
        except BaseException:
            if place.cancelled():
                with suppress(KeyError):  # passed over in the meantime
                    self._waiting.remove(namespace, ticket)
            else:
                self._leave()  # let in, and given up before it heard of it
            raise

    def _leave(self) -> None:
        while self._waiting:
            _, place = self._waiting.pop()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


def namespace_of(path: str) -> str:
    """The namespace that a path is in; "" for none, as that of a namespace itself."""
    _, _, after = path.partition(_NAMESPACES)
    namespace, slash, _ = after.partition("/")
    return namespace if slash else ""
