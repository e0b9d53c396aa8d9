"""One size on virtual time: the production manager, and what of the processor it takes."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from warmclaim.app import App, Outside
from warmclaim.growth.load import Claims
from warmclaim.growth.meter import (
    GARBAGE,
    LOOP,
    MANAGER,
    WORLD,
    Gauge,
    Meter,
    MeteredLoop,
    MeteredTransport,
    context_of,
    processor_s,
)
from warmclaim.growth.place import stocked
from warmclaim.growth.result import Simulated
from warmclaim.growth.stock import Size, made_by_manager
from warmclaim.loadtest.percentiles import nearest_rank
from warmclaim.seams import Clock
from warmclaim.settings import Settings
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.endurance.run import rss_bytes
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import SeededRng, World, run_virtual

ANSWER_S: Final = 0.005
"""What a request takes on virtual time, so that many are under way at once."""

USER_AGENT: Final = "growth"
REST_S: Final = 12.0
"""Refill, marks, events and the ends of pods are over by then."""

IDLE_S: Final = 60.0
START_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """`singles` claims one by one, then `bursts` of `burst` claims at `rate` a second."""

    singles: int = 100
    bursts: int = 4
    burst: int = 250
    rate: float = 1000.0

    @property
    def claims(self) -> int:
        """In all bursts."""
        return self.bursts * self.burst


Tell = Callable[[str], object]


def simulate(size: Size, load: Load, tell: Tell, gauge: Gauge = processor_s) -> Simulated:
    """Run one size. What it takes is mostly the embedded server's: 0.3 ms for each sandbox to be
    there, 5 ms for each claim."""
    tell("the manager makes what is to be copied")
    stock = made_by_manager(size.pools)
    meter = Meter(gauge)

    async def scenario(world: World) -> Simulated:
        tell(f"{size.sandboxes:,} sandboxes are put on the embedded server")
        async with stocked(size, stock, world.clock, world.rng) as server:
            return await _Run(size, load, server, world.clock, meter, tell).measured()

    with meter.apart():
        return run_virtual(scenario, loop=MeteredLoop(meter))


class _Run:
    """The parts of one run."""

    def __init__(
        self,
        size: Size,
        load: Load,
        server: FakeApiServer,
        clock: Clock,
        meter: Meter,
        tell: Tell,
    ) -> None:
        self._size, self._load, self._server = size, load, server
        self._clock, self._meter, self._tell = clock, meter, tell
        self._claims = Claims(server.cluster, size.pools, lambda: meter.used_by(MANAGER))

    async def measured(self) -> Simulated:
        """Start a manager, have it serve, stop it."""
        transport = InProcessTransport(self._server, user_agent=USER_AGENT)
        metered = MeteredTransport(transport, self._meter, self._clock, ANSWER_S)
        outside = Outside(metered, self._clock, SeededRng("growth"), "growth", "default")
        rss, blocks = rss_bytes(), sys.getallocatedblocks()
        self._tell("the manager starts")
        stop = asyncio.Event()
        life = asyncio.create_task(App(Settings(), outside).run(stop), context=context_of(MANAGER))
        start = await self._used(self._clock.sleep(START_S))
        start_writes = self._writes()
        gc.collect()
        memory_bytes, blocks = rss_bytes() - rss, sys.getallocatedblocks() - blocks
        # What is done once in a process's life is done now, before anything is judged.
        first = await self._used(self._burst())
        await self._ended()
        self._tell("claims come one by one")
        path = [await self._claims.single() for _ in range(self._load.singles)]
        await self._ended()
        spent = await self._spent()
        idle = await self._used(self._clock.sleep(IDLE_S))
        stop.set()
        await life
        return Simulated(
            sandboxes=self._size.sandboxes,
            pools=self._size.pools,
            claims=self._load.claims,
            path_p50=nearest_rank(path, 50),
            path_p99=nearest_rank(path, 99),
            start=start / self._size.sandboxes,
            first=first / self._load.burst,
            idle=idle * 60 / IDLE_S,
            pause=self._meter.longest_collection,
            memory_bytes=memory_bytes / self._size.sandboxes,
            blocks=blocks / self._size.sandboxes,
            start_writes=start_writes,
            cold=self._claims.cold,
            unserved=self._claims.unserved,
            **spent,
        )

    async def _spent(self) -> dict[str, float]:
        """Of all bursts, for each claim."""
        claims, claim, end = self._load.claims, 0.0, 0.0
        self._meter.longest_collection = 0.0
        before, writes = self._meter.used(), self._writes()
        for number in range(self._load.bursts):
            self._tell(f"burst {number + 1} of {self._load.bursts}")
            claim += await self._used(self._burst())
            end += await self._used(self._ended())
        after = self._meter.used()
        by_party = {
            name: (after.get(party, 0.0) - before.get(party, 0.0)) / claims
            for name, party in (("garbage", GARBAGE), ("world", WORLD), ("loop", LOOP))
        }
        writes = self._writes() - writes
        return {"claim": claim / claims, "end": end / claims, "writes": writes / claims, **by_party}

    async def _burst(self) -> None:
        await self._claims.burst(self._load.burst, self._load.rate, self._clock)
        await self._clock.sleep(REST_S)

    async def _ended(self) -> None:
        self._claims.delete_all()
        await self._clock.sleep(REST_S)

    async def _used(self, work: Awaitable[None]) -> float:
        """What the manager takes while this is done."""
        before = self._meter.used_by(MANAGER)
        await work
        return self._meter.used_by(MANAGER) - before

    def _writes(self) -> int:
        return self._server.requests.writes(user_agent=USER_AGENT)
