"""Objects a test cluster needs before a test can begin: CRDs, nodes, namespaces, manifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import yaml
from e2e.controlplane.api import ApiError, ApiSession, Object
from e2e.controlplane.failures import wait_until

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# The CRDs are 800 KiB of YAML: 0.2 s in C, 0.8 s in Python.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CRD_TIMEOUT_S = 15.0


def documents(paths: Iterable[Path]) -> Iterator[Object]:
    """All objects of YAML files; a folder stands for its *.yaml files in order of name."""
    for path in paths:
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        for file in files:
            for document in cast("Iterator[object]", yaml.load_all(file.read_text(), _LOADER)):
                if isinstance(document, dict):
                    yield cast("Object", document)


def apply_crds(api: ApiSession, definitions: Iterable[Object], log: Path | None = None) -> None:
    """Apply CRDs and wait until every served version answers a LIST and is discovered.

    Being Established is not enough: the first requests still get 404, then 429 "storage is
    (re)initializing". Nor is a LIST: discovery follows a little later, and a garbage collector
    that starts in between does not know the kind for 30 s, until it looks again. Documents of
    other kinds are passed over.

    Raises:
        ApiError: a definition was refused.
        ControlPlaneError: a version does not answer, or is not discovered, within 15 s.
    """
    kinds: set[str] = set()
    for crd in definitions:
        if crd.get("kind") != "CustomResourceDefinition":
            continue
        api.apply(f"{_CRDS}/{crd['metadata']['name']}", crd)
        spec: dict[str, Any] = crd["spec"]
        kinds |= {
            f"{spec['group']}/{version['name']}/{spec['names']['plural']}"
            for version in spec["versions"]
            if version["served"]
        }
    for kind in sorted(kinds):

        def not_listed(path: str = f"/apis/{kind}?limit=1") -> str | None:
            code = api.status(path)
            return None if code == 200 else f"LIST answers {code}"

        wait_until(f"CRD {kind}", not_listed, timeout_s=_CRD_TIMEOUT_S, log=log)

    def undiscovered() -> str | None:
        return ", ".join(sorted(kinds - api.discovered())) or None

    wait_until("discovery", undiscovered, timeout_s=_CRD_TIMEOUT_S, log=log)


def node(number: int) -> Object:
    """A fake node for KWOK: `node-<number>`, 32 CPUs, 128 GiB, 110 pods, a /24 for them."""
    if number >= 2**16:
        raise ValueError("10.0.0.0/8 has room for 65,536 nodes")
    name = f"node-{number}"
    high, low = divmod(number, 256)
    capacity = {"cpu": "32", "memory": "128Gi", "pods": "110", "ephemeral-storage": "500Gi"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": f"zone-{number % 3}",
                "type": "kwok",
            },
        },
        # KWOK takes addresses from it; 254 are enough for 110 pods and those being deleted.
        "spec": {"podCIDR": f"10.{high}.{low}.0/24"},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": f"192.168.{high}.{low}"},
                {"type": "Hostname", "address": name},
            ],
            "capacity": capacity,
            "allocatable": capacity | {"memory": "126Gi"},
        },
    }


def create_nodes(api: ApiSession, numbers: Iterable[int]) -> None:
    """Create fake nodes; those that exist stay as they are. Does not wait for them."""
    for number in numbers:
        try:
            api.create("/api/v1/nodes", node(number))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise


def wait_nodes_ready(
    api: ApiSession, count: int, *, timeout_s: float = 20.0, log: Path | None = None
) -> None:
    """Wait until at least `count` nodes are Ready. Raises ControlPlaneError after `timeout_s`."""

    def too_few() -> str | None:
        nodes = api.get("/api/v1/nodes", resourceVersion="0")["items"]
        ready = sum(is_ready(node) for node in nodes)
        return None if ready >= count else f"{ready} of {count} Ready"

    wait_until("fake nodes", too_few, timeout_s=timeout_s, log=log, interval_s=0.05)


def is_ready(thing: Object) -> bool:
    """Whether the object has a condition Ready that is True."""
    conditions = thing.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def create_namespace(api: ApiSession, name: str, log: Path | None = None) -> None:
    """Create a namespace and wait for its default service account.

    Pods are refused without it, and the controller that makes it needs some milliseconds.

    Raises:
        ApiError: the name is taken or malformed.
        ControlPlaneError: no service account within 10 s.
    """
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    api.create("/api/v1/namespaces", body)
    wait_default_account(api, name, log)


def wait_default_account(api: ApiSession, namespace: str, log: Path | None = None) -> None:
    """Wait for the default service account of a namespace. Raises ControlPlaneError in 10 s."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"

    def missing() -> str | None:
        code = api.status(path)
        return None if code == 200 else f"GET {path} answers {code}"

    wait_until(f"namespace {namespace}", missing, timeout_s=10.0, log=log)
