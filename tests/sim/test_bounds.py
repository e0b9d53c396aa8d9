"""L8 is planted, each form once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.sim.wired import Wired, builders, in_ns

from warmclaim.app import App, Outside
from warmclaim.settings import Settings
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.sim.bounds import Bounds, over_bounds, production_tasks, tasks_max
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import World, run_virtual

CRDS = agent_sandbox_crds()


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("claim journal", 1),
        ("claim records", 3),
        ("sandbox keys", 2),
        ("pool memories", 1),
        ("event series", 4),
    ],
)
def test_a_memory_of_more_than_lives_is_found(name: str, bound: int) -> None:
    wired = Wired()
    wired.put(in_ns(builders.a_claim, "c"))
    wired.put(in_ns(builders.a_pool, "pool"))
    for sandbox in ("w1", "w2"):
        wired.put(in_ns(builders.a_sandbox, sandbox))
    assert over_bounds({name: bound}, wired.store) == []
    assert over_bounds({name: bound + 1}, wired.store) != []


def with_app(scenario: Callable[[App, World], Awaitable[None]]) -> None:
    """A manager that runs on an empty server."""

    async def main(world: World) -> None:
        server = FakeApiServer(Cluster(clock=world.clock, rng=world.rng, crds=CRDS))
        transport = InProcessTransport(server, user_agent="m0")
        app = App(Settings(), Outside(transport, world.clock, world.rng, "m0-1", "default"))
        stop = asyncio.Event()
        running = asyncio.create_task(app.run(stop))
        await world.clock.sleep(30)
        await scenario(app, world)
        stop.set()
        await running

    run_virtual(main)


def test_every_memory_of_a_manager_has_its_bound() -> None:
    async def scenario(app: App, _: World) -> None:
        assert len(app.remembered()) >= 10
        assert over_bounds(app.remembered(), Wired().store) == []

    with_app(scenario)


def test_tasks_that_are_left_behind_are_found() -> None:
    async def scenario(app: App, world: World) -> None:
        wired = Wired()
        bounds = Bounds(wired.store, wired.report)
        bounds.look_back([app])
        assert wired.promises == []
        usual = len(production_tasks(asyncio.all_tasks()))
        spare = tasks_max(app) - usual
        assert 0 <= spare < 40
        left = [asyncio.create_task(app.outage.back_off(1000)) for _ in range(spare + 1)]
        await world.clock.sleep(1)
        bounds.look_back([app])
        assert wired.promises == ["L8"]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    with_app(scenario)
