"""Objects as the Go controller of this API leaves them, written by hand from its documented shapes.

`version` is that of the owner references: objects made before v1beta1 was the stored version keep
`v1alpha1` there for ever. Uids are those of warmclaim.testing.builders.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from warmclaim.api.names import name_hash
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import merge_patch

Version = Literal["v1alpha1", "v1beta1"]
VERSIONS: tuple[Version, ...] = ("v1alpha1", "v1beta1")


class Marks(TypedDict, total=False):
    """What names the chosen sandbox, as `go_claim` takes it."""

    assigned: str
    legacy: str


MADE = "2026-01-01T00:00:00Z"
ASSIGNED = "agents.x-k8s.io/sandbox-name"
FIRST_OBSERVED = "agents.x-k8s.io/controller-first-observed-at"
FIRST_READY = "agents.x-k8s.io/claim-first-ready-at"


def go_member(
    name: str,
    *,
    pool: str = "pool",
    template: str = "python",
    version: Version = "v1beta1",
    has_address: bool = True,
    merge: Json | None = None,
) -> Json:
    """A warm sandbox that waits in `pool`. The server made up the end of its name."""
    marks = {
        "agents.x-k8s.io/warm-pool-sandbox": name_hash(pool),
        "agents.x-k8s.io/sandbox-template-ref-hash": name_hash(template),
        "agents.x-k8s.io/sandbox-pod-template-hash": "5f0c1d2e",
        "agents.x-k8s.io/sandbox-template-hash": "a1b2c3d4",
    }
    member = _sandbox(name, {**marks, "agents.x-k8s.io/launch-type": "warm"}, marks)
    member["metadata"] |= {
        "generateName": f"{pool}-",
        "ownerReferences": [_owner("SandboxWarmPool", pool, version)],
    }
    member["metadata"]["labels"]["agents.x-k8s.io/created-by"] = "controller"
    member["spec"]["podTemplate"]["metadata"]["annotations"] = {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "true"
    }
    if has_address:
        member["status"] = _ready_status(name)
    return _merged(member, merge)


def go_bound(
    name: str,
    *,
    claim: str = "c",
    launch: str | None = "warm",
    template: str = "python",
    version: Version = "v1beta1",
    merge: Json | None = None,
) -> Json:
    """A sandbox that `claim` owns; versions before the launch type was labelled wrote none."""
    marks = {
        "agents.x-k8s.io/sandbox-template-ref-hash": name_hash(template),
        "agents.x-k8s.io/claim-uid": f"{claim}-uid",
    }
    labels = marks | ({"agents.x-k8s.io/launch-type": launch} if launch else {})
    bound = _sandbox(name, labels, marks)
    bound["metadata"]["ownerReferences"] = [_owner("SandboxClaim", claim, version)]
    bound["status"] = _ready_status(name)
    return _merged(bound, merge)


def go_claim(
    name: str = "c",
    *,
    pool: str = "pool",
    assigned: str = "",
    legacy: str = "",
    sandbox: str = "",
    merge: Json | None = None,
) -> Json:
    """A claim that was seen. `assigned`: the sandbox that was chosen for it, in the annotation;
    `legacy`: the same in the label of older versions; `sandbox`: it has this one and is Ready."""
    annotations = {FIRST_OBSERVED: "2026-01-01T01:00:00.123456789+01:00"}
    claim: Json = {
        "apiVersion": "extensions.agents.x-k8s.io/v1beta1",
        "kind": "SandboxClaim",
        "metadata": _metadata(name),
        "spec": {"warmPoolRef": {"name": pool}},
    }
    claim["metadata"]["annotations"] = annotations | ({ASSIGNED: assigned} if assigned else {})
    claim["metadata"]["labels"] = {ASSIGNED: legacy} if legacy else {}
    if sandbox:
        claim["status"] = {
            "conditions": [_ready()],
            "sandbox": {"name": sandbox, "podIPs": ["10.0.0.7"]},
        }
    return _merged(claim, merge)


def _sandbox(name: str, labels: dict[str, str], pod_labels: dict[str, str]) -> Json:
    metadata = _metadata(name)
    metadata["labels"] = dict(labels)
    metadata["annotations"] = {
        "agents.x-k8s.io/sandbox-template-ref": "python",
        "agents.x-k8s.io/pod-name": name,
    }
    return {
        "apiVersion": "agents.x-k8s.io/v1beta1",
        "kind": "Sandbox",
        "metadata": metadata,
        "spec": {
            "podTemplate": {
                "metadata": {"labels": dict(pod_labels)},
                "spec": {
                    "automountServiceAccountToken": False,
                    "dnsPolicy": "None",
                    "dnsConfig": {"nameservers": ["8.8.8.8", "1.1.1.1"]},
                    "containers": [{"name": "sandbox", "image": "registry.example/sandbox:1"}],
                },
            },
            "operatingMode": "Running",
            "shutdownPolicy": "Retain",
        },
    }


def _metadata(name: str) -> Json:
    return {
        "name": name,
        "namespace": "default",
        "uid": f"{name}-uid",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": MADE,
    }


def _owner(kind: str, name: str, version: Version) -> Json:
    return {
        "apiVersion": f"extensions.agents.x-k8s.io/{version}",
        "kind": kind,
        "name": name,
        "uid": f"{name}-uid",
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _ready_status(name: str) -> Json:
    return {
        "conditions": [_ready()],
        "podIPs": ["10.0.0.7"],
        "nodeName": "n1",
        "selector": f"agents.x-k8s.io/sandbox-name-hash={name_hash(name)}",
    }


def _ready() -> Json:
    return {
        "type": "Ready",
        "status": "True",
        "reason": "DependenciesReady",
        "message": "Pod is Ready",
        "lastTransitionTime": MADE,
        "observedGeneration": 1,
    }


def _merged(value: Json, merge: Json | None) -> Json:
    built: Json = merge_patch(value, merge or {})
    return built
