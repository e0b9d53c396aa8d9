"""Whose turn it is: claims first, refill within its bound, at once where claims wait for it."""

from __future__ import annotations

from tests.controllers.app_world import AppWorld, virtual
from tests.controllers.pool_world import fills, members, start
from tests.controllers.test_claim_controller import stock, warm

from warmclaim.app.claims_first import REFILL_WAIT_S_MAX
from warmclaim.testing.builders import a_claim

BOTH = {"controllers": frozenset({"claim", "pool"})}


def creates(world: AppWorld) -> int:
    return sum(line.startswith("create sandboxes ") for line in world.writes())


def test_refill_lets_a_burst_pass_and_then_comes() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, *(warm(f"w{n}") for n in range(20)), replicas=20)
        await world.run_for(1)
        for number in range(10):
            world.put(a_claim(f"c{number}", pool="pool"))
            await world.run_for(0.02)
        assert creates(world) == 0
        await fills(world, 20, within_s=2)

    virtual(scenario, **BOTH)


def test_claims_that_leave_half_of_the_pool_meet_no_refill_for_seconds() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, *(warm(f"w{n:03}") for n in range(200)), replicas=200)
        await world.run_for(1)
        for number in range(80):
            world.put(a_claim(f"c{number}", pool="pool"))
            await world.run_for(0.1)
            if number == int(0.9 * REFILL_WAIT_S_MAX / 0.1):
                assert creates(world) == 0
        assert creates(world) >= 70

    virtual(scenario, **BOTH)


def test_a_steady_load_does_not_starve_refill() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, *(warm(f"w{n}") for n in range(60)), replicas=60)
        await world.run_for(1)
        for number in range(50):
            world.put(a_claim(f"c{number}", pool="pool"))
            await world.run_for(0.05)
            if number == 10:
                assert creates(world) == 0
        assert creates(world) >= 45

    virtual(scenario, **BOTH)


def test_refill_does_not_wait_while_claims_wait_for_it() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 1)
        for number in range(3):
            world.put(a_claim(f"c{number}", pool="pool"))
        await world.run_for(0.5)
        assert len(await members(world)) == 1

    virtual(scenario, **BOTH)
