"""The sandbox controller against an API server: what it writes, when, and how often."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controllers.sandbox_world import (
    NAMESPACE,
    READY_STATUS,
    a_ready_sandbox,
    a_world,
)
from tests.sandbox_objects import CLAIM, POOL, sandbox_body

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import name_hash
from warmclaim.api.resources import SANDBOX
from warmclaim.domain.sandbox_decision import SandboxDecision, decide_sandbox
from warmclaim.domain.sandbox_facts import SandboxFacts
from warmclaim.seams import Channel, Request
from warmqueue import Lane

KEY = ObjectKey(NAMESPACE, "sb")
POST_POD = "create pods 201"
POST_SERVICE = "create services 201"
STATUS = "patch sandboxes.agents.x-k8s.io/status 200"
ANNOTATION = "patch sandboxes.agents.x-k8s.io 200"


def noted_looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is decided, look by look."""
    looks: list[str] = []

    def noted(facts: SandboxFacts) -> SandboxDecision:
        decision = decide_sandbox(facts)
        looks.append(type(decision).__name__)
        return decision

    monkeypatch.setattr("warmclaim.controllers.sandbox.decide_sandbox", noted)
    return looks


class TestWrites:
    """A sandbox's whole life in writes."""

    async def test_a_pool_s_sandbox_ready_within_a_second_costs_a_pod_and_one_status(self) -> None:
        async with a_world() as world:
            await world.create(sandbox_body(owned_by=POOL))
            await world.run_for(0.3)
            await world.play_scheduler()
            await world.run_for(0.3)
            await world.play_kubelet(READY_STATUS)
            await world.run_for(10)
            assert world.writes() == [POST_POD, STATUS]
            assert (world.reads(), world.errors) == (0, [])
            status = (await world.sandbox()).status
            assert status is not None
            assert [(c.type, c.status) for c in status.conditions] == [
                ("Suspended", "False"),
                ("PodScheduled", "True"),
                ("Ready", "True"),
            ]
            assert (status.pod_ips, status.node_name) == (("10.0.0.7",), "n1")
            assert status.selector == f"agents.x-k8s.io/sandbox-name-hash={name_hash('sb')}"

    async def test_a_change_of_the_spec_that_no_condition_tells_of_costs_nothing(self) -> None:
        async with a_world() as world:
            await world.create(sandbox_body(owned_by=POOL))
            await world.run_for(0.3)
            await world.play_kubelet(READY_STATUS)
            await world.run_for(10)
            before = world.writes()
            patch = {"spec": {"podTemplate": {"spec": {"terminationGracePeriodSeconds": 5}}}}
            await world.hand.merge_patch(SANDBOX, ObjectKey(NAMESPACE, "sb"), patch)
            await world.run_for(60)
            assert (await world.sandbox()).metadata.generation == 2
            assert world.writes() == before

    async def test_a_later_one_costs_two_statuses(self) -> None:
        async with a_world() as world:
            await world.create(sandbox_body(owned_by=POOL))
            await world.run_for(0.3)
            await world.play_scheduler()
            await world.run_for(0.6)
            assert world.writes() == [POST_POD]
            await world.run_for(0.2)
            assert world.writes() == [POST_POD, STATUS]
            await world.run_for(5)
            await world.play_kubelet(READY_STATUS)
            await world.run_for(10)
            assert world.writes() == [POST_POD, STATUS, STATUS]

    async def test_news_between_two_statuses_waits_for_the_next(self) -> None:
        async with a_world() as world:
            await world.create(sandbox_body(owned_by=POOL))
            await world.run_for(1.4)
            await world.play_scheduler()
            await world.run_for(0.5)
            await world.play_kubelet(READY_STATUS)
            await world.run_for(10)
            assert world.writes() == [POST_POD, STATUS, STATUS]

    async def test_news_that_stays_is_written_a_second_after_the_last(self) -> None:
        async with a_world() as world:
            await world.create(sandbox_body(owned_by=POOL))
            await world.run_for(1.5)
            await world.play_scheduler()
            await world.run_for(0.4)
            assert world.writes() == [POST_POD, STATUS]
            await world.run_for(0.2)
            assert world.writes() == [POST_POD, STATUS, STATUS]

    async def test_a_sandbox_without_the_pod_s_name_gets_it_once(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world, annotations={"mine": "kept"})
            assert world.writes() == [POST_POD, ANNOTATION, STATUS]
            annotations = (await world.sandbox()).metadata.annotations
            assert annotations == {"mine": "kept", "agents.x-k8s.io/pod-name": "sb"}

    async def test_a_service_is_created_together_with_the_pod(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world, service=True)
            assert sorted(world.writes()) == [POST_POD, POST_SERVICE, STATUS]
            assert world.transport.together_max == 2
            status = (await world.sandbox()).status
            assert status is not None
            assert (status.service, status.service_fqdn) == ("sb", "sb.default.svc.cluster.local")
            assert (await world.ready()).message == "Pod is Ready; Service Exists"

    async def test_a_settled_sandbox_costs_nothing_after_a_restart(self) -> None:
        async with a_world() as first:
            await a_ready_sandbox(first, owned_by=POOL, service=True)
        first.server.requests.clear()
        async with a_world(first) as second:
            await second.run_for(10)
            assert second.passes == 1
            assert second.writes() == []
            assert set(second.lanes) == {Lane.HOUSEKEEPING}

    async def test_creates_say_who_manages_the_fields(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world, service=True)
            creates = [r for r in world.transport.requests if r.method == "POST"]
            assert {r.query for r in creates} == {(("fieldManager", "sandbox-controller"),)}

    @pytest.mark.parametrize(
        ("owned_by", "channel"),
        [(POOL, Channel.REFILL), (CLAIM, Channel.CLAIMS), (None, Channel.CLAIMS)],
    )
    async def test_a_pool_s_writes_use_connections_of_their_own(
        self, owned_by: Any, channel: Channel
    ) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world, owned_by=owned_by, annotations={})
            assert len(world.transport.requests) == 3
            assert {request.channel for request in world.transport.requests} == {channel}


class TestPasses:
    """What wakes a sandbox, and how urgently."""

    async def test_own_writes_cause_no_further_pass(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world, owned_by=CLAIM, annotations={})
            assert world.writes() == [POST_POD, ANNOTATION, STATUS]
            assert world.passes == 2  # it came; its pod is Ready
            await world.run_for(60)
            assert world.passes == 2

    @pytest.mark.parametrize("owned_by", [CLAIM, POOL])
    async def test_nor_do_they_where_the_watch_is_faster_than_the_answers(
        self, owned_by: Any
    ) -> None:
        async with a_world() as world:
            world.transport.is_late = True
            await a_ready_sandbox(world, owned_by=owned_by, annotations={})
            assert world.writes() == [POST_POD, ANNOTATION, STATUS]
            await world.run_for(60)
            assert world.passes == 2

    async def test_after_its_last_write_a_pass_does_not_look_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks = noted_looks(monkeypatch)
        async with a_world() as world:
            await a_ready_sandbox(world, owned_by=POOL)
            assert looks == ["ChangeChildren", "Wait", "WriteStatus"]
            assert world.reconciler.remembered == 0

    async def test_but_where_something_came_during_that_write_it_does(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks = noted_looks(monkeypatch)
        async with a_world() as world:
            store, ended = world.server.cluster.store, iter([{"phase": "Failed"}])

            def pod_fails(request: Request) -> None:
                pod = store.get("pods", str(KEY))
                if request.path.endswith("/status") and pod and (status := next(ended, None)):
                    store.put("pods", str(KEY), {**pod.object, "status": status})

            world.transport.after, world.transport.is_late = pod_fails, True
            await a_ready_sandbox(world, owned_by=POOL)
            # The watch tells of the second write, too, before its answer comes.
            assert looks[2:] == ["WriteStatus", "WriteStatus", "Nothing"]
            assert world.passes == 2
            ready = (await world.sandbox()).ready
            assert ready is not None
            assert ready.reason == "PodFailed"

    async def test_what_comes_on_the_way_to_ready_causes_no_pass_before_it_may_be_told(
        self,
    ) -> None:
        async with a_world() as world:
            await world.create(sandbox_body(owned_by=POOL))
            await world.run_for(0.2)
            passes = world.passes
            await world.play_scheduler()
            await world.run_for(0.2)
            await world.play_kubelet({"phase": "Running"})
            await world.run_for(0.2)
            assert world.passes == passes
            await world.play_kubelet(READY_STATUS)
            await world.run_for(60)
            assert world.passes == passes + 1
            assert world.writes() == [POST_POD, STATUS]

    async def test_what_is_not_read_causes_no_pass(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            passes = world.passes
            note = {"metadata": {"labels": {"x": "y"}, "annotations": {"x": "y"}}}
            await world.hand.merge_patch(SANDBOX, KEY, note)
            await world.run_for(1)
            assert world.passes == passes

    async def test_a_lost_pod_name_is_written_again(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            name: dict[str, Any] = {"agents.x-k8s.io/pod-name": None}
            await world.hand.merge_patch(SANDBOX, KEY, {"metadata": {"annotations": name}})
            await world.run_for(1)
            assert world.writes() == [POST_POD, STATUS, ANNOTATION]

    @pytest.mark.parametrize(
        ("owned_by", "lane"), [(POOL, Lane.REFILL), (CLAIM, Lane.STATUS), (None, Lane.STATUS)]
    )
    async def test_pools_yield_until_a_member_becomes_ready(
        self, owned_by: Any, lane: Lane
    ) -> None:
        async with a_world() as world:
            await world.create(sandbox_body(owned_by=owned_by))
            await world.run_for(0.2)
            await world.play_scheduler()
            await world.run_for(0.2)
            assert set(world.lanes) == {lane}
            await world.play_kubelet(READY_STATUS)
            await world.run_for(0.2)
            assert world.lanes[-1] == Lane.STATUS

    async def test_nothing_is_remembered_of_a_sandbox_that_is_gone(self) -> None:
        async with a_world() as world:
            world.gate.clear()
            await world.create(sandbox_body(owned_by=POOL))
            await world.create(sandbox_body(name="sb2"))
            await world.run_for(0.2)
            await world.remove(SANDBOX)
            await world.remove(SANDBOX, "sb2")
            await world.run_for(0.2)
            world.gate.set()
            await world.run_for(2)
            assert await world.pod() is None
            assert world.reconciler.remembered == 0
