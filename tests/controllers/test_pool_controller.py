"""The pool controller: its size, never one more at any instant, through crashes and two leaders."""

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
    always,
    once,
    refusal,
    running,
    virtual,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import ANNOTATION_RESERVATION
from warmclaim.api.pool import Pool
from warmclaim.api.resources import TEMPLATE, Resource
from warmclaim.domain.eligibility import pool_owner
from warmclaim.domain.reservation import Reservation, member_name, parse_reservation
from warmclaim.errors import UnknownOutcomeError
from warmclaim.seams import Request
from warmclaim.settings import LeaseSettings
from warmclaim.testing.builders import (
    a_claim,
    a_condition,
    a_pool,
    a_sandbox,
    a_template,
    an_owner,
)
from warmclaim.testing.json_values import Json
from warmclaim.testing.store import Commit

POOLS: dict[str, Any] = {"controllers": frozenset({"pool"})}
LOST = UnknownOutcomeError("no answer")


class Ceiling:
    """Counts living members at every commit."""

    def __init__(self, world: AppWorld, ceiling: int) -> None:
        self.ceiling = ceiling
        self.live: dict[str, bool] = {}
        self.highest = 0
        world.server.cluster.store.observers.append(self)

    def __call__(self, commit: Commit) -> None:
        if commit.object.get("kind") != "Sandbox":
            return
        name = commit.object["metadata"]["name"]
        owners = commit.object["metadata"].get("ownerReferences", [])
        is_member = any(owner["kind"] == "SandboxWarmPool" for owner in owners)
        self.live[name] = is_member and commit.verb != "DELETED"
        self.highest = max(self.highest, sum(self.live.values()))
        assert self.highest <= self.ceiling


async def members(world: AppWorld) -> list[str]:
    return sorted(s.metadata.name for s in await world.sandboxes() if pool_owner(s))


async def pool(world: AppWorld) -> Pool:
    return await world.hand.get(POOL, ObjectKey(NAMESPACE, "pool"))


async def fills(world: AppWorld, count: int, *, within_s: float = 5.0) -> None:
    async def is_full() -> bool:
        return len(await members(world)) == count

    await world.until(is_full, within_s=within_s)


async def scale(world: AppWorld, replicas: int) -> None:
    await world.hand.merge_patch(
        POOL, ObjectKey(NAMESPACE, "pool"), {"spec": {"replicas": replicas}}
    )


def start(world: AppWorld, replicas: int) -> Ceiling:
    ceiling = Ceiling(world, replicas)
    world.put(a_template("python"), a_pool("pool", template="python", replicas=replicas))
    return ceiling


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


def test_a_refused_create_costs_one_request_at_a_time_and_is_retried() -> None:
    async def scenario(world: AppWorld) -> None:
        world.faults.before = always(
            refusal(403, "Forbidden", "exceeded quota"), "POST", "/sandboxes"
        )
        start(world, 50)
        await world.run_for(60)
        tries = [
            r for r in world.faults.seen if r.method == "POST" and r.path.endswith("/sandboxes")
        ]
        assert 3 <= len(tries) <= 25
        world.faults.before = once(LOST, "nothing")
        await fills(world, 50, within_s=40)

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


async def play_sandbox_controller(world: AppWorld) -> None:
    """New sandboxes become Ready a moment after they were created."""
    status = a_sandbox("any")["status"]
    while True:
        await world.run_for(0.05)
        for sandbox in await world.sandboxes():
            if sandbox.status is None:
                await world.hand.merge_patch(
                    SANDBOX, sandbox.metadata.key, {"status": status}, subresource="status"
                )


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


class TestUpdateStrategy:
    IMAGE = "registry.example/sandbox:2"

    async def _edit(self, world: AppWorld, **spec: Any) -> None:
        pod = {"spec": {"containers": [{"name": "sandbox", "image": self.IMAGE}]}}
        patch = {"spec": {"podTemplate": pod, **spec}}
        await world.hand.merge_patch(TEMPLATE, ObjectKey(NAMESPACE, "python"), patch)

    def _images(self, world: AppWorld) -> list[str]:
        found = world.server.cluster.store.scan(str(SANDBOX))
        specs = [commit.object["spec"]["podTemplate"]["spec"] for commit in found]
        return [spec["containers"][0]["image"] for spec in specs]

    def test_recreate_replaces_all_members_and_never_has_one_too_many(self) -> None:
        async def scenario(world: AppWorld) -> None:
            Ceiling(world, 3)
            recreate = {"spec": {"updateStrategy": {"type": "Recreate"}}}
            world.put(a_template(), a_pool(replicas=3, merge=recreate))
            await fills(world, 3)
            before = set(await members(world))
            await self._edit(world)
            await world.run_for(5)
            await fills(world, 3)
            assert self._images(world) == [self.IMAGE] * 3
            assert not before & set(await members(world))
            writes = len(world.writes())
            await world.run_for(250)
            assert len(world.writes()) == writes

        virtual(scenario, **POOLS)

    def test_recreate_spares_a_member_that_was_adopted_a_moment_ago(self) -> None:
        async def scenario(world: AppWorld) -> None:
            recreate = {"spec": {"updateStrategy": {"type": "Recreate"}}}
            world.put(a_template(), a_pool(replicas=1, merge=recreate), a_claim("c"))
            await fills(world, 1)
            (name,) = await members(world)
            key = ObjectKey(NAMESPACE, name)

            async def adopt(request: Request) -> None:
                if request.method == "DELETE":
                    owner = an_owner(CLAIM, "c")
                    patch = {"metadata": {"ownerReferences": [owner]}}
                    await world.hand.merge_patch(SANDBOX, key, patch)

            world.faults.before = adopt
            await self._edit(world)
            await world.run_for(5)
            assert await world.exists(SANDBOX, name)

        virtual(scenario, **POOLS)

    def test_recreate_leaves_members_alone_that_mean_the_same(self) -> None:
        async def scenario(world: AppWorld) -> None:
            recreate = {"spec": {"updateStrategy": {"type": "Recreate"}}}
            world.put(a_template(), a_pool(replicas=2, merge=recreate))
            await fills(world, 2)
            before = await members(world)
            metadata = {"spec": {"podTemplate": {"metadata": {"labels": {"x": "y"}}}}}
            await world.hand.merge_patch(TEMPLATE, ObjectKey(NAMESPACE, "python"), metadata)
            await world.run_for(60)
            assert await members(world) == before

        virtual(scenario, **POOLS)

    def test_on_replenish_only_new_members_are_of_the_new_blueprint(self) -> None:
        async def scenario(world: AppWorld) -> None:
            start(world, 2)
            await fills(world, 2)
            before = await members(world)
            await self._edit(world)
            await world.run_for(60)
            assert await members(world) == before
            await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, before[0]))
            await fills(world, 2)
            assert sorted(self._images(world)).count(self.IMAGE) == 1

        virtual(scenario, **POOLS)


class TestReadinessGrace:
    GRACE_S = 300.0

    def _stalls(self, world: AppWorld, name: str, **scheduled: str) -> Json:
        """A member that is not ready; with what its pod says of being scheduled."""
        conditions = [a_condition("Ready", "False")]
        if scheduled:
            conditions.append(a_condition("PodScheduled", "False", **scheduled))
        member = a_sandbox(name, pool="pool", ready=False)
        member["status"] = {"conditions": conditions}
        return member

    def _told(self, world: AppWorld) -> list[str]:
        found = world.server.cluster.store.scan("events.events.k8s.io")
        return [f"{commit.object['reason']}: {commit.object['note']}" for commit in found]

    def test_a_member_that_does_not_get_ready_in_time_is_replaced(self) -> None:
        async def scenario(world: AppWorld) -> None:
            Ceiling(world, 1)
            world.put(a_template(), a_pool(replicas=1), self._stalls(world, "slow"))
            await world.run_for(self.GRACE_S - 2)
            assert await members(world) == ["slow"]
            await world.run_for(5)
            assert "slow" not in await members(world)
            assert len(await members(world)) == 1

        virtual(scenario, **POOLS)

    def test_one_that_was_ready_in_between_gets_its_grace_anew(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template(), a_pool(replicas=1), self._stalls(world, "flaps"))
            await world.run_for(200)
            for status, minute in (("True", 3), ("False", 4)):
                since = f"2026-01-01T00:0{minute}:20Z"
                ready = {**a_condition("Ready", status), "lastTransitionTime": since}
                patch = {"status": {"conditions": [ready]}}
                key = ObjectKey(NAMESPACE, "flaps")
                await world.hand.merge_patch(SANDBOX, key, patch, subresource="status")
            await world.run_for(self.GRACE_S - 5)
            assert await members(world) == ["flaps"]
            await world.run_for(10)
            assert "flaps" not in await members(world)

        virtual(scenario, **POOLS)

    def test_what_no_node_can_take_is_held_and_said_once(self) -> None:
        async def scenario(world: AppWorld) -> None:
            held = self._stalls(world, "held", reason="Unschedulable")
            world.put(a_template(), a_pool(replicas=1), held)
            await world.run_for(self.GRACE_S + 600)
            assert await members(world) == ["held"]
            (said,) = self._told(world)
            assert said == (
                "WarmPoolNotProgressing: 1/1 sandboxes are unschedulable past the 5m0s readiness "
                "grace period; holding them instead of replacing (replacements would be equally "
                "unschedulable)"
            )
            patch = {"status": {"conditions": [a_condition("Ready", "True")]}}
            key = ObjectKey(NAMESPACE, "held")
            await world.hand.merge_patch(SANDBOX, key, patch, subresource="status")
            await world.run_for(61)
            assert self._told(world)[1:] == ["WarmPoolProgressing: Warm pool is progressing again"]

        virtual(scenario, **POOLS)

    def test_a_step_of_the_wall_clock_replaces_nobody(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template(), a_pool(replicas=1), self._stalls(world, "slow"))
            await world.run_for(10)
            world.clock.wall_offset_s += 86_400
            await world.run_for(100)
            assert await members(world) == ["slow"]

        virtual(scenario, **POOLS)
