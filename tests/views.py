"""Views for tests of pure code: one line for each object."""

from __future__ import annotations

from typing import Any

import msgspec

from warmclaim.api import names
from warmclaim.api.claim import Claim, ClaimedSandbox, ClaimSpec, ClaimStatus, PoolRef
from warmclaim.api.conditions import READY, Condition
from warmclaim.api.meta import ObjectMeta, OwnerReference
from warmclaim.api.pool import Pool, PoolSpec, TemplateRef
from warmclaim.api.sandbox import Sandbox, SandboxStatus
from warmclaim.api.template import Template, TemplateSpec
from warmclaim.domain.owners import owner_reference

NAMESPACE = "tenant"
NOW = "2026-01-01T00:00:10Z"


def a_condition(status: str = "True", **fields: Any) -> Condition:
    """A Ready condition."""
    defaults: dict[str, Any] = {
        "type": READY,
        "reason": "DependenciesReady",
        "message": "Pod is Ready",
        "last_transition_time": "2026-01-01T00:00:00Z",
        "observed_generation": 1,
    }
    return Condition(status=status, **{**defaults, **fields})


def a_claim(name: str = "claim", *, published: str = "", **meta: Any) -> Claim:
    """A claim of pool `pool`; `published` names its sandbox."""
    status = None
    if published:
        sandbox = ClaimedSandbox(name=published, pod_ips=("10.0.0.1",))
        ready = a_condition(last_transition_time="2026-01-01T00:00:05Z")
        status = ClaimStatus(conditions=(ready,), sandbox=sandbox)
    defaults: dict[str, Any] = {
        "uid": f"uid-{name}",
        "generation": 1,
        "creation_timestamp": "2026-01-01T00:00:05Z",
        "resource_version": "10",
    }
    metadata = ObjectMeta(name=name, namespace=NAMESPACE, **{**defaults, **meta})
    return Claim(metadata, ClaimSpec(warm_pool_ref=PoolRef("pool")), status)


def a_pool(name: str = "pool", *, replicas: int = 3, **meta: Any) -> Pool:
    """A pool on template `template`."""
    defaults: dict[str, Any] = {"uid": f"uid-{name}", "generation": 1, "resource_version": "5"}
    metadata = ObjectMeta(name=name, namespace=NAMESPACE, **{**defaults, **meta})
    return Pool(metadata, PoolSpec(replicas=replicas, sandbox_template_ref=TemplateRef("template")))


def a_template(name: str = "template", **spec: Any) -> Template:
    """A template with one container."""
    pod = {"spec": {"containers": [{"name": "main", "image": "sandbox:1"}]}}
    defaults: dict[str, Any] = {"pod_template": pod, **spec}
    metadata = ObjectMeta(name=name, namespace=NAMESPACE, uid=f"uid-{name}", resource_version="3")
    return Template(metadata, TemplateSpec(**defaults))


def owned_by_pool(pool: str = "pool", uid: str | None = None) -> OwnerReference:
    """The controlling owner of a pool's member."""
    return OwnerReference(
        api_version="extensions.agents.x-k8s.io/v1beta1",
        kind="SandboxWarmPool",
        name=pool,
        uid=uid or f"uid-{pool}",
        controller=True,
        block_owner_deletion=True,
    )


def a_sandbox(
    name: str = "warm",
    *,
    owner: OwnerReference | Claim | None = None,
    ready: bool = True,
    ip: str = "10.0.0.1",
    node: str = "n1",
    **meta: Any,
) -> Sandbox:
    """A warm member of `pool`, or of the owner given."""
    if isinstance(owner, Claim):
        owner = msgspec.convert(owner_reference(owner), OwnerReference)
    defaults: dict[str, Any] = {
        "uid": f"uid-{name}",
        "generation": 1,
        "creation_timestamp": "2026-01-01T00:00:00Z",
        "resource_version": "7",
        "labels": {names.LABEL_WARM_POOL: names.name_hash("pool")},
        "owner_references": (owner or owned_by_pool(),),
    }
    status = SandboxStatus(
        conditions=(a_condition("True" if ready else "False"),),
        pod_ips=(ip,) if ip else (),
        node_name=node,
    )
    metadata = ObjectMeta(name=name, namespace=NAMESPACE, **{**defaults, **meta})
    return Sandbox(metadata, status=status)
