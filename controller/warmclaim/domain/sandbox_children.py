"""What a Sandbox consists of besides itself: whose an object is, and the steps that change one.

An object without an owner is taken over only where somebody said so: by `adoptable: "true"`, or by
the tracking label of this very sandbox. Anything else would let a sandbox's name decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from warmclaim.api import names
from warmclaim.api.conditions import SandboxReason
from warmclaim.api.meta import Object, OwnerReference
from warmclaim.api.resources import POD, SERVICE, VOLUME_CLAIM, Resource
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.owners import owner_reference

_WORDS: Final = {POD.plural: "pod", SERVICE.plural: "service", VOLUME_CLAIM.plural: "PVC"}


class Child(NamedTuple):
    """Which object: the plural of its kind, and its name. Its namespace is the sandbox's."""

    plural: str
    name: str

    def __str__(self) -> str:
        return f'{_WORDS[self.plural]} "{self.name}"'


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a sandbox's children are not as they should be, in words for its user.

    `hides_pod`: the trouble is with the pod itself, so nothing can be said about its scheduling.
    `forbids_all`: the spec itself is wrong, so nothing is made of it.
    """

    message: str
    hides_pod: bool = False
    forbids_all: bool = False
    reason: str = SandboxReason.RECONCILER_ERROR


class Hold(Enum):
    """Whose an object is, seen from a sandbox."""

    OWN = "own"
    FREE = "nobody's, and the sandbox may take it over"
    CLOSED = "nobody's, and not to be taken over"
    ALIEN = "somebody else's"


@dataclass(frozen=True, slots=True)
class CreateChild:
    """Make it, with this body."""

    resource: Resource[Any]
    child: Child
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PatchChild:
    """Apply a merge patch to this very object; the uid is in the patch."""

    resource: Resource[Any]
    child: Child
    patch: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteChild:
    """Delete this very object."""

    resource: Resource[Any]
    child: Child
    uid: str


@dataclass(frozen=True, slots=True)
class ReadChild:
    """Ask the API server for it: what lacks the tracking label is in no cache."""

    resource: Resource[Any]
    child: Child


Step: TypeAlias = CreateChild | PatchChild | DeleteChild | ReadChild


def child_of(resource: Resource[Any], name: str) -> Child:
    """The child of that kind and name."""
    return Child(resource.plural, name)


def delete_step(resource: Resource[Any], found: Object) -> DeleteChild:
    """The step that deletes what was found."""
    return DeleteChild(resource, child_of(resource, found.metadata.name), found.metadata.uid)


def tracking(sandbox: Sandbox) -> dict[str, str]:
    """The label by which a sandbox's children are watched and selected."""
    return {names.LABEL_NAME_HASH: names.name_hash(sandbox.metadata.name)}


def sandbox_owner(child: Object) -> OwnerReference | None:
    """The controlling owner, if it claims to be a sandbox. Its uid is still to be compared."""
    return child.metadata.controlled_by("Sandbox", names.SANDBOX_GROUP)


def is_controlled_by(sandbox: Sandbox, child: Object) -> bool:
    """Is this very sandbox, by uid, the controlling owner of `child`?

    The namespace counts too: anybody may write an owner reference with a foreign uid in a
    namespace of their own.
    """
    owner = sandbox_owner(child)
    return (
        owner is not None
        and bool(owner.uid)
        and owner.uid == sandbox.metadata.uid
        and child.metadata.namespace == sandbox.metadata.namespace
    )


def hold_of(sandbox: Sandbox, found: Object) -> Hold:
    """Whose it is. `found` has a name that the sandbox's own child would have."""
    if is_controlled_by(sandbox, found):
        return Hold.OWN
    labels = found.metadata.labels
    if found.metadata.controller_owner() is not None:
        return Hold.ALIEN
    is_tracked = tracking(sandbox).items() <= labels.items()
    return Hold.FREE if is_tracked or labels.get(names.LABEL_ADOPTABLE) == "true" else Hold.CLOSED


def not_owned(resource: Resource[Any], found: Object, sandbox: Sandbox) -> Problem:
    """`found` has the name that the sandbox's own needs, and cannot be had."""
    meta, owner = found.metadata, found.metadata.controller_owner()
    child = child_of(resource, meta.name)
    if owner is None:
        text = f'{child} has no owner; labelled {names.LABEL_ADOPTABLE}: "true", it is taken over'
    else:
        by = f"{owner.kind}/{owner.name} (UID: {owner.uid})"
        text = f'{child} is owned by {by}, not by sandbox "{sandbox.metadata.name}"'
    return Problem(text, hides_pod=resource is POD)


def metadata_patch(
    sandbox: Sandbox,
    found: Object,
    *,
    labels: Mapping[str, str | None],
    annotations: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """The `metadata` of a merge patch that makes an own or free object this sandbox's, with these
    labels and annotations (None: without it); {} where nothing differs.

    To take over is tied to the version that was seen: others may want it at the same moment.
    """
    meta = found.metadata
    changes: dict[str, Any] = {}
    if changed := _changed(meta.labels, labels):
        changes["labels"] = changed
    if changed := _changed(meta.annotations, annotations or {}):
        changes["annotations"] = changed
    if not is_controlled_by(sandbox, found):
        others = (owner for owner in meta.owner_references if owner.uid != sandbox.metadata.uid)
        kept = [msgspec.to_builtins(owner) for owner in others]
        changes["ownerReferences"] = [*kept, owner_reference(sandbox)]
        changes["resourceVersion"] = meta.resource_version
    return {"uid": meta.uid, **changes} if changes else {}


def _changed(found: Mapping[str, str], wanted: Mapping[str, str | None]) -> dict[str, str | None]:
    return {key: value for key, value in wanted.items() if found.get(key) != value}
