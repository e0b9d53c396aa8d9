"""The status that a Sandbox should show; equal to what it shows means nothing is written.

Reasons and the fixed messages are words of the API: clients compare them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from warmclaim.api.conditions import (
    FINISHED,
    MESSAGE_CHARS_MAX,
    POD_SCHEDULED,
    READY,
    SUSPENDED,
    Condition,
    SandboxReason,
    Status,
    find,
    is_reason,
    upsert,
    without,
)
from warmclaim.api.pod import Pod, Service
from warmclaim.api.sandbox import Sandbox, SandboxStatus
from warmclaim.domain.sandbox_children import Problem, is_controlled_by, tracking

Operation: TypeAlias = Mapping[str, Any]

MULTIPLE_PODS = "MultiplePods"
SANDBOX_SUSPENDED = "SandboxSuspended"
SANDBOX_EXPIRED = "SandboxExpired"
POD_NOT_OWNED = "PodNotOwned"
POD_SCHEDULING_UNKNOWN = "PodSchedulingUnknown"

_PHASES_FINAL = {
    "Succeeded": (SandboxReason.POD_SUCCEEDED, "Pod completed successfully"),
    "Failed": (SandboxReason.POD_FAILED, "Pod failed"),
}


def is_suspended(sandbox: Sandbox) -> bool:
    """Does its user want no pod?"""
    return sandbox.spec.operating_mode == "Suspended"


def was_not_owned(sandbox: Sandbox) -> bool:
    """Does its status tell of a pod of somebody else in the way of its suspension?"""
    conditions = sandbox.status.conditions if sandbox.status else ()
    found = find(conditions, SUSPENDED)
    return found is not None and found.reason == POD_NOT_OWNED


def status_for(
    sandbox: Sandbox,
    pod: Pod | None,
    service: Service | None,
    problem: Problem | None,
    now: str,
    *,
    cluster_domain: str = "cluster.local",
) -> SandboxStatus:
    """The status of `sandbox`, given its pod and the Service that was accepted as its own.

    A pod of somebody else may be passed: it is said to be there, and nothing of it is copied.
    `now` is wall time as the API writes it; it is used only for conditions whose status changes.
    Cost: O(conditions).
    """
    old = sandbox.status or SandboxStatus()
    own = pod if pod is not None and is_controlled_by(sandbox, pod) else None
    conditions = old.conditions
    for type_, condition in (
        (SUSPENDED, _suspended(sandbox, pod, own, problem)),
        (FINISHED, _finished(own)),
        (POD_SCHEDULED, _scheduled(own, problem)),
        (READY, _ready(sandbox, pod, service, problem)),
    ):
        if condition is None:
            conditions = without(conditions, type_)
            continue
        condition = msgspec.structs.replace(
            condition, observed_generation=sandbox.metadata.generation
        )
        conditions = upsert(conditions, condition, now=now)
    service_name, service_fqdn = _service_names(sandbox, service, problem, cluster_domain)
    selector = ",".join(f"{key}={value}" for key, value in tracking(sandbox).items())
    return SandboxStatus(
        conditions=conditions,
        pod_ips=own.ips if own else (),
        node_name=own.spec.node_name if own else "",
        selector=selector if pod else old.selector,
        service=service_name,
        service_fqdn=service_fqdn,
    )


def expired_status(sandbox: Sandbox, now: str, *, is_ended: bool) -> SandboxStatus:
    """The status of a sandbox whose time is over; with `is_ended`, once nothing is left of it but
    its conditions. How its pod ended and whether it was suspended stay told."""
    old = sandbox.status or SandboxStatus()
    ready = _of(READY, Status.FALSE, SANDBOX_EXPIRED, "Sandbox has expired")
    ready = msgspec.structs.replace(ready, observed_generation=sandbox.metadata.generation)
    conditions = upsert(without(old.conditions, POD_SCHEDULED), ready, now=now)
    kept = SandboxStatus() if is_ended else old
    return msgspec.structs.replace(kept, conditions=conditions)


def differs_by_status_only(old: Sandbox, new: Sandbox, status: SandboxStatus) -> bool:
    """Is `new` what became of `old` by a write of `status` and nothing else?"""
    version = old.metadata.resource_version
    metadata = msgspec.structs.replace(new.metadata, resource_version=version)
    return new.status == status and metadata == old.metadata and new.spec == old.spec


def status_patch(sandbox: Sandbox, status: SandboxStatus) -> list[Operation]:
    """JSON Patch for the status subresource: only what differs, and only on this very sandbox."""
    test: Operation = {"op": "test", "path": "/metadata/uid", "value": sandbox.metadata.uid}
    new = _members(status)
    if sandbox.status is None:
        return [test, {"op": "add", "path": "/status", "value": new}]
    old = _members(sandbox.status)
    return [
        test,
        *({"op": "add", "path": f"/status/{k}", "value": v} for k, v in _changed(old, new)),
        *({"op": "remove", "path": f"/status/{k}"} for k in old if k not in new),
    ]


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in new.items() if old.get(key) != value)


def _members(status: SandboxStatus) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(status)
    if status.conditions:
        members["conditions"] = [_condition(condition) for condition in status.conditions]
    return members


def _condition(condition: Condition) -> dict[str, Any]:
    # Views leave out empty members; the schema requires these two, "" or not.
    return {"reason": "", "message": "", **msgspec.to_builtins(condition)}


def _suspended(
    sandbox: Sandbox, pod: Pod | None, own: Pod | None, problem: Problem | None
) -> Condition:
    if not is_suspended(sandbox):
        return _of(SUSPENDED, Status.FALSE, "NotSuspended", "Sandbox is not suspended")
    if pod is None:
        if problem is not None and problem.hides_pod:
            text = "Pod state is unknown. Sandbox suspension cannot be confirmed"
            return _of(SUSPENDED, Status.UNKNOWN, "PodStateUnknown", text)
        text = "Pod has been terminated. Sandbox is suspended"
        return _of(SUSPENDED, Status.TRUE, "PodTerminated", text)
    if own is None:
        text = "Refused to delete pod because it is not owned by this sandbox"
        return _of(SUSPENDED, Status.FALSE, POD_NOT_OWNED, text)
    text = "Pod is terminating. Sandbox is suspending"
    return _of(SUSPENDED, Status.FALSE, "PodTerminating", text)


def _finished(own: Pod | None) -> Condition | None:
    final = _PHASES_FINAL.get(own.status.phase) if own else None
    return _of(FINISHED, Status.TRUE, *final) if final else None


def _scheduled(own: Pod | None, problem: Problem | None) -> Condition | None:
    if own is None:
        if problem is None or not problem.hides_pod:
            return None
        text = "Pod state is unknown. Pod scheduling cannot be determined"
        return _of(POD_SCHEDULED, Status.UNKNOWN, POD_SCHEDULING_UNKNOWN, text)
    found = own.scheduled
    if found is None:
        text = "Pod has not reported a PodScheduled condition yet"
        return _of(POD_SCHEDULED, Status.UNKNOWN, POD_SCHEDULING_UNKNOWN, text)
    fallback = POD_SCHEDULED if found.status == Status.TRUE else POD_SCHEDULING_UNKNOWN
    return Condition(
        type=POD_SCHEDULED,
        status=found.status,
        # A scheduler of one's own may write other words to a pod.
        reason=found.reason if is_reason(found.reason) else fallback,
        message=found.message[:MESSAGE_CHARS_MAX],
        last_transition_time=found.last_transition_time or "",
    )


def _ready(
    sandbox: Sandbox, pod: Pod | None, service: Service | None, problem: Problem | None
) -> Condition:
    if problem is not None:
        is_error = problem.reason == SandboxReason.RECONCILER_ERROR
        text = f"Error seen: {problem.message}" if is_error else problem.message
        return _of(READY, Status.FALSE, problem.reason, text[:MESSAGE_CHARS_MAX])
    if is_suspended(sandbox):
        text = "Sandbox is suspending" if pod else "Sandbox is suspended"
        return _of(READY, Status.FALSE, SANDBOX_SUSPENDED, text)
    if pod is not None and (final := _PHASES_FINAL.get(pod.status.phase)):
        return _of(READY, Status.FALSE, *final)
    return _dependencies(sandbox, pod, service)


def _dependencies(sandbox: Sandbox, pod: Pod | None, service: Service | None) -> Condition:
    text = _pod_text(pod)
    needs_service = sandbox.spec.service is True or service is not None
    if needs_service:
        text += "; Service Exists" if service else "; Service does not exist"
    if pod is not None and pod.is_ready and (service is not None or not needs_service):
        return _of(READY, Status.TRUE, SandboxReason.DEPENDENCIES_READY, text)
    return _of(READY, Status.FALSE, SandboxReason.DEPENDENCIES_NOT_READY, text)


def _pod_text(pod: Pod | None) -> str:
    if pod is None:
        return "Pod does not exist"
    if pod.status.phase != "Running":
        return f"Pod exists with phase: {pod.status.phase}"
    ready = pod.condition(READY)
    if ready is None or ready.status != Status.TRUE:
        return "Pod is Running but not Ready"
    return "Pod is Ready" if pod.ips else "Pod is Ready but has no podIPs yet"


def _service_names(
    sandbox: Sandbox, service: Service | None, problem: Problem | None, cluster_domain: str
) -> tuple[str, str]:
    if problem is not None and problem.reason == MULTIPLE_PODS:
        # Which pod a Service leads to is not known: it is left alone, and so is what is said of it.
        old = sandbox.status or SandboxStatus()
        return old.service, old.service_fqdn
    if service is None:
        return "", ""
    meta = service.metadata
    return meta.name, f"{meta.name}.{meta.namespace}.svc.{cluster_domain}"


def _of(type_: str, status: Status, reason: str, message: str) -> Condition:
    return Condition(type=type_, status=status, reason=reason, message=message)
