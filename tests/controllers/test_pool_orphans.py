"""A pool takes in its own members that lost their owner, and nothing else; and labels its own."""

from __future__ import annotations

import pytest
from tests.controllers.app_world import (
    NAMESPACE,
    POOL,
    SANDBOX,
    AppWorld,
    always,
    no_fault,
    once,
    refusal,
    running,
    virtual,
)
from tests.controllers.pool_world import LOST, POOLS, Ceiling, fills, members, pool, scale, start

from warmclaim.api import names
from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import ANNOTATION_RESERVATION
from warmclaim.controllers.pool import MARKS_LOOK_S
from warmclaim.domain.eligibility import claim_owner
from warmclaim.domain.reservation import Reservation, parse_reservation
from warmclaim.seams import Request, Response
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_stray, a_template
from warmclaim.testing.json_values import Json

NO_PATCH = f'{SANDBOX} "w0" is forbidden: User "m" cannot patch {SANDBOX}'


def told(world: AppWorld) -> list[str]:
    found = world.server.cluster.store.scan("events.events.k8s.io")
    return [f"{commit.object['reason']}: {commit.object['note']}" for commit in found]


async def orphan(world: AppWorld, name: str) -> None:
    """Somebody removes its owner."""
    patch = {"metadata": {"ownerReferences": None}}
    await world.hand.merge_patch(SANDBOX, ObjectKey(NAMESPACE, name), patch)


def strays(world: AppWorld, *strays: Json, replicas: int = 1, ceiling: int | None = None) -> None:
    """A pool that comes to a world with these in it."""
    Ceiling(world, replicas if ceiling is None else ceiling)
    world.put(a_template(), *strays, a_pool(replicas=replicas))


class TestTakenIn:
    def test_a_member_that_lost_its_owner_is_a_member_again(self) -> None:
        async def scenario(world: AppWorld) -> None:
            start(world, 3)
            await fills(world, 3)
            before = await members(world)
            await orphan(world, before[1])
            await world.run_for(5)
            assert await members(world) == before
            assert world.writes().count("create sandboxes 201") == 3
            assert told(world) == []
            writes = len(world.writes())
            await world.run_for(250)
            assert len(world.writes()) == writes

        virtual(scenario, **POOLS)

    def test_it_costs_a_reservation_and_a_patch_and_then_looks_like_any_other(self) -> None:
        async def scenario(world: AppWorld) -> None:
            no_type = {"metadata": {"labels": {names.LABEL_LAUNCH_TYPE: None}}}
            strays(world, a_stray(merge=no_type))
            await fills(world, 1)
            await world.run_for(2)
            taken = await world.sandbox("pool-x7k2p")
            owner = taken.metadata.controller_owner()
            assert owner is not None
            assert (owner.kind, owner.uid, owner.block_owner_deletion) == (
                POOL.kind,
                "pool-uid",
                True,
            )
            assert taken.metadata.labels[names.LABEL_LAUNCH_TYPE] == names.WARM
            writes = [line for line in world.writes() if "status" not in line]
            assert writes == ["patch sandboxwarmpools 200", "patch sandboxes 200"]

        virtual(scenario, **POOLS)

    def test_a_claim_may_then_have_it(self) -> None:
        async def scenario(world: AppWorld) -> None:
            strays(world, a_stray())
            await fills(world, 1)
            world.put(a_claim("c"))
            assert (await world.served("c")).published == "pool-x7k2p"

        virtual(scenario, controllers=frozenset({"claim", "pool"}))

    def test_several_come_one_after_the_other_and_the_rest_is_made(self) -> None:
        async def scenario(world: AppWorld) -> None:
            found = [a_stray(f"pool-abcd{n}") for n in range(3)]
            strays(world, *found, replicas=5)
            await fills(world, 5)
            assert {stray["metadata"]["name"] for stray in found} <= set(await members(world))
            assert world.writes().count("create sandboxes 201") == 2

        virtual(scenario, **POOLS)


class TestLeftAlone:
    @pytest.mark.parametrize(
        ("stray", "why"),
        [
            (a_stray("forged-1"), "its name is none of this pool's"),
            (
                a_stray(merge={"metadata": {"labels": {names.LABEL_CLAIM_UID: "u"}}}),
                "a claim has had it",
            ),
            (
                a_stray(merge={"spec": {"service": True}}),
                "it was made from another blueprint",
            ),
        ],
    )
    def test_what_is_not_its_own_and_this_is_said_once(self, stray: Json, why: str) -> None:
        async def scenario(world: AppWorld) -> None:
            strays(world, stray)
            await fills(world, 1)
            name = stray["metadata"]["name"]
            for number in range(20):
                label = {"metadata": {"labels": {"seen": str(number)}}}
                await world.hand.merge_patch(SANDBOX, ObjectKey(NAMESPACE, name), label)
                await world.run_for(1)
            assert (await world.sandbox(name)).metadata.owner_references == ()
            (said,) = told(world)
            assert said.startswith(f'OrphanLeftAlone: Sandbox "{name}" has this pool\'s label')
            assert said.endswith(why)

        virtual(scenario, **POOLS)

    def test_one_more_than_the_pool_wants(self) -> None:
        async def scenario(world: AppWorld) -> None:
            start(world, 2)
            await fills(world, 2)
            world.put(a_stray())
            await world.run_for(10)
            assert len(await members(world)) == 2
            assert "pool-x7k2p" not in await members(world)
            assert len(told(world)) == 1
            await scale(world, 3)
            await world.run_for(5)
            assert "pool-x7k2p" in await members(world)

        virtual(scenario, **POOLS)

    def test_anything_while_there_is_no_template(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_stray(), a_pool(replicas=1))
            await world.run_for(10)
            assert await members(world) == []
            world.put(a_template())
            await fills(world, 1)
            assert await members(world) == ["pool-x7k2p"]

        virtual(scenario, **POOLS)

    def test_what_changed_since_it_was_looked_at(self) -> None:
        async def scenario(world: AppWorld) -> None:
            async def claimed(request: Request) -> None:
                if request.method == "PATCH" and request.path.endswith("/sandboxes/pool-x7k2p"):
                    world.put(a_sandbox("pool-x7k2p", claim="c"))

            world.faults.before = claimed
            strays(world, a_stray())
            await fills(world, 1)
            owner = claim_owner(await world.sandbox("pool-x7k2p"))
            assert owner is not None
            assert "pool-x7k2p" not in await members(world)

        virtual(scenario, **POOLS)

    @pytest.mark.parametrize("code", [403, 422])
    def test_what_the_server_refuses_to_hand_over(self, code: int) -> None:
        async def scenario(world: AppWorld) -> None:
            world.faults.before = always(refusal(code, "Denied"), "PATCH", "/sandboxes/")
            strays(world, a_stray())
            await fills(world, 1)
            await world.run_for(60)
            assert "pool-x7k2p" not in await members(world)
            assert sum(line.startswith("patch sandboxwarmpools ") for line in world.writes()) <= 2
            assert [line.rpartition(": ")[2] for line in told(world)] == [
                "the server refused the change"
            ]

        virtual(scenario, **POOLS)


class TestCeiling:
    """Never one too many, whoever else takes in or creates at the same time."""

    @pytest.mark.parametrize("where", ["before", "after"], ids=["not applied", "applied"])
    @pytest.mark.parametrize("words", [("PATCH", "/sandboxes/"), ("PATCH", "/sandboxwarmpools/")])
    def test_a_lost_answer(self, where: str, words: tuple[str, ...]) -> None:
        async def scenario(world: AppWorld) -> None:
            setattr(world.faults, where, once(LOST, *words))
            strays(world, a_stray(), replicas=2)
            await fills(world, 2)
            await world.run_for(10)
            assert len(await members(world)) == 2
            assert "pool-x7k2p" in await members(world)

        virtual(scenario, **POOLS)

    def test_what_another_leader_may_still_take_in_counts(self) -> None:
        async def scenario(world: AppWorld) -> None:
            """The template has changed since; whoever reserved it may not know."""
            stray = a_stray(merge={"spec": {"service": True}})
            world.put(a_template(), stray)
            version = (await world.sandbox("pool-x7k2p")).metadata.resource_version
            theirs = Reservation(0, 0, 1, takes_in=f"pool-x7k2p@{version}")
            annotations = {ANNOTATION_RESERVATION: theirs.encode()}
            Ceiling(world, 1)
            world.put(a_pool(replicas=1, merge={"metadata": {"annotations": annotations}}))
            await fills(world, 1)
            assert await members(world) == ["pool-x7k2p"]
            text = (await pool(world)).metadata.annotations[ANNOTATION_RESERVATION]
            assert parse_reservation(text) == Reservation(0, 0, 1, 1, theirs.takes_in)

        virtual(scenario, **POOLS)

    def test_once_it_has_changed_nobody_can_take_it_in_by_that_batch(self) -> None:
        async def scenario(world: AppWorld) -> None:
            theirs = Reservation(0, 0, 1, takes_in="pool-x7k2p@1")
            annotations = {ANNOTATION_RESERVATION: theirs.encode()}
            world.put(a_template(), a_stray(merge={"spec": {"service": True}}))
            Ceiling(world, 1)
            world.put(a_pool(replicas=1, merge={"metadata": {"annotations": annotations}}))
            await fills(world, 1)
            assert "pool-x7k2p" not in await members(world)

        virtual(scenario, **POOLS)

    def test_two_leaders(self) -> None:
        async def scenario(world: AppWorld) -> None:
            async with running(world.another("second", **POOLS)[1]):
                start(world, 6)
                await fills(world, 6)
                for _ in range(4):
                    for name in (await members(world))[::2]:
                        await orphan(world, name)
                    world.put(a_stray())
                    await world.hand.delete(
                        SANDBOX, ObjectKey(NAMESPACE, (await members(world))[0])
                    )
                    await world.run_for(7)
                    assert len(await members(world)) == 6

        virtual(scenario, **POOLS)

    @pytest.mark.parametrize("crash_at", range(1, 7))
    def test_a_crash_after_any_write(self, crash_at: int) -> None:
        async def scenario(world: AppWorld) -> None:
            strays(world, a_stray("pool-aaaaa"), a_stray("pool-bbbbb"), replicas=4)
            faults, app = world.another("first", **POOLS)
            left = [crash_at]

            async def crash(request: Request) -> Exception | None:
                left[0] -= request.method != "GET"
                return LOST if left[0] <= 0 else None

            faults.after = crash
            async with running(app):
                while left[0] > 0:
                    await world.run_for(0.01)
            async with running(world.another("second", **POOLS)[1]):
                await fills(world, 4)
                await world.run_for(5)
                assert {"pool-aaaaa", "pool-bbbbb"} < set(await members(world))

        virtual(scenario, controllers=frozenset({"claim"}))


class TestLaunchType:
    @pytest.mark.parametrize("value", [None, "cold", "other"])
    def test_a_member_that_does_not_say_how_it_was_launched(self, value: str | None) -> None:
        async def scenario(world: AppWorld) -> None:
            merge = {"metadata": {"labels": {names.LABEL_LAUNCH_TYPE: value}}}
            world.put(a_template(), a_sandbox("w0", merge=merge), a_sandbox("w1"))
            world.put(a_pool(replicas=2))
            await world.run_for(5)
            labels = (await world.sandbox("w0")).metadata.labels
            assert labels[names.LABEL_LAUNCH_TYPE] == names.WARM
            assert world.writes().count("patch sandboxes 200") == 1

        virtual(scenario, **POOLS)

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(refusal(403, "Forbidden"), id="denied"),
            pytest.param(refusal(403, "Forbidden", NO_PATCH), id="not permitted"),
            pytest.param(refusal(409, "Conflict"), id="conflict"),
            pytest.param(refusal(422, "Invalid"), id="invalid"),
        ],
    )
    def test_what_the_server_refuses_is_tried_again_after_a_minute(self, answer: Response) -> None:
        async def scenario(world: AppWorld) -> None:
            world.faults.before = always(answer, "PATCH", "/sandboxes/")
            merge = {"metadata": {"labels": {names.LABEL_LAUNCH_TYPE: None}}}
            bare = [a_sandbox(name, merge=merge) for name in ("w0", "w1")]
            world.put(a_template(), *bare, a_pool(replicas=2))
            for number in range(50):  # each of them wakes the pool
                note = {"metadata": {"annotations": {"n": str(number)}}}
                await world.hand.merge_patch(SANDBOX, ObjectKey(NAMESPACE, "w0"), note)
                await world.run_for(1)
            assert labelling(world) == 1
            status = (await pool(world)).status
            assert status is not None
            assert status.replicas == 2

            world.faults.before = no_fault
            await world.run_for(15)
            for name in ("w0", "w1"):
                labels = (await world.sandbox(name)).metadata.labels
                assert labels[names.LABEL_LAUNCH_TYPE] == names.WARM
            await world.run_for(3 * MARKS_LOOK_S)
            assert labelling(world) == 3

        virtual(scenario, **POOLS)


def labelling(world: AppWorld) -> int:
    """How many requests the manager made to label a sandbox."""
    asked = [r for r in world.faults.seen if r.method == "PATCH"]
    return sum("/sandboxes/" in request.path for request in asked)
