"""Fixtures, one line each: objects as the API serves them.

    sandbox = a_sandbox("w1", pool="web", node="n2")
    as_view(sandbox, Sandbox)                  # decoded as from the wire
    server.cluster.put(sandbox)                # or stored, status and all
    as_sent(sandbox)                           # or as the body of a create

Names and uids follow from the arguments, so a test can say what it expects: the uid of "w1" is
"w1-uid". `merge` adds, overwrites or (null) removes fields as a merge patch does:
a_claim(merge={"spec": {"env": [{"name": "A", "value": "1"}]}}).
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from warmclaim.api import names
from warmclaim.api.pool import Pool
from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.api.template import Template
from warmclaim.domain.blueprint import blueprint_of, member_sandbox
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import merge_patch

V = TypeVar("V")

T0 = "2026-01-01T00:00:00Z"
NAMESPACE = "default"
_SET_BY_THE_SERVER = ("uid", "resourceVersion", "generation", "creationTimestamp")
IMAGE = "registry.example/sandbox:1"


def an_object(
    resource: Resource[object], name: str, namespace: str = NAMESPACE, *, merge: Json | None = None
) -> Json:
    """Any object of a kind, with metadata and nothing else unless `merge` has it."""
    bare: Json = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"{name}-uid",
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": T0,
        },
    }
    built: Json = merge_patch(bare, merge or {})
    return built


def a_pod_spec() -> Json:
    return {"containers": [{"name": "sandbox", "image": IMAGE}]}


def a_template(
    name: str = "python", *, namespace: str = NAMESPACE, merge: Json | None = None
) -> Json:
    """A SandboxTemplate with one container."""
    value = an_object(TEMPLATE, name, namespace)
    value["spec"] = {
        "podTemplate": {"spec": a_pod_spec()},
        "networkPolicyManagement": "Managed",
        "envVarsInjectionPolicy": "Disallowed",
        "volumeClaimTemplatesPolicy": "Disallowed",
    }
    return _merged(value, merge)


def a_pool(
    name: str = "pool",
    *,
    replicas: int = 1,
    template: str = "python",
    namespace: str = NAMESPACE,
    merge: Json | None = None,
) -> Json:
    """A SandboxWarmPool that wants `replicas` sandboxes of `template`; no status yet."""
    value = an_object(POOL, name, namespace)
    value["spec"] = {
        "replicas": replicas,
        "sandboxTemplateRef": {"name": template},
        "updateStrategy": {"type": "OnReplenish"},
    }
    return _merged(value, merge)


def a_claim(
    name: str = "claim",
    *,
    pool: str = "pool",
    namespace: str = NAMESPACE,
    sandbox: str | None = None,
    merge: Json | None = None,
) -> Json:
    """A SandboxClaim on `pool`; with `sandbox`, one that was given it and is Ready."""
    value = an_object(CLAIM, name, namespace)
    value["spec"] = {"warmPoolRef": {"name": pool}}
    if sandbox is not None:
        value["status"] = {
            "conditions": [a_condition("Ready", reason="DependenciesReady")],
            "sandbox": {"name": sandbox, "podIPs": ["10.0.0.1"]},
        }
    return _merged(value, merge)


def a_sandbox(
    name: str = "sandbox",
    *,
    pool: str | None = "pool",
    claim: str | None = None,
    node: str | None = "n1",
    ready: bool = True,
    template: str = "python",
    namespace: str = NAMESPACE,
    merge: Json | None = None,
) -> Json:
    """A Sandbox on `node`: waiting in `pool`, or owned by `claim`, or (both None) by nobody.

    `ready` False: created just now, no status. Owners have the uid that the builders give them.
    """
    value = an_object(SANDBOX, name, namespace)
    value["spec"] = {
        "podTemplate": {"spec": a_pod_spec()},
        "operatingMode": "Running",
        "shutdownPolicy": "Retain",
    }
    metadata = value["metadata"]
    labels = {names.LABEL_TEMPLATE_REF: names.name_hash(template)}
    if claim is not None:
        metadata["ownerReferences"] = [an_owner(CLAIM, claim)]
        labels[names.LABEL_CLAIM_UID] = f"{claim}-uid"
    elif pool is not None:
        metadata["ownerReferences"] = [an_owner(POOL, pool)]
        labels[names.LABEL_WARM_POOL] = names.name_hash(pool)
        labels[names.LABEL_LAUNCH_TYPE] = names.WARM
    metadata["labels"] = labels
    if ready:
        value["status"] = {
            "conditions": [a_condition("Ready", reason="DependenciesReady")],
            "podIPs": ["10.0.0.1"],
            "selector": f"{names.LABEL_NAME_HASH}={names.name_hash(name)}",
        }
        if node is not None:
            value["status"]["nodeName"] = node
    return _merged(value, merge)


def a_stray(name: str = "pool-x7k2p", *, pool: str = "pool", merge: Json | None = None) -> Json:
    """A ready Sandbox as the builders' pool makes it of the builders' template, but nobody's."""
    blueprint = blueprint_of(as_view(a_template(), Template))
    value = a_sandbox(name, pool=pool)
    value["spec"] |= member_sandbox(as_view(a_pool(pool), Pool), blueprint, name)["spec"]
    del value["metadata"]["ownerReferences"]
    return _merged(value, merge)


def a_pod(
    name: str = "sandbox",
    *,
    sandbox: str | None = None,
    node: str | None = "n1",
    ready: bool = True,
    namespace: str = NAMESPACE,
    merge: Json | None = None,
) -> Json:
    """The Pod of a sandbox (by default the one of its own name), on `node`, Running and Ready."""
    sandbox = sandbox or name
    value = an_object(POD, name, namespace)
    value["metadata"]["ownerReferences"] = [an_owner(SANDBOX, sandbox)]
    value["metadata"]["labels"] = {names.LABEL_NAME_HASH: names.name_hash(sandbox)}
    value["spec"] = a_pod_spec()
    value["status"] = {"phase": "Pending"}
    if node is not None:
        value["spec"]["nodeName"] = node
    if ready:
        value["status"] = {
            "phase": "Running",
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": T0},
                {"type": "Ready", "status": "True", "lastTransitionTime": T0},
            ],
            "podIP": "10.0.0.1",
            "podIPs": [{"ip": "10.0.0.1"}],
        }
    return _merged(value, merge)


def a_condition(
    type_: str, status: str = "True", *, reason: str = "Because", message: str = ""
) -> Json:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": T0,
        "observedGeneration": 1,
    }


def an_owner(resource: Resource[object], name: str, *, uid: str | None = None) -> Json:
    """An owner reference with controller: true, to an object that the builders made."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": name,
        "uid": uid or f"{name}-uid",
        "controller": True,
        "blockOwnerDeletion": True,
    }


def as_view(value: Json, view: type[V]) -> V:
    """`value` as a typed view, by way of JSON: parts that views keep as JSON need it."""
    return msgspec.json.decode(msgspec.json.encode(value), type=view)


def as_sent(value: Json, **metadata: object) -> Json:
    """`value` as a client sends it: without what the server sets, with `metadata` added."""
    kept = {n: v for n, v in value["metadata"].items() if n not in _SET_BY_THE_SERVER}
    return {**value, "metadata": {**kept, **metadata}}


def _merged(value: Json, merge: Json | None) -> Json:
    built: Json = merge_patch(value, merge or {})
    return built
