"""The begin of a term: soon after the last one, and with the claims that wait."""

from __future__ import annotations

import asyncio

import pytest
from tests.controllers.app_world import NAMESPACE, AppWorld, running

from warmclaim.seams import Request
from warmclaim.settings import LeaseSettings
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template
from warmclaim.testing.virtual_loop import World, run_virtual


def stock(world: AppWorld, warm: int = 4) -> None:
    world.put(a_template("python"), a_pool("pool", template="python", replicas=warm))
    world.put(*(a_sandbox(f"w{n}", pool="pool", node=f"n{n}") for n in range(warm)))


@pytest.mark.parametrize("seed", range(10))
def test_c2_after_sigterm_the_standby_serves_within_a_second(seed: int) -> None:
    async def main(world: World) -> None:
        app_world = AppWorld(world, lease=LeaseSettings(namespace=NAMESPACE))
        faults, standby = app_world.another("standby", lease=LeaseSettings(namespace=NAMESPACE))

        async def slow(request: Request) -> None:
            await world.clock.sleep(0.005 + 0.02 * world.rng.random())

        faults.before = app_world.faults.before = slow
        stock(app_world)
        stop = asyncio.Event()
        leader = asyncio.create_task(app_world.app.run(stop))
        await app_world.app.caches.wait_synced()
        await app_world.run_for(1)
        async with running(standby):
            await app_world.run_for(7 + 3 * world.rng.random())
            stop.set()
            app_world.put(a_claim("c", pool="pool"))
            await app_world.served("c", within_s=0.5)
            await leader
        assert app_world.writes("controller")[-1] == "update leases 200"
        assert "patch sandboxclaims/status 200" in app_world.writes("standby")

    run_virtual(main, seed=seed, shuffled=True)


def test_claims_that_wait_come_before_the_first_pass_of_everything_else() -> None:
    async def main(world: World) -> None:
        app_world = AppWorld(world, controllers=frozenset({"claim", "sandbox"}))

        async def slow(_: Request) -> None:
            await world.clock.sleep(0.02)

        app_world.faults.before = slow
        stock(app_world, warm=20)
        app_world.put(a_claim("c", pool="pool"))
        async with running(app_world.app):
            await app_world.run_for(3)
        writes = [write for write in app_world.writes() if "events" not in write]
        assert writes[:2] == ["patch sandboxes 200", "patch sandboxclaims/status 200"]
        assert writes.count("patch sandboxes/status 200") >= 20

    run_virtual(main)
