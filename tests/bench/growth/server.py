"""A process with an embedded API server, fake nodes and a pool that a manager is to fill.

    python server.py MEMBERS

It prints its URL and answers as the snapshot's server does: `burst CLAIMS QPS`.
"""

from __future__ import annotations

import asyncio
import gc
import sys

import uvloop
from tests.bench.snapshot.server import POOL, serve_until_eof

from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_pool, a_template
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.garbage_collector import GarbageCollector

NODES, PODS_EACH = 100, 250


async def main(members: int) -> None:
    # A collection would walk all objects while a claim waits, which no API server does.
    gc.disable()
    server = FakeApiServer()
    server.cluster.put(a_template("python"))
    server.cluster.put(a_pool(POOL, template="python", replicas=members))
    nodes = FakeNodes(
        server.cluster, count=NODES, ready_delay_s=(0.01, 0.02), pods_per_node_max=PODS_EACH
    )
    async with nodes, GarbageCollector(server.cluster):
        await asyncio.sleep(0)
        await serve_until_eof(server)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
