"""A cluster for load tests: embedded API server, fake nodes, garbage collector."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from warmclaim.kube.config import Connection, connection_to
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.http_front import serve
from warmclaim.testing.resources import NAMESPACE

NODES = 10
OURS = (
    f"{sys.executable} -m warmclaim run --kubeconfig={{kubeconfig}} --leader-elect=false"
    " --health-probe-bind-address={health} --metrics-bind-address={metrics}"
)


@dataclass(frozen=True)
class World:
    """A running cluster."""

    server: FakeApiServer
    connection: Connection
    kubeconfig: Path

    def namespaces(self) -> set[str]:
        """Those of load tests that are still there."""
        commits = self.server.cluster.store.scan(NAMESPACE.resource)
        return {one.key for one in commits if one.key.startswith("warmclaim-loadtest-")}


async def eventually(holds: Callable[[], object]) -> None:
    """Wait until it holds; the test's own time limit ends that."""
    while not holds():  # noqa: ASYNC110 - what is waited for is in another process
        await asyncio.sleep(0.01)


@asynccontextmanager
async def a_world(folder: Path) -> AsyncGenerator[World]:
    server = FakeApiServer()
    nodes = FakeNodes(
        server.cluster, count=NODES, ready_delay_s=(0.01, 0.02), pods_per_node_max=110
    )
    async with nodes, GarbageCollector(server.cluster), serve(server) as front:
        kubeconfig = front.write_kubeconfig(folder / "kubeconfig")
        yield World(server, connection_to(front.url, credentials=None), kubeconfig)
