"""What a run sees of its own system: objects, adoptions and leaders, straight from etcd.

Not through the API server: it is one of the things that are killed, and recovery is timed by what
is written, not by when somebody was told.
"""

from __future__ import annotations

import asyncio
import platform
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from e2e.chaos.etcd import OBJECTS, Change, Etcd, leases
from e2e.chaos.stored import (
    CLAIM_KIND,
    CLAIMS,
    POOL_KIND,
    POOLS,
    SANDBOXES,
    Place,
    Step,
    Stored,
    Tables,
)

_SHOWN_MAX = 3
# The only text of this form in a Lease; the stored form is protobuf, and no more is needed of it.
_IDENTITY = re.compile(re.escape(platform.node()).encode() + rb"_[0-9a-f]{8}")


class Adoption(NamedTuple):
    """A sandbox became a claim's, whether warm or made for it."""

    at_s: float
    """When it was read from etcd, in monotonic seconds."""
    revision: int
    claim_revision: int
    """The revision that made the claim."""


class Renewal(NamedTuple):
    """One write of the Lease: who held it after that; "" is nobody."""

    at_s: float
    revision: int
    holder: str


@dataclass(slots=True)
class World:
    """Rebuilt from etcd's changes; `follow` keeps it up to date."""

    tables: Tables = field(default_factory=Tables)
    adoptions: list[Adoption] = field(default_factory=list[Adoption])
    renewals: list[Renewal] = field(default_factory=list[Renewal])
    """Each write of the Lease."""
    revision: int = 0
    """The last one that was read."""
    _made: dict[str, int] = field(default_factory=dict[str, int])

    async def follow(self, etcd: Etcd, lease_namespace: str) -> None:
        """Follow both from revision 1 until cancelled. Raises HistoryLostError."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_objects(etcd))
            group.create_task(self._follow_lease(etcd, lease_namespace))

    async def _follow_objects(self, etcd: Etcd) -> None:
        async for change in etcd.follow(OBJECTS, 1):
            self.enter(change)

    async def _follow_lease(self, etcd: Etcd, namespace: str) -> None:
        async for change in etcd.follow(leases(namespace), 1):
            self.enter_lease(change)

    def enter(self, change: Change) -> None:
        """Take in a change of an object."""
        self.revision = change.revision
        step = self.tables.apply(change)
        if step is None:
            return
        if step.place.plural == CLAIMS:
            self._enter_claim(step)
        elif (claim_uid := _adopted_by(step)) is not None:
            made = self._made.get(claim_uid, 0)
            self.adoptions.append(Adoption(step.at_s, step.revision, made))

    def _enter_claim(self, step: Step) -> None:
        if step.before is None and step.after is not None:
            self._made[step.after.uid] = step.revision
        elif step.before is not None and step.after is None:
            self._made.pop(step.before.uid, None)

    def enter_lease(self, change: Change) -> None:
        """Take in a change of the Lease."""
        found = _IDENTITY.findall(change.value or b"")
        holder = found[-1].decode() if found else ""
        self.renewals.append(Renewal(change.at_s, change.revision, holder))

    def forget_moments(self) -> None:
        """Start with empty lists, for a new round; the last renewal stays."""
        self.adoptions.clear()
        del self.renewals[:-1]

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last written; "" is nobody."""
        return self.renewals[-1].holder if self.renewals else ""

    def here(self, plural: str, namespace: str) -> dict[str, Stored]:
        """The objects of a kind in a namespace, by name. O(all objects of the kind)."""
        table = self.tables.objects[plural]
        return {place.name: one for place, one in table.items() if place.namespace == namespace}

    def is_empty(self, namespace: str) -> bool:
        """Whether no object of any of the kinds is left there."""
        return not any(
            place.namespace == namespace
            for table in self.tables.objects.values()
            for place in table
        )

    def missing(self, namespace: str, claims: Collection[str], pool: str) -> list[str]:
        """What is not as it should be in the end; empty when nothing is left to do.

        Every one of these claims is Ready and owns the one sandbox that it shows; the pool has its
        number, all of them Ready; no other sandbox is there.
        """
        found, sandboxes = self.here(CLAIMS, namespace), self.here(SANDBOXES, namespace)
        owned = Counter(one.owner.uid for one in sandboxes.values() if one.owner is not None)
        return [
            *_shown("claims", _unserved(found, sandboxes, owned, claims)),
            *_pool_problems(self.tables.pools.get(Place(POOLS, namespace, pool)), sandboxes),
            *_shown("orphans", _orphans(sandboxes, found, self.here(POOLS, namespace))),
        ]


def _adopted_by(step: Step) -> str | None:
    """Uid of the claim that this step gave a sandbox to."""
    new = step.after.owner if step.after is not None else None
    old = step.before.owner if step.before is not None else None
    if step.place.plural != SANDBOXES or new is None or new.kind != CLAIM_KIND:
        return None
    return new.uid if old is None or old.uid != new.uid else None


def _unserved(
    claims: dict[str, Stored],
    sandboxes: dict[str, Stored],
    owned: Counter[str],
    wanted: Collection[str],
) -> Iterator[str]:
    for name in wanted:
        claim = claims.get(name)
        if claim is None:
            yield f"{name} is not there"
        elif not claim.published:
            yield f"{name} has no sandbox"
        elif (sandbox := sandboxes.get(claim.published)) is None:
            yield f"{name} shows {claim.published}, which is not there"
        elif sandbox.owner is None or sandbox.owner.uid != claim.uid:
            yield f"{name} shows {claim.published}, which it does not own"
        elif owned[claim.uid] != 1:
            yield f"{name} owns {owned[claim.uid]} sandboxes"
        elif not claim.is_ready:
            yield f"{name} is not Ready"


def _pool_problems(pool: Stored | None, sandboxes: dict[str, Stored]) -> list[str]:
    if pool is None:
        return ["the pool is not there"]
    members = [one for one in sandboxes.values() if one.owner and one.owner.uid == pool.uid]
    ready = sum(one.is_ready and not one.is_deleting for one in members)
    if len(members) == ready == pool.spec.replicas:
        return []
    return [f"pool: {len(members)} members, {ready} of them Ready, of {pool.spec.replicas}"]


def _orphans(
    sandboxes: dict[str, Stored], claims: dict[str, Stored], pools: dict[str, Stored]
) -> Iterator[str]:
    owners = {CLAIM_KIND: claims, POOL_KIND: pools}
    for name, sandbox in sandboxes.items():
        owner = sandbox.owner
        found = owners.get(owner.kind, {}).get(owner.name) if owner is not None else None
        if owner is None or found is None or found.uid != owner.uid:
            yield f"{name} of {owner.kind} {owner.name}" if owner else f"{name} of nobody"


def _shown(what: str, problems: Iterator[str]) -> list[str]:
    """One line for all of a sort, with the first few of them."""
    found = list(problems)
    if not found:
        return []
    return [f"{len(found)} {what}: {'; '.join(found[:_SHOWN_MAX])}"]
