"""An API server, or its database, that is away: little is asked, its return is noticed at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from tests.controllers.app_world import (
    NAMESPACE,
    AppWorld,
    Fault,
    always,
    no_fault,
    refusal,
    virtual,
)
from tests.controllers.app_world import running as leading

from warmclaim.errors import NotSentError, UnknownOutcomeError
from warmclaim.kube.outage import PROBE_NAME
from warmclaim.seams import Request, Response
from warmclaim.settings import LeaseSettings
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template
from warmclaim.testing.virtual_loop import World, run_virtual

REFUSED = NotSentError("connection refused")
RECOVERY_S_MAX = 0.5
FIVE_MINUTES_S = 300.0
KINDS = 4


def stock(world: AppWorld, warm: int = 4) -> None:
    world.put(a_template("python"), a_pool("pool", template="python", replicas=warm))
    world.put(*(a_sandbox(f"w{n}", pool="pool", node=f"n{n}") for n in range(warm)))


def goes_away(world: AppWorld, how: Fault) -> None:
    """No request is served, all watches end, and none can be had."""
    world.faults.before = how
    world.faults.refused_streams = "s"
    world.server.end_watches()
    world.faults.seen.clear()
    world.faults.watched.clear()


def comes_back(world: AppWorld) -> None:
    world.faults.before = no_fault
    world.faults.refused_streams = ""


class Hang:
    """A database that is away: whatever needs it waits, for its time limit or until it is back."""

    def __init__(self) -> None:
        self._is_back = asyncio.Event()

    async def __call__(self, request: Request) -> Response | Exception | None:
        try:
            async with asyncio.timeout(request.timeout_s):
                await self._is_back.wait()
        except TimeoutError:
            return UnknownOutcomeError("timed out")
        return None

    def end(self) -> None:
        self._is_back.set()


def is_probe(request: Request) -> bool:
    return request.path.endswith(PROBE_NAME)


def by_path(requests: list[Request]) -> Counter[str]:
    return Counter(f"{request.method} {request.path}" for request in requests)


@pytest.mark.parametrize(
    "how",
    [always(REFUSED), always(refusal(503, "ServiceUnavailable", **{"retry-after": "5"}))],
    ids=["refused", "503"],
)
def test_e1_five_minutes_without_a_server(how: Fault) -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world)
        await world.run_for(1)
        goes_away(world, how)
        await world.run_for(FIVE_MINUTES_S)
        probes = [request for request in world.faults.seen if is_probe(request)]
        assert len(probes) <= 4 * FIVE_MINUTES_S + 1
        watches = by_path(world.faults.watched)
        assert len(watches) == KINDS
        assert max(watches.values()) <= 20, "doubled delays, not one a second"
        world.put(a_claim("c", pool="pool"))
        comes_back(world)
        await world.served("c", within_s=RECOVERY_S_MAX)

    virtual(scenario)


@pytest.mark.parametrize("lasts_s", [0.7, 3.0, 25.0, 100.0])
def test_e3_claims_that_failed_without_a_database_are_served_when_it_is_back(
    lasts_s: float,
) -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world)
        await world.run_for(1)
        hang = Hang()
        world.faults.before = hang
        world.put(*(a_claim(f"c{n}", pool="pool") for n in range(3)))
        await world.run_for(lasts_s)
        hang.end()
        comes_back(world)
        for n in range(3):
            await world.served(f"c{n}", within_s=RECOVERY_S_MAX)

    virtual(scenario)


@pytest.mark.parametrize("code", [500, 503, 504])
def test_e3_writes_that_are_refused_are_repeated_in_steps_and_at_once_at_the_end(
    code: int,
) -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world)
        await world.run_for(1)
        world.faults.before = always(refusal(code, "InternalError"))
        world.put(a_claim("c", pool="pool"))
        await world.run_for(FIVE_MINUTES_S)
        writes = [r for r in world.faults.seen if r.method == "PATCH"]
        reads = [r for r in world.faults.seen if r.method == "GET" and not is_probe(r)]
        steps = 14 + FIVE_MINUTES_S / 30  # 5 ms doubled to 30 s, then every 30 s
        assert len(writes) + len(reads) <= 2 * steps
        comes_back(world)
        await world.served("c", within_s=RECOVERY_S_MAX)

    virtual(scenario)


def test_a_server_that_comes_and_goes_is_not_stormed() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world)
        await world.run_for(1)
        world.put(a_claim("c", pool="pool"))
        refuse = always(REFUSED)
        probes = 0
        watches: Counter[str] = Counter()
        for _ in range(300):  # up for 0.1 s, down for 0.3 s
            goes_away(world, refuse)
            await world.run_for(0.3)
            comes_back(world)
            await world.run_for(0.1)
            probes += sum(map(is_probe, world.faults.seen))
            watches += by_path(world.faults.watched)
        seconds = 300 * 0.4
        assert probes <= 4 * seconds
        # One by its own delay, one for an end of the outage, each second at most.
        assert max(watches.values()) <= 2 * seconds
        comes_back(world)
        await world.served("c", within_s=RECOVERY_S_MAX + 1.0)

    virtual(scenario)


def test_one_request_that_always_fails_is_no_outage() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm=1)
        await world.run_for(1)
        world.put(a_claim("poison", pool="pool"))
        world.faults.seen.clear()
        world.faults.before = always(refusal(500, "InternalError"), "PATCH")
        await world.run_for(FIVE_MINUTES_S)
        assert not world.app.outage.is_on
        steps = 14 + FIVE_MINUTES_S / 30
        # A pass tries five sandboxes, or one five times, and then to say so.
        assert sum(r.method == "PATCH" for r in world.faults.seen) <= 6 * steps
        assert sum(map(is_probe, world.faults.seen)) <= steps

    virtual(scenario)


def test_in_health_nothing_is_probed() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world)
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        await world.run_for(3600)
        assert not any(map(is_probe, world.faults.seen))

    virtual(scenario)


def with_lease(scenario: Callable[[AppWorld], Awaitable[None]]) -> None:
    async def main(world: World) -> None:
        await scenario(AppWorld(world, lease=LeaseSettings(namespace=NAMESPACE)))

    run_virtual(main)


@pytest.mark.parametrize("lasts_s", [3.0, 60.0, FIVE_MINUTES_S])
def test_e3_a_leader_that_lost_its_lease_to_an_outage_leads_and_serves_at_its_end(
    lasts_s: float,
) -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world)
        async with leading(world.app):
            await world.run_for(5)
            goes_away(world, always(REFUSED))
            await world.run_for(lasts_s)
            world.put(a_claim("c", pool="pool"))
            comes_back(world)
            await world.served("c", within_s=RECOVERY_S_MAX)

    with_lease(scenario)
