"""Which members a pool replaces: those of an older blueprint, and those that do not get ready."""

from __future__ import annotations

from typing import Any

from tests.controllers.app_world import (
    CLAIM,
    NAMESPACE,
    POOL,
    SANDBOX,
    AppWorld,
    always,
    refusal,
    virtual,
)
from tests.controllers.pool_world import (
    POOLS,
    Ceiling,
    fills,
    members,
    start,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import TEMPLATE
from warmclaim.seams import Request
from warmclaim.testing.builders import (
    a_claim,
    a_condition,
    a_pool,
    a_stray,
    a_template,
    an_owner,
)
from warmclaim.testing.json_values import Json


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
        member = a_stray(name)
        member["metadata"]["ownerReferences"] = [an_owner(POOL, "pool")]
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

    def test_what_is_held_is_replaced_once_it_would_be_made_otherwise(self) -> None:
        async def scenario(world: AppWorld) -> None:
            held = self._stalls(world, "held", reason="Unschedulable")
            world.put(a_template(), a_pool(replicas=1), held)
            await world.run_for(self.GRACE_S + 100)
            assert await members(world) == ["held"]
            pod = {"spec": {"containers": [{"name": "sandbox", "image": "registry.example/2"}]}}
            patch = {"spec": {"podTemplate": pod}}
            await world.hand.merge_patch(TEMPLATE, ObjectKey(NAMESPACE, "python"), patch)
            await world.run_for(5)
            assert len(await members(world)) == 1
            assert await members(world) != ["held"]
            assert self._told(world)[1:] == ["WarmPoolProgressing: Warm pool is progressing again"]

        virtual(scenario, **POOLS)

    def test_one_whose_pod_is_refused_is_held_and_said_once(self) -> None:
        """Else a quota of pods would have members made and deleted without end."""

        async def scenario(world: AppWorld) -> None:
            no = refusal(403, "Forbidden", "exceeded quota: pods")
            world.faults.before = always(no, "POST", "/pods")
            start(world, 2)
            await fills(world, 2)
            before = await members(world)
            await world.run_for(self.GRACE_S + 600)
            assert await members(world) == before
            assert self._told(world) == [
                "WarmPoolNotProgressing: 2/2 sandboxes are without a pod past the 5m0s readiness "
                "grace period, since it is refused; holding them instead of replacing"
            ]

        virtual(scenario, controllers=frozenset({"pool", "sandbox"}))

    def test_a_step_of_the_wall_clock_replaces_nobody(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template(), a_pool(replicas=1), self._stalls(world, "slow"))
            await world.run_for(10)
            world.clock.wall_offset_s += 86_400
            await world.run_for(100)
            assert await members(world) == ["slow"]

        virtual(scenario, **POOLS)
