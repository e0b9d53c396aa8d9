"""How fast a pool is filled: after losses, under a limit by rate, and while the server refuses."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controllers.app_world import (
    NAMESPACE,
    POOL,
    SANDBOX,
    AppWorld,
    always,
    once,
    refusal,
    virtual,
)
from tests.controllers.pool_world import LOST, POOLS, fills, members, pool, start

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import TEMPLATE
from warmclaim.seams import Request, Response
from warmclaim.settings import PoolSettings
from warmclaim.testing.builders import a_sandbox

FULL_QUOTA = refusal(403, "Forbidden", "exceeded quota: sandboxes")


def shaped(**settings: Any) -> dict[str, Any]:
    return {**POOLS, "pools": PoolSettings(**settings)}


def tries(world: AppWorld) -> int:
    """Creates of sandboxes that the manager sent."""
    return sum(r.method == "POST" and r.path.endswith("/sandboxes") for r in world.faults.seen)


def told(world: AppWorld) -> list[str]:
    """Reasons of the events, oldest first."""
    found = world.server.cluster.store.scan("events.events.k8s.io")
    return [commit.object["reason"] for commit in found]


async def adopt_one(world: AppWorld, number: int) -> None:
    """A claim takes a member."""
    name = (await members(world))[0]
    world.put(a_sandbox(name, claim=f"c{number}"))


class TestReplenishDelay:
    def test_a_new_pool_and_a_larger_one_are_filled_at_once(self) -> None:
        async def scenario(world: AppWorld) -> None:
            start(world, 3)
            await fills(world, 3, within_s=2)
            key = ObjectKey(NAMESPACE, "pool")
            await world.hand.merge_patch(POOL, key, {"spec": {"replicas": 5}})
            await fills(world, 5, within_s=2)

        virtual(scenario, **shaped(replenish_delay_s=30.0))

    def test_a_loss_is_made_up_for_after_the_delay_and_no_later(self) -> None:
        async def scenario(world: AppWorld) -> None:
            start(world, 5)
            await fills(world, 5)
            await world.run_for(5)
            await adopt_one(world, 0)
            await world.run_for(25)
            assert len(await members(world)) == 4
            await adopt_one(world, 1)  # prolongs nothing
            await world.run_for(7)
            assert len(await members(world)) == 5

        virtual(scenario, **shaped(replenish_delay_s=30.0))

    def test_claims_without_end_do_not_drain_the_pool(self) -> None:
        async def scenario(world: AppWorld) -> None:
            start(world, 20)
            await fills(world, 20)
            fewest = 20
            for number in range(200):  # one each second, under a delay of ten
                await adopt_one(world, number)
                await world.run_for(1)
                fewest = min(fewest, len(await members(world)))
            assert fewest >= 8

        virtual(scenario, **shaped(replenish_delay_s=10.0))


class TestRefillRate:
    def test_members_come_no_faster_than_the_rate(self) -> None:
        async def scenario(world: AppWorld) -> None:
            start(world, 30)
            await world.run_for(4.9)
            there = len(await members(world))
            assert 8 <= there <= 2 + 2 * 4.9  # what the bucket held, and two a second
            await fills(world, 30, within_s=12)
            await world.run_for(5)
            assert len(await members(world)) == 30

        virtual(scenario, **shaped(refill_per_s_max=2.0))

    @pytest.mark.parametrize("rate", [0.25, 1e308])
    def test_any_finite_rate_is_one(self, rate: float) -> None:
        async def scenario(world: AppWorld) -> None:
            start(world, 3)
            await fills(world, 3, within_s=10)

        virtual(scenario, **shaped(refill_per_s_max=rate))

    def test_what_was_refused_costs_none_of_it(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.faults.before = once(FULL_QUOTA, "POST", "/sandboxes")
            start(world, 1)
            await fills(world, 1, within_s=2)

        virtual(scenario, **shaped(refill_per_s_max=0.01))

    def test_a_lost_answer_may_have_cost_some_of_it(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.faults.after = once(LOST, "POST", "/sandboxes")
            start(world, 2)
            await world.run_for(5)
            assert len(await members(world)) == 1
            await fills(world, 2, within_s=10)

        virtual(scenario, **shaped(refill_per_s_max=0.1))


class TestRefusal:
    def test_it_costs_one_request_at_a_time_and_is_retried(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.faults.before = always(FULL_QUOTA, "POST", "/sandboxes")
            start(world, 50)
            await world.run_for(60)
            assert 3 <= tries(world) <= 10
            world.faults.before = once(LOST, "nothing")
            await fills(world, 50, within_s=40)

        virtual(scenario, **POOLS)

    def test_it_is_told_once_until_the_pool_is_full(self) -> None:
        async def scenario(world: AppWorld) -> None:
            room = [2]

            async def quota(request: Request) -> Response | None:
                if request.method != "POST" or not request.path.endswith("/sandboxes"):
                    return None
                room[0] -= 1
                return FULL_QUOTA if room[0] < 0 else None

            world.faults.before = quota
            start(world, 5)
            await world.run_for(120)
            room[0] = 1  # gives way for one, and closes again
            await world.run_for(120)
            assert len(await members(world)) == 3
            assert told(world) == ["SandboxCreateFailed"]
            room[0] = 5
            await fills(world, 5, within_s=40)
            await world.run_for(400)  # so that the next event is no repeat of the last one
            room[0] = 0
            await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, (await members(world))[0]))
            await world.run_for(60)
            assert told(world) == ["SandboxCreateFailed"] * 2

        virtual(scenario, **POOLS)

    def test_events_of_members_cause_no_further_tries(self) -> None:
        async def scenario(world: AppWorld) -> None:
            start(world, 4)
            await fills(world, 4)
            world.faults.before = always(FULL_QUOTA, "POST", "/sandboxes")
            await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, (await members(world))[0]))
            await world.run_for(30)
            before = tries(world)
            for number in range(50):
                patch = {"metadata": {"labels": {"seen": str(number)}}}
                key = ObjectKey(NAMESPACE, (await members(world))[number % 3])
                await world.hand.merge_patch(SANDBOX, key, patch)
                await world.run_for(0.5)
            assert tries(world) - before <= 2

        virtual(scenario, **POOLS)

    def test_nothing_is_deleted_and_the_status_is_right(self) -> None:
        async def scenario(world: AppWorld) -> None:
            start(world, 4)
            await fills(world, 4)
            world.faults.before = always(FULL_QUOTA, "POST", "/sandboxes")
            await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, (await members(world))[0]))
            await world.run_for(200)
            status = (await pool(world)).status
            assert status is not None
            assert (status.replicas, len(await members(world))) == (3, 3)
            assert not [line for line in world.writes() if line.startswith("delete")]

        virtual(scenario, **POOLS)

    def test_another_blueprint_is_tried_at_once(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.faults.before = always(refusal(422, "Invalid", "no"), "POST", "/sandboxes")
            start(world, 2)
            await world.run_for(60)
            world.faults.before = once(LOST, "nothing")
            pod = {"spec": {"containers": [{"name": "sandbox", "image": "registry.example/2"}]}}
            key = ObjectKey(NAMESPACE, "python")
            await world.hand.merge_patch(TEMPLATE, key, {"spec": {"podTemplate": pod}})
            await fills(world, 2, within_s=1)

        virtual(scenario, **POOLS)

    @pytest.mark.parametrize("answer", [refusal(500, "InternalError"), LOST], ids=["5xx", "lost"])
    def test_an_error_that_is_none_is_not_told(self, answer: Response | Exception) -> None:
        async def scenario(world: AppWorld) -> None:
            world.faults.before = always(answer, "POST", "/sandboxes")
            start(world, 2)
            await world.run_for(30)
            status = (await pool(world)).status
            assert status is not None
            assert (status.observed_generation, told(world)) == (1, [])

        virtual(scenario, **POOLS)
