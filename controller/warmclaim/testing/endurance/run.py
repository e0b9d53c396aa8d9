"""The run: a cluster, two managers, tenants; and what is kept after each tenth of the claims."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from warmclaim.api.resources import CLAIM
from warmclaim.app import App, Outside
from warmclaim.controllers.claim_history import HistorySink
from warmclaim.domain.claim_history import ClaimRow
from warmclaim.settings import ClaimSettings, LeaseSettings, Settings
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.audit import RequestLog
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.endurance.towns import REST_S, Towns
from warmclaim.testing.endurance.weather import Weather
from warmclaim.testing.event_ttl import EventTtl
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.sim.bounds import Bounds
from warmclaim.testing.sim.errors import watching_errors
from warmclaim.testing.sim.objects import published_by
from warmclaim.testing.store import Commit, ObjectStore, Verb
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import SeededRng, World, run_virtual

TENTHS: Final = 10
DAY_S: Final = 86_400
LEADER_EVERY: Final = 360
"""Claims between two changes of the leader: an hour of them where one comes every 10 s."""

RELIST_EVERY: Final = 700
"""Claims between two times that all history is compacted away, and all watches end."""

CUT_S: Final = 100.0
HISTORY_MAX: Final = 1_000
"""Versions that the embedded server keeps, and requests that it remembers: few, so that its own
memory is full, and stays as large, long before the second tenth ends."""

_NODES: Final = 10
_START_S: Final = 60.0
# Longer than the defaults: a renewal every 2 s would be most of what the run does.
_LEASE: Final = LeaseSettings(duration_s=60.0, renew_deadline_s=40.0, retry_period_s=10.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how often a claim comes (virtual seconds), and by which chance."""

    days: float = 1.0
    claim_every_s: float = 10.0
    seed: int = 0

    @property
    def claims(self) -> int:
        """How many in all."""
        return round(self.days * DAY_S / self.claim_every_s)


@dataclass(frozen=True, slots=True)
class Tenth:
    """What was kept when a tenth of the claims had come and gone, and all was at rest.

    `rss_bytes`: of the process, after a garbage collection. `blocks`: of Python's own allocator.
    `kept`: by the managers' memories, both together. `views`: objects in their caches.
    `server_bytes`: versions that the embedded server keeps, as JSON.
    """

    rss_bytes: int
    blocks: int
    kept: dict[str, int]
    views: int
    server_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """`faults`: what was seen beside the sizes, each with the tenth that it was seen after.
    `did`: how often what happened, so that a run in which nothing did is none."""

    tenths: tuple[Tenth, ...]
    faults: tuple[str, ...]
    did: Counter[str]


def run_endurance(plan: Plan, on_tenth: Callable[[Tenth], None] = lambda _: None) -> Outcome:
    """Do it; `on_tenth` hears of each as soon as it is measured. 5 ms a claim."""

    async def main(world: World) -> Outcome:
        return await _Run(plan, world, on_tenth).run()

    return run_virtual(main, seed=plan.seed)


class _Manager:
    """One of the two: it is cut off at times, and lives as long as the run."""

    def __init__(
        self, server: FakeApiServer, world: World, number: int, history: HistorySink
    ) -> None:
        name = f"m{number}"
        rng = SeededRng(f"{name} weather")
        inner = InProcessTransport(server, user_agent=name)
        self.weather = Weather(inner, world.clock, rng)
        outside = Outside(
            self.weather, world.clock, SeededRng(name), f"{name}-1", "default", history=history
        )
        # 50 workers, most of them idle, cost a look each time that one of them is wanted.
        self.app = App(Settings(lease=_LEASE, claims=ClaimSettings(workers=10)), outside)


class _Run:
    """The parts of one run."""

    def __init__(self, plan: Plan, world: World, on_tenth: Callable[[Tenth], None]) -> None:
        self._plan, self._clock, self._on_tenth = plan, world.clock, on_tenth
        self._store = ObjectStore(history_max=HISTORY_MAX)
        rng = SeededRng(f"cluster {plan.seed}")
        self._cluster = Cluster(
            clock=world.clock, rng=rng, store=self._store, crds=agent_sandbox_crds()
        )
        self._server = FakeApiServer(self._cluster)
        self._server.requests = RequestLog(kept_max=HISTORY_MAX)
        self._store.observers.append(self._on_commit)
        self._tenths: list[Tenth] = []
        self._faults: list[str] = []
        self._did: Counter[str] = Counter()
        self._managers = [_Manager(self._server, world, number, self) for number in range(2)]
        self._towns = Towns(self._cluster, plan.seed, world.loop.call_later)
        self._bounds = Bounds(self._store, self._report)

    async def run(self) -> Outcome:
        """All tenths, and the end of everybody."""
        nodes = FakeNodes(
            self._cluster, count=_NODES, ready_delay_s=(0.5, 2.0), stop_delay_s=(0.0, 1.0)
        )
        stop = asyncio.Event()
        with watching_errors(lambda text: self._report("crash", text)):
            async with nodes, GarbageCollector(self._cluster), EventTtl(self._cluster):
                lives = [asyncio.create_task(one.app.run(stop)) for one in self._managers]
                self._towns.begin()
                await self._clock.sleep(_START_S)
                for number in range(TENTHS):
                    await self._tenth(number)
                stop.set()
                await asyncio.gather(*lives)
        self._did["failed requests"] = sum(one.weather.failed for one in self._managers)
        return Outcome(tuple(self._tenths), tuple(self._faults), self._did)

    async def _tenth(self, number: int) -> None:
        claims = self._plan.claims
        for claim in range(claims * number // TENTHS, claims * (number + 1) // TENTHS):
            await self._come_along(claim)
            self._towns.send(claim)
            await self._clock.sleep(self._plan.claim_every_s)
        await self._clock.sleep(REST_S)
        self._bounds.look_back(one.app for one in self._managers)
        self._tenths.append(self._measured())
        self._on_tenth(self._tenths[-1])

    async def _come_along(self, claim: int) -> None:
        """What befalls the managers beside single requests."""
        if claim % LEADER_EVERY == LEADER_EVERY - 1:
            for one in self._managers:
                if one.app.is_leading:
                    await one.weather.cut(CUT_S)
                    self._did["leaders cut off"] += 1
        if claim % RELIST_EVERY == RELIST_EVERY - 1:
            self._store.compact()
            self._server.end_watches()
            self._did["histories lost"] += 1

    def _measured(self) -> Tenth:
        kept: Counter[str] = Counter()
        for one in self._managers:
            kept.update(one.app.remembered())
        views = sum(
            len(informer.store)
            for one in self._managers
            for informer in one.app.caches.informers.values()
        )
        server_bytes = self._store.history_bytes()
        gc.collect()
        return Tenth(rss_bytes(), sys.getallocatedblocks(), dict(kept), views, server_bytes)

    def append(self, row: ClaimRow, /) -> None:
        """A row of the claim history, of which nothing is kept."""
        self._did["rows of history"] += bool(row.uid)

    def _on_commit(self, commit: Commit) -> None:
        if commit.resource == str(CLAIM):
            self._did["claims made"] += commit.verb is Verb.ADDED
            is_served = published_by(commit.object) and not published_by(commit.before or {})
            self._did["claims served"] += bool(is_served)

    def _report(self, promise: str, text: str) -> None:
        self._faults.append(f"tenth {len(self._tenths) + 1}: {promise}: {text}")


def rss_bytes() -> int:
    """What of this process is in memory. Raises OSError where there is no /proc."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
