"""The Pod that a Sandbox asks for, and what its metadata must become later.

Pod metadata comes from the template, except keys under the API's own prefixes: those the
controller alone sets, so a template cannot make its pod look like another sandbox's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from warmclaim.api import names
from warmclaim.api.pod import Pod
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.eligibility import pool_owner
from warmclaim.domain.owners import owner_reference
from warmclaim.domain.pod_template import is_malformed, pod_metadata_of
from warmclaim.domain.sandbox_children import metadata_patch, tracking
from warmclaim.domain.sandbox_volumes import volume_templates

CREATED_BY_KNOWN = frozenset({"go-client", "python-client", "controller"})
MIRRORED_LABELS: Final = (
    names.LABEL_WARM_POOL,
    names.LABEL_TEMPLATE_REF,
    names.LABEL_CREATED_BY,
)
"""Of the sandbox: what its pod gets of them is `own_labels`."""
_LISTS: Final = (names.ANNOTATION_PROPAGATED_LABELS, names.ANNOTATION_PROPAGATED_ANNOTATIONS)


class _Metadata(msgspec.Struct, frozen=True):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Template(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    spec: dict[str, Any] = {}


# Decoded anew for every pod: the result is the caller's own, and a shared one would be one
# careless change away from a template that differs between the members of a pool.
_template = msgspec.json.Decoder(_Template)


def is_pool_member(sandbox: Sandbox) -> bool:
    """Does a warm pool own it, that is: does nobody wait for it yet?"""
    return pool_owner(sandbox) is not None


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
    labels, annotations = _propagated(template.metadata.labels, template.metadata.annotations)
    pod_meta: dict[str, Any] = {
        "name": meta.name,
        "namespace": meta.namespace,
        "labels": {**labels, **own_labels(sandbox)},
        "ownerReferences": [owner_reference(sandbox)],
    }
    records = {key: text for key, text in _records(labels, annotations).items() if text}
    if annotations := {**annotations, **records}:
        pod_meta["annotations"] = annotations
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": pod_meta,
        "spec": _with_volumes(sandbox, template.spec),
    }


def pod_change(sandbox: Sandbox, pod: Pod) -> dict[str, Any]:
    """The `metadata` of a merge patch that makes an own or free pod the sandbox's and its metadata
    what the template and the sandbox's marks say; {} where nothing differs.

    Whatever others have put there stays; what was taken from the template goes when it leaves it.
    Cost: O(labels + annotations); the template is decoded once for all pods that share it.
    """
    own = own_labels(sandbox)
    if is_malformed(sandbox):
        return metadata_patch(sandbox, pod, labels=own)
    template = pod_metadata_of(sandbox)
    labels, annotations = _propagated(template["labels"], template["annotations"])
    records = _records(labels, annotations)
    there = pod.metadata.annotations
    return metadata_patch(
        sandbox,
        pod,
        labels={
            **dict.fromkeys(_listed(pod, names.ANNOTATION_PROPAGATED_LABELS)),
            **dict.fromkeys(MIRRORED_LABELS),
            **labels,
            **own,
        },
        annotations={
            **dict.fromkeys(_listed(pod, names.ANNOTATION_PROPAGATED_ANNOTATIONS)),
            **annotations,
            # A missing list says as much as an empty one.
            **{key: text for key, text in records.items() if there.get(key, "") != text},
        },
    )


def own_labels(sandbox: Sandbox) -> dict[str, str]:
    """The labels of the pod that do not come from its template."""
    meta, labels = sandbox.metadata, tracking(sandbox)
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


def _propagated(
    labels: Mapping[str, str], annotations: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    return (
        {key: value for key, value in labels.items() if not is_reserved(key)},
        {
            key: value
            for key, value in annotations.items()
            if not is_reserved(key) and key != names.ANNOTATION_TRACE_CONTEXT
        },
    )


def _records(labels: Iterable[str], annotations: Iterable[str]) -> dict[str, str]:
    """What was taken from the template, so that a key that leaves it can leave the pod too."""
    return {
        names.ANNOTATION_PROPAGATED_LABELS: ",".join(sorted(labels)),
        names.ANNOTATION_PROPAGATED_ANNOTATIONS: ",".join(sorted(annotations)),
    }


def _listed(pod: Pod, record: str) -> Iterable[str]:
    """The keys in one of the pod's lists; the lists themselves are never taken for one."""
    keys = pod.metadata.annotations.get(record, "").split(",")
    return (key for key in keys if key and key not in _LISTS)


def _with_volumes(sandbox: Sandbox, spec: dict[str, Any]) -> dict[str, Any]:
    own = {one.metadata.name: claim for claim, one in volume_templates(sandbox).items()}
    if not own:
        return spec
    template: list[dict[str, Any]] = spec.get("volumes") or []
    kept = [volume for volume in template if volume.get("name") not in own]
    added = [
        {"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim in own.items()
    ]
    return {**spec, "volumes": [*kept, *added]}
