"""A new leader lists the sandboxes of a namespace once, for all pools that it takes over there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from warmclaim.api.names import ANNOTATION_RESERVATION
from warmclaim.api.resources import POOL, SANDBOX, TEMPLATE
from warmclaim.app import App, Outside
from warmclaim.controllers.pool_growth import CAUGHT_UP_S_MAX
from warmclaim.domain.reservation import parse_reservation
from warmclaim.settings import Settings
from warmclaim.testing import builders
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.sim.grip import Grip
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import SeededRng, World, run_virtual

SPACE, POOLS = builders.NAMESPACE, 4
SETTLED_S = 2 * CAUGHT_UP_S_MAX

Act = Callable[[Grip, World], Awaitable[None]]


def lists_of_the_second_manager(act: Act) -> int:
    """One manager fills the pools and stops; what another one lists while `act` is done."""

    async def scenario(world: World) -> int:
        cluster = Cluster(clock=world.clock, rng=world.rng, crds=agent_sandbox_crds())
        server, grip = FakeApiServer(cluster), Grip(cluster)
        grip.create(TEMPLATE, SPACE, builders.as_sent(builders.a_template()))
        for number in range(POOLS):
            grip.create(POOL, SPACE, builders.as_sent(builders.a_pool(f"pool-{number}")))
        async with FakeNodes(cluster, count=2):
            for name in ("first", "second"):
                transport = InProcessTransport(server, user_agent=name)
                outside = Outside(transport, world.clock, SeededRng(name), name, "default")
                app, stop = App(Settings(), outside), asyncio.Event()
                life = asyncio.create_task(app.run(stop))
                await world.clock.sleep(SETTLED_S)
                if name == "second":
                    await act(grip, world)
                stop.set()
                await life
        sizes = [pool["status"]["readyReplicas"] for pool in grip.all(POOL)]
        assert sizes == [2] * POOLS
        return server.requests.count(verb="list", resource=str(SANDBOX), user_agent="second")

    return run_virtual(scenario)


def grow(grip: Grip, number: int) -> None:
    grip.patch(POOL, SPACE, f"pool-{number}", {"spec": {"replicas": 2}})


def test_pools_that_grow_under_a_new_leader_are_listed_for_together() -> None:
    async def all_grow(grip: Grip, world: World) -> None:
        for number in range(POOLS):
            grow(grip, number)
            await world.clock.sleep(CAUGHT_UP_S_MAX / (POOLS + 1))
        await world.clock.sleep(SETTLED_S)

    assert lists_of_the_second_manager(all_grow) == 1


def test_an_old_list_is_worth_nothing() -> None:
    """What happened to a reservation since may not have been seen."""

    async def one_by_one(grip: Grip, world: World) -> None:
        for number in range(POOLS):
            grow(grip, number)
            await world.clock.sleep(CAUGHT_UP_S_MAX + 1.0)

    assert lists_of_the_second_manager(one_by_one) == POOLS


def test_a_pool_that_somebody_reserved_on_since_is_listed_for_again() -> None:
    async def with_another_leader(grip: Grip, world: World) -> None:
        grow(grip, 0)
        await world.clock.sleep(SETTLED_S)
        grow(grip, 2)
        await world.clock.sleep(1.0)
        reserve_again(grip, "pool-1")
        for number in (1, 3):
            grow(grip, number)
        await world.clock.sleep(SETTLED_S)

    assert lists_of_the_second_manager(with_another_leader) == 3


def reserve_again(grip: Grip, name: str) -> None:
    """What a leader writes that takes over the pool's last batch."""
    pool = grip.get(POOL, SPACE, name)
    assert pool is not None
    last = parse_reservation(pool["metadata"]["annotations"][ANNOTATION_RESERVATION])
    assert last is not None
    annotations = {ANNOTATION_RESERVATION: last.taken_over().encode()}
    grip.patch(POOL, SPACE, name, {"metadata": {"annotations": annotations}})
