"""The sandbox controller against an API server that refuses, forgets, or tells late."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.controllers.sandbox_world import (
    NAMESPACE,
    READY_STATUS,
    a_ready_sandbox,
    a_world,
    refusal,
)
from tests.sandbox_objects import sandbox_body, sandbox_owner

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import name_hash
from warmclaim.api.pod import Pod
from warmclaim.api.resources import POD, SANDBOX, SERVICE
from warmclaim.errors import (
    ApiError,
    ForbiddenError,
    NotFoundError,
    PermanentError,
    TransientError,
    UnknownOutcomeError,
)
from warmclaim.seams import Request, Response

KEY = ObjectKey(NAMESPACE, "sb")
POST_POD = "create pods 201"
POST_SERVICE = "create services 201"
STATUS = "patch sandboxes.agents.x-k8s.io/status 200"


def is_pod_create(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith("/pods")


def is_status_patch(request: Request) -> bool:
    return request.method == "PATCH" and request.path.endswith("/status")


class TestFaults:
    """Refusals, lost answers, old views."""

    @pytest.mark.parametrize("code", [403, 422])
    async def test_a_refused_pod_is_reported_once_and_tried_again(self, code: int) -> None:
        async with a_world() as world:
            reason = {403: "Forbidden", 422: "Invalid"}[code]
            no = refusal(code, reason, "exceeded quota: " + "x" * 1000)
            world.transport.before = lambda r: no if is_pod_create(r) else None
            await world.create(sandbox_body())
            await world.run_for(10)
            assert world.writes() == [STATUS]
            assert {type(e) for e in world.errors} == {
                ForbiddenError if code == 403 else PermanentError
            }
            assert len(world.errors) > 5  # the back-off here is the queue's, 5 ms and up
            ready = await world.ready()
            assert (ready.status, ready.reason) == ("False", "ReconcilerError")
            assert ready.message.startswith(
                f'Error seen: pod "sb" was refused ({code} {reason}): exceeded quota: xxx'
            )
            assert len(ready.message) < 320
            world.transport.before = lambda _: None
            await world.run_for(11)
            assert world.writes() == [STATUS, POST_POD, STATUS]

    async def test_a_refused_service_does_not_hide_the_pod(self) -> None:
        async with a_world() as world:
            no = refusal(403, "Forbidden", "quota")
            world.transport.before = lambda r: no if r.path.endswith("/services") else None
            await world.create(sandbox_body(service=True))
            await world.run_for(0.2)
            await world.play_scheduler()
            await world.play_kubelet(READY_STATUS)
            await world.run_for(5)
            status = (await world.sandbox()).status
            assert status is not None
            assert status.pod_ips == ("10.0.0.7",)
            assert (await world.ready()).message == (
                'Error seen: service "sb" was refused (403 Forbidden): quota'
            )

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (refusal(503, "ServiceUnavailable"), TransientError),
            (UnknownOutcomeError("reset"), UnknownOutcomeError),
        ],
    )
    async def test_a_server_in_trouble_is_nothing_to_report(
        self, answer: Any, kind: type[ApiError]
    ) -> None:
        async with a_world() as world:
            world.transport.before = lambda r: answer if is_pod_create(r) else None
            await world.create(sandbox_body())
            await world.run_for(1)
            assert {type(error) for error in world.errors} == {kind}
            assert world.writes() == []
            world.transport.before = lambda _: None
            await world.run_for(1)
            assert world.writes()[0] == POST_POD

    async def test_a_create_whose_answer_is_lost_is_read_back(self) -> None:
        async with a_world() as world:
            lost = UnknownOutcomeError("reset")
            world.transport.after = lambda r: lost if is_pod_create(r) else None
            await world.create(sandbox_body())
            await world.run_for(0.1)
            await world.play_kubelet(READY_STATUS)
            await world.run_for(5)
            assert (world.writes(), world.reads(), world.errors) == ([POST_POD, STATUS], 1, [])

    async def test_an_answer_from_before_the_pod_came_does_not_hide_the_pod(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with a_world() as world:
            lost = [UnknownOutcomeError("reset")]
            world.transport.after = lambda r: lost.pop() if is_pod_create(r) and lost else None
            late, send = [refusal(404, "NotFound")], world.transport.request

            async def overtaken(request: Request) -> Response:
                """The watch tells of the pod, and then comes what a read said before that."""
                if request.method != "GET" or not request.path.endswith("/pods/sb") or not late:
                    return await send(request)
                found = world.server.cluster.store.get(str(POD), f"{NAMESPACE}/sb")
                assert found is not None
                world.caches.pods.put(msgspec.json.decode(found.encoded, type=Pod))
                return late.pop()

            monkeypatch.setattr(world.transport, "request", overtaken)
            await world.create(sandbox_body())
            await world.run_for(1)
            await world.play_kubelet(READY_STATUS)
            await world.run_for(5)
            assert not late
            assert (await world.ready()).is_true
            assert world.errors == []

    async def test_a_pod_that_the_cache_does_not_show_yet_is_taken_over(self) -> None:
        async with a_world() as world:
            made = await world.create(sandbox_body(service=True))
            labels = {"agents.x-k8s.io/sandbox-name-hash": name_hash("sb")}
            await world.plant(POD, labels=labels, owned_by=sandbox_owner(uid=made.metadata.uid))
            # The sandbox's event has come, the pod's has not.
            world.caches.sandboxes.observe(made)
            await world.reconciler.reconcile(KEY)
            assert world.writes() == ["create pods 409", POST_SERVICE]
            assert world.reads() == 1
            await world.run_for(5)
            assert world.errors == []

    async def test_a_status_refused_for_an_old_view_is_decided_anew(self) -> None:
        async with a_world() as world:
            answers = [refusal(422, "Invalid")]
            world.transport.before = lambda r: (
                answers.pop() if is_status_patch(r) and answers else None
            )
            await a_ready_sandbox(world)
            assert (world.writes(), world.reads(), world.errors) == ([POST_POD, STATUS], 1, [])

    async def test_a_status_refused_again_and_again_is_an_error(self) -> None:
        async with a_world() as world:
            no = refusal(422, "Invalid")
            world.transport.before = lambda r: no if is_status_patch(r) else None
            await a_ready_sandbox(world)
            assert world.errors
            assert world.reads() == len(world.errors)

    async def test_a_server_that_ignores_a_status_is_not_flooded(self) -> None:
        async with a_world() as world:
            await world.create(sandbox_body(operatingMode="Suspended", annotations={}))
            path = SANDBOX.item(KEY)
            as_it_was = await world.server.handle(Request("GET", path))
            world.transport.before = lambda r: as_it_was if is_status_patch(r) else None
            await world.run_for(60)
            assert len(world.transport.requests) == 12 * len(world.errors)
            assert len(world.errors) < 16

    async def test_a_status_is_written_to_this_very_sandbox_only(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            patch = next(r for r in world.transport.requests if is_status_patch(r))
            uid = (await world.sandbox()).metadata.uid
            first = msgspec.json.decode(patch.body or b"")[0]
            assert first == {"op": "test", "path": "/metadata/uid", "value": uid}

    async def test_a_service_that_vanishes_comes_back(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world, service=True)
            await world.remove(SERVICE)
            await world.run_for(1)
            assert (await world.ready()).is_true
            assert world.writes().count(POST_SERVICE) == 2
            with pytest.raises(NotFoundError):
                await world.hand.get(SERVICE, ObjectKey(NAMESPACE, "other"))
