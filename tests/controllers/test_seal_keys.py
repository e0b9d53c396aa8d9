"""The seal's keys: read by name, changed without a restart, and kept where they cannot be read."""

from __future__ import annotations

import logging

import pytest
from tests.controllers.app_world import (
    NAMESPACE,
    SANDBOX,
    AppWorld,
    always,
    no_fault,
    refusal,
    running,
)
from tests.controllers.pool_world import fills, members, start
from tests.controllers.seal_world import (
    EVIL,
    FIRST,
    SEALED_POOLS,
    SECOND,
    SECRET_KEY,
    THIRD,
    a_sealed_world,
    edit,
    forge,
    put_keys,
    seal,
    sealed_pool,
    secret_reads,
    told,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import SECRET
from warmclaim.app.seal_keeper import ASKED_S_MIN, CHECK_S, SealKeeper
from warmclaim.domain.seal import SealKeys, is_sealed
from warmclaim.errors import UnknownOutcomeError
from warmclaim.testing.virtual_loop import World, run_virtual

WHERE = f"Secret {SECRET_KEY}"
CLOSED = "no claim gets a warm sandbox, no pool grows"


def keeper(world: AppWorld) -> SealKeeper:
    found = world.app.seal_keeper
    assert found is not None
    return found


async def fit(world: AppWorld, key: bytes) -> int:
    """How many members that key has sealed."""
    found = await world.sandboxes()
    return sum(is_sealed(SealKeys(key), one, "pool-uid") for one in found)


def test_it_is_read_by_name_a_few_times_a_minute_and_by_nothing_else() -> None:
    async def scenario(world: AppWorld) -> None:
        await world.run_for(300)
        reads = secret_reads(world)
        assert set(reads) == {f"get {SECRET_KEY.name}"}
        assert len(reads) <= 2 + 300 / CHECK_S
        assert not any("secrets" in request.path for request in world.faults.watched)

    sealed_pool(scenario, 5)


def test_a_rotation_needs_no_restart_and_replaces_nothing() -> None:
    async def scenario(world: AppWorld) -> None:
        before = await members(world)
        put_keys(world, SECOND, previous=FIRST)
        await world.run_for(CHECK_S + 5)
        assert await members(world) == before
        await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, before[0]))
        await fills(world, 2)
        await fills(world, 3)
        assert await fit(world, FIRST) == 2
        assert await fit(world, SECOND) == 1

    sealed_pool(scenario, 3)


def test_a_key_that_is_dropped_takes_its_members_along() -> None:
    async def scenario(world: AppWorld) -> None:
        put_keys(world, SECOND)
        await world.run_for(CHECK_S + 10)
        assert len(await members(world)) == 3
        assert await fit(world, SECOND) == 3

    sealed_pool(scenario, 3)


def test_what_another_leader_sealed_with_a_newer_key_is_not_replaced() -> None:
    """This one has not read the newer key yet when it sees them."""

    async def scenario(world: AppWorld) -> None:
        put_keys(world, SECOND, previous=FIRST)
        _, other = world.another("other", **SEALED_POOLS)
        async with running(other):
            await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, (await members(world))[0]))
            await world.run_for(ASKED_S_MIN / 2)
            await fills(world, 2)
            now = await members(world)
            await world.run_for(60)
            assert await members(world) == now

    sealed_pool(scenario, 2)


def test_edits_have_it_read_once_a_second_at_most() -> None:
    async def scenario(world: AppWorld) -> None:
        began = len(secret_reads(world))
        for number in range(40):
            for name in (await members(world))[number % 3 : number % 3 + 1]:
                await edit(world, name, EVIL)
            await world.run_for(0.25)
        assert 2 <= len(secret_reads(world)) - began <= 10 / ASKED_S_MIN + 1

    sealed_pool(scenario, 3)


def test_a_member_that_is_touched_all_the_time_is_replaced_all_the_same() -> None:
    async def scenario(world: AppWorld) -> None:
        name = (await members(world))[0]
        uid = (await world.sandbox(name)).metadata.uid
        await edit(world, name, EVIL)
        for number in range(40):
            if await world.exists(SANDBOX, name):
                await edit(world, name, {"metadata": {"labels": {"n": str(number)}}})
            await world.run_for(0.13)
        assert uid not in {one.metadata.uid for one in await world.sandboxes()}

    sealed_pool(scenario, 2)


@pytest.mark.parametrize(
    ("is_there", "current", "said"),
    [
        (False, b"", f"{WHERE} is not there: create it"),
        (True, b"", f"{WHERE} has no key 'current'"),
        (True, b"short", f"{WHERE} has 5 bytes under 'current'"),
    ],
    ids=["no secret", "no key", "too short"],
)
def test_without_a_key_it_is_not_ready_and_says_which_secret(
    is_there: bool, current: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(loop: World) -> None:
        world = AppWorld(loop, **SEALED_POOLS)
        if is_there:
            put_keys(world, current)
        async with running(world.app):
            start(world, 2)
            await world.run_for(20)
            problem = keeper(world).problem() or ""
            assert problem.startswith(said)
            assert problem.endswith(CLOSED)
            assert keeper(world).notes() == []
            assert told(world) == [f"SealKeyUnusable: {problem}"]
            assert await members(world) == []
            put_keys(world, FIRST)
            await fills(world, 2, within_s=40)
            assert keeper(world).problem() is None
            assert await fit(world, FIRST) == 2

    with caplog.at_level(logging.INFO, "warmclaim"):
        run_virtual(main)
    assert sum(said in message for message in caplog.messages) == 1
    assert "short" not in caplog.text


def test_a_permission_that_is_missing_is_told_as_any_other() -> None:
    async def main(loop: World) -> None:
        world = a_sealed_world(loop)
        no = refusal(403, "Forbidden", f'secrets "seal" is forbidden: User "m" cannot get {SECRET}')
        world.faults.before = always(no, "GET", "/secrets/")
        async with running(world.app):
            start(world, 1)
            await world.run_for(20)
            problem = keeper(world).problem() or ""
            assert problem.startswith(f"{WHERE} cannot be read: 403 Forbidden")
            assert await members(world) == []

    run_virtual(main)


def test_keys_that_were_read_stay_in_use_while_the_secret_is_spoilt() -> None:
    async def scenario(world: AppWorld) -> None:
        before = await members(world)
        await world.hand.delete(SECRET, SECRET_KEY)
        await world.run_for(CHECK_S + 5)
        assert keeper(world).problem() is None
        (note,) = keeper(world).notes()
        assert note.startswith(f"{WHERE} is not there")
        assert note.endswith("the keys read before stay in use")
        assert await members(world) == before
        await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, before[0]))
        await world.run_for(5)
        assert await fit(world, FIRST) == 3
        put_keys(world, FIRST)
        await world.run_for(CHECK_S + 5)
        assert keeper(world).notes() == []

    sealed_pool(scenario, 3)


def test_what_was_edited_is_replaced_only_after_a_read_that_succeeded() -> None:
    async def scenario(world: AppWorld) -> None:
        (name,) = await members(world)
        world.faults.before = always(UnknownOutcomeError("lost"), "GET", "/secrets/")
        await edit(world, name, EVIL)
        await world.run_for(20)
        assert await world.exists(SANDBOX, name), "a newer key may have sealed it"
        world.faults.before = no_fault
        await world.run_for(CHECK_S + 5)
        assert not await world.exists(SANDBOX, name)
        assert await fit(world, FIRST) == 1

    sealed_pool(scenario, 1)


def test_a_key_is_told_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: AppWorld) -> None:
        await forge(world, "forged")
        await world.run_for(5)
        put_keys(world, THIRD[:5])
        await world.run_for(CHECK_S + 5)
        sent = [request.body or b"" for request in world.faults.seen]
        assert not any(THIRD[:5] in body for body in sent)
        assert all(len(seal(world, name)) == 64 for name in await members(world))

    with caplog.at_level(logging.DEBUG):
        sealed_pool(scenario, 2, forged=1, current=THIRD)
    assert THIRD[:5].decode() not in caplog.text
