"""Objects as a client sends them, one line each. `metadata` adds to the object's own."""

from __future__ import annotations

from tests.contract.steps import AGENTS, EXTENSIONS

from warmclaim.testing.json_values import Json

POD_SPEC: Json = {"containers": [{"name": "main", "image": "registry.example/sandbox:1"}]}


def an_object(api_version: str, kind: str, name: str, metadata: Json, **parts: object) -> Json:
    """`name` "" for an object without one."""
    named = {"name": name} if name else {}
    return {"apiVersion": api_version, "kind": kind, "metadata": {**named, **metadata}, **parts}


def pool(name: str = "pool", replicas: object = 1, **metadata: object) -> Json:
    spec = {"replicas": replicas, "sandboxTemplateRef": {"name": "python"}}
    return an_object(EXTENSIONS, "SandboxWarmPool", name, metadata, spec=spec)


def claim(name: str = "claim", pool: str = "pool", **metadata: object) -> Json:
    spec = {"warmPoolRef": {"name": pool}}
    return an_object(EXTENSIONS, "SandboxClaim", name, metadata, spec=spec)


def template(name: str = "python", **metadata: object) -> Json:
    spec = {"podTemplate": {"spec": POD_SPEC}}
    return an_object(EXTENSIONS, "SandboxTemplate", name, metadata, spec=spec)


def sandbox(name: str = "box", **metadata: object) -> Json:
    spec = {"podTemplate": {"spec": POD_SPEC}}
    return an_object(AGENTS, "Sandbox", name, metadata, spec=spec)


def pod(name: str = "pod", **metadata: object) -> Json:
    """One that no scheduler looks at, so that nothing happens to it by itself."""
    spec = {**POD_SPEC, "schedulerName": "nobody"}
    return an_object("v1", "Pod", name, metadata, spec=spec)


def lease(name: str = "lease", holder: str = "me", **metadata: object) -> Json:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15}
    return an_object("coordination.k8s.io/v1", "Lease", name, metadata, spec=spec)


def config_map(name: str = "map", **metadata: object) -> Json:
    return an_object("v1", "ConfigMap", name, metadata, data={"key": "value"})


def owner(kind: str, saved: str, **more: object) -> Json:
    """A reference to the object saved under that name."""
    api_version = AGENTS if kind == "Sandbox" else EXTENSIONS
    reference = {"apiVersion": api_version, "kind": kind}
    return {**reference, "name": f"${saved}.name", "uid": f"${saved}.uid", **more}


def changed(value: Json, **parts: object) -> Json:
    """`value` with whole parts replaced; None removes one."""
    kept = {name: part for name, part in {**value, **parts}.items() if part is not None}
    return kept


def with_spec(value: Json, **members: object) -> Json:
    """`value` with members of its spec replaced; None removes one."""
    spec = {name: part for name, part in {**value["spec"], **members}.items() if part is not None}
    return {**value, "spec": spec}


def ready(status: str = "True", reason: str = "DependenciesReady") -> Json:
    """A Ready condition."""
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
