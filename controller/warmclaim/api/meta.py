"""ObjectMeta as this program reads it: identity, version, owner."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

from warmclaim.api.memo import Memo


class ObjectKey(NamedTuple):
    """Names an object of one kind; never holds what can change about it."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class View(msgspec.Struct, frozen=True, rename="camel", gc=False, omit_defaults=True):
    """Base of all views. `gc=False`: views hold no cycles, so the collector need not walk them."""


class OwnerReference(View, frozen=True, gc=False):
    """One entry of metadata.ownerReferences."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None

    @property
    def group(self) -> str:
        """The API group; versions are never compared, since old objects keep old ones."""
        group, _, version = self.api_version.rpartition("/")
        return group if version else ""


class ObjectMeta(View, frozen=True, gc=False):
    """metadata, without managedFields and what else nobody here reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.namespace, self.name)

    @property
    def version(self) -> int:
        """resourceVersion as a number: the server's order of writes to one kind; 0 if absent.

        Raises ValueError where the server's version is no number (no known server does that).
        """
        return int(self.resource_version or 0)

    @property
    def is_deleting(self) -> bool:
        return self.deletion_timestamp is not None

    def controller_owner(self) -> OwnerReference | None:
        """The owner with `controller: true`; the API server admits at most one."""
        for owner in self.owner_references:
            if owner.controller:
                return owner
        return None

    def controlled_by(self, kind: str, group: str) -> OwnerReference | None:
        """The same, if it claims to be of that kind and group. Its uid is still to be compared."""
        for owner in self.owner_references:
            if owner.controller:
                return owner if owner.kind == kind and owner.group == group else None
        return None


class Object(Protocol):
    """What caches need of a view."""

    @property
    def metadata(self) -> ObjectMeta: ...


def _raw(blob: bytes) -> msgspec.Raw:
    return msgspec.Raw(blob)


_blobs = Memo(_raw, entries_max=1024, bytes_max=16 * 1024 * 1024)


def shared_raw(raw: msgspec.Raw) -> msgspec.Raw:
    """One copy of equal JSON blobs, cut loose from the buffer they were decoded from.

    All members of a pool carry the same pod template; without this each would keep its own, and
    a Raw straight from the decoder would keep the whole watch event alive.
    """
    return _blobs(bytes(raw))
