"""Changes of a pod's metadata: when they are written, how often, and after whom."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.controllers.sandbox_world import (
    NAMESPACE,
    READY_STATUS,
    World,
    a_ready_sandbox,
    a_world,
    refusal,
)
from tests.sandbox_objects import CLAIM, POOL, TEMPLATE, TRACKING, owner

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import POD, SANDBOX
from warmclaim.settings import SandboxSettings

KEY = ObjectKey(NAMESPACE, "sb")
PATCH_POD = "patch pods 200"
STATUS = "patch sandboxes.agents.x-k8s.io/status 200"
P = "agents.x-k8s.io/"
EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
MARKS = {P + "warm-pool-sandbox": "p00l", P + "sandbox-template-ref-hash": "t3mp"}
MEMBER: dict[str, Any] = {"metadata": {"annotations": {EVICT: "true"}}, **TEMPLATE}


async def a_member(world: World) -> None:
    await a_ready_sandbox(world, owned_by=POOL, labels=MARKS, template=MEMBER)


async def adopt(world: World) -> None:
    """What a claim's reservation does to a member."""
    metadata: dict[str, Any] = {
        "ownerReferences": [owner(*CLAIM)],
        "labels": {P + "warm-pool-sandbox": None},
    }
    template: dict[str, Any] = {"metadata": {"annotations": {EVICT: None}}}
    patch = {"metadata": metadata, "spec": {"podTemplate": template}}
    await world.hand.merge_patch(SANDBOX, KEY, patch)


async def set_labels(world: World, **labels: str | None) -> None:
    patch = {"spec": {"podTemplate": {"metadata": {"labels": labels}}}}
    await world.hand.merge_patch(SANDBOX, KEY, patch)


async def labels(world: World) -> dict[str, str]:
    pod = await world.pod()
    assert pod is not None
    return {k: v for k, v in pod.metadata.labels.items() if k not in TRACKING}


class TestAdoption:
    """A member that a claim gets."""

    async def test_it_costs_one_write_of_the_pod_and_none_of_the_sandbox(self) -> None:
        async with a_world() as world:
            await a_member(world)
            before = world.writes()
            await adopt(world)
            await world.run_for(60)
            assert world.writes()[len(before) :] == [PATCH_POD]
            assert world.reads() == 0
            pod = await world.pod()
            assert pod is not None
            template = {P + "sandbox-template-ref-hash": "t3mp"}
            assert pod.metadata.labels == TRACKING | template
            assert pod.metadata.annotations == {P + "propagated-annotations": ""}

    async def test_it_lets_claims_go_first_and_does_not_hold_the_status_up(self) -> None:
        async with a_world() as world:
            await a_member(world)
            world.gate.clear()
            await adopt(world)
            await world.run_for(5)
            assert PATCH_POD not in world.writes()
            await world.play_kubelet(READY_STATUS | {"podIPs": [{"ip": "10.0.0.9"}]})
            await world.run_for(0.1)
            status = (await world.sandbox()).status
            assert status is not None
            assert status.pod_ips == ("10.0.0.9",)
            world.gate.set()
            await world.run_for(0.1)
            assert world.writes().count(PATCH_POD) == 1
            await world.run_for(10)
            assert world.reconciler.remembered == 0


class TestTemplate:
    """The sandbox's own template changes."""

    async def test_keys_come_change_and_go(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            for wanted in ({"a": "1"}, {"a": "2", "b": "1"}):
                await set_labels(world, **wanted)
                await world.run_for(1)
                assert await labels(world) == wanted
            await set_labels(world, a=None)
            await world.run_for(1)
            assert await labels(world) == {"b": "1"}
            assert world.writes().count(PATCH_POD) == 3

    async def test_what_somebody_else_changes_is_put_right_and_his_own_is_kept(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world, template={"metadata": {"labels": {"a": "1"}}, **TEMPLATE})
            edit = {"metadata": {"labels": {"a": "2", "his": "1"}}}
            await world.hand.merge_patch(POD, KEY, edit)
            await world.run_for(1)
            assert await labels(world) == {"a": "1", "his": "1"}

    async def test_a_pod_that_goes_is_not_changed(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            await world.hand.delete(POD, KEY)
            await world.run_for(0.5)
            await set_labels(world, a="1")
            await world.run_for(5)
            assert PATCH_POD not in world.writes()

    async def test_it_is_written_to_this_very_pod(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            pod = await world.pod()
            await set_labels(world, a="1")
            await world.run_for(1)
            patch = next(
                msgspec.json.decode(r.body or b"")
                for r in world.transport.requests
                if r.method == "PATCH" and "/pods/" in r.path
            )
            assert pod is not None
            assert patch["metadata"]["uid"] == pod.metadata.uid

    async def test_a_refusal_is_told_once_and_tried_again(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            no = refusal(422, "Invalid", "metadata.labels: Invalid value")
            world.transport.before = lambda r: no if "/pods/" in r.path else None
            await set_labels(world, a="not a label")
            before = world.writes()
            await world.run_for(30)
            ready = await world.ready()
            assert (ready.status, ready.reason) == ("False", "ReconcilerError")
            assert 'pod "sb" was refused (422 Invalid)' in ready.message
            assert world.writes()[len(before) :] == [STATUS]
            world.transport.before = lambda _: None
            await set_labels(world, a="right")
            await world.run_for(60)
            assert (await world.ready()).is_true


class TestWriteBehind:
    """--sandbox-write-behind-window."""

    @pytest.mark.parametrize(("window_s", "waits_s"), [(0.0, 0.0), (0.4, 0.4), (60.0, 1.0)])
    async def test_changes_within_the_window_become_one_write(
        self, window_s: float, waits_s: float
    ) -> None:
        async with a_world(settings=SandboxSettings(write_behind_s=window_s)) as world:
            await a_ready_sandbox(world)
            began_s = world.clock.now
            for number in range(4):
                await set_labels(world, a=str(number))
                await world.run_for(0.05)
            while PATCH_POD not in world.writes():
                await world.run_for(0.05)
            assert waits_s <= world.clock.now - began_s <= waits_s + 0.3
            await world.run_for(5)
            assert await labels(world) == {"a": "3"}
            assert world.writes().count(PATCH_POD) == (1 if window_s else 4)
            assert world.reconciler.remembered == 0

    async def test_a_change_that_is_taken_back_in_time_is_not_written(self) -> None:
        async with a_world(settings=SandboxSettings(write_behind_s=0.5)) as world:
            await a_ready_sandbox(world)
            await set_labels(world, a="1")
            await world.run_for(0.2)
            await set_labels(world, a=None)
            await world.run_for(5)
            assert PATCH_POD not in world.writes()
            assert world.reconciler.remembered == 0

    async def test_a_restart_loses_nothing_but_time(self) -> None:
        settings = SandboxSettings(write_behind_s=0.5)
        async with a_world(settings=settings) as first:
            await a_ready_sandbox(first)
            await set_labels(first, a="1")
            await first.run_for(0.2)
        async with a_world(first, settings) as second:
            await second.run_for(2)
            assert await labels(second) == {"a": "1"}

    async def test_the_status_and_the_time_of_a_takeover_do_not_wait(self) -> None:
        async with a_world(settings=SandboxSettings(write_behind_s=0.5)) as world:
            await world.plant(POD, labels=TRACKING)
            await world.run_for(0.1)
            await a_ready_sandbox(world)
            assert world.writes()[0] == PATCH_POD
            assert (await world.ready()).is_true
