"""Claims of one round: a burst at a rate, and a trickle besides it for as long as it is wanted.

A client that does not get through tries again until it does, as every client of an API server has
to; a claim that "exists already" is its own, made by a try whose answer was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterable

import aiohttp

from warmclaim.loadtest.failures import RefusedError
from warmclaim.loadtest.objects import CLAIMS, claim_body, path
from warmclaim.loadtest.wire import Wire

_AGAIN_S = 0.1
_TRY_S_MAX = 15.0


class Load:
    """Creates claims in one namespace; `names` has all that were asked for."""

    def __init__(self, client: Wire, namespace: str) -> None:
        self._client = client
        self._path = path(namespace, CLAIMS)
        self.names: list[str] = []

    async def burst(self, count: int, rate_per_s: float) -> None:
        """Begin `count` claims evenly at the rate; return when all are there."""
        await self._create((f"burst-{number:04}" for number in range(count)), rate_per_s)

    async def trickle(self, rate_per_s: float, enough: asyncio.Event) -> None:
        """Begin claims at the rate until it is enough; return when all are there."""
        numbers = itertools.takewhile(lambda _: not enough.is_set(), itertools.count())
        await self._create((f"trickle-{number:04}" for number in numbers), rate_per_s)

    async def _create(self, names: Iterable[str], rate_per_s: float) -> None:
        begun_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(names):
                await asyncio.sleep(max(0.0, begun_s + number / rate_per_s - time.monotonic()))
                self.names.append(name)
                group.create_task(self._persist(name))

    async def _persist(self, name: str) -> None:
        """Create one claim, with as many tries as that takes.

        Raises RefusedError for what no other try would change.
        """
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                try:
                    async with asyncio.timeout(_TRY_S_MAX):
                        await self._client.send("POST", self._path, claim_body(name))
                    return
                except RefusedError as error:
                    if error.code == 409:
                        return
                    if error.code < 500 and error.code != 429:
                        raise
            await asyncio.sleep(_AGAIN_S)
