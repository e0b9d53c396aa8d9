"""The CustomResourceDefinitions of the agent-sandbox API, for a server to begin with."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from warmclaim.api.resources import CLAIM, POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.testing.json_values import Json

_SCALE: Json = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}
_OPEN: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@cache
def agent_sandbox_crds() -> tuple[Json, ...]:
    """The project's own definitions, with their schemas. The first call takes some 20 ms."""
    from warmclaim.api.schema import crds  # not needed by a server with other definitions

    return tuple(crds().values())


def crds_from(folder: Path) -> tuple[Json, ...]:
    """All CustomResourceDefinitions in the YAML files of a folder, in order of file name."""
    documents = (
        document
        for path in sorted(folder.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    )
    return tuple(d for d in documents if d and d.get("kind") == "CustomResourceDefinition")


@cache
def schemaless_crds() -> tuple[Json, ...]:
    """The four kinds with their subresources, and no rules for what is in them."""
    return (
        _crd(SANDBOX, {"status": {}}),
        _crd(CLAIM, {"status": {}}),
        _crd(POOL, {"status": {}, "scale": _SCALE}),
        _crd(TEMPLATE, {}),
    )


def _crd(resource: Resource[object], subresources: Json) -> Json:
    version: Json = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _OPEN},
        "subresources": subresources,
    }
    names = {
        "plural": resource.plural,
        "singular": resource.kind.lower(),
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": names,
            "versions": [version],
        },
    }
