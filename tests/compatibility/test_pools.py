"""Pools, where no other test shows the API's rule."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from tests.controllers.app_world import NAMESPACE, POOL, SANDBOX, AppWorld, always, refusal, virtual

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import name_hash
from warmclaim.api.pool import Pool
from warmclaim.domain.eligibility import pool_owner
from warmclaim.seams import Request
from warmclaim.testing.builders import a_pool, a_sandbox, a_template, an_owner, as_view
from warmclaim.testing.json_values import Json

ONLY: dict[str, Any] = {"controllers": frozenset({"pool"})}
KEY = ObjectKey(NAMESPACE, "pool")
RECREATE: Json = {"type": "Recreate"}


def status_of(world: AppWorld) -> Json:
    """The pool's status as it is stored."""
    found = world.server.cluster.store.get(str(POOL), f"{NAMESPACE}/pool")
    assert found is not None
    status: Json = found.object.get("status", {})
    return status


async def members(world: AppWorld) -> list[str]:
    """Names of the pool's own."""
    found = [(s.metadata.name, pool_owner(s)) for s in await world.sandboxes()]
    return sorted(name for name, owner in found if owner and owner.uid == "pool-uid")


def is_create(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith("/sandboxes")


def test_the_status_counts_and_says_how_to_find_members() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool(replicas=3, merge={"metadata": {"generation": 4}}))
        world.put(a_sandbox("w1"), a_sandbox("w2"), a_sandbox("slow", ready=False))
        await world.run_for(5)
        assert status_of(world) == {
            "replicas": 3,
            "readyReplicas": 2,
            "selector": f"agents.x-k8s.io/warm-pool-sandbox={name_hash('pool')}",
            "observedGeneration": 4,
        }

    virtual(scenario, **ONLY)


def test_a_count_of_none_is_left_out() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool(replicas=1), a_sandbox("w1"))
        await world.run_for(5)
        assert status_of(world)["readyReplicas"] == 1
        await world.hand.merge_patch(POOL, KEY, {"spec": {"replicas": 0}})
        await world.run_for(5)
        assert await members(world) == []
        assert set(status_of(world)) == {"selector", "observedGeneration"}

    virtual(scenario, **ONLY)


def test_the_status_is_right_although_no_member_can_be_made() -> None:
    async def scenario(world: AppWorld) -> None:
        no = refusal(403, "Forbidden", "exceeded quota")
        world.faults.before = always(no, "POST", "/sandboxes")
        world.put(a_template(), a_pool(replicas=5), a_sandbox("w1"), a_sandbox("w2"))
        await world.run_for(5)
        assert (status_of(world)["replicas"], status_of(world)["readyReplicas"]) == (2, 2)

    virtual(scenario, **ONLY)


def test_members_of_an_older_pool_of_that_name_do_not_count() -> None:
    async def scenario(world: AppWorld) -> None:
        older = a_sandbox("older", pool=None)
        older["metadata"]["ownerReferences"] = [an_owner(POOL, "pool", uid="of-the-older-one")]
        older["metadata"]["labels"]["agents.x-k8s.io/warm-pool-sandbox"] = name_hash("pool")
        world.put(a_template(), a_pool(replicas=2), older)
        await world.run_for(5)
        assert len(await members(world)) == 2
        assert await world.exists(SANDBOX, "older")
        assert status_of(world)["replicas"] == 2

    virtual(scenario, **ONLY)


def test_members_are_made_one_then_two_then_four_at_once() -> None:
    async def scenario(world: AppWorld) -> None:
        moments: list[float] = []

        async def slow(request: Request) -> None:
            if is_create(request):
                moments.append(world.clock.monotonic())
                await world.clock.sleep(0.01)

        world.faults.before = slow
        world.put(a_template(), a_pool(replicas=12))
        await world.run_for(5)
        assert [len(list(group)) for _, group in groupby(moments)] == [1, 2, 4, 5]

    virtual(scenario, **ONLY)


def test_a_pool_that_is_being_deleted_makes_nothing() -> None:
    async def scenario(world: AppWorld) -> None:
        ending = {"metadata": {"finalizers": ["example.org/hold"]}}
        world.put(a_template(), a_pool(replicas=2, merge=ending))
        await world.run_for(5)
        await world.hand.delete(POOL, KEY)
        for name in await members(world):
            await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, name))
        await world.run_for(60)
        assert await members(world) == []

    virtual(scenario, **ONLY)


@pytest.mark.parametrize(
    ("strategy", "recreates"),
    [({}, False), ({"type": "OnReplenish"}, False), ({"type": "New"}, False), (RECREATE, True)],
)
def test_a_strategy_that_nobody_knows_is_that_of_replenishing(
    strategy: Json, recreates: bool
) -> None:
    body = a_pool()
    body["spec"]["updateStrategy"] = strategy
    assert as_view(body, Pool).spec.recreates is recreates
    del body["spec"]["updateStrategy"], body["spec"]["replicas"]
    spec = as_view(body, Pool).spec
    assert (spec.recreates, spec.replicas) == (False, 1)
