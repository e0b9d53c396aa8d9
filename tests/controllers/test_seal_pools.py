"""With the seal on, a pool seals what it makes, and replaces what bears no seal of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import msgspec
from tests.controllers.app_world import NAMESPACE, SANDBOX, AppWorld, running
from tests.controllers.pool_world import POOLS, Ceiling, fills, members, scale, start
from tests.controllers.seal_world import (
    EVIL,
    FIRST,
    SEALED_POOLS,
    SECRET_KEY,
    a_sealed_world,
    edit,
    forge,
    put_keys,
    seal,
    sealed_pool,
    told,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import SECRET
from warmclaim.domain.seal import SealKeys, is_sealed
from warmclaim.seams import Request, Response
from warmclaim.settings import PoolSettings
from warmclaim.testing.builders import a_pool, a_stray, a_template
from warmclaim.testing.store import Commit
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import World, run_virtual

BATCH = 3


async def are_sealed(world: AppWorld) -> bool:
    found = [one for one in await world.sandboxes() if one.metadata.name in await members(world)]
    return all(is_sealed(SealKeys(FIRST), one, "pool-uid") for one in found)


async def uids(world: AppWorld) -> set[str]:
    return {one.metadata.uid for one in await world.sandboxes()}


def test_members_bear_their_seal_from_the_start() -> None:
    async def scenario(world: AppWorld) -> None:
        await world.run_for(60)
        assert await are_sealed(world)
        assert len({seal(world, name) for name in await members(world)}) == 20
        writes = Counter(line for line in world.writes() if "status" not in line)
        assert writes == {"create sandboxes 201": 20, "patch sandboxwarmpools 200": 1}

    sealed_pool(scenario, 20)


class Deletions:
    """At which virtual second each sandbox was deleted."""

    def __init__(self, world: AppWorld) -> None:
        self._clock = world.clock
        self.at_s: list[float] = []
        world.server.cluster.store.observers.append(self)

    def __call__(self, commit: Commit) -> None:
        if commit.resource == str(SANDBOX) and not commit.is_live:
            self.at_s.append(round(self._clock.monotonic(), 1))


def test_switched_on_unsealed_members_are_replaced_batch_by_batch() -> None:
    async def main(loop: World) -> None:
        world = AppWorld(loop, **POOLS)
        ceiling = start(world, 8)
        async with running(world.app):
            await fills(world, 8)
        before, deletions = await uids(world), Deletions(world)
        put_keys(world, FIRST)
        settings = PoolSettings(seal_secret=str(SECRET_KEY), batch_items_max=BATCH)
        _, app = world.another("later", **{**SEALED_POOLS, "pools": settings})
        async with running(app):

            async def is_renewed() -> bool:
                return len(await uids(world) - before) == 8

            await world.until(is_renewed, within_s=30)
            assert await are_sealed(world)
            assert len(deletions.at_s) == 8
            assert max(Counter(deletions.at_s).values()) <= BATCH
            assert ceiling.highest == 8
            writes = len(world.writes("later"))
            await world.run_for(100)
            assert [line for line in world.writes("later")[writes:] if "status" not in line] == []

    run_virtual(main)


def test_what_is_forged_or_edited_is_replaced_and_the_rest_stays() -> None:
    async def scenario(world: AppWorld) -> None:
        before = await members(world)
        await forge(world, "forged")
        await edit(world, before[0], EVIL)
        await world.run_for(10)
        now = await members(world)
        assert set(before[1:]) <= set(now)
        assert {"forged", before[0]}.isdisjoint(now)
        assert len(now) == 4
        assert await are_sealed(world)

    sealed_pool(scenario, 4, forged=1)


def test_a_member_that_lost_its_owner_is_taken_in_with_its_seal() -> None:
    async def scenario(world: AppWorld) -> None:
        before = await members(world)
        await edit(world, before[1], {"metadata": {"ownerReferences": None}})
        await world.run_for(5)
        assert await members(world) == before
        assert await are_sealed(world)
        assert told(world) == []

    sealed_pool(scenario, 3)


def test_one_without_a_seal_is_left_alone() -> None:
    async def main(loop: World) -> None:
        world = a_sealed_world(loop)
        Ceiling(world, 1)
        world.put(a_template(), a_stray(), a_pool(replicas=1))
        async with running(world.app):
            await fills(world, 1)
            await world.run_for(30)
            assert "pool-x7k2p" not in await members(world)
            assert any("it has no seal of this pool" in line for line in told(world))

    run_virtual(main)


def test_admission_that_changes_sandboxes_is_told_of_and_tried_again_rarely() -> None:
    async def main(loop: World) -> None:
        world = a_sealed_world(loop)
        inner = InProcessTransport(world.server, user_agent="controller")

        async def mutate(request: Request) -> Response | None:
            if request.method != "POST" or not request.path.endswith("/sandboxes"):
                return None
            body = msgspec.json.decode(request.body or b"{}")
            body["spec"]["podTemplate"]["spec"]["priorityClassName"] = "low"
            return await inner.request(replace(request, body=msgspec.json.encode(body)))

        world.faults.before = mutate
        async with running(world.app):
            start(world, 3)
            await world.run_for(300)
            assert 2 <= world.writes().count("create sandboxes 201") <= 6
            assert not await are_sealed(world) or not await members(world)
            (note,) = [line for line in told(world) if line.startswith("SandboxCreateFailed")]
            assert "its seal is broken" in note
            assert "admission" in note

    run_virtual(main)


def test_without_a_key_nothing_is_made_and_nothing_deleted() -> None:
    async def main(loop: World) -> None:
        world = a_sealed_world(loop)
        async with running(world.app):
            start(world, 3)
            await fills(world, 3)
        before = await members(world)
        await world.hand.delete(SECRET, SECRET_KEY)
        _, app = world.another("later", **SEALED_POOLS)
        async with running(app):
            await scale(world, 5)
            await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, before[0]))
            await world.run_for(60)
            assert await members(world) == before[1:]
            put_keys(world, FIRST)
            Ceiling(world, 5)
            await fills(world, 5, within_s=35)
            assert await are_sealed(world)

    run_virtual(main)
