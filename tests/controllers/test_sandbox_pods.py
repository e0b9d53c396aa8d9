"""Which pod is a sandbox's: its own, one that is taken over, one of somebody else; suspension."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controllers.sandbox_world import (
    NAMESPACE,
    READY_STATUS,
    World,
    a_ready_sandbox,
    a_world,
    refusal,
)
from tests.sandbox_objects import TEMPLATE, TRACKING, sandbox_body, sandbox_owner

from warmclaim.api.conditions import find
from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import ANNOTATION_POD_NAME
from warmclaim.api.resources import POD, SANDBOX

KEY = ObjectKey(NAMESPACE, "sb")
POST_POD, PATCH_POD, DELETE_POD = "create pods 201", "patch pods 200", "delete pods 200"
STATUS = "patch sandboxes.agents.x-k8s.io/status 200"
ANNOTATION = "patch sandboxes.agents.x-k8s.io 200"
ADOPTABLE = {"agents.x-k8s.io/adoptable": "true"}
STRANGER = sandbox_owner(name="old", uid="u0")


async def noted_name(world: World) -> str | None:
    return (await world.sandbox()).metadata.annotations.get(ANNOTATION_POD_NAME)


async def set_mode(world: World, mode: str) -> None:
    await world.hand.merge_patch(SANDBOX, KEY, {"spec": {"operatingMode": mode}})


async def suspended(world: World) -> tuple[str, str]:
    status = (await world.sandbox()).status
    condition = find(status.conditions, "Suspended") if status else None
    assert condition is not None
    return condition.status, condition.reason


class TestForeigners:
    """Pods of somebody else are reported, and waited out."""

    async def test_a_foreign_pod_is_reported_once_and_its_going_noticed(self) -> None:
        async with a_world() as world:
            await world.plant(POD, labels=TRACKING, owned_by=STRANGER)
            await world.run_for(0.1)
            await world.create(sandbox_body())
            await world.run_for(200)
            assert (world.writes(), world.errors) == ([ANNOTATION, STATUS], [])
            ready = await world.ready()
            assert (ready.status, ready.reason) == ("False", "ReconcilerError")
            assert ready.message == (
                'Error seen: pod "sb" is owned by Sandbox/old (UID: u0), not by sandbox "sb"'
            )
            await world.remove(POD)
            await world.run_for(0.1)
            assert world.writes() == [ANNOTATION, STATUS, POST_POD, ANNOTATION, STATUS]
            await world.play_kubelet(READY_STATUS)
            await world.run_for(0.1)
            assert (await world.ready()).is_true

    async def test_a_foreign_pod_that_is_not_watched_is_looked_for_now_and_then(self) -> None:
        async with a_world() as world:
            await world.plant(POD, owned_by=STRANGER)
            await world.create(sandbox_body())
            await world.run_for(59)
            assert world.writes() == ["create pods 409", ANNOTATION, STATUS]
            await world.run_for(2)
            assert world.writes() == ["create pods 409", ANNOTATION, STATUS, "create pods 409"]
            await world.remove(POD)
            await world.run_for(60)
            assert world.writes()[4:] == [POST_POD, ANNOTATION, STATUS]
            assert world.errors == []

    async def test_a_sandbox_made_again_waits_for_the_pod_of_the_first(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            await world.remove(SANDBOX)
            again = await world.create(sandbox_body())
            await world.run_for(1)
            assert (await world.ready()).reason == "ReconcilerError"
            await world.remove(POD)
            await world.run_for(1)
            pod = await world.pod()
            assert pod is not None
            assert pod.metadata.owner_references[0].uid == again.metadata.uid


class TestSeveralPods:
    """More than one own pod: nobody can say which is the sandbox's."""

    async def test_they_are_reported_with_one_event_and_left_alone(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            uid = (await world.sandbox()).metadata.uid
            await world.plant(POD, "twin", labels=TRACKING, owned_by=sandbox_owner(uid=uid))
            await world.run_for(10)
            text = 'sandbox "sb" owns 2 pods: sb, twin'
            ready = await world.ready()
            assert (ready.status, ready.reason, ready.message) == ("False", "MultiplePods", text)
            assert world.writes() == [POST_POD, STATUS, STATUS]
            assert world.events.told == [f"Warning MultiplePods Reconciling {text}"]
            assert world.errors == []
            await world.plant(POD, "third", labels=TRACKING, owned_by=sandbox_owner(uid=uid))
            await world.run_for(10)
            assert (await world.ready()).message.endswith("sb, third, twin")
            assert len(world.events.told) == 1
            await world.remove(POD, "twin")
            await world.remove(POD, "third")
            await world.run_for(1)
            assert (await world.ready()).is_true
            await world.plant(POD, "twin", labels=TRACKING, owned_by=sandbox_owner(uid=uid))
            await world.run_for(1)
            assert len(world.events.told) == 2

    @pytest.mark.parametrize("change", [{"operatingMode": "Suspended"}, {"service": True}])
    async def test_neither_pods_nor_service_are_touched(self, change: dict[str, Any]) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            uid = (await world.sandbox()).metadata.uid
            await world.plant(POD, "twin", labels=TRACKING, owned_by=sandbox_owner(uid=uid))
            await world.run_for(1)
            before = world.writes()
            await world.hand.merge_patch(SANDBOX, KEY, {"spec": change})
            await world.run_for(5)
            assert set(world.writes()[len(before) :]) <= {STATUS}
            assert (await world.ready()).reason == "MultiplePods"


class TestTakeover:
    """A pod that is there already, under the sandbox's name or the one that it notes."""

    @pytest.mark.parametrize("labels", [ADOPTABLE, TRACKING], ids=["adoptable", "tracked"])
    @pytest.mark.parametrize("name", ["sb", "older"])
    async def test_a_marked_pod_without_an_owner_is_taken_over_in_one_write(
        self, labels: dict[str, str], name: str
    ) -> None:
        async with a_world() as world:
            await world.plant(POD, name, labels={**labels, "mine": "kept"})
            await world.run_for(0.1)
            template = {"metadata": {"labels": {"app": "x"}}, **TEMPLATE}
            noted = {ANNOTATION_POD_NAME: name}
            await world.create(sandbox_body(template=template, annotations=noted))
            await world.run_for(0.2)
            pod = await world.pod(name)
            assert pod is not None
            uid = (await world.sandbox()).metadata.uid
            assert [owner.uid for owner in pod.metadata.owner_references] == [uid]
            assert pod.metadata.labels == {**labels, **TRACKING, "mine": "kept", "app": "x"}
            assert world.writes().count(PATCH_POD) == 1
            assert POST_POD not in world.writes()
            await world.play_kubelet(READY_STATUS, name=name)
            await world.run_for(2)
            assert (await world.ready()).is_true
            assert await noted_name(world) == name
            assert world.errors == []

    @pytest.mark.parametrize("name", ["sb", "older"])
    async def test_an_unmarked_one_is_not_and_is_once_it_is_marked(self, name: str) -> None:
        async with a_world() as world:
            planted = await world.plant(POD, name)
            await world.create(sandbox_body(annotations={ANNOTATION_POD_NAME: name}))
            await world.run_for(5)
            assert (await world.ready()).message == (
                f'Error seen: pod "{name}" has no owner; labelled agents.x-k8s.io/adoptable: '
                '"true", it is taken over'
            )
            assert await world.pod(name) == planted
            assert await noted_name(world) == name
            await world.hand.merge_patch(
                POD, ObjectKey(NAMESPACE, name), {"metadata": {"labels": ADOPTABLE}}
            )
            await world.run_for(61)
            assert world.writes()[-2:] == [PATCH_POD, STATUS]
            assert (await world.ready()).reason == "DependenciesNotReady"

    async def test_one_of_another_name_that_is_tracked_by_others_is_looked_at_now_and_then(
        self,
    ) -> None:
        async with a_world() as world:
            await world.plant(POD, "older", labels={"agents.x-k8s.io/sandbox-name-hash": "0"})
            await world.run_for(0.1)
            await world.create(sandbox_body(annotations={ANNOTATION_POD_NAME: "older"}))
            await world.run_for(5)
            assert (await world.ready()).reason == "ReconcilerError"
            patch = {"metadata": {"labels": ADOPTABLE}}
            await world.hand.merge_patch(POD, ObjectKey(NAMESPACE, "older"), patch)
            await world.run_for(60)
            assert (await world.ready()).reason == "DependenciesNotReady"
            assert world.writes().count(PATCH_POD) == 1

    async def test_its_spec_is_never_changed(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            before = world.writes()
            spec = {"containers": [{"name": "other", "image": "other"}]}
            await world.hand.merge_patch(SANDBOX, KEY, {"spec": {"podTemplate": {"spec": spec}}})
            await world.run_for(60)
            assert world.writes() == before


class TestName:
    """The annotation by which clients find the pod."""

    @pytest.mark.parametrize("noted", ["gone", "NOT/A NAME", "x" * 300])
    async def test_a_name_of_no_pod_gives_way_to_the_one_that_is_made(self, noted: str) -> None:
        async with a_world() as world:
            await world.create(sandbox_body(annotations={ANNOTATION_POD_NAME: noted}))
            await world.run_for(0.2)
            assert await noted_name(world) == "sb"
            assert world.writes() == [POST_POD, ANNOTATION]
            assert world.errors == []

    async def test_the_owner_s_uid_beats_the_noted_name(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            await world.plant(POD, "other", labels=ADOPTABLE | TRACKING)
            patch = {"metadata": {"annotations": {ANNOTATION_POD_NAME: "other"}}}
            await world.hand.merge_patch(SANDBOX, KEY, patch)
            await world.run_for(2)
            assert await noted_name(world) == "sb"
            other = await world.pod("other")
            assert other is not None
            assert other.metadata.owner_references == ()

    async def test_a_noted_pod_of_somebody_else_is_given_up_for_one_of_its_own(self) -> None:
        async with a_world() as world:
            await world.plant(POD, "other", labels=TRACKING, owned_by=STRANGER)
            await world.run_for(0.1)
            await world.create(sandbox_body(annotations={ANNOTATION_POD_NAME: "other"}))
            await world.run_for(2)
            assert await noted_name(world) == "sb"
            assert await world.pod() is not None
            assert (await world.ready()).reason == "DependenciesNotReady"

    async def test_a_pod_without_its_label_gets_it_back(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            label: dict[str, Any] = dict.fromkeys(TRACKING)
            await world.hand.merge_patch(POD, KEY, {"metadata": {"labels": label}})
            await world.run_for(2)
            pod = await world.pod()
            assert pod is not None
            assert pod.metadata.labels == TRACKING
            assert world.writes().count(POST_POD) == 1
            assert (await world.ready()).is_true


class TestSuspension:
    """operatingMode: Suspended and Running."""

    async def test_the_pod_goes_and_comes_back(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world, service=True)
            before = world.writes()
            await set_mode(world, "Suspended")
            await world.run_for(5)
            assert world.writes()[len(before) :] == [STATUS, DELETE_POD]
            assert await suspended(world) == ("False", "PodTerminating")
            assert (await world.ready()).message == "Sandbox is suspending"
            assert await noted_name(world) == "sb"
            await world.remove(POD)
            await world.run_for(1)
            assert world.writes()[len(before) + 2 :] == [ANNOTATION, STATUS]
            assert await suspended(world) == ("True", "PodTerminated")
            ready = await world.ready()
            assert (ready.reason, ready.message) == ("SandboxSuspended", "Sandbox is suspended")
            assert await noted_name(world) is None
            status = (await world.sandbox()).status
            assert status is not None
            assert status.service == "sb"
            await set_mode(world, "Running")
            await world.run_for(0.1)
            await world.play_kubelet(READY_STATUS)
            await world.run_for(2)
            assert (await world.ready()).is_true
            assert await suspended(world) == ("False", "NotSuspended")
            assert world.errors == []

    async def test_a_pod_without_its_label_is_deleted_too(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            down = refusal(503, "ServiceUnavailable")
            world.transport.before = lambda r: down if "/pods" in r.path else None
            label: dict[str, Any] = dict.fromkeys(TRACKING)
            await world.hand.merge_patch(POD, KEY, {"metadata": {"labels": label}})
            await set_mode(world, "Suspended")
            await world.run_for(1)
            world.transport.before = lambda _: None
            await world.run_for(5)
            assert DELETE_POD in world.writes()
            assert await suspended(world) == ("False", "PodTerminating")

    @pytest.mark.parametrize("labels", [TRACKING, ADOPTABLE], ids=["watched", "unwatched"])
    async def test_a_foreign_pod_is_not_deleted_and_nothing_of_it_shown(
        self, labels: dict[str, str]
    ) -> None:
        async with a_world() as world:
            await world.plant(POD, labels=labels, owned_by=STRANGER)
            await world.play_scheduler()
            await world.play_kubelet(READY_STATUS)
            await world.run_for(0.1)
            await world.create(sandbox_body(operatingMode="Suspended"))
            await world.run_for(5)
            assert world.writes() == [ANNOTATION, STATUS]
            assert await suspended(world) == ("False", "PodNotOwned")
            status = (await world.sandbox()).status
            assert status is not None
            assert (status.pod_ips, status.node_name) == ((), "")
            await world.run_for(200)
            assert world.writes() == [ANNOTATION, STATUS]
            await world.remove(POD)
            await world.run_for(60)
            assert await suspended(world) == ("True", "PodTerminated")

    async def test_one_that_is_born_suspended_waits_for_its_pod(self) -> None:
        async with a_world() as world:
            await world.create(sandbox_body(operatingMode="Suspended"))
            await world.run_for(5)
            assert world.writes() == [ANNOTATION, STATUS]
            await set_mode(world, "Running")
            await world.run_for(0.5)
            assert await noted_name(world) == "sb"


class TestLosses:
    """A pod that goes, a sandbox that goes."""

    async def test_ready_is_taken_back_before_a_lost_pod_is_replaced(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            await world.remove(POD)
            await world.run_for(0.5)
            assert world.writes() == [POST_POD, STATUS, STATUS, POST_POD]
            status = (await world.sandbox()).status
            assert status is not None
            assert (status.pod_ips, status.node_name) == ((), "")

    @pytest.mark.parametrize("spec", [{"operatingMode": "Suspended"}, {"deleting": True}])
    async def test_a_suspended_or_deleting_sandbox_gets_no_pod(self, spec: dict[str, Any]) -> None:
        async with a_world() as world:
            is_deleting = spec.pop("deleting", False)
            body = sandbox_body(service=True if is_deleting else None, **spec)
            if is_deleting:
                body["metadata"]["finalizers"] = ["example.org/hold"]
            await world.create(body)
            if is_deleting:
                await world.hand.delete(SANDBOX, KEY)
            await world.run_for(10)
            assert await world.pod() is None
            assert world.writes() == ([] if is_deleting else [ANNOTATION, STATUS])

    @pytest.mark.parametrize("annotations", [{}, None], ids=["annotation", "status"])
    async def test_a_sandbox_gone_during_a_write_is_no_error(self, annotations: Any) -> None:
        async with a_world() as world:
            await world.create(sandbox_body(annotations=annotations))
            gone = refusal(404, "NotFound")
            world.transport.before = lambda r: gone if r.method == "PATCH" else None
            await world.run_for(5)
            assert world.errors == []
            assert world.passes <= 3
