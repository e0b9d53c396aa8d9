"""A pool never has one member too many, through crashes, lost answers and two leaders."""

from __future__ import annotations

import asyncio

import pytest
from tests.controllers.app_world import (
    NAMESPACE,
    POOL,
    SANDBOX,
    AppWorld,
    always,
    once,
    refusal,
    running,
    virtual,
)
from tests.controllers.pool_world import (
    LOST,
    POOLS,
    Ceiling,
    fills,
    members,
    pool,
    start,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import ANNOTATION_RESERVATION
from warmclaim.domain.reservation import Reservation, member_name, parse_reservation
from warmclaim.seams import Request
from warmclaim.testing.builders import (
    a_pool,
    a_sandbox,
    a_template,
)


def reads_of_the_pool(world: AppWorld) -> list[int]:
    """Where among the manager's requests it reads the pool."""
    seen = enumerate(world.faults.seen)
    return [n for n, r in seen if r.method == "GET" and r.path.endswith("/pool")]


def test_members_carry_names_made_from_reserved_ordinals() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 3)
        await fills(world, 3)
        now = await pool(world)
        reservation = parse_reservation(now.metadata.annotations.get(ANNOTATION_RESERVATION))
        assert reservation is not None
        names = {member_name("pool", now.metadata.uid, n) for n in reservation.ordinals}
        assert set(await members(world)) == names

    virtual(scenario, **POOLS)


def test_a_batch_of_another_leader_is_taken_over_before_anything_is_made_of_it() -> None:
    async def scenario(world: AppWorld) -> None:
        theirs = {ANNOTATION_RESERVATION: Reservation(0, 2, 2, turn=6).encode()}
        taken = a_pool("pool", replicas=2, merge={"metadata": {"annotations": theirs}})
        world.put(a_template("python"), taken)
        await fills(world, 2)
        writes = [line for line in world.writes() if "status" not in line]
        assert writes[0].startswith("patch sandboxwarmpools ")
        assert writes[1:] == ["create sandboxes 201"] * 2
        text = (await pool(world)).metadata.annotations.get(ANNOTATION_RESERVATION)
        assert parse_reservation(text) == Reservation(0, 2, 2, turn=7)

    virtual(scenario, **POOLS)


def test_a_batch_left_unfinished_is_asked_about_before_it_goes_on() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 2)
        world.faults.before = always(refusal(500, "InternalError"), "POST", "/sandboxes")
        await world.run_for(1.5)
        assert "POST" in [request.method for request in world.faults.seen]
        assert not reads_of_the_pool(world)  # it was just reserved
        await world.run_for(30)
        world.faults.seen.clear()
        world.faults.before = once(LOST, "nothing")
        await fills(world, 2, within_s=30)
        read, *_ = reads_of_the_pool(world)
        assert read < [request.method for request in world.faults.seen].index("POST")

    virtual(scenario, **POOLS)


def test_a_pool_that_grows_at_once_is_not_asked_about() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 20)
        await fills(world, 20)
        await world.run_for(5)
        assert world.reads() == 0

    virtual(scenario, **POOLS)


@pytest.mark.parametrize("where", ["before", "after"], ids=["not applied", "applied"])
@pytest.mark.parametrize("words", [("POST", "/sandboxes"), ("PATCH", "/sandboxwarmpools/pool")])
def test_a2_a8_a_lost_answer_neither_loses_nor_doubles_a_member(
    where: str, words: tuple[str, ...]
) -> None:
    async def scenario(world: AppWorld) -> None:
        setattr(world.faults, where, once(LOST, *words))
        start(world, 10)
        await fills(world, 10, within_s=10)
        await world.run_for(10)
        assert len(await members(world)) == 10

    virtual(scenario, **POOLS)


def test_a2_a_name_that_somebody_else_has_is_skipped() -> None:
    async def scenario(world: AppWorld) -> None:
        squatted = member_name("pool", "pool-uid", 1)
        world.put(a_sandbox(squatted, pool=None))
        start(world, 3)
        await fills(world, 3)
        assert squatted not in await members(world)
        assert (await world.sandbox(squatted)).metadata.owner_references == ()

    virtual(scenario, **POOLS)


@pytest.mark.parametrize("crash_at", range(1, 11))
def test_a_crash_after_any_write_never_overfills_the_pool(crash_at: int) -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 8)
        faults, app = world.another("first", **POOLS)
        writes = 0
        crashed = asyncio.Event()

        async def crash(request: Request) -> Exception | None:
            nonlocal writes
            writes += request.method != "GET"
            if writes < crash_at:
                return None
            crashed.set()
            return LOST  # applied, and nobody lives to hear it

        faults.after = crash
        task = asyncio.create_task(app.run(asyncio.Event()))
        async with asyncio.timeout(20):
            await crashed.wait()
        faults.before = always(LOST, "/")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with running(world.another("second", **POOLS)[1]):
            await fills(world, 8)
            await world.run_for(10)
            assert len(await members(world)) == 8

    virtual(scenario, controllers=frozenset({"claim"}))


def test_two_leaders_at_once_never_overfill_the_pool() -> None:
    async def scenario(world: AppWorld) -> None:
        async with running(world.another("second", **POOLS)[1]):
            start(world, 20)
            await fills(world, 20)
            for number, name in enumerate((await members(world))[:5]):
                world.put(a_sandbox(name, claim=f"c{number}"))
            await world.run_for(10)
            assert len(await members(world)) == 20

    virtual(scenario, **POOLS)


def test_a_reservation_annotation_that_somebody_removed_is_kept_in_mind() -> None:
    async def scenario(world: AppWorld) -> None:
        start(world, 3)
        await fills(world, 3)
        gone = {"metadata": {"annotations": {ANNOTATION_RESERVATION: None}}}
        await world.hand.merge_patch(POOL, ObjectKey(NAMESPACE, "pool"), gone)
        await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, (await members(world))[0]))
        await world.run_for(5)
        assert len(await members(world)) == 3
        now = await pool(world)
        reservation = parse_reservation(now.metadata.annotations.get(ANNOTATION_RESERVATION))
        assert reservation == Reservation(0, 3, 3, turn=1)

    virtual(scenario, **POOLS)


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '{"first":5,"end":1,"replicas":0}'])
def test_an_odd_reservation_is_rebuilt_from_the_members(text: str) -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template("python"))
        annotations = {"metadata": {"annotations": {ANNOTATION_RESERVATION: text}}}
        names = [member_name("pool", "pool-uid", n) for n in (0, 4)]
        world.put(*(a_sandbox(name, pool="pool") for name in names))
        Ceiling(world, 5)
        world.put(a_pool("pool", template="python", replicas=5, merge=annotations))
        await fills(world, 5)

    virtual(scenario, **POOLS)
