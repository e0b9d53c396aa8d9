"""Puts a run together: server, nodes, manager and load; watches over all of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from warmclaim.kube.client import ApiClient
from warmclaim.kube.config import connection_to
from warmclaim.kube.transport import HttpTransport
from warmclaim.seams import Clock
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.audit import AuditEntry
from warmclaim.testing.demo.figures import Spread, latency_of, spread_of
from warmclaim.testing.demo.history import DemoHistory, Rows
from warmclaim.testing.demo.history import problems as history_problems
from warmclaim.testing.demo.ledger import Ledger, SandboxRecord
from warmclaim.testing.demo.lifetime import Lifetime
from warmclaim.testing.demo.load import USER_AGENT, Load
from warmclaim.testing.demo.process import DemoFailedError, Manager, running_manager
from warmclaim.testing.demo.progress import Display, Moment, Stage
from warmclaim.testing.demo.result import Result, Writes
from warmclaim.testing.demo.scenario import POD_START_S, PODS_PER_NODE, Scenario
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.http_front import serve

MANAGER_USER_AGENT = "warmclaim/"

# A cold start of Python on a busy machine is slow; nothing is measured yet.
START_S_MAX = 60.0
# How long to wait after that: for what goes on at all, and more for each sandbox or claim.
WAIT_S = 20.0
WAIT_EACH_S = 0.1
# What comes after the last sandbox is ready: counts of the pool, merged Events.
SETTLE_S = 0.5
LOOK_S = 0.02
SHOW_S = 0.1

T = TypeVar("T")


class ManagerWrites:
    """Counts what the manager asks the API server to change, while `is_counting`."""

    def __init__(self) -> None:
        self.is_counting = False
        self._counts: Counter[tuple[str, str]] = Counter()

    def __call__(self, entry: AuditEntry) -> None:
        """Take note of one request."""
        is_ours = entry.user_agent.startswith(MANAGER_USER_AGENT)
        if self.is_counting and is_ours and entry.is_write:
            slash = "/" if entry.subresource else ""
            self._counts[entry.verb, f"{entry.resource}{slash}{entry.subresource}"] += 1

    def sorted(self) -> tuple[Writes, ...]:
        """The counts, most frequent first."""
        return tuple(Writes(*sort, count) for sort, count in self._counts.most_common())


class Run:
    """One run of the demo against a server and a manager that are there already."""

    def __init__(
        self,
        scenario: Scenario,
        load: Load,
        ledger: Ledger,
        lifetime: Lifetime,
        history: DemoHistory,
        manager: Manager,
        clock: Clock,
    ) -> None:
        self.writes = ManagerWrites()
        self._scenario = scenario
        self._load = load
        self._ledger = ledger
        self._lifetime = lifetime
        self._history = history
        self._manager = manager
        self._clock = clock
        self._stage = Stage.START
        self._began_s = clock.monotonic()

    async def measured(self) -> Result:
        """Fill, send, refill, let one claim expire, release the others; what was found.

        Raises DemoFailedError where the pool never fills, or the history does not answer.
        """
        await self._load.create_pool()
        fill_s = await self._filled()
        before = self._spread(self._ledger.warm())
        cpu_s = self._manager.cpu_s()
        self.writes.is_counting = True
        burst_s = await self._burst()
        refill_s = await self._refilled()
        await self._clock.sleep(SETTLE_S)
        self.writes.is_counting = False
        ended_cpu_s = self._manager.cpu_s()
        after = self._spread(self._ledger.warm())
        handed_out = self._spread(self._ledger.handed_out())
        await self._expired()
        problems = [*self._ledger.problems(), *self._lifetime.problems()]
        served = self._ledger.served + (self._lifetime.ready_s is not None)
        history = await self._released()
        self._stage = Stage.DONE
        return Result(
            scenario=self._scenario,
            fill_s=fill_s,
            burst_s=burst_s,
            refill_s=refill_s,
            latency_ms=latency_of(self._ledger.latencies_s()),
            post_ms=latency_of(self._ledger.posts_s()),
            served=self._ledger.served,
            warm=self._ledger.warm_served(),
            before=before,
            handed_out=handed_out,
            after=after,
            writes=self.writes.sorted(),
            manager_cpu_s=None if cpu_s is None or ended_cpu_s is None else ended_cpu_s - cpu_s,
            ending=self._lifetime.ending,
            history=history,
            problems=(*problems, *history_problems(history, served)),
        )

    async def shown(self, display: Display) -> None:
        """Show the run's moments until cancelled."""
        while True:
            display.show(self._moment())
            await self._clock.sleep(SHOW_S)

    def _moment(self) -> Moment:
        return Moment(
            stage=self._stage,
            elapsed_s=self._clock.monotonic() - self._began_s,
            warm=len(self._ledger.warm()),
            pool=self._scenario.pool,
            served=self._ledger.served,
            burst=self._scenario.burst,
            latency_s=self._ledger.last_latency_s,
        )

    async def _filled(self) -> float:
        """Seconds from the manager's first sandbox to a full pool."""
        if not await self._until(lambda: bool(self._ledger.sandboxes), START_S_MAX):
            raise DemoFailedError(f"the manager made no sandbox within {START_S_MAX:g} s")
        began_s, self._stage = self._clock.monotonic(), Stage.FILL
        pool = self._scenario.pool
        limit_s = WAIT_S + pool * WAIT_EACH_S
        if not await self._until(self._is_full, limit_s):
            warm = len(self._ledger.warm())
            raise DemoFailedError(f"only {warm} of {pool} sandboxes ready after {limit_s:g} s")
        return self._clock.monotonic() - began_s

    async def _burst(self) -> float:
        """Seconds from the first claim to the last one served, or to the limit."""
        began_s, self._stage = self._clock.monotonic(), Stage.BURST
        await self._load.send_claims()
        burst = self._scenario.burst
        await self._until(lambda: self._ledger.served == burst, WAIT_S + burst * WAIT_EACH_S)
        return self._clock.monotonic() - began_s

    async def _refilled(self) -> float | None:
        """Seconds until the pool is full again; None if it is not in time, or if claims are left
        over: then the time would mean nothing."""
        if self._ledger.served < self._scenario.burst:
            return None
        began_s, self._stage = self._clock.monotonic(), Stage.REFILL
        is_full = await self._until(self._is_full, WAIT_S)
        return self._clock.monotonic() - began_s if is_full else None

    async def _expired(self) -> None:
        """A claim with a lifetime, from its POST until nothing of it is left, or to the limit."""
        self._stage = Stage.EXPIRE
        await self._load.send_expiring()
        await self._until(lambda: self._lifetime.is_over, WAIT_S)

    async def _released(self) -> Rows | None:
        """The claims are deleted, as by those who are done with them: what the history says then,
        which it has on disk a second later."""
        self._stage = Stage.RELEASE
        await self._load.release_claims()
        await self._until(lambda: self._history.spooled > self._scenario.burst, WAIT_S)
        return await self._history.asked()

    def _is_full(self) -> bool:
        return len(self._ledger.warm()) >= self._scenario.pool

    async def _until(self, holds: Callable[[], bool], limit_s: float) -> bool:
        ends_s = self._clock.monotonic() + limit_s
        while not holds():
            if self._clock.monotonic() > ends_s:
                return False
            await self._clock.sleep(LOOK_S)
        return True

    def _spread(self, sandboxes: list[SandboxRecord]) -> Spread:
        return spread_of((sandbox.node for sandbox in sandboxes), self._scenario.nodes)


async def run_scenario(scenario: Scenario, display: Display, clock: Clock) -> Result:
    """Start everything, run, stop everything.

    Raises DemoFailedError where the run could not be brought to its end; a claim that was not
    served, or a sandbox given twice, is no error but stands in the result.
    """
    ledger, lifetime = Ledger(), Lifetime()
    with TemporaryDirectory(prefix="warmclaim-demo-") as name:
        folder = Path(name)
        server = FakeApiServer()
        nodes = FakeNodes(
            server.cluster,
            count=scenario.nodes,
            ready_delay_s=POD_START_S,
            pods_per_node_max=PODS_PER_NODE,
        )
        collector = GarbageCollector(server.cluster)
        async with nodes, collector, serve(server) as front, _client(front.url, clock) as client:
            kubeconfig = front.write_kubeconfig(folder / "kubeconfig")
            history = DemoHistory(folder / "history")
            flags = [f"--claim-history-dir={history.folder}"]
            async with running_manager(kubeconfig, folder / "manager.log", flags) as manager:
                load = Load(client, clock, scenario, ledger, lifetime)
                run = Run(scenario, load, ledger, lifetime, history, manager, clock)
                server.requests.observers.append(run.writes)
                return await _beside(
                    run.measured(),
                    load.watch_claims(),
                    load.watch_sandboxes(),
                    manager.ended(),
                    run.shown(display),
                )


@asynccontextmanager
async def _client(server_url: str, clock: Clock) -> AsyncGenerator[ApiClient]:
    connection = connection_to(server_url, credentials=None)
    transport = HttpTransport(connection, user_agent=USER_AGENT)
    try:
        yield ApiClient(transport, clock=clock)
    finally:
        await transport.close()


async def _beside(work: Coroutine[Any, Any, T], *others: Coroutine[Any, Any, None]) -> T:
    """The result of `work`; what runs beside it is cancelled then, or ends it by its error."""
    main = asyncio.create_task(work)
    pending: set[asyncio.Task[Any]] = {main, *(asyncio.create_task(other) for other in others)}
    everything = tuple(pending)
    try:
        while not main.done():
            ended, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                await task
        return main.result()
    finally:
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)
