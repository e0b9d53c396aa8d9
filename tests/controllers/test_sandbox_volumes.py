"""A sandbox's volume claims: made before its pod, taken over where allowed, never changed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.controllers.sandbox_world import (
    NAMESPACE,
    READY_STATUS,
    World,
    a_world,
    refusal,
)
from tests.sandbox_objects import POOL, TRACKING, sandbox_body, sandbox_owner

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import SANDBOX, VOLUME_CLAIM
from warmclaim.api.volume_claim import VolumeClaim
from warmclaim.errors import ForbiddenError
from warmclaim.seams import Request

KEY = ObjectKey(NAMESPACE, "sb")
POST_POD, POST_VOLUME = "create pods 201", "create persistentvolumeclaims 201"
PATCH_VOLUME = "patch persistentvolumeclaims 200"
POST_SERVICE = "create services 201"
STATUS = "patch sandboxes.agents.x-k8s.io/status 200"
SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
DATA: dict[str, Any] = {"metadata": {"name": "data"}, "spec": SPEC}
ADOPTABLE = {"agents.x-k8s.io/adoptable": "true"}
STRANGER = sandbox_owner(name="other", uid="u0")


async def a_sandbox_with(world: World, *volumes: Any, **spec: Any) -> None:
    await world.create(sandbox_body(volumeClaimTemplates=list(volumes), **spec))
    await world.run_for(0.2)


async def volume(world: World, name: str = "data-sb") -> VolumeClaim:
    found = await world.there(VOLUME_CLAIM, name)
    assert found is not None
    return found


async def owner_uids(world: World, name: str = "data-sb") -> list[str]:
    return [owner.uid for owner in (await volume(world, name)).metadata.owner_references]


class TestCreation:
    """What is missing is made, before the pod that uses it."""

    async def test_the_claims_come_before_the_pod_and_beside_the_service(self) -> None:
        async with a_world() as world:
            logs = {**DATA, "metadata": {"name": "logs"}}
            await a_sandbox_with(world, DATA, logs, service=True)
            first = world.writes()[:3]
            assert sorted(first) == [POST_VOLUME, POST_VOLUME, POST_SERVICE]
            assert world.writes()[3:] == [POST_POD]
            assert world.transport.together_max == 3
            assert world.reads() == 0

    async def test_a_claim_is_what_its_template_says_and_the_sandbox_s_own(self) -> None:
        async with a_world() as world:
            given = {
                "name": "data",
                "labels": {"tier": "gold", "agents.x-k8s.io/sandbox-name-hash": "forged"},
                "annotations": {"note": "kept"},
            }
            await a_sandbox_with(world, {"metadata": given, "spec": SPEC})
            creates = [r for r in world.transport.requests if r.path.endswith("claims")]
            body = msgspec.json.decode(creates[0].body or b"")
            uid = (await world.sandbox()).metadata.uid
            assert body == {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": "data-sb",
                    "namespace": NAMESPACE,
                    "labels": {"tier": "gold", **TRACKING},
                    "annotations": {"note": "kept"},
                    "ownerReferences": [sandbox_owner(uid=uid)],
                },
                "spec": SPEC,
            }
            assert creates[0].query == (("fieldManager", "sandbox-controller"),)

    async def test_the_pod_mounts_its_own_claim_in_place_of_a_volume_of_that_name(self) -> None:
        async with a_world() as world:
            volumes: list[Any] = [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
            spec = {"containers": [{"name": "c", "image": "i"}], "volumes": volumes}
            template: dict[str, Any] = {"spec": spec}
            await a_sandbox_with(world, DATA, template=template)
            create = next(r for r in world.transport.requests if r.path.endswith("/pods"))
            assert msgspec.json.decode(create.body or b"")["spec"]["volumes"] == [
                {"name": "tmp", "emptyDir": {}},
                {"name": "data", "persistentVolumeClaim": {"claimName": "data-sb"}},
            ]

    async def test_a_suspended_sandbox_gets_its_claims_and_no_pod(self) -> None:
        async with a_world() as world:
            await a_sandbox_with(world, DATA, operatingMode="Suspended", annotations={})
            assert world.writes() == [POST_VOLUME, STATUS]

    async def test_a_pool_s_member_waits_for_its_turn(self) -> None:
        async with a_world() as world:
            world.gate.clear()
            await a_sandbox_with(world, DATA, owned_by=POOL)
            assert world.writes() == []
            world.gate.set()
            await world.run_for(0.1)
            assert world.writes() == [POST_VOLUME, POST_POD]

    async def test_a_claim_that_is_the_sandbox_s_is_never_changed(self) -> None:
        async with a_world() as world:
            await a_sandbox_with(world, DATA)
            await world.play_kubelet(READY_STATUS)
            await world.run_for(2)
            before = world.writes()
            key = ObjectKey(NAMESPACE, "data-sb")
            changed = {"metadata": {"labels": {"x": "y"}, "annotations": {"x": "y"}}}
            await world.hand.merge_patch(VOLUME_CLAIM, key, changed)
            await world.run_for(60)
            assert world.writes() == before

    async def test_a_claim_that_goes_is_made_again(self) -> None:
        async with a_world() as world:
            await a_sandbox_with(world, DATA)
            await world.play_kubelet(READY_STATUS)
            await world.run_for(2)
            before = world.writes()
            await world.remove(VOLUME_CLAIM, "data-sb")
            await world.run_for(1)
            assert world.writes()[len(before) :] == [POST_VOLUME]
            assert (await world.ready()).is_true

    async def test_after_a_restart_settled_ones_cost_nothing(self) -> None:
        async with a_world() as first:
            await a_sandbox_with(first, DATA)
            await first.play_kubelet(READY_STATUS)
            await first.run_for(2)
        first.server.requests.clear()
        async with a_world(first) as second:
            await second.run_for(10)
            assert (second.writes(), second.reads()) == ([], 0)


class TestTakeover:
    """A claim of its name that is there already."""

    @pytest.mark.parametrize("labels", [ADOPTABLE, TRACKING], ids=["adoptable", "tracked"])
    async def test_a_marked_one_without_an_owner_becomes_the_sandbox_s(
        self, labels: dict[str, str]
    ) -> None:
        async with a_world() as world:
            await world.plant(VOLUME_CLAIM, "data-sb", labels=labels)
            await a_sandbox_with(world, DATA)
            assert await owner_uids(world) == [(await world.sandbox()).metadata.uid]
            assert (await volume(world)).metadata.labels == labels | TRACKING
            assert world.writes()[-1] == POST_POD
            assert world.writes().count(PATCH_VOLUME) == 1
            assert world.errors == []

    @pytest.mark.parametrize(
        ("labels", "owned_by", "text"),
        [
            pytest.param(
                {},
                None,
                'PVC "data-sb" has no owner; labelled agents.x-k8s.io/adoptable: "true", it is '
                "taken over",
                id="unmarked",
            ),
            pytest.param(
                {"agents.x-k8s.io/sandbox-name-hash": "00000000"},
                None,
                'PVC "data-sb" has no owner; labelled agents.x-k8s.io/adoptable: "true", it is '
                "taken over",
                id="tracked-by-another",
            ),
            pytest.param(
                {"agents.x-k8s.io/adoptable": "yes"},
                None,
                'PVC "data-sb" has no owner; labelled agents.x-k8s.io/adoptable: "true", it is '
                "taken over",
                id="marked-with-another-word",
            ),
            pytest.param(
                ADOPTABLE | TRACKING,
                STRANGER,
                'PVC "data-sb" is owned by Sandbox/other (UID: u0), not by sandbox "sb"',
                id="owned",
            ),
        ],
    )
    async def test_any_other_is_left_alone_and_no_pod_is_made(
        self, labels: dict[str, str], owned_by: Any, text: str
    ) -> None:
        async with a_world() as world:
            planted = await world.plant(VOLUME_CLAIM, "data-sb", labels=labels, owned_by=owned_by)
            await a_sandbox_with(world, DATA, service=True)
            await world.run_for(30)
            ready = await world.ready()
            assert (ready.status, ready.reason) == ("False", "ReconcilerError")
            assert ready.message == f"Error seen: {text}"
            assert await world.pod() is None
            assert POST_SERVICE in world.writes()
            assert await volume(world) == planted
            assert world.errors == []

    @pytest.mark.parametrize(
        ("labels", "wait_s"), [(TRACKING, 0.2), ({}, 60.0)], ids=["watched", "unwatched"]
    )
    async def test_its_going_is_noticed(self, labels: dict[str, str], wait_s: float) -> None:
        async with a_world() as world:
            await world.plant(VOLUME_CLAIM, "data-sb", labels=labels, owned_by=STRANGER)
            await a_sandbox_with(world, DATA)
            assert await world.pod() is None
            await world.remove(VOLUME_CLAIM, "data-sb")
            await world.run_for(wait_s)
            assert world.writes()[-3:] == [POST_VOLUME, POST_POD, STATUS]

    async def test_an_own_one_without_its_label_gets_it_back(self) -> None:
        async with a_world() as world:
            made = await world.create(sandbox_body(volumeClaimTemplates=[DATA]))
            owner = sandbox_owner(uid=made.metadata.uid)
            await world.plant(VOLUME_CLAIM, "data-sb", owned_by=owner)
            await world.run_for(1)
            assert (await volume(world)).metadata.labels == TRACKING
            assert world.writes()[:3] == [
                "create persistentvolumeclaims 409",
                PATCH_VOLUME,
                POST_POD,
            ]

    async def test_other_owners_stay(self) -> None:
        async with a_world() as world:
            other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "c-uid"}
            await world.plant(VOLUME_CLAIM, "data-sb", labels=ADOPTABLE, owned_by=other)
            await a_sandbox_with(world, DATA)
            uid = (await world.sandbox()).metadata.uid
            assert await owner_uids(world) == ["c-uid", uid]

    async def test_one_that_changed_meanwhile_is_looked_at_again(self) -> None:
        async with a_world() as world:
            await world.plant(VOLUME_CLAIM, "data-sb", labels=TRACKING)
            old = [refusal(409, "Conflict")]
            world.transport.before = lambda r: (
                old.pop() if r.method == "PATCH" and "claims/" in r.path and old else None
            )
            await a_sandbox_with(world, DATA)
            assert await owner_uids(world) == [(await world.sandbox()).metadata.uid]
            assert (world.errors, world.reads()) == ([], 1)


class TestRefusals:
    """What the server or the schema does not want."""

    async def test_a_refused_claim_is_told_and_the_rest_goes_on(self) -> None:
        async with a_world() as world:
            no = refusal(403, "Forbidden", "exceeded quota")

            def refuse(request: Request) -> Any:
                is_claim = request.method == "POST" and request.path.endswith("claims")
                return no if is_claim and b'"data-sb"' in (request.body or b"") else None

            world.transport.before = refuse
            await a_sandbox_with(world, DATA, {**DATA, "metadata": {"name": "logs"}}, service=True)
            await world.run_for(5)
            assert (await world.ready()).message == (
                'Error seen: PVC "data-sb" was refused (403 Forbidden): exceeded quota'
            )
            assert {type(error) for error in world.errors} == {ForbiddenError}
            assert world.writes().count(POST_VOLUME) == 1
            assert world.writes().count(STATUS) == 1
            assert await world.pod() is None
            world.transport.before = lambda _: None
            await world.run_for(30)
            assert await world.pod() is not None

    async def test_templates_are_immutable(self) -> None:
        async with a_world() as world:
            await a_sandbox_with(world, DATA)
            with pytest.raises(Exception, match="volumeClaimTemplates is immutable"):
                await world.hand.merge_patch(SANDBOX, KEY, {"spec": {"volumeClaimTemplates": []}})
