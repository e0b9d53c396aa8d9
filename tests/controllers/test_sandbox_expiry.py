"""A sandbox's time is over: what is said, what is deleted, and in which order."""

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
from tests.sandbox_objects import TRACKING, sandbox_body, sandbox_owner

from warmclaim.api.conditions import find
from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import POD, SANDBOX, SERVICE, VOLUME_CLAIM
from warmclaim.api.timestamps import rfc3339
from warmclaim.errors import ForbiddenError, NotFoundError
from warmclaim.seams import Request

KEY = ObjectKey(NAMESPACE, "sb")
STATUS = "patch sandboxes.agents.x-k8s.io/status 200"
DELETES = {"delete pods 200", "delete services 200"}
VOLUMES = [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]
LIFE_S = 30.0


async def a_sandbox_with_an_end(world: World, **spec: Any) -> list[str]:
    """Ready, with a Service and a volume, and an end in `LIFE_S`; the writes up to then."""
    end = rfc3339(world.clock.wall() + LIFE_S)
    more: dict[str, Any] = {"volumeClaimTemplates": VOLUMES, "shutdownTime": end, **spec}
    await world.create(sandbox_body(service=True, **more))
    await world.run_for(0.2)
    await world.play_scheduler()
    await world.play_kubelet(READY_STATUS)
    await world.run_for(2)
    assert (await world.ready()).is_true
    return world.writes()


async def set_time(world: World, in_s: float | None) -> None:
    end = None if in_s is None else rfc3339(world.clock.wall() + in_s)
    await world.hand.merge_patch(SANDBOX, KEY, {"spec": {"shutdownTime": end}})


def is_delete(request: Request, kind: str) -> bool:
    return request.method == "DELETE" and f"/{kind}/" in request.path


class TestRetain:
    """The sandbox and its volumes stay."""

    @pytest.mark.parametrize("spec", [{}, {"shutdownPolicy": "Retain"}])
    async def test_it_says_so_first_then_deletes_the_pod_and_the_service(self, spec: Any) -> None:
        async with a_world() as world:
            before = await a_sandbox_with_an_end(world, **spec)
            await world.run_for(LIFE_S)
            wrote = world.writes()[len(before) :]
            assert (wrote[0], set(wrote[1:3]), wrote[3:]) == (STATUS, DELETES, [STATUS])
            status = (await world.sandbox()).status
            assert status is not None
            ready = find(status.conditions, "Ready")
            assert ready is not None
            assert (ready.status, ready.reason, ready.message) == (
                "False",
                "SandboxExpired",
                "Sandbox has expired",
            )
            bare = (status.service, status.service_fqdn, status.selector, status.node_name)
            assert (bare, status.pod_ips) == (("", "", "", ""), ())
            assert find(status.conditions, "PodScheduled") is None
            assert find(status.conditions, "Suspended") is not None
            with pytest.raises(NotFoundError):
                await world.hand.get(SERVICE, KEY)
            await world.hand.get(VOLUME_CLAIM, ObjectKey(NAMESPACE, "data-sb"))
            assert world.errors == []

    async def test_it_happens_in_time_and_costs_nothing_before_and_after(self) -> None:
        async with a_world() as world:
            before = await a_sandbox_with_an_end(world)
            await world.run_for(LIFE_S - 4)
            assert world.writes() == before
            await world.run_for(4)
            wrote, passes = world.writes(), world.passes
            assert len(wrote) == len(before) + 4
            await world.run_for(3600)
            assert (world.writes(), world.passes) == (wrote, passes)

    async def test_how_its_pod_ended_stays_told(self) -> None:
        async with a_world() as world:
            await a_sandbox_with_an_end(world)
            await world.play_kubelet({"phase": "Failed"})
            await world.run_for(LIFE_S)
            status = (await world.sandbox()).status
            assert status is not None
            reasons = {c.type: c.reason for c in status.conditions}
            assert reasons == {
                "Suspended": "NotSuspended",
                "Finished": "PodFailed",
                "Ready": "SandboxExpired",
            }

    @pytest.mark.parametrize("in_s", [3600.0, None], ids=["moved", "removed"])
    async def test_another_time_revives_it_with_its_volume(self, in_s: float | None) -> None:
        async with a_world() as world:
            await a_sandbox_with_an_end(world)
            volume = await world.hand.get(VOLUME_CLAIM, ObjectKey(NAMESPACE, "data-sb"))
            await world.run_for(LIFE_S)
            await world.remove(POD)
            await set_time(world, in_s)
            await world.run_for(0.2)
            await world.play_kubelet(READY_STATUS)
            await world.run_for(2)
            assert (await world.ready()).message == "Pod is Ready; Service Exists"
            again = await world.hand.get(VOLUME_CLAIM, ObjectKey(NAMESPACE, "data-sb"))
            assert again.metadata.uid == volume.metadata.uid

    async def test_one_that_is_born_expired_gets_nothing(self) -> None:
        async with a_world() as world:
            end = rfc3339(world.clock.wall() - 1)
            await world.create(sandbox_body(service=True, shutdownTime=end))
            await world.run_for(60)
            assert world.writes() == [STATUS]
            assert (await world.ready()).reason == "SandboxExpired"

    async def test_a_service_of_somebody_else_stays(self) -> None:
        async with a_world() as world:
            metadata = {"name": "sb", "labels": TRACKING}
            owner = {"ownerReferences": [sandbox_owner(name="other", uid="u0")]}
            body = {"apiVersion": "v1", "kind": "Service", "metadata": metadata | owner}
            await world.hand.create(SERVICE, NAMESPACE, body | {"spec": {"clusterIP": "None"}})
            end = rfc3339(world.clock.wall() - 1)
            await world.create(sandbox_body(service=True, shutdownTime=end))
            await world.run_for(60)
            await world.hand.get(SERVICE, KEY)
            assert world.writes() == [STATUS]

    async def test_a_pod_that_has_lost_its_label_is_found_and_deleted(self) -> None:
        async with a_world() as world:
            before = await a_sandbox_with_an_end(world)
            # Its label is not given back in time.
            down = refusal(503, "ServiceUnavailable")
            world.transport.before = lambda r: down if "/pods" in r.path else None
            label: dict[str, Any] = dict.fromkeys(TRACKING)
            await world.hand.merge_patch(POD, KEY, {"metadata": {"labels": label}})
            await world.run_for(1)
            world.transport.before = lambda _: None
            await set_time(world, -1)
            await world.run_for(5)
            assert "delete pods 200" in world.writes()[len(before) :]


class TestDelete:
    """The sandbox goes, after its children."""

    async def test_the_children_go_first_and_then_the_sandbox(self) -> None:
        async with a_world() as world:
            before = await a_sandbox_with_an_end(world, shutdownPolicy="Delete")
            await world.run_for(LIFE_S)
            wrote = world.writes()[len(before) :]
            assert (wrote[0], set(wrote[1:3])) == (STATUS, DELETES)
            assert wrote[3:] == ["delete sandboxes.agents.x-k8s.io 200"]
            with pytest.raises(NotFoundError):
                await world.sandbox()
            assert world.errors == []

    async def test_a_refused_deletion_is_not_forgotten(self) -> None:
        async with a_world() as world:
            await a_sandbox_with_an_end(world, shutdownPolicy="Delete")
            no = refusal(403, "Forbidden")
            world.transport.before = lambda r: no if is_delete(r, "pods") else None
            await world.run_for(LIFE_S)
            assert (await world.ready()).reason == "SandboxExpired"
            assert {type(error) for error in world.errors} == {ForbiddenError}
            world.transport.before = lambda _: None
            await world.run_for(60)
            with pytest.raises(NotFoundError):
                await world.sandbox()

    async def test_whoever_moves_the_time_at_the_last_moment_keeps_it(self) -> None:
        async with a_world() as world:
            await a_sandbox_with_an_end(world, shutdownPolicy="Delete")
            await world.run_for(LIFE_S - 3)
            old = world.caches.sandboxes.store.get(KEY)
            world.transport.before = lambda r: (
                refusal(409, "Conflict") if is_delete(r, "sandboxes") else None
            )
            await world.run_for(2)
            deletes = [r for r in world.transport.requests if is_delete(r, "sandboxes")]
            options = msgspec.json.decode(deletes[0].body or b"")
            assert old is not None
            assert options["preconditions"]["uid"] == old.metadata.uid
            assert int(options["preconditions"]["resourceVersion"]) > old.metadata.version
            await set_time(world, 3600)
            await world.run_for(60)
            assert (await world.sandbox()).metadata.deletion_timestamp is None


class TestOrder:
    """Nothing is deleted before its reason is stored."""

    async def test_without_the_status_nothing_is_deleted(self) -> None:
        async with a_world() as world:
            before = await a_sandbox_with_an_end(world, shutdownPolicy="Delete")
            down = refusal(503, "ServiceUnavailable")
            world.transport.before = lambda r: down if r.path.endswith("/status") else None
            await world.run_for(LIFE_S)
            assert world.writes() == before
            assert world.errors

    @pytest.mark.parametrize("policy", ["Retain", "Delete"])
    async def test_all_of_its_pods_go(self, policy: str) -> None:
        async with a_world() as world:
            await a_sandbox_with_an_end(world, shutdownPolicy=policy)
            uid = (await world.sandbox()).metadata.uid
            metadata = {
                "name": "twin",
                "labels": TRACKING,
                "ownerReferences": [sandbox_owner(uid=uid)],
            }
            spec = {"containers": [{"name": "c", "image": "i"}]}
            body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
            await world.hand.create(POD, NAMESPACE, body)
            await world.run_for(LIFE_S)
            for name in ("sb", "twin"):
                pod = await world.pod(name)
                assert pod is None or pod.metadata.is_deleting
