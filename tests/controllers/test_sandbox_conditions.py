"""The four conditions of a sandbox, through its life: types, reasons, messages, times."""

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
from tests.sandbox_objects import TRACKING, sandbox_body, sandbox_owner

from warmclaim.api.conditions import Condition
from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import name_hash
from warmclaim.api.resources import POD, SANDBOX
from warmclaim.settings import SandboxSettings

KEY = ObjectKey(NAMESPACE, "sb")
RUNNING = ("Suspended", "False", "NotSuspended", "Sandbox is not suspended")
UNSCHEDULED = (
    "PodScheduled",
    "Unknown",
    "PodSchedulingUnknown",
    "Pod has not reported a PodScheduled condition yet",
)
HIDDEN = (
    "PodScheduled",
    "Unknown",
    "PodSchedulingUnknown",
    "Pod state is unknown. Pod scheduling cannot be determined",
)
SCHEDULED = ("PodScheduled", "True", "PodScheduled", "")
NOT_READY = ("Ready", "False", "DependenciesNotReady")


async def conditions(world: World) -> tuple[Condition, ...]:
    status = (await world.sandbox()).status
    return status.conditions if status else ()


async def words(world: World) -> list[tuple[str, str, str, str]]:
    return [(c.type, c.status, c.reason, c.message) for c in await conditions(world)]


def pod_status(phase: str, *, ready: bool | None = None, ips: bool = False) -> dict[str, Any]:
    found = [{"type": "PodScheduled", "status": "True"}]
    if ready is not None:
        found.append({"type": "Ready", "status": str(ready)})
    return {
        "phase": phase,
        "conditions": found,
        "podIPs": [{"ip": "10.0.0.7"}] if ips else [],
    }


class TestPodStates:
    """What is said of each state of a pod."""

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            pytest.param(
                {"phase": "Pending"},
                [RUNNING, UNSCHEDULED, (*NOT_READY, "Pod exists with phase: Pending")],
                id="pending",
            ),
            pytest.param(
                {
                    "phase": "Pending",
                    "conditions": [
                        {
                            "type": "PodScheduled",
                            "status": "False",
                            "reason": "Unschedulable",
                            "message": "0/3 nodes are available",
                        }
                    ],
                },
                [
                    RUNNING,
                    ("PodScheduled", "False", "Unschedulable", "0/3 nodes are available"),
                    (*NOT_READY, "Pod exists with phase: Pending"),
                ],
                id="unschedulable",
            ),
            pytest.param(
                pod_status("Running"),
                [RUNNING, SCHEDULED, (*NOT_READY, "Pod is Running but not Ready")],
                id="running",
            ),
            pytest.param(
                pod_status("Running", ready=False, ips=True),
                [RUNNING, SCHEDULED, (*NOT_READY, "Pod is Running but not Ready")],
                id="not-ready",
            ),
            pytest.param(
                pod_status("Running", ready=True),
                [RUNNING, SCHEDULED, (*NOT_READY, "Pod is Ready but has no podIPs yet")],
                id="without-address",
            ),
            pytest.param(
                pod_status("Running", ready=True, ips=True),
                [RUNNING, SCHEDULED, ("Ready", "True", "DependenciesReady", "Pod is Ready")],
                id="ready",
            ),
            pytest.param(
                pod_status("Succeeded", ready=False),
                [
                    RUNNING,
                    ("Finished", "True", "PodSucceeded", "Pod completed successfully"),
                    SCHEDULED,
                    ("Ready", "False", "PodSucceeded", "Pod completed successfully"),
                ],
                id="succeeded",
            ),
            pytest.param(
                pod_status("Failed", ready=False),
                [
                    RUNNING,
                    ("Finished", "True", "PodFailed", "Pod failed"),
                    SCHEDULED,
                    ("Ready", "False", "PodFailed", "Pod failed"),
                ],
                id="failed",
            ),
        ],
    )
    async def test_words(self, status: dict[str, Any], expected: list[Any]) -> None:
        async with a_world() as world:
            await world.create(sandbox_body())
            await world.run_for(0.1)
            await world.play_kubelet(status)
            await world.run_for(3)
            assert await words(world) == expected
            assert {c.observed_generation for c in await conditions(world)} == {1}

    async def test_a_pod_that_is_made_again_is_finished_no_longer(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            await world.play_kubelet(pod_status("Failed"))
            await world.run_for(1)
            await world.remove(POD)
            await world.run_for(0.1)
            await world.play_kubelet(READY_STATUS)
            await world.run_for(1)
            types = {c.type for c in await conditions(world)}
            assert types == {"Suspended", "PodScheduled", "Ready"}

    async def test_conditions_of_others_stay_and_none_comes_twice(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            theirs = {
                "type": "example.org/Checked",
                "status": "True",
                "reason": "Checked",
                "message": "",
                "lastTransitionTime": "2024-01-01T00:00:00Z",
            }
            found = [*map(_as_sent, await conditions(world)), theirs]
            patch = {"status": {"conditions": found}}
            await world.hand.merge_patch(SANDBOX, KEY, patch, subresource="status")
            for phase in ("Failed", "Running", "Failed"):
                await world.play_kubelet(pod_status(phase))
                await world.run_for(2)
            types = [c.type for c in await conditions(world)]
            assert len(types) == len(set(types)) == 5
            assert "example.org/Checked" in types

    async def test_the_time_of_a_transition_moves_with_the_status_alone(self) -> None:
        async with a_world() as world:
            await a_ready_sandbox(world)
            first = (await world.ready()).last_transition_time
            await world.run_for(10)
            await world.play_kubelet(pod_status("Running", ready=False, ips=True))
            await world.run_for(1)
            second = (await world.ready()).last_transition_time
            await world.run_for(10)
            await world.play_kubelet(pod_status("Failed"))
            await world.run_for(1)
            assert (await world.ready()).reason == "PodFailed"
            assert (await world.ready()).last_transition_time == second
            assert second > first


def _as_sent(condition: Condition) -> dict[str, Any]:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": condition.last_transition_time,
    }


class TestTrouble:
    """What is said where the pod cannot be had."""

    @pytest.mark.parametrize("mode", ["Running", "Suspended"])
    async def test_of_several_pods_nothing_is_known(self, mode: str) -> None:
        async with a_world() as world:
            made = await world.create(sandbox_body(operatingMode=mode, annotations={}))
            mine = sandbox_owner(uid=made.metadata.uid)
            for name in ("sb", "twin"):
                await world.plant(POD, name, labels=TRACKING, owned_by=mine)
            await world.run_for(5)
            text = 'sandbox "sb" owns 2 pods: sb, twin'
            unknown = "Pod state is unknown. Sandbox suspension cannot be confirmed"
            suspended = ("Suspended", "Unknown", "PodStateUnknown", unknown)
            assert await words(world) == [
                suspended if mode == "Suspended" else RUNNING,
                HIDDEN,
                ("Ready", "False", "MultiplePods", text),
            ]

    async def test_errors_stand_one_below_the_other(self) -> None:
        async with a_world() as world:
            no = refusal(403, "Forbidden", "quota")
            world.transport.before = lambda r: no if r.method == "POST" else None
            await world.create(sandbox_body(service=True))
            await world.run_for(2)
            assert await words(world) == [
                RUNNING,
                HIDDEN,
                (
                    "Ready",
                    "False",
                    "ReconcilerError",
                    'Error seen: pod "sb" was refused (403 Forbidden): quota\n'
                    'service "sb" was refused (403 Forbidden): quota',
                ),
            ]


class TestRest:
    """The other members of the status."""

    @pytest.mark.parametrize("domain", ["cluster.local", "corp.example"])
    async def test_the_service_s_name_has_the_cluster_s_domain(self, domain: str) -> None:
        async with a_world(settings=SandboxSettings(cluster_domain=domain)) as world:
            await a_ready_sandbox(world, service=True)
            status = (await world.sandbox()).status
            assert status is not None
            assert (status.service, status.service_fqdn) == ("sb", f"sb.default.svc.{domain}")

    async def test_the_selector_comes_with_the_first_pod_and_stays(self) -> None:
        async with a_world() as world:
            await world.create(sandbox_body(operatingMode="Suspended", annotations={}))
            await world.run_for(1)
            status = (await world.sandbox()).status
            assert status is not None
            assert status.selector == ""
            await world.hand.merge_patch(SANDBOX, KEY, {"spec": {"operatingMode": "Running"}})
            await world.run_for(0.1)
            await world.play_kubelet(READY_STATUS)
            await world.run_for(1)
            await world.hand.merge_patch(SANDBOX, KEY, {"spec": {"operatingMode": "Suspended"}})
            await world.run_for(2)
            status = (await world.sandbox()).status
            assert status is not None
            assert (status.pod_ips, status.node_name) == ((), "")
            assert status.selector == f"agents.x-k8s.io/sandbox-name-hash={name_hash('sb')}"
