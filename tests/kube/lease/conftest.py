"""A clock, a server of leases, two candidates; each test with the followers' watch and without."""

from collections.abc import AsyncGenerator

import pytest
from tests.kube.lease_server import Candidate, LeaseServer, SimClock


@pytest.fixture
def clock() -> SimClock:
    return SimClock()


@pytest.fixture(params=[False, True], ids=["watched", "polled"])
def server(clock: SimClock, request: pytest.FixtureRequest) -> LeaseServer:
    """Whatever holds with the followers' watch must hold without it."""
    return LeaseServer(clock, refuses_watches=request.param)


@pytest.fixture
async def a(server: LeaseServer) -> AsyncGenerator[Candidate]:
    candidate = Candidate(server, "a")
    yield candidate
    await candidate.stop()


@pytest.fixture
async def b(server: LeaseServer) -> AsyncGenerator[Candidate]:
    candidate = Candidate(server, "b")
    yield candidate
    await candidate.stop()
