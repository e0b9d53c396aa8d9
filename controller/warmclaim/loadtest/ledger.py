"""Who owned which sandbox when, as told by a watch, and the promises that must hold throughout.

The ledger is fed every event of two watches, in the order in which they came, and notes a breach
the moment it sees one. Promises:

L1  a sandbox belongs to at most one claim, ever; it never goes back to a pool
L2  a claim never owns a second sandbox
L3  a claim's published name goes from empty to a value once, and stays
L4  no two claims publish the same sandbox
L5  a claim that was Ready stays so
L6  how many sandboxes an owner had at most is known (`peak`), those being deleted included

Pure: no clock, no I/O. Times are seconds of any one clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from warmclaim.loadtest.views import (
    CLAIM_KIND,
    LAUNCH_TYPE,
    POOL_KIND,
    READY_NOTED,
    SEEN_NOTED,
    Condition,
    Owner,
    Thing,
)

DELETED = "DELETED"
_NOBODY = Owner()


class Peak(NamedTuple):
    """The largest number of members, and when it was reached first."""

    members: int
    at_s: float


@dataclass(slots=True)
class ClaimRecord:
    """What was seen of one claim."""

    name: str
    uid: str
    published: str = ""
    ready: Condition | None = None
    ready_s: float | None = None
    """When Ready=True was seen first."""
    versions_to_ready: int = 0
    """Stored versions after the first, up to the one that was Ready: writes that changed it."""
    given: list[str] = field(default_factory=list[str])
    """Uids of the sandboxes that it came to own."""
    noted_s: float | None = None
    """From the controller's first sight of it to its Ready, as the controller noted on it."""
    is_seen: bool = False
    """Whether the claim itself was seen; its sandbox may come first, from the other watch."""


@dataclass(slots=True)
class SandboxRecord:
    """What was seen of one sandbox."""

    name: str
    uid: str
    owner: Owner = _NOBODY
    pool: str = ""
    """Name of the pool that owned it first; empty for one that never had any."""
    node: str = ""
    selector: str = ""
    """By which its status says that its pods are found."""
    selectors: int = 0
    """How often that came after there had been none."""
    launch_type: str = ""
    is_ready: bool = False
    ready_s: float | None = None
    """When Ready=True was seen first."""
    is_deleting: bool = False
    is_gone: bool = False
    given_to: str = ""
    """Uid of the first claim that owned it."""
    given_s: float | None = None
    """When that was seen first."""


class Ledger:
    """One namespace's claims and sandboxes over one run. Feeding costs O(1) for each event."""

    def __init__(self, origin_s: float = 0.0) -> None:
        """`origin_s` is the moment that breaches count their times from."""
        self.origin_s = origin_s
        self.claims: dict[str, ClaimRecord] = {}
        """By uid, those deleted included."""
        self.sandboxes: dict[str, SandboxRecord] = {}
        """By uid, those deleted included."""
        self.breaches: list[str] = []
        self.ready_claims = 0
        """Claims that have been Ready."""
        self.last_event_s = origin_s
        """When the latest event came."""
        self._members: defaultdict[str, set[str]] = defaultdict(set)
        self._peaks: dict[str, Peak] = {}
        self._publishers: dict[str, str] = {}

    def claim_event(self, kind: str, claim: Thing, at_s: float) -> None:
        """Enter ADDED, MODIFIED or DELETED of a claim."""
        self.last_event_s = at_s
        if kind == DELETED:
            return
        record = self._claim(claim.metadata.uid, claim.metadata.name)
        if record.is_seen and record.ready_s is None:
            record.versions_to_ready += 1
        record.is_seen = True
        self._enter_published(record, claim.published, at_s)
        self._enter_claim_ready(record, claim, at_s)
        if record.noted_s is None:
            record.noted_s = _noted_s(claim.metadata.annotations)

    def sandbox_event(self, kind: str, sandbox: Thing, at_s: float) -> None:
        """Enter ADDED, MODIFIED or DELETED of a sandbox."""
        self.last_event_s = at_s
        meta = sandbox.metadata
        record = self.sandboxes.get(meta.uid)
        if record is None:
            record = self.sandboxes[meta.uid] = SandboxRecord(meta.name, meta.uid)
        self._enter_owner(record, meta.controller or _NOBODY, at_s)
        record.node = sandbox.status.node_name or record.node
        record.selectors += bool(sandbox.status.selector) and not record.selector
        record.selector = sandbox.status.selector
        record.launch_type = meta.labels.get(LAUNCH_TYPE, "")
        record.is_ready = sandbox.is_ready
        if record.is_ready and record.ready_s is None:
            record.ready_s = at_s
        record.is_deleting = meta.deletion_timestamp is not None
        record.is_gone = kind == DELETED
        self._count(record, at_s)

    def members(self, owner_uid: str) -> int:
        """Sandboxes that exist and have this controlling owner, those being deleted included."""
        return len(self._members[owner_uid])

    def members_of(self, owner_uid: str) -> Iterator[SandboxRecord]:
        """The same, one by one."""
        return (self.sandboxes[uid] for uid in self._members[owner_uid])

    def ready_members(self, owner_uid: str) -> int:
        """Members that are Ready and not being deleted. O(members)."""
        return sum(one.is_ready and not one.is_deleting for one in self.members_of(owner_uid))

    def existing(self) -> int:
        """Sandboxes that exist now. O(all ever seen)."""
        return sum(not one.is_gone for one in self.sandboxes.values())

    def peak(self, owner_uid: str) -> Peak:
        """The most members this owner had at any instant."""
        return self._peaks.get(owner_uid, Peak(0, 0.0))

    def sandbox_of(self, claim: ClaimRecord) -> SandboxRecord | None:
        """The first sandbox that the claim owned."""
        return self.sandboxes[claim.given[0]] if claim.given else None

    def _enter_published(self, record: ClaimRecord, name: str, at_s: float) -> None:
        if name == record.published:
            return
        if record.published:
            self._breach(at_s, f"claim {record.name} published {record.published!r}, now {name!r}")
        record.published = name
        other = self._publishers.setdefault(name, record.uid) if name else record.uid
        if other != record.uid:
            claims = f"{self.claims[other].name} and {record.name}"
            self._breach(at_s, f"sandbox {name} is published by two claims: {claims}")

    def _enter_claim_ready(self, record: ClaimRecord, claim: Thing, at_s: float) -> None:
        if claim.is_ready and record.ready_s is None:
            record.ready_s = at_s
            self.ready_claims += 1
        if record.ready_s is not None and not claim.is_ready:
            self._breach(at_s, f"claim {record.name} was Ready, now {told(claim.ready)}")
        record.ready = claim.ready

    def _enter_owner(self, record: SandboxRecord, owner: Owner, at_s: float) -> None:
        if owner.uid == record.owner.uid:
            return
        self._members[record.owner.uid].discard(record.uid)
        record.owner = owner
        if owner.kind == POOL_KIND:
            record.pool = record.pool or owner.name
            if record.given_to:
                self._breach(at_s, f"sandbox {record.name} went back to pool {owner.name}")
        if owner.kind == CLAIM_KIND:
            self._enter_given(record, owner, at_s)

    def _enter_given(self, record: SandboxRecord, owner: Owner, at_s: float) -> None:
        first = record.given_to
        if not first:
            record.given_to, record.given_s = owner.uid, at_s
        if first and first != owner.uid:
            claims = f"{self._claim_name(first)}, then {owner.name}"
            self._breach(at_s, f"sandbox {record.name} was given to two claims: {claims}")
        claim = self._claim(owner.uid, owner.name)
        claim.given.append(record.uid)
        if len(claim.given) > 1:
            owned = ", ".join(self.sandboxes[uid].name for uid in claim.given)
            self._breach(at_s, f"claim {owner.name} was given {len(claim.given)}: {owned}")

    def _claim(self, uid: str, name: str) -> ClaimRecord:
        record = self.claims.get(uid)
        if record is None:
            record = self.claims[uid] = ClaimRecord(name, uid)
        return record

    def _claim_name(self, uid: str) -> str:
        return self.claims[uid].name if uid in self.claims else uid

    def _count(self, record: SandboxRecord, at_s: float) -> None:
        if record.is_gone:
            self._members[record.owner.uid].discard(record.uid)
            return
        members = self._members[record.owner.uid]
        members.add(record.uid)
        if len(members) > self.peak(record.owner.uid).members:
            self._peaks[record.owner.uid] = Peak(len(members), at_s)

    def _breach(self, at_s: float, text: str) -> None:
        self.breaches.append(f"{at_s - self.origin_s:.3f} s: {text}")


def _noted_s(annotations: Mapping[str, str]) -> float | None:
    """What a controller's two notes say; None where one is missing, or is no time."""
    seen, ready = annotations.get(SEEN_NOTED), annotations.get(READY_NOTED)
    if seen is None or ready is None:
        return None
    try:
        return (datetime.fromisoformat(ready) - datetime.fromisoformat(seen)).total_seconds()
    except (ValueError, TypeError):
        return None


def told(ready: Condition | None) -> str:
    """A Ready condition in a few words."""
    if ready is None:
        return "without a Ready condition"
    return f"Ready={ready.status} {ready.reason}: {ready.message}"
