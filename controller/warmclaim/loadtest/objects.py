"""The objects a run is made of: bodies and paths."""

from __future__ import annotations

from typing import Any, NamedTuple

Body = dict[str, Any]

SANDBOX_API = "agents.x-k8s.io/v1beta1"
EXTENSIONS_API = "extensions.agents.x-k8s.io/v1beta1"
SANDBOXES = "sandboxes"
CLAIMS = "sandboxclaims"
POOLS = "sandboxwarmpools"
TEMPLATES = "sandboxtemplates"
PODS = "pods"
POOL = "burst"
"""Name of the template, and of the pool where there is one."""
_APP = {"app": "loadtest-sandbox"}
_API_OF = {SANDBOXES: SANDBOX_API} | dict.fromkeys((CLAIMS, POOLS, TEMPLATES), EXTENSIONS_API)


class Pool(NamedTuple):
    """A pool that exists."""

    name: str
    uid: str


def path(namespace: str, plural: str, name: str = "", subresource: str = "") -> str:
    """Path of a collection, an object or its subresource."""
    group = f"/apis/{_API_OF[plural]}" if plural in _API_OF else "/api/v1"
    parts = (f"{group}/namespaces/{namespace}/{plural}", name, subresource)
    return "/".join(part for part in parts if part)


IMAGE = "busybox:1.37"


def pod_template(image: str = IMAGE) -> Body:
    """A small pod that the scheduler puts evenly on the nodes."""
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": _APP},
    }
    container = {
        "name": "agent",
        "image": image,
        "command": ["sleep", "infinity"],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    spec = {
        "automountServiceAccountToken": False,
        "topologySpreadConstraints": [spread],
        "containers": [container],
    }
    return {"metadata": {"labels": _APP}, "spec": spec}


def template_body(image: str = IMAGE) -> Body:
    """The template of all pools."""
    return _body(EXTENSIONS_API, "SandboxTemplate", POOL, {"podTemplate": pod_template(image)})


def pool_body(size: int, name: str = POOL) -> Body:
    """A pool of this size."""
    spec = {"replicas": size, "sandboxTemplateRef": {"name": POOL}}
    return _body(EXTENSIONS_API, "SandboxWarmPool", name, spec)


def claim_body(name: str, pool: str = POOL) -> Body:
    """A claim on the pool, with nothing that would forbid a warm sandbox."""
    return _body(EXTENSIONS_API, "SandboxClaim", name, {"warmPoolRef": {"name": pool}})


def _body(api_version: str, kind: str, name: str, spec: Body) -> Body:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}
