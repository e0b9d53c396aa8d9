"""Claims, sandboxes and pools as etcd has them, and what each commit did to them.

Shares no view with the program under test: a field that both read wrongly would show nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from e2e.chaos.etcd import Change

from warmclaim.loadtest.objects import CLAIMS, EXTENSIONS_API, POOLS, SANDBOX_API, SANDBOXES
from warmclaim.loadtest.views import CLAIM_KIND, POOL_KIND, Condition, Named, Owner

__all__ = ["CLAIMS", "CLAIM_KIND", "POOLS", "POOL_KIND", "SANDBOXES", "Owner"]


class Place(NamedTuple):
    """Where an object is: its kind's plural, its namespace, its name."""

    plural: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.plural}/{self.namespace}/{self.name}"


class _View(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Base: camel-case names, unknown members ignored."""


class Writer(_View, frozen=True, gc=False):
    """An entry of metadata.managedFields."""

    manager: str = ""
    time: str = ""


class Metadata(_View, frozen=True, gc=False):
    """Identity, owners, who wrote."""

    uid: str = ""
    deletion_timestamp: str | None = None
    owner_references: tuple[Owner, ...] = ()
    managed_fields: tuple[Writer, ...] = ()


class Spec(_View, frozen=True, gc=False):
    """spec; `replicas` only pools have."""

    replicas: int = 0


class Status(_View, frozen=True, gc=False):
    """status; `sandbox` only claims have."""

    conditions: tuple[Condition, ...] = ()
    sandbox: Named | None = None


class Stored(_View, frozen=True, gc=False):
    """An object of any of the kinds."""

    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Status = Status()

    @property
    def uid(self) -> str:
        """metadata.uid."""
        return self.metadata.uid

    @property
    def owner(self) -> Owner | None:
        """The controlling owner."""
        owners = self.metadata.owner_references
        return next((owner for owner in owners if owner.controller), None)

    @property
    def is_deleting(self) -> bool:
        """Whether its deletion has begun."""
        return self.metadata.deletion_timestamp is not None

    @property
    def is_ready(self) -> bool:
        """Whether its condition Ready is True."""
        return any(one.type == "Ready" and one.status == "True" for one in self.status.conditions)

    @property
    def published(self) -> str:
        """Name of the sandbox that a claim shows; empty without one."""
        return self.status.sandbox.name if self.status.sandbox else ""

    @property
    def last_writers(self) -> str:
        """Who wrote last, by managedFields; several within one second cannot be told apart."""
        entries = self.metadata.managed_fields
        newest = max((one.time for one in entries), default="")
        return " or ".join(sorted({one.manager for one in entries if one.time == newest}))


@dataclass(frozen=True, slots=True)
class Step:
    """One commit to one object: as it was and as it is, None where it was or is not."""

    place: Place
    revision: int
    before: Stored | None
    after: Stored | None
    at_s: float = 0.0


_PLURALS = {
    SANDBOX_API: (SANDBOXES,),
    EXTENSIONS_API: (CLAIMS, POOLS),
}
_PLACES = {
    f"/registry/{api.partition('/')[0]}/{plural}/": plural
    for api, plurals in _PLURALS.items()
    for plural in plurals
}
_STORED = msgspec.json.Decoder(Stored)


def place_of(key: str) -> Place | None:
    """What a key of etcd stands for; None for any other kind of object."""
    parts = key.split("/")
    if len(parts) != 6:
        return None
    plural = _PLACES.get("/".join(parts[:4]) + "/")
    return None if plural is None else Place(plural, parts[4], parts[5])


def key_of(place: Place) -> str:
    """The inverse of `place_of`. Raises KeyError for a plural of no kind of ours."""
    prefix = {plural: prefix for prefix, plural in _PLACES.items()}[place.plural]
    return f"{prefix}{place.namespace}/{place.name}"


def _kinds() -> dict[str, dict[Place, Stored]]:
    return {CLAIMS: {}, SANDBOXES: {}, POOLS: {}}


@dataclass(slots=True)
class Tables:
    """All objects as they are after the changes that were applied."""

    objects: dict[str, dict[Place, Stored]] = field(default_factory=_kinds)
    """By plural, then by place."""
    revisions: dict[str, int] = field(default_factory=dict[str, int])
    """The last change of each key that exists."""

    @property
    def claims(self) -> dict[Place, Stored]:
        """All claims."""
        return self.objects[CLAIMS]

    @property
    def sandboxes(self) -> dict[Place, Stored]:
        """All sandboxes."""
        return self.objects[SANDBOXES]

    @property
    def pools(self) -> dict[Place, Stored]:
        """All pools."""
        return self.objects[POOLS]

    def apply(self, change: Change) -> Step | None:
        """Enter one change; None when it is about an object of another kind. O(1).

        Raises msgspec.DecodeError for a value that is no such object.
        """
        place = place_of(change.key)
        if place is None:
            return None
        table = self.objects[place.plural]
        before = table.pop(place, None)
        after = None if change.value is None else _STORED.decode(change.value)
        self.revisions.pop(change.key, None)
        if after is not None:
            table[place] = after
            self.revisions[change.key] = change.revision
        return Step(place, change.revision, before, after, change.at_s)
