"""The conditions of a Sandbox: every row of their tables."""

from __future__ import annotations

import pytest
from tests.sandbox_objects import (
    NOW,
    SCHEDULED,
    a_pod,
    a_ready_pod,
    a_service,
)
from tests.sandbox_states import (
    ERROR,
    FOREIGN,
    MANY,
    POD_ERROR,
    RUNNING,
    RUNNING_ONLY,
    SUSPENDED,
    WITH_SERVICE,
    WITHOUT_SERVICE,
    words,
)

from warmclaim.api.pod import Pod
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.sandbox_children import Problem
from warmclaim.domain.sandbox_status import status_for


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
