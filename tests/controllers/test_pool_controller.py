"""The pool controller: as many members as wanted, a status that tells of them, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from tests.controllers.app_world import (
    CLAIM,
    NAMESPACE,
    POOL,
    SANDBOX,
    AppWorld,
    once,
    refusal,
    virtual,
)
from tests.controllers.pool_world import (
    POOLS,
    fills,
    members,
    play_sandbox_controller,
    pool,
    scale,
    start,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import TEMPLATE, Resource
from warmclaim.seams import Request, Response
from warmclaim.settings import LeaseSettings
from warmclaim.testing.builders import (
    a_claim,
    a_pool,
    a_sandbox,
    a_template,
)


def test_a_pool_is_filled_with_one_reservation_for_each_batch() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 20)
        await fills(world, 20)
        await world.run_for(10)
        reservations = [
            line for line in world.writes() if line.startswith("patch sandboxwarmpools ")
        ]
        assert len(reservations) == 1
        assert world.writes().count("create sandboxes 201") == 20

    virtual(scenario, **POOLS)


def test_status_counts_members_and_is_written_rarely_while_filling() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 50)
        await fills(world, 50)
        await world.run_for(3)
        status = (await pool(world)).status
        assert status is not None
        assert (status.replicas, status.ready_replicas) == (50, 0)
        assert len([w for w in world.writes() if "sandboxwarmpools/status" in w]) <= 3

    virtual(scenario, **POOLS)


def test_a_status_that_a_webhook_undid_is_written_again() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 3)
        await fills(world, 3)
        await world.run_for(5)
        key, forged = ObjectKey(NAMESPACE, "pool"), {"status": {"replicas": 9}}
        await world.hand.merge_patch(POOL, key, forged, subresource="status")
        found = world.server.cluster.store.get(str(POOL), str(key))
        assert found is not None
        as_before = Response(
            200, msgspec.json.encode(found.object), {"content-type": "application/json"}
        )
        world.faults.before = once(as_before, "PATCH", "/pool/status")
        await world.run_for(5)
        status = (await pool(world)).status
        assert status is not None
        assert status.replicas == 3

    virtual(scenario, **POOLS)


def test_a_settled_pool_is_not_written_to() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 5)
        await fills(world, 5)
        await world.run_for(5)
        before = len(world.writes())
        await world.run_for(250)
        assert len(world.writes()) == before

    virtual(scenario, **POOLS)


def test_an_adopted_member_is_replaced_and_a_deleted_one_too() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 3)
        await fills(world, 3)
        first, second, _ = await members(world)
        world.put(a_sandbox(first, claim="c"))
        await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, second))
        await world.run_for(2)
        assert len(await members(world)) == 3
        assert first not in await members(world)

    virtual(scenario, **POOLS)


def test_scale_down_deletes_only_the_surplus() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 8)
        await fills(world, 8)
        await scale(world, 3)
        await fills(world, 3)
        await world.run_for(5)
        assert len(await members(world)) == 3
        assert world.writes().count("delete sandboxes 200") == 5

    virtual(scenario, **POOLS)


def test_a_member_adopted_a_moment_ago_is_never_deleted_by_a_scale_down() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 3)
        await fills(world, 3)
        adopted: list[str] = []

        async def adopt(request: Request) -> None:
            if request.method == "DELETE" and not adopted:
                adopted.append(request.path.rpartition("/")[2])
                world.put(a_sandbox(adopted[0], claim="c"))

        world.faults.before = adopt
        await scale(world, 0)
        await fills(world, 0)
        assert await world.exists(SANDBOX, adopted[0])

    virtual(scenario, **POOLS)


def test_a_surplus_member_whose_delete_met_a_conflict_of_the_servers_own_is_deleted_later() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 3)
        await fills(world, 3)
        await world.run_for(5)
        # No change of the member comes after it: nothing but the pool itself looks again.
        world.faults.before = once(refusal(409, "Conflict"), "DELETE", "/sandboxes/")
        await scale(world, 2)
        await fills(world, 2)
        await world.run_for(5)
        assert len(await members(world)) == 2

    virtual(scenario, **POOLS)


def test_a_new_target_that_comes_with_the_answer_to_an_own_write_is_not_missed() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 2)
        await fills(world, 2)
        await world.run_for(5)
        # The watch's own copy of the change is older than this answer, so it wakes nobody.
        written = await pool(world)
        spec = msgspec.structs.replace(written.spec, replicas=1)
        meta = msgspec.structs.replace(
            written.metadata,
            generation=written.metadata.generation + 1,
            resource_version=str(written.metadata.version + 1_000_000),
        )
        answer = msgspec.structs.replace(written, spec=spec, metadata=meta)
        world.app.caches.pools.observe(answer)
        await fills(world, 1)

    virtual(scenario, **POOLS)


@pytest.mark.parametrize("first", [POOL, TEMPLATE], ids=["pool", "template"])
def test_nothing_is_remembered_of_a_pool_and_a_template_that_are_gone(
    first: Resource[Any],
) -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 1)
        await fills(world, 1)
        kept = ("pool memories", "blueprints")
        assert [world.app.remembered()[name] for name in kept] == [1, 1]
        kinds: list[Resource[Any]] = [POOL, TEMPLATE]
        for resource in sorted(kinds, key=lambda r: r is not first):
            name = "pool" if resource is POOL else "python"
            await world.hand.delete(resource, ObjectKey(NAMESPACE, name))
            await world.run_for(1)
        assert [world.app.remembered()[name] for name in kept] == [0, 0]

    virtual(scenario, **POOLS)


def test_without_its_template_nothing_is_created_until_it_comes() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_pool("pool", template="python", replicas=2))
        await world.run_for(5)
        assert await members(world) == []
        (told,) = world.server.cluster.store.scan("events.events.k8s.io")
        assert told.object["reason"] == "TemplateNotFound"
        world.put(a_template("python"))
        await fills(world, 2, within_s=1)

    virtual(scenario, **POOLS)


def test_a_template_that_comes_a_little_after_its_pool_is_not_told_as_missing() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_pool("pool", template="python", replicas=2))
        await world.run_for(1)
        world.put(a_template("python"))
        await fills(world, 2, within_s=1)
        await world.run_for(5)
        assert not [*world.server.cluster.store.scan("events.events.k8s.io")]

    virtual(scenario, **POOLS)


def test_claims_and_refill_together_keep_the_pool_and_serve_everybody() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 10)
        kubelet = asyncio.create_task(play_sandbox_controller(world))
        await fills(world, 10)
        await world.run_for(1)
        for number in range(6):
            world.put(a_claim(f"c{number}"))
        for number in range(6):
            await world.served(f"c{number}")
        await world.run_for(5)
        assert len(await members(world)) == 10
        given = {(await world.claim(f"c{number}")).published for number in range(6)}
        assert len(given) == 6
        assert await world.exists(CLAIM, "c0")
        kubelet.cancel()

    virtual(scenario, controllers=frozenset({"claim", "pool"}))


def test_a_standby_keeps_nothing_of_objects_that_came_and_went() -> None:
    async def scenario(world: AppWorld) -> None:
        elected = {"lease": LeaseSettings(), "controllers": frozenset({"claim", "pool", "sandbox"})}
        _, standby = world.another("standby", **elected)
        stop = asyncio.Event()
        await world.run_for(1)  # the first one leads
        task = asyncio.create_task(standby.run(stop))
        for number in range(5):
            world.put(a_template("python"), a_pool(f"p{number}", replicas=2))
            world.put(a_claim(f"c{number}", pool=f"p{number}"))
        await world.run_for(5)
        assert standby.remembered()["claim records"] == 5
        kinds: list[Resource[Any]] = [CLAIM, POOL, SANDBOX, TEMPLATE]
        for kind in kinds:
            for found in (await world.hand.list_page(kind)).items:
                await world.hand.delete(kind, found.metadata.key)
        await world.run_for(10)
        for kind in kinds[:3]:
            for found in (await world.hand.list_page(kind)).items:
                await world.hand.delete(kind, found.metadata.key)
        await world.run_for(5)
        kept = {name: count for name, count in standby.remembered().items() if count}
        assert kept == {}
        assert world.writes("standby") == []
        stop.set()
        await task

    virtual(scenario, lease=LeaseSettings(), controllers=frozenset({"claim", "pool", "sandbox"}))
