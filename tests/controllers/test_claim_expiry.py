"""A claim's lifetime: when it ends, in which order, and what is left."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controllers.app_world import (
    CLAIM,
    NAMESPACE,
    SANDBOX,
    AppWorld,
    once,
    refusal,
    running,
    virtual,
)

from warmclaim.api.claim import Claim
from warmclaim.api.conditions import FINISHED, READY, Condition, find
from warmclaim.api.meta import ObjectKey
from warmclaim.api.timestamps import rfc3339
from warmclaim.errors import UnknownOutcomeError
from warmclaim.testing.builders import a_claim, a_condition, a_pool, a_sandbox, a_template
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.json_values import Json
from warmclaim.testing.store import Commit
from warmclaim.testing.virtual_loop import START_WALL_S, World, run_virtual

EXPIRED = "Claim expired. Sandbox cleanup initiated."
POLICIES = ("Delete", "DeleteForeground", "Retain")


def lives(seconds: float | None = None, policy: str | None = None, ttl: int | None = None) -> Json:
    """A claim's lifecycle, from the moment at which the world begins."""
    time = rfc3339(START_WALL_S + seconds) if seconds is not None else None
    parts = {"shutdownTime": time, "shutdownPolicy": policy, "ttlSecondsAfterFinished": ttl}
    return {"lifecycle": {name: value for name, value in parts.items() if value is not None}}


def stock(world: AppWorld, *, claim: Json | None = None) -> None:
    world.put(a_template(), a_pool(), a_sandbox("w1", pool="pool", node="n1"))
    if claim is not None:
        world.put(a_claim("c", merge={"spec": claim}))


def ready_of(claim: Claim) -> Condition:
    found = find(claim.conditions, READY)
    assert found is not None
    return found


def events(world: AppWorld) -> list[tuple[str, str, str]]:
    found = (commit.object for commit in world.server.cluster.store.scan("events.events.k8s.io"))
    return [(event["reason"], event["action"], event["note"]) for event in found]


async def expired(world: AppWorld) -> bool:
    found = find((await world.claim("c")).conditions, READY)
    return found is not None and found.reason == "ClaimExpired"


class TestShutdownTime:
    def test_before_it_nothing_happens(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, claim=lives(100, "Delete"))
            await world.served("c")
            await world.run_for(10)  # what is noted about it comes later
            before = world.writes()
            await world.run_for(85)
            assert ready_of(await world.claim("c")).is_true
            assert world.writes() == before

        virtual(scenario)

    def test_retain_marks_then_deletes_the_sandbox_and_keeps_the_claim(self) -> None:
        async def scenario(world: AppWorld) -> None:
            order: list[str] = []
            world.server.cluster.store.observers.append(lambda commit: order.append(_told(commit)))
            stock(world, claim=lives(60, "Retain"))
            await world.served("c")
            await world.run_for(61)
            claim = await world.claim("c")
            ready = ready_of(claim)
            assert (ready.status, ready.reason, ready.message) == ("False", "ClaimExpired", EXPIRED)
            assert claim.published == ""
            assert await world.sandboxes() == []
            assert order.index("expired") < order.index("DELETED w1")
            writes = len(world.writes())
            await world.run_for(600)
            assert len(world.writes()) == writes

        virtual(scenario)

    @pytest.mark.parametrize("policy", ["Delete", "DeleteForeground"])
    def test_delete_marks_then_deletes_the_claim_and_the_sandbox_goes_with_it(
        self, policy: str
    ) -> None:
        async def main(world: World) -> None:
            app_world = AppWorld(world)
            order: list[str] = []
            app_world.server.cluster.store.observers.append(lambda c: order.append(_told(c)))
            collector = GarbageCollector(app_world.server.cluster, delay_s=(0.1, 0.1))
            async with running(app_world.app), collector:
                stock(app_world, claim=lives(60, policy))
                await app_world.served("c")
                await app_world.run_for(65)
                assert not await app_world.exists(CLAIM, "c")
                assert await app_world.sandboxes() == []
                deletions = [text for text in order if text.startswith("DELETED")]
                first, last = ("c", "w1") if policy == "Delete" else ("w1", "c")
                assert deletions == [f"DELETED {first}", f"DELETED {last}"]
                assert "expired" in order
                told = [event for event in events(app_world) if event[0] == "ClaimExpired"]
                assert told == [
                    ("ClaimExpired", "Claim Expired", "Claim expired"),
                    ("ClaimExpired", "Deleting", f"Deleting Claim (ShutdownPolicy={policy})"),
                ]

        run_virtual(main)

    @pytest.mark.parametrize(("policy", "what"), [("Delete", "claims"), ("Retain", "es")])
    def test_a_deletion_that_met_a_conflict_is_tried_again(self, policy: str, what: str) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, claim=lives(60, policy))
            await world.served("c")
            world.faults.before = once(refusal(409, "Conflict"), "DELETE", f"/sandbox{what}/")
            await world.run_for(70)
            assert await world.exists(CLAIM, "c") == (policy == "Retain")
            # Nobody collects garbage here: what went, the controller has deleted.
            assert await world.exists(SANDBOX, "w1") == (policy == "Delete")

        virtual(scenario)

    def test_a_claim_that_is_over_when_it_comes_gets_no_sandbox(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, claim=lives(-5))
            await world.until(lambda: expired(world), within_s=1)
            await world.run_for(60)
            assert await world.owned("c") == []
            assert (await world.claim("c")).published == ""
            assert await world.exists(SANDBOX, "w1")

        virtual(scenario)

    def test_a_longer_life_given_in_time_is_lived(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, claim=lives(60, "Delete"))
            await world.served("c")
            await world.run_for(50)
            key = ObjectKey(NAMESPACE, "c")
            await world.hand.merge_patch(CLAIM, key, {"spec": lives(1000)})
            await world.run_for(100)
            assert ready_of(await world.claim("c")).is_true

        virtual(scenario)

    def test_a_longer_life_that_a_stale_cache_missed_is_lived_all_the_same(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, claim=lives(60, "Delete"))
            await world.served("c")
            await world.run_for(50)
            key = ObjectKey(NAMESPACE, "c")
            world.server.end_watches()
            world.faults.refused_streams = "sandboxclaims"
            world.faults.before = _unlistable
            await world.hand.merge_patch(CLAIM, key, {"spec": lives(1000)})
            await world.run_for(20)
            assert await world.exists(CLAIM, "c")
            assert await world.owned("c") == ["w1"]

        virtual(scenario)

    def test_an_expired_claim_that_is_given_more_time_is_served_again(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, claim=lives(60, "Retain"))
            await world.served("c")
            await world.run_for(70)
            assert await world.sandboxes() == []
            world.put(a_sandbox("w2", pool="pool"))
            key = ObjectKey(NAMESPACE, "c")
            await world.hand.merge_patch(CLAIM, key, {"spec": lives(1000)})
            assert (await world.served("c")).published == "w2"
            assert ready_of(await world.claim("c")).is_true

        virtual(scenario)

    def test_somebody_elses_sandbox_is_not_deleted(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template(), a_pool(), a_sandbox("theirs", pool=None))
            status = {"sandbox": {"name": "theirs"}}
            world.put(a_claim("c", merge={"spec": lives(-5), "status": status}))
            await world.until(lambda: expired(world), within_s=1)
            await world.run_for(5)
            assert await world.exists(SANDBOX, "theirs")
            claim = await world.claim("c")
            assert claim.published == ""
            assert "is not owned by claim" in ready_of(claim).message
            assert "deletion skipped" in ready_of(claim).message

        virtual(scenario)

    @pytest.mark.parametrize("text", ["", "soon", "2026-01-01", "9999-12-31T23:59:59Z"])
    def test_a_time_that_is_none_or_far_never_comes(self, text: str) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, claim={"lifecycle": {"shutdownTime": text, "shutdownPolicy": "Delete"}})
            await world.served("c")
            await world.run_for(90_000)
            assert ready_of(await world.claim("c")).is_true

        virtual(scenario)


class TestTimeToLive:
    @pytest.mark.parametrize("ttl", [0, 30])
    def test_it_counts_from_the_end_of_the_pod(self, ttl: int) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, claim=lives(ttl=ttl))
            await world.served("c")
            await world.run_for(100)
            await self._finish(world)
            claim = await world.claim("c")
            if ttl:
                assert find(claim.conditions, FINISHED) is not None
                await world.run_for(ttl)
            await world.until(lambda: expired(world), within_s=3)
            await world.run_for(5)
            finished = find((await world.claim("c")).conditions, FINISHED)
            assert finished is not None  # what the time was counted from survives the sandbox
            assert await world.sandboxes() == []

        virtual(scenario)

    def test_the_earlier_of_the_two_counts(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, claim=lives(120, ttl=1000))
            await world.served("c")
            await self._finish(world)
            await world.run_for(121)
            assert await expired(world)

        virtual(scenario)

    def test_a_clock_that_was_behind_and_is_set_right_ends_it_within_a_minute(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.clock.wall_offset_s -= 1000
            stock(world, claim=lives(20, "Retain"))
            await world.served("c")
            await world.run_for(30)
            assert not await expired(world)
            world.clock.wall_offset_s += 1000
            await world.until(lambda: expired(world), within_s=60)

        virtual(scenario)

    def test_a_pod_that_runs_never_ends_it(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, claim=lives(ttl=1))
            await world.served("c")
            await world.run_for(10_000)
            assert not await expired(world)

        virtual(scenario)

    async def _finish(self, world: AppWorld) -> None:
        now = rfc3339(world.clock.wall())
        conditions = [
            {**a_condition(name, status, reason="PodSucceeded"), "lastTransitionTime": now}
            for name, status in (("Ready", "False"), ("Finished", "True"))
        ]
        key = ObjectKey(NAMESPACE, "w1")
        patch = {"status": {"conditions": conditions}}
        await world.hand.merge_patch(SANDBOX, key, patch, subresource="status")
        await world.run_for(1)


class TestFaults:
    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize("fault", [refusal(500, "InternalError"), UnknownOutcomeError("lost")])
    @pytest.mark.parametrize("verb", ["PATCH", "DELETE", "GET"])
    def test_each_write_is_made_good_after_a_failure(
        self, policy: str, fault: Any, verb: str
    ) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, claim=lives(60, policy))
            await world.served("c")
            world.faults.after = once(fault, verb, "/namespaces/")
            await world.run_for(75)
            if policy == "Retain":
                assert await world.sandboxes() == []
                assert await expired(world)
            else:
                # Nobody collects garbage here: in the foreground it stays, and is being deleted.
                stays = policy == "DeleteForeground"
                assert await world.exists(CLAIM, "c") == stays
                assert not stays or (await world.claim("c")).metadata.is_deleting

        virtual(scenario)

    def test_a_manager_that_comes_later_finishes_it(self) -> None:
        async def main(world: World) -> None:
            app_world = AppWorld(world)
            stock(app_world, claim=lives(60, "Retain"))
            async with running(app_world.app):
                await app_world.served("c")
            await app_world.run_for(300)
            assert ready_of(await app_world.claim("c")).is_true
            _, later = app_world.another("later")
            async with running(later):
                await app_world.run_for(5)
                assert await expired(app_world)
                assert await app_world.sandboxes() == []

        run_virtual(main)


async def _unlistable(request: Any) -> Any:
    is_list = request.method == "GET" and request.path.endswith("sandboxclaims")
    return refusal(503, "ServiceUnavailable") if is_list else None


def _told(commit: Commit) -> str:
    value = commit.object
    if value["kind"] == "SandboxClaim" and commit.is_live:
        conditions = value.get("status", {}).get("conditions", [])
        if any(condition["reason"] == "ClaimExpired" for condition in conditions):
            return "expired"
    return f"{commit.verb} {value['metadata']['name']}"
