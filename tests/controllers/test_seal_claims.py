"""With the seal on, a claim gets what its pool made, as it was made, or a sandbox of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.controllers.app_world import NAMESPACE, SANDBOX, AppWorld, running, virtual
from tests.controllers.pool_world import fills, members, play_sandbox_controller, start
from tests.controllers.seal_world import (
    EVIL,
    FIRST,
    SEALED,
    SECOND,
    edit,
    forge,
    forge_twin,
    owners_of,
    put_keys,
    refused,
    seal,
    secret_reads,
    stored,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import ANNOTATION_SEAL
from warmclaim.app import App
from warmclaim.seams import Request
from warmclaim.testing.builders import a_claim, a_sandbox
from warmclaim.testing.virtual_loop import World, run_virtual

Scenario = Callable[[AppWorld], Awaitable[None]]


def sealed(scenario: Scenario, *, replicas: int = 3) -> None:
    """With a pool that is filled with sealed members, Ready before the scenario begins."""

    async def main(loop: World) -> None:
        world = AppWorld(loop, **SEALED)
        put_keys(world, FIRST)
        async with running(world.app):
            start(world, replicas).ceiling = replicas + 5  # what is forged counts, too
            playing = asyncio.create_task(play_sandbox_controller(world), name="sandboxes")
            await fills(world, replicas)
            await world.run_for(2)
            await scenario(world)
            playing.cancel()

    run_virtual(main)


def test_a_warm_claim_still_costs_two_writes_and_no_read() -> None:
    async def scenario(world: AppWorld) -> None:
        writes, reads = len(world.writes()), world.reads() - len(secret_reads(world))
        ready = set(await members(world))
        world.put(a_claim("c"))
        claim = await world.served("c")
        assert claim.published in ready
        assert world.writes()[writes : writes + 2] == [
            "patch sandboxes 200",
            "patch sandboxclaims/status 200",
        ]
        assert world.reads() - len(secret_reads(world)) == reads

    sealed(scenario)


async def _forged(world: AppWorld) -> str:
    await forge(world, "forged")
    return "forged"


async def _forged_with_a_seal(world: AppWorld) -> str:
    await forge(world, "forged", **{ANNOTATION_SEAL: "0" * 64})
    return "forged"


async def _copied(world: AppWorld) -> str:
    await forge_twin(world, "forged", of=(await members(world))[0])
    return "forged"


async def _edited(world: AppWorld) -> str:
    name = (await members(world))[0]
    await edit(world, name, EVIL)
    return name


async def _edited_and_put_back(world: AppWorld) -> str:
    name = (await members(world))[0]
    before = {"spec": {"podTemplate": {"spec": stored(world, name)["spec"]["podTemplate"]["spec"]}}}
    await edit(world, name, EVIL)
    await edit(world, name, before)
    assert seal(world, name)
    return name


async def _given_and_taken_back(world: AppWorld) -> str:
    """A claim's owner has it, then makes it look as the pool had made it."""
    before = {name: stored(world, name) for name in await members(world)}
    world.put(a_claim("first"))
    name = (await world.served("first")).published
    made = before[name]
    values = {
        "/metadata/ownerReferences": owners_of(world),
        "/metadata/labels": made["metadata"]["labels"],
        "/spec": made["spec"],
    }
    put_back = [{"op": "replace", "path": path, "value": value} for path, value in values.items()]
    await world.hand.json_patch(SANDBOX, ObjectKey(NAMESPACE, name), put_back)
    assert stored(world, name)["spec"] == before[name]["spec"]
    return name


ATTACKS = [
    _forged,
    _forged_with_a_seal,
    _copied,
    _edited,
    _edited_and_put_back,
    _given_and_taken_back,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__.strip("_"))
def test_what_was_not_made_as_it_stands_is_never_given(
    attack: Callable[[AppWorld], Awaitable[str]],
) -> None:
    async def scenario(world: AppWorld) -> None:
        name = await attack(world)
        for number in range(4):
            world.put(a_claim(f"c{number}"))
        got = {(await world.served(f"c{number}")).published for number in range(4)}
        assert name not in got
        assert refused(world) >= 1
        await world.run_for(10)
        assert not await world.exists(SANDBOX, name), "it was the pool's to replace"

    sealed(scenario)


def test_an_edit_between_the_look_and_the_write_is_a_conflict() -> None:
    async def scenario(world: AppWorld) -> None:
        edited: list[str] = []

        async def edit_first(request: Request) -> None:
            if request.method == "PATCH" and "/sandboxes/" in request.path and not edited:
                edited.append(request.path.rpartition("/")[2])
                await edit(world, edited[0], EVIL)

        world.faults.before = edit_first
        world.put(a_claim("c"))
        claim = await world.served("c")
        assert len(edited) == 1
        assert claim.published != edited[0]
        assert "patch sandboxes 422" in world.writes()

    sealed(scenario)


def test_without_the_seal_all_of_them_are_given() -> None:
    """What the attacks above are stopped by."""

    async def scenario(world: AppWorld) -> None:
        start(world, 0).ceiling = 5
        await world.run_for(1)
        await forge(world, "forged")
        world.put(a_claim("c"))
        assert (await world.served("c")).published == "forged"

    virtual(scenario)


async def made_by_a_pool(world: AppWorld, count: int) -> list[str]:
    """Sealed members, made by a manager of pools that runs no longer."""
    _, pools = world.another("pools", **{**SEALED, "controllers": frozenset({"pool"})})
    async with running(pools):
        start(world, count).ceiling = count + 5
        await fills(world, count)
    status = a_sandbox("any")["status"]
    for name in await members(world):
        key = ObjectKey(NAMESPACE, name)
        await world.hand.merge_patch(SANDBOX, key, {"status": status}, subresource="status")
    return await members(world)


CLAIMS: dict[str, Any] = {**SEALED, "controllers": frozenset({"claim"})}


def test_what_a_dropped_key_sealed_is_passed_over_at_the_reservation() -> None:
    async def main(loop: World) -> None:
        world = AppWorld(loop, **CLAIMS)
        put_keys(world, FIRST)
        names = await made_by_a_pool(world, 2)
        async with running(world.app):
            put_keys(world, SECOND)
            await world.run_for(35)
            assert refused(world) == 0, "nobody looked at them since"
            world.put(a_claim("c"))
            assert (await world.served("c")).published == "c"
            assert refused(world) == len(names)
            steps = json.loads(world.app.diagnose("/debug/claims/default/c") or b"{}")["steps"]
            whys = [step["facts"]["why"] for step in steps if step["step"] == "passed_over"]
            assert set(whys) == {"unsealed"}

    run_virtual(main)


def test_without_a_key_claims_start_cold_at_once() -> None:
    async def main(loop: World) -> None:
        world = AppWorld(loop, **CLAIMS)
        put_keys(world, FIRST)
        await made_by_a_pool(world, 2)
        put_keys(world, b"short")
        async with running(world.app):
            world.put(a_claim("c"))
            assert (await world.served("c", within_s=1.0)).published == "c"

    run_virtual(main)


def test_a_key_that_comes_later_makes_its_members_fit() -> None:
    async def main(loop: World) -> None:
        world = AppWorld(loop, **CLAIMS)
        put_keys(world, SECOND)
        names = await made_by_a_pool(world, 2)
        put_keys(world, FIRST)
        async with running(world.app):
            await world.run_for(2)
            assert unsealed(world.app) == len(names)
            put_keys(world, SECOND, previous=FIRST)
            await world.run_for(35)
            assert unsealed(world.app) == 0
            world.put(a_claim("c"))
            assert (await world.served("c")).published in names

    run_virtual(main)


def unsealed(app: App) -> int:
    return app.remembered()["unsealed members"]


def test_what_is_refused_is_told_of_and_forgotten_when_it_goes() -> None:
    async def main(loop: World) -> None:
        world = AppWorld(loop, **CLAIMS)
        put_keys(world, FIRST)
        await made_by_a_pool(world, 1)
        async with running(world.app):
            await forge(world, "forged")
            world.put(a_claim("c"))
            await world.served("c")
            told = json.loads(world.app.diagnose("/debug/claims/default/c") or b"{}")
            assert told["unsealed"] == ["forged"]
            assert unsealed(world.app) == 1
            await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, "forged"))
            await world.run_for(1)
            assert unsealed(world.app) == 0

    run_virtual(main)
