"""A manager as users run it, of any checkout, with an API server of its own; what a burst cost it.

Processor time is that of all the manager's threads, to the nanosecond: a busy machine makes it
longer by a few per cent, not by the time that others had the core.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import CLAIM, POOL, TEMPLATE
from warmclaim.kube.client import ApiClient
from warmclaim.kube.config import connection_to
from warmclaim.kube.transport import HttpTransport
from warmclaim.seams import SystemClock
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.audit import AuditEntry
from warmclaim.testing.demo import scenario as objects
from warmclaim.testing.demo.process import STOP_S_MAX
from warmclaim.testing.demo.scenario import NAMESPACE, POD_START_S, Scenario
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.http_front import serve

NODES = 100
FULL_S_MAX, LOOK_S = 120.0, 0.05
AFTER_S = 5.0
"""What comes later belongs to a claim's price: refill, marks, events, the pool's counts."""


@dataclass(frozen=True)
class Burst:
    """What a burst cost the manager, everything included; requests by verb and resource."""

    claims: int
    cpu_s: float
    requests: Counter[str]

    @property
    def ms_each(self) -> float:
        return 1e3 * self.cpu_s / self.claims

    def __str__(self) -> str:
        each = (f"{name} {n / self.claims:.2f}" for name, n in self.requests.most_common())
        return f"{self.ms_each:.2f} ms for each claim; {', '.join(each)}"


class World:
    """One manager with its server and its pool."""

    def __init__(self, server: FakeApiServer, client: ApiClient, pool: int, pid: int) -> None:
        self.pid = pid
        self._client = client
        self._clock = SystemClock()
        self._pool = pool
        self._requests: Counter[str] = Counter()
        self._sent = 0
        server.requests.observers.append(self._requested)

    async def fill(self) -> None:
        """Create the pool and wait until all of it is ready."""
        await self._client.create(TEMPLATE, NAMESPACE, objects.template())
        await self._client.create(POOL, NAMESPACE, objects.pool(Scenario(pool=self._pool)))
        await self._until_full()

    async def burst(self, claims: int, qps: float) -> Burst:
        """Send claims on time, wait until the pool is full again, and `AFTER_S` more."""
        requests, cpu_s = self._requests.copy(), cpu_s_of(self.pid)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        async with asyncio.TaskGroup() as posts:
            for number in range(claims):
                await self._clock.sleep(max(began_s + number / qps - loop.time(), 0.0))
                self._sent += 1
                body = objects.claim(f"claim-{self._sent}")
                posts.create_task(self._client.create(CLAIM, NAMESPACE, body))
        await self._until_full()
        await self._clock.sleep(AFTER_S)
        used_s = cpu_s_of(self.pid) - cpu_s
        assert await self._served() == self._sent
        return Burst(claims, used_s, self._requests - requests)

    async def _until_full(self) -> None:
        async with asyncio.timeout(FULL_S_MAX):
            while not await self._is_full():
                await self._clock.sleep(LOOK_S)

    async def _is_full(self) -> bool:
        if self._requests["create/pods"] < self._pool + self._sent:
            return False  # what the pool's status says may be of before the claims
        status = (await self._client.get(POOL, ObjectKey(NAMESPACE, objects.NAME))).status
        return status is not None and status.ready_replicas == self._pool

    async def _served(self) -> int:
        page = await self._client.list_page(CLAIM, namespace=NAMESPACE, limit=0)
        return sum(claim.is_ready for claim in page.items)

    def _requested(self, entry: AuditEntry) -> None:
        if entry.user_agent.startswith("warmclaim/"):
            words = (entry.verb, entry.resource, entry.subresource)
            self._requests["/".join(filter(None, words))] += 1


def cpu_s_of(pid: int) -> float:
    """Processor seconds that all threads of a process used since its start."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


@asynccontextmanager
async def world(checkout: Path, pool: int) -> AsyncGenerator[World]:
    """A manager from the sources in `checkout`, its pool full."""
    server = FakeApiServer()
    nodes = FakeNodes(server.cluster, count=NODES, ready_delay_s=POD_START_S)
    collector = GarbageCollector(server.cluster)
    with TemporaryDirectory() as name:
        async with nodes, collector, serve(server) as front:
            transport = HttpTransport(connection_to(front.url, credentials=None), user_agent="load")
            kubeconfig = front.write_kubeconfig(Path(name) / "kubeconfig")
            try:
                async with _manager(checkout, kubeconfig) as pid:
                    client = ApiClient(transport, clock=SystemClock())
                    made = World(server, client, pool, pid)
                    await made.fill()
                    yield made
            finally:
                await transport.close()


@asynccontextmanager
async def _manager(checkout: Path, kubeconfig: Path) -> AsyncGenerator[int]:
    """A manager with default flags, but alone; its log is written to a file, as it is in a pod."""
    roots = (checkout / "controller", checkout / "queue")
    with (kubeconfig.parent / "manager.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "warmclaim", "run", f"--kubeconfig={kubeconfig}"),
            *("--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0"),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots))},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(STOP_S_MAX):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
