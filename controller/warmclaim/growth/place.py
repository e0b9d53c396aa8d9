"""A cluster of one size: the embedded API server with all objects there, and its nodes."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from warmclaim.growth.stock import PODS_PER_NODE, Size, Stock
from warmclaim.seams import Clock, Rng
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.store import ObjectStore

POD_START_S: Final = (0.3, 1.0)
"""Least and longest time that a fake kubelet takes to have a pod Ready."""

HISTORY_MAX: Final = 50_000
"""Versions that the server keeps: a watch never falls so far behind."""


@asynccontextmanager
async def stocked(
    size: Size, stock: Stock, clock: Clock, rng: Rng
) -> AsyncGenerator[FakeApiServer]:
    """The server while its nodes and its garbage collector work. 0.3 ms for each sandbox."""
    cluster = Cluster(
        clock=clock,
        rng=rng,
        store=ObjectStore(history_max=HISTORY_MAX),
        crds=agent_sandbox_crds(),
    )
    nodes = FakeNodes(
        cluster,
        count=size.nodes,
        ready_delay_s=POD_START_S,
        pods_per_node_max=2 * PODS_PER_NODE,
    )
    # The nodes come first: each new node looks at all pods that are there.
    async with nodes, GarbageCollector(cluster):
        with _standing():
            for value in stock.objects(size):
                cluster.put(value)
        yield FakeApiServer(cluster)


@contextmanager
def _standing() -> Generator[None]:
    """What is made here stays, and no collection looks at it ever."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
