"""The status of a Sandbox: every row of the condition tables, and the patch that writes it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.sandbox_objects import (
    NAME_HASH,
    NOW,
    SCHEDULED,
    UID,
    a_pod,
    a_ready_pod,
    a_sandbox,
    a_service,
    sandbox_owner,
)

from warmclaim.api.conditions import Condition, find
from warmclaim.api.pod import Pod
from warmclaim.api.sandbox import Sandbox, SandboxStatus
from warmclaim.domain.sandbox_children import Problem
from warmclaim.domain.sandbox_status import status_for, status_patch

RUNNING = a_sandbox()
SUSPENDED = a_sandbox(operatingMode="Suspended")
FOREIGN = a_pod(owned_by=sandbox_owner(uid="other"), ready=True, ips=("10.6.6.6",), node="n6")
ERROR = Problem("no\nluck")
POD_ERROR = Problem("no pod", hides_pod=True)
MANY = Problem("two pods", hides_pod=True, reason="MultiplePods")


def words(status: SandboxStatus, type_: str) -> tuple[str, str, str] | None:
    condition = find(status.conditions, type_)
    return (condition.status, condition.reason, condition.message) if condition else None


def shown(status: SandboxStatus) -> dict[str, Any]:
    """As stored: the server keeps members that views leave out."""
    stored: dict[str, Any] = status_patch(RUNNING, status)[1]["value"]
    return stored


@pytest.mark.parametrize(
    ("sandbox", "pod", "problem", "expected"),
    [
        pytest.param(
            RUNNING, None, None, ("False", "NotSuspended", "Sandbox is not suspended"), id="running"
        ),
        pytest.param(
            SUSPENDED,
            None,
            POD_ERROR,
            (
                "Unknown",
                "PodStateUnknown",
                "Pod state is unknown. Sandbox suspension cannot be confirmed",
            ),
            id="unknown",
        ),
        pytest.param(
            SUSPENDED,
            None,
            None,
            ("True", "PodTerminated", "Pod has been terminated. Sandbox is suspended"),
            id="no-pod",
        ),
        pytest.param(
            SUSPENDED,
            FOREIGN,
            None,
            (
                "False",
                "PodNotOwned",
                "Refused to delete pod because it is not owned by this sandbox",
            ),
            id="foreign-pod",
        ),
        pytest.param(
            SUSPENDED,
            a_pod(),
            None,
            ("False", "PodTerminating", "Pod is terminating. Sandbox is suspending"),
            id="own-pod",
        ),
    ],
)
def test_suspended(
    sandbox: Sandbox, pod: Pod | None, problem: Problem | None, expected: tuple[str, str, str]
) -> None:
    assert words(status_for(sandbox, pod, None, problem, NOW), "Suspended") == expected


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (a_pod("Succeeded"), ("True", "PodSucceeded", "Pod completed successfully")),
        (a_pod("Failed"), ("True", "PodFailed", "Pod failed")),
        (a_pod("Running"), None),
        (a_pod("Failed", owned_by=None), None),
        (None, None),
    ],
    ids=["succeeded", "failed", "running", "foreign", "no-pod"],
)
def test_finished(pod: Pod | None, expected: tuple[str, str, str] | None) -> None:
    assert words(status_for(RUNNING, pod, None, None, NOW), "Finished") == expected


@pytest.mark.parametrize(
    ("pod", "problem", "expected"),
    [
        pytest.param(
            a_pod(scheduled=SCHEDULED), None, ("True", "PodScheduled", ""), id="no-reason-true"
        ),
        pytest.param(
            a_pod(scheduled={"type": "PodScheduled", "status": "False", "message": "m"}),
            None,
            ("False", "PodSchedulingUnknown", "m"),
            id="no-reason-false",
        ),
        pytest.param(
            a_pod(
                scheduled={
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/3 nodes",
                }
            ),
            None,
            ("False", "Unschedulable", "0/3 nodes"),
            id="copied",
        ),
        pytest.param(
            a_pod(scheduled=SCHEDULED | {"reason": "not a reason"}),
            None,
            ("True", "PodScheduled", ""),
            id="a-reason-that-the-schema-refuses",
        ),
        pytest.param(
            a_pod("Pending"),
            None,
            (
                "Unknown",
                "PodSchedulingUnknown",
                "Pod has not reported a PodScheduled condition yet",
            ),
            id="not-reported",
        ),
        pytest.param(
            None,
            POD_ERROR,
            (
                "Unknown",
                "PodSchedulingUnknown",
                "Pod state is unknown. Pod scheduling cannot be determined",
            ),
            id="unknown",
        ),
        pytest.param(None, ERROR, None, id="trouble-elsewhere"),
        pytest.param(None, None, None, id="no-pod"),
        pytest.param(FOREIGN, None, None, id="foreign"),
    ],
)
def test_pod_scheduled(
    pod: Pod | None, problem: Problem | None, expected: tuple[str, str, str] | None
) -> None:
    assert words(status_for(RUNNING, pod, None, problem, NOW), "PodScheduled") == expected


NOT_READY = ("False", "DependenciesNotReady")
IS_READY = ("True", "DependenciesReady")
RUNNING_ONLY = a_pod(ready=True)
WITH_SERVICE = a_sandbox(service=True)
WITHOUT_SERVICE = a_sandbox(service=False)


@pytest.mark.parametrize(
    ("sandbox", "pod", "has_service", "problem", "expected"),
    [
        pytest.param(
            RUNNING, None, False, MANY, ("False", "MultiplePods", "two pods"), id="multiple-pods"
        ),
        pytest.param(
            RUNNING,
            a_ready_pod(),
            False,
            ERROR,
            ("False", "ReconcilerError", "Error seen: no\nluck"),
            id="error",
        ),
        pytest.param(
            SUSPENDED,
            None,
            False,
            ERROR,
            ("False", "ReconcilerError", "Error seen: no\nluck"),
            id="error-beats-suspended",
        ),
        pytest.param(
            SUSPENDED,
            a_ready_pod(),
            False,
            None,
            ("False", "SandboxSuspended", "Sandbox is suspending"),
            id="suspending",
        ),
        pytest.param(
            SUSPENDED,
            None,
            False,
            None,
            ("False", "SandboxSuspended", "Sandbox is suspended"),
            id="suspended",
        ),
        pytest.param(
            RUNNING,
            a_pod("Succeeded"),
            False,
            None,
            ("False", "PodSucceeded", "Pod completed successfully"),
            id="succeeded",
        ),
        pytest.param(
            RUNNING, a_pod("Failed"), False, None, ("False", "PodFailed", "Pod failed"), id="failed"
        ),
        pytest.param(
            RUNNING,
            a_pod("Failed", owned_by=None),
            False,
            None,
            ("False", "PodFailed", "Pod failed"),
            id="failed-of-somebody-else",
        ),
        pytest.param(RUNNING, None, False, None, (*NOT_READY, "Pod does not exist"), id="no-pod"),
        pytest.param(
            RUNNING,
            a_pod("Pending"),
            False,
            None,
            (*NOT_READY, "Pod exists with phase: Pending"),
            id="pending",
        ),
        pytest.param(
            RUNNING, a_pod(""), False, None, (*NOT_READY, "Pod exists with phase: "), id="no-phase"
        ),
        pytest.param(
            RUNNING, a_pod(), False, None, (*NOT_READY, "Pod is Running but not Ready"), id="silent"
        ),
        pytest.param(
            RUNNING,
            a_pod(ready=False, ips=("10.0.0.7",)),
            False,
            None,
            (*NOT_READY, "Pod is Running but not Ready"),
            id="not-ready",
        ),
        pytest.param(
            RUNNING,
            RUNNING_ONLY,
            False,
            None,
            (*NOT_READY, "Pod is Ready but has no podIPs yet"),
            id="no-address",
        ),
        pytest.param(RUNNING, a_ready_pod(), False, None, (*IS_READY, "Pod is Ready"), id="ready"),
        pytest.param(
            RUNNING,
            a_ready_pod(),
            True,
            None,
            (*IS_READY, "Pod is Ready; Service Exists"),
            id="ready-with-a-service-kept",
        ),
        pytest.param(
            WITH_SERVICE,
            a_ready_pod(),
            True,
            None,
            (*IS_READY, "Pod is Ready; Service Exists"),
            id="ready-with-service",
        ),
        pytest.param(
            WITH_SERVICE,
            a_ready_pod(),
            False,
            None,
            (*NOT_READY, "Pod is Ready; Service does not exist"),
            id="service-missing",
        ),
        pytest.param(
            WITH_SERVICE,
            None,
            True,
            None,
            (*NOT_READY, "Pod does not exist; Service Exists"),
            id="pod-missing",
        ),
        pytest.param(
            WITHOUT_SERVICE, a_ready_pod(), False, None, (*IS_READY, "Pod is Ready"), id="unwanted"
        ),
    ],
)
def test_ready(
    sandbox: Sandbox,
    pod: Pod | None,
    has_service: bool,
    problem: Problem | None,
    expected: tuple[str, str, str],
) -> None:
    service = a_service() if has_service else None
    assert words(status_for(sandbox, pod, service, problem, NOW), "Ready") == expected


def test_new_conditions_stand_in_a_fixed_order_with_the_generation() -> None:
    status = status_for(RUNNING, a_pod("Failed"), None, None, NOW)
    types = [condition.type for condition in status.conditions]
    assert types == ["Suspended", "Finished", "PodScheduled", "Ready"]
    assert {condition.observed_generation for condition in status.conditions} == {3}


def test_a_ready_pod_gives_its_addresses_and_node() -> None:
    status = status_for(RUNNING, a_ready_pod(), None, None, NOW)
    assert (status.pod_ips, status.node_name) == (("10.0.0.7",), "n1")
    assert status.selector == f"agents.x-k8s.io/sandbox-name-hash={NAME_HASH}"
    assert (status.service, status.service_fqdn) == ("", "")


def test_nothing_of_a_foreign_pod_is_copied() -> None:
    status = status_for(SUSPENDED, FOREIGN, None, None, NOW)
    assert (status.pod_ips, status.node_name) == ((), "")
    assert status.selector


def test_without_a_pod_the_selector_stays_and_the_address_goes() -> None:
    old = {"podIPs": ["10.0.0.7"], "nodeName": "n1", "selector": "kept"}
    status = status_for(a_sandbox(status=old), None, None, None, NOW)
    assert (status.pod_ips, status.node_name, status.selector) == ((), "", "kept")


def test_a_service_is_named_with_the_cluster_domain() -> None:
    status = status_for(
        WITH_SERVICE, a_ready_pod(), a_service(), None, NOW, cluster_domain="k8s.example"
    )
    assert (status.service, status.service_fqdn) == ("sb", "sb.default.svc.k8s.example")


def test_with_several_pods_the_service_stays_as_it_is_shown() -> None:
    old = {"service": "sb", "serviceFQDN": "sb.default.svc.cluster.local"}
    status = status_for(a_sandbox(status=old), None, None, MANY, NOW)
    assert (status.service, status.service_fqdn) == ("sb", "sb.default.svc.cluster.local")


def test_transition_times_move_only_with_the_condition_s_status() -> None:
    first = status_for(RUNNING, a_pod("Pending"), None, None, NOW)
    later = "2024-05-01T11:00:00Z"
    second = status_for(a_sandbox(status=shown(first)), a_pod(), None, None, later)
    third = status_for(a_sandbox(status=shown(second)), a_ready_pod(), None, None, later)
    times = [
        [condition.last_transition_time for condition in status.conditions]
        for status in (first, second, third)
    ]
    scheduled_at = SCHEDULED["lastTransitionTime"]
    assert times == [[NOW, NOW, NOW], [NOW, NOW, NOW], [NOW, scheduled_at, later]]


def test_the_same_facts_give_an_equal_status() -> None:
    first = status_for(RUNNING, a_ready_pod(), None, None, NOW)
    stored = a_sandbox(status=shown(first))
    again = status_for(stored, a_ready_pod(), None, None, "2030-01-01T00:00:00Z")
    assert again == stored.status


def test_conditions_of_others_survive() -> None:
    mine = {"type": "Mine", "status": "True", "reason": "R", "lastTransitionTime": NOW}
    status = status_for(a_sandbox(status={"conditions": [mine]}), None, None, None, NOW)
    assert [condition.type for condition in status.conditions] == ["Mine", "Suspended", "Ready"]


def test_conditions_that_no_longer_hold_are_removed() -> None:
    first = status_for(RUNNING, a_pod("Failed"), None, None, NOW)
    second = status_for(a_sandbox(status=shown(first)), None, None, None, NOW)
    assert [condition.type for condition in second.conditions] == ["Suspended", "Ready"]


def test_the_first_patch_adds_the_whole_status() -> None:
    status = status_for(RUNNING, a_ready_pod(), None, None, NOW)
    test, add = status_patch(RUNNING, status)
    assert test == {"op": "test", "path": "/metadata/uid", "value": UID}
    assert (add["op"], add["path"]) == ("add", "/status")
    required = {"type", "status", "reason", "message", "lastTransitionTime"}
    assert all(required <= condition.keys() for condition in add["value"]["conditions"])
    assert list(add["value"]["podIPs"]) == ["10.0.0.7"]


def test_a_later_patch_touches_only_what_differs() -> None:
    ready = status_for(RUNNING, a_ready_pod(), None, None, NOW)
    stored = a_sandbox(status=shown(ready))
    moved = msgspec.structs.replace(ready, node_name="n2")
    assert status_patch(stored, moved)[1:] == [
        {"op": "add", "path": "/status/nodeName", "value": "n2"}
    ]
    gone = status_for(stored, None, None, None, NOW)
    assert [(op["op"], op["path"]) for op in status_patch(stored, gone)[1:]] == [
        ("add", "/status/conditions"),
        ("remove", "/status/podIPs"),
        ("remove", "/status/nodeName"),
    ]


def test_an_empty_message_is_written_not_left_out() -> None:
    condition = Condition(type="PodScheduled", status="True", reason="PodScheduled")
    _, add = status_patch(RUNNING, SandboxStatus(conditions=(condition,)))
    assert add["value"]["conditions"][0]["message"] == ""
