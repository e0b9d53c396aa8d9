"""A fresh API server for each test, and a probe into it by either front."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from warmclaim.kube.config import Connection
from warmclaim.kube.credentials import Anonymous
from warmclaim.kube.transport import HttpTransport
from warmclaim.seams import Transport
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.http_front import serve
from warmclaim.testing.probe import Probe
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import SeededRng


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(rng=SeededRng(1), crds=agent_sandbox_crds())


@pytest.fixture
def server(cluster: Cluster) -> FakeApiServer:
    return FakeApiServer(cluster)


@pytest.fixture(params=["in-process", "http"])
async def api(request: pytest.FixtureRequest, server: FakeApiServer) -> AsyncIterator[Probe]:
    """The same semantics behind both fronts: every test that takes this runs twice."""
    front = serve(server)
    transport: Transport = InProcessTransport(server)
    if request.param == "http":
        await front.start()
        transport = HttpTransport(Connection(front.url, None, Anonymous()))
    yield Probe(transport)
    await transport.close()
    await front.stop()
    server.cluster.store.check()
    assert server.open_watches == 0
