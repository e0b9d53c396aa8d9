"""Sandboxes, pods and Services for tests, through the same JSON that a server would send."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from warmclaim.api.pod import Pod, Service
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.volume_claim import VolumeClaim

V = TypeVar("V")

NAMESPACE = "default"
UID = "5b0f0a6c-0000-4000-8000-000000000001"
CREATED = "2024-05-01T10:00:00Z"
NOW = "2024-05-01T10:00:30Z"
NAME_HASH = "3551ffa0"  # of "sb"
TRACKING = {"agents.x-k8s.io/sandbox-name-hash": NAME_HASH}
POOL = ("SandboxWarmPool", "extensions.agents.x-k8s.io/v1beta1")
CLAIM = ("SandboxClaim", "extensions.agents.x-k8s.io/v1beta1")
DEPLOYMENT = ("Deployment", "apps/v1")
TEMPLATE: dict[str, Any] = {"spec": {"containers": [{"name": "main", "image": "busybox"}]}}


def owner(kind: str, api_version: str, *, name: str = "boss", uid: str = "boss-uid") -> Any:
    """The controlling owner reference."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def sandbox_owner(name: str = "sb", uid: str = UID) -> Any:
    """A sandbox as the controlling owner."""
    return owner("Sandbox", "agents.x-k8s.io/v1beta1", name=name, uid=uid)


def sandbox_body(
    *,
    name: str = "sb",
    template: dict[str, Any] | None = None,
    owned_by: tuple[str, str] | None = None,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A Sandbox as its creator sends it; the pod name is on it from birth unless said otherwise."""
    return {
        "apiVersion": "agents.x-k8s.io/v1beta1",
        "kind": "Sandbox",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": labels or {},
            "annotations": (
                {"agents.x-k8s.io/pod-name": name} if annotations is None else annotations
            ),
            "ownerReferences": [owner(*owned_by)] if owned_by else [],
        },
        "spec": {"podTemplate": template or TEMPLATE, **spec},
    }


def a_sandbox(
    *, status: dict[str, Any] | None = None, deleting: bool = False, **body: Any
) -> Sandbox:
    """A Sandbox as it is read."""
    made = sandbox_body(**body)
    made["metadata"] |= {
        "uid": UID,
        "generation": 3,
        "resourceVersion": "10",
        "creationTimestamp": CREATED,
    }
    if deleting:
        made["metadata"]["deletionTimestamp"] = CREATED
    if status is not None:
        made["status"] = status
    return decoded(made, Sandbox)


def a_pod(
    phase: str = "Running",
    *,
    name: str = "sb",
    ready: bool | None = None,
    scheduled: dict[str, Any] | None = None,
    ips: tuple[str, ...] = (),
    node: str = "",
    owned_by: Any = "sandbox",
    namespace: str = NAMESPACE,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    deleting: bool = False,
) -> Pod:
    """A Pod of the sandbox "sb", unless `owned_by` says whose (None: nobody's); it has the label of
    that sandbox unless `labels` says otherwise."""
    references = [sandbox_owner()] if owned_by == "sandbox" else [owned_by] if owned_by else []
    conditions: list[dict[str, Any]] = [scheduled] if scheduled else []
    if ready is not None:
        conditions.append({"type": "Ready", "status": "True" if ready else "False"})
    return decoded(
        {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": f"{name}-pod",
                "resourceVersion": "20",
                "ownerReferences": references,
                "labels": TRACKING if labels is None else labels,
                "annotations": annotations or {},
                "deletionTimestamp": CREATED if deleting else None,
            },
            "spec": {"nodeName": node},
            "status": {
                "phase": phase,
                "conditions": conditions,
                "podIPs": [{"ip": ip} for ip in ips],
            },
        },
        Pod,
    )


SCHEDULED: dict[str, Any] = {
    "type": "PodScheduled",
    "status": "True",
    "lastTransitionTime": "2024-05-01T10:00:05Z",
}


def a_ready_pod() -> Pod:
    """Running, scheduled, Ready and reachable."""
    return a_pod(ready=True, scheduled=SCHEDULED, ips=("10.0.0.7",), node="n1")


def a_service(
    owned_by: Any = "sandbox",
    *,
    labels: dict[str, str] | None = None,
    deleting: bool = False,
    **spec: Any,
) -> Service:
    """The Service "sb", of the sandbox unless `owned_by` says whose (None: nobody's)."""
    references = [sandbox_owner()] if owned_by == "sandbox" else [owned_by] if owned_by else []
    meta = {
        "name": "sb",
        "namespace": NAMESPACE,
        "uid": "svc",
        "resourceVersion": "30",
        "ownerReferences": references,
        "labels": TRACKING if labels is None else labels,
        "deletionTimestamp": CREATED if deleting else None,
    }
    full = {"clusterIP": "None", "selector": TRACKING, **spec}
    return decoded({"metadata": meta, "spec": full}, Service)


def a_volume_claim(
    name: str = "data-sb", owned_by: Any = "sandbox", *, labels: dict[str, str] | None = None
) -> VolumeClaim:
    """A volume claim of the sandbox "sb", unless `owned_by` says whose (None: nobody's)."""
    references = [sandbox_owner()] if owned_by == "sandbox" else [owned_by] if owned_by else []
    meta = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"{name}-uid",
        "resourceVersion": "40",
        "ownerReferences": references,
        "labels": TRACKING if labels is None else labels,
    }
    return decoded({"metadata": meta}, VolumeClaim)


def decoded(body: dict[str, Any], view: type[V]) -> V:
    """The view of an object given as JSON values."""
    return msgspec.json.decode(msgspec.json.encode(body), type=view)
