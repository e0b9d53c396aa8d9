"""A fresh API server for each test, and a probe into it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.probe import Probe
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import SeededRng


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(rng=SeededRng(1), crds=agent_sandbox_crds())


@pytest.fixture
def server(cluster: Cluster) -> FakeApiServer:
    return FakeApiServer(cluster)


@pytest.fixture
async def api(server: FakeApiServer) -> AsyncIterator[Probe]:
    transport = InProcessTransport(server)
    yield Probe(transport)
    await transport.close()
    server.cluster.store.check()
    assert server.open_watches == 0
