"""The Pod that a Sandbox asks for, and whether an object belongs to a Sandbox.

Pod metadata comes from the template, except keys under the API's own prefixes: those the
controller alone sets, so a template cannot make its pod look like another sandbox's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from warmclaim.api import names
from warmclaim.api.meta import Object
from warmclaim.api.sandbox import Sandbox

CREATED_BY_KNOWN = frozenset({"go-client", "python-client", "controller"})


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Template(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    spec: dict[str, Any] = {}


class _Volume(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()


# Decoded anew for every pod: the result is the caller's own, and a shared one would be one
# careless change away from a template that differs between the members of a pool.
_template = msgspec.json.Decoder(_Template)
_volumes: msgspec.json.Decoder[list[_Volume] | None] = msgspec.json.Decoder(list[_Volume] | None)


def is_controlled_by(sandbox: Sandbox, child: Object) -> bool:
    """Is this very sandbox, by uid, the controlling owner of `child`?

    The namespace counts too: anybody may write an owner reference with a foreign uid in a
    namespace of their own.
    """
    owner = child.metadata.controller_owner()
    return (
        owner is not None
        and bool(owner.uid)
        and owner.uid == sandbox.metadata.uid
        and owner.kind == "Sandbox"
        and owner.group == names.SANDBOX_GROUP
        and child.metadata.namespace == sandbox.metadata.namespace
    )


def is_pool_member(sandbox: Sandbox) -> bool:
    """Does a warm pool own it, that is: does nobody wait for it yet?"""
    owner = sandbox.metadata.controller_owner()
    return (
        owner is not None
        and owner.kind == "SandboxWarmPool"
        and owner.group == names.EXTENSIONS_GROUP
    )


def is_reserved(key: str) -> bool:
    """May only the controller set this label or annotation on a pod?"""
    return key.startswith(names.RESERVED_PREFIXES)


def normalised_created_by(value: str) -> str:
    """A word of a closed set, so that what clients write cannot grow the number of series."""
    return value if value in CREATED_BY_KNOWN else "unknown"


def pod_for(sandbox: Sandbox) -> dict[str, Any]:
    """The body of a create for `sandbox`'s pod; the caller owns it.

    Raises msgspec.ValidationError where the template has a shape that its schema forbids.
    Cost: O(template), one JSON decoding.
    """
    meta = sandbox.metadata
    template = _template.decode(sandbox.spec.pod_template)
    labels, annotations = _propagated(template.metadata)
    pod_meta: dict[str, Any] = {
        "name": meta.name,
        "namespace": meta.namespace,
        "labels": {**labels, **own_labels(sandbox)},
        "ownerReferences": [owner_reference(sandbox)],
    }
    if annotations := {**annotations, **_records(labels, annotations)}:
        pod_meta["annotations"] = annotations
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": pod_meta,
        "spec": _with_volumes(sandbox, template.spec),
    }


def own_labels(sandbox: Sandbox) -> dict[str, str]:
    """The labels of the pod that do not come from its template."""
    meta = sandbox.metadata
    labels = {names.LABEL_NAME_HASH: names.name_hash(meta.name)}
    owner = meta.controller_owner()
    if owner is not None and owner.group == names.EXTENSIONS_GROUP:
        pool = meta.labels.get(names.LABEL_WARM_POOL)
        if pool and owner.kind == "SandboxWarmPool":
            labels[names.LABEL_WARM_POOL] = pool
        if template := meta.labels.get(names.LABEL_TEMPLATE_REF):
            labels[names.LABEL_TEMPLATE_REF] = template
    created_by = meta.labels.get(names.LABEL_CREATED_BY)
    if created_by is not None:
        labels[names.LABEL_CREATED_BY] = normalised_created_by(created_by)
    return labels


def owner_reference(sandbox: Sandbox) -> dict[str, Any]:
    """`sandbox` as the controlling owner of a child."""
    return {
        "apiVersion": f"{names.SANDBOX_GROUP}/{names.VERSION}",
        "kind": "Sandbox",
        "name": sandbox.metadata.name,
        "uid": sandbox.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def volume_names(sandbox: Sandbox) -> list[str]:
    """Names of the volume claim templates, in order; empty for almost every sandbox.

    Raises msgspec.ValidationError where they have a shape that their schema forbids.
    """
    volumes: list[_Volume] = _volumes.decode(sandbox.spec.volume_claim_templates) or []
    return [volume.metadata.name for volume in volumes]


def check_shape(sandbox: Sandbox) -> None:
    """Raise msgspec.ValidationError where no pod could be made from the sandbox: it was stored
    under an older schema, or past it. Cost: O(template), two JSON decodings."""
    volume_names(sandbox)
    _template.decode(sandbox.spec.pod_template)


def _propagated(template: _Metadata) -> tuple[dict[str, str], dict[str, str]]:
    return (
        {key: value for key, value in template.labels.items() if not is_reserved(key)},
        {
            key: value
            for key, value in template.annotations.items()
            if not is_reserved(key) and key != names.ANNOTATION_TRACE_CONTEXT
        },
    )


def _records(labels: Iterable[str], annotations: Iterable[str]) -> dict[str, str]:
    """What was taken from the template, so that a key that leaves it can leave the pod too."""
    lists = {
        names.ANNOTATION_PROPAGATED_LABELS: ",".join(sorted(labels)),
        names.ANNOTATION_PROPAGATED_ANNOTATIONS: ",".join(sorted(annotations)),
    }
    return {key: value for key, value in lists.items() if value}


def _with_volumes(sandbox: Sandbox, spec: dict[str, Any]) -> dict[str, Any]:
    own = volume_names(sandbox)
    if not own:
        return spec
    template: list[dict[str, Any]] = spec.get("volumes", [])
    kept = [volume for volume in template if volume.get("name") not in own]
    added = [
        {"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{sandbox.metadata.name}"}}
        for name in own
    ]
    return {**spec, "volumes": [*kept, *added]}
