"""Schemas of the Kubernetes types that our kinds embed, expanded for use in a CRD.

core_types.json holds them with references, as `prune` took them from Kubernetes' own OpenAPI
document. Here the references are followed and what that document does not say is added, with the
values that the agent-sandbox CRDs have: defaults, quantities, int-or-string, some atomic objects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from warmclaim.api.schema.fields import Schema

CORE_TYPES = Path(__file__).with_name("core_types.json")

QUANTITY_PATTERN = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)

# Both are text in the OpenAPI document, while clients may send numbers.
INT_OR_STRING: Mapping[str, Schema] = {
    "IntOrString": {},
    "Quantity": {"pattern": QUANTITY_PATTERN},
}

# The metadata of a volume's own claim template: a CRD cannot embed ObjectMeta, and the
# agent-sandbox CRDs say no more than "object", so the server drops what is inside.
OPAQUE = frozenset({"ObjectMeta"})

# The API server writes these into stored objects, so blueprints compare equal only if they match.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "AzureDiskVolumeSource": {"fsType": "ext4", "readOnly": False},
    "ConfigMapEnvSource": {"name": ""},
    "ConfigMapKeySelector": {"name": ""},
    "ConfigMapProjection": {"name": ""},
    "ConfigMapVolumeSource": {"name": ""},
    "ContainerPort": {"protocol": "TCP"},
    "FileKeySelector": {"optional": False},
    "GRPCAction": {"service": ""},
    "ISCSIVolumeSource": {"iscsiInterface": "default"},
    "LocalObjectReference": {"name": ""},
    "RBDVolumeSource": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "ScaleIOVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "SecretEnvSource": {"name": ""},
    "SecretKeySelector": {"name": ""},
    "SecretProjection": {"name": ""},
}

# Go types that embed LocalObjectReference take over that it is replaced whole by server-side apply.
ATOMIC = frozenset(
    {
        "ConfigMapEnvSource",
        "ConfigMapProjection",
        "ConfigMapVolumeSource",
        "SecretEnvSource",
        "SecretProjection",
    }
)


def core_type(name: str) -> Schema:
    """The structural schema of one type ("PodSpec"), fresh, with all references followed.

    Raises KeyError for a type that core_types.json does not have. Cost: the size of the result,
    some 3,400 nodes for a PodSpec.
    """
    if name in INT_OR_STRING:
        either = [{"type": "integer"}, {"type": "string"}]
        return {"anyOf": either, "x-kubernetes-int-or-string": True, **INT_OR_STRING[name]}
    if name in OPAQUE:
        return {"type": "object"}
    schema = _expanded(_definitions()[name])
    for field, default in DEFAULTS.get(name, {}).items():
        schema["properties"][field]["default"] = default
    if name in ATOMIC:
        schema["x-kubernetes-map-type"] = "atomic"
    return schema


def _expanded(schema: Schema) -> Schema:
    if "$ref" in schema:
        # Beside a reference the document has descriptions only, which are gone by now.
        return core_type(schema["$ref"])
    expanded: Schema = {}
    for keyword, value in schema.items():
        if keyword in ("required", "x-kubernetes-list-map-keys"):
            expanded[keyword] = list(value)
        elif keyword == "properties":
            expanded[keyword] = {field: _expanded(inner) for field, inner in value.items()}
        elif keyword in ("items", "additionalProperties"):
            expanded[keyword] = _expanded(value)
        else:
            expanded[keyword] = value
    return expanded


@cache
def _definitions() -> dict[str, Schema]:
    document: dict[str, dict[str, Schema]] = json.loads(CORE_TYPES.read_text(encoding="utf-8"))
    return document["definitions"]
