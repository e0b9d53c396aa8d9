"""The rules of deletion: preconditions, grace periods, what holds an object. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from warmclaim.testing import refusals
from warmclaim.testing.json_values import Json
from warmclaim.testing.resources import NAMESPACE, Kind
from warmclaim.testing.store import Commit

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
POLICIES = ("Foreground", "Background", "Orphan")
_POLICY_FINALIZERS = {"Foreground": FOREGROUND, "Orphan": ORPHAN}
_FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """`grace_s` None: the kind's own; `policy`: Background, Foreground, Orphan, or "" to leave it
    at what finalizers say already."""

    uid: str = ""
    resource_version: str = ""
    grace_s: int | None = None
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Deleted:
    """The outcome of a delete: gone (`is_gone`), or marked and waiting for others."""

    commit: Commit
    is_gone: bool


def require_preconditions(kind: Kind, name: str, metadata: Json, options: DeleteOptions) -> None:
    """Refuses (409) where the object is not the one that was meant."""
    uid, version = metadata["uid"], metadata["resourceVersion"]
    for field, wanted, actual in (
        ("UID", options.uid, uid),
        ("ResourceVersion", options.resource_version, version),
    ):
        if wanted and wanted != actual:
            raise refusals.precondition_failed(kind.kind, kind.group, name, field, wanted, actual)


def grace_s(kind: Kind, value: Json, options: DeleteOptions) -> int:
    """How long this object terminates, in seconds; 0 for all but pods that run on a node."""
    if not kind.graceful_s:
        return 0
    spec, status = value.get("spec", {}), value.get("status", {})
    # A pod that runs nowhere has nobody who would confirm its end.
    if not spec.get("nodeName") or status.get("phase") in _FINISHED:
        return 0
    if options.grace_s is not None:
        return options.grace_s
    own = spec.get("terminationGracePeriodSeconds")
    return kind.graceful_s if own is None else int(own)


def marked(kind: Kind, old: Json, policy: str, grace: int, deletion_time: str) -> Json:
    """`old` under deletion: its time, grace period and the finalizer of the policy."""
    metadata = dict(old["metadata"])
    if policy:
        metadata["finalizers"] = _finalizers(metadata.get("finalizers", ()), policy)
    if "deletionTimestamp" not in metadata:
        metadata["deletionTimestamp"] = deletion_time
        if kind is not NAMESPACE:
            metadata["deletionGracePeriodSeconds"] = grace
        if "generation" in metadata:
            metadata["generation"] += 1
    elif grace < metadata.get("deletionGracePeriodSeconds", 0):
        metadata["deletionGracePeriodSeconds"] = grace
    value = {**old, "metadata": metadata}
    if kind is NAMESPACE:
        value["status"] = {"phase": "Terminating"}
    return value


def _finalizers(old: Sequence[str], policy: str) -> list[str]:
    """The finalizers with that of the policy, and without that of any other."""
    wanted = _POLICY_FINALIZERS.get(policy)
    kept = [w for w in old if w == wanted or w not in _POLICY_FINALIZERS.values()]
    return kept if wanted is None or wanted in kept else [*kept, wanted]


def is_held(value: Json) -> bool:
    """Whether an object under deletion still waits for a finalizer, its grace or its content."""
    metadata = value["metadata"]
    has_content = value["kind"] == NAMESPACE.kind and bool(value["spec"].get("finalizers"))
    grace = metadata.get("deletionGracePeriodSeconds", 0)
    return bool(metadata.get("finalizers")) or grace > 0 or has_content
