"""Pools that the Go controller filled: their members count, serve and go, whatever their names."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controllers.app_world import NAMESPACE, POOL, AppWorld, virtual
from tests.upgrade.go_objects import VERSIONS, Version, go_claim, go_member

from warmclaim.api.meta import ObjectKey
from warmclaim.domain.eligibility import pool_owner
from warmclaim.testing.builders import a_pool, a_template

NAMES = ("pool-2xk9d", "pool-7hqzv", "pool-mm4wt")
BOTH: dict[str, Any] = {"controllers": frozenset({"claim", "pool"})}


async def members(world: AppWorld) -> set[str]:
    return {s.metadata.name for s in await world.sandboxes() if pool_owner(s)}


def stock(world: AppWorld, version: Version, replicas: int) -> None:
    world.put(a_template("python"), a_pool("pool", template="python", replicas=replicas))
    world.put(*(go_member(name, version=version) for name in NAMES))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_pool_is_left_alone(version: Version) -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, version, 3)
        await world.run_for(600)
        assert await members(world) == set(NAMES)
        assert not [write for write in world.writes() if "sandboxes" in write]

    virtual(scenario, **BOTH)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_claim_takes_is_made_good_under_a_name_of_ours(version: Version) -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, version, 3)
        await world.run_for(1)
        world.put(go_claim())
        assert (await world.served("c")).published in NAMES
        await world.run_for(10)
        found = await members(world)
        assert len(found) == 3
        assert len(found & set(NAMES)) == 2

    virtual(scenario, **BOTH)


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_scaled_down_and_up(version: Version) -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, version, 3)
        await world.run_for(1)
        key = ObjectKey(NAMESPACE, "pool")
        await world.hand.merge_patch(POOL, key, {"spec": {"replicas": 1}})
        await world.run_for(10)
        (kept,) = await members(world)
        assert kept in NAMES
        await world.hand.merge_patch(POOL, key, {"spec": {"replicas": 4}})
        await world.run_for(10)
        found = await members(world)
        assert len(found) == 4
        assert kept in found

    virtual(scenario, **BOTH)
