"""S1-S7 over a whole history, in the order in which etcd committed it. Pure.

Every writer is judged alike. In a chaos run nobody but the controllers writes to sandboxes, and
clients only create and delete claims and pools, so nothing has to be forgiven to anybody: what
speaks against a promise is a breach whoever wrote it, and no word of a writer about itself is
believed. The manager named with a breach is only a hint for its reader.

S1  a sandbox goes from its pool to one claim, once, and nowhere else
S2  a claim's published name is written once, and taken back only when that sandbox is gone
S3  what is published exists then, is not being deleted, and belongs to that claim
S4  a sandbox is not deleted while the claim that owns it exists and shows it
S5  a sandbox, its pool and its claim are in one namespace
S6  a pool never owns more sandboxes than it asks for, those being deleted included; when it asks
    for fewer than it has, the number may only fall
S7  what is adopted belongs to a living pool and is not being deleted
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from e2e.chaos.etcd import Change
from e2e.chaos.stored import (
    CLAIM_KIND,
    CLAIMS,
    POOL_KIND,
    POOLS,
    SANDBOXES,
    Owner,
    Place,
    Step,
    Stored,
    Tables,
)


class Breach(msgspec.Struct, frozen=True):
    """A promise that did not hold, at which revision."""

    promise: str
    revision: int
    text: str

    def __str__(self) -> str:
        return f"{self.promise} at revision {self.revision}: {self.text}"


class Findings(msgspec.Struct):
    """What was read and what was found, since these were asked for last. A run that read nothing
    has proved nothing."""

    revision: int = 0
    """The last one that was read."""
    commits: int = 0
    """Changes of claims, sandboxes and pools."""
    adoptions: int = 0
    """Sandboxes that went from a pool to a claim."""
    cold_starts: int = 0
    """Sandboxes that were made for a claim."""
    publications: int = 0
    breaches: list[Breach] = msgspec.field(default_factory=list[Breach])


@dataclass(slots=True)
class _PoolBook:
    """What is known of one pool, by uid: its living sandboxes, and how many it may have."""

    members: set[Place] = field(default_factory=set[Place])
    replicas: int = 0
    lowered: int = 0
    """How many it had when it last asked for fewer, or what these have come down to since."""


class Audit:
    """Judges each change as it is fed; `findings` is what came of it. O(1) for each change."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.findings = Findings()
        self._pools: defaultdict[str, _PoolBook] = defaultdict(_PoolBook)
        self._living: dict[str, Place] = {}
        self._given: dict[str, str] = {}
        self._judges: dict[str, Callable[[Step], None]] = {
            SANDBOXES: self._judge_sandbox,
            CLAIMS: self._judge_claim,
            POOLS: self._judge_pool,
        }

    def take(self) -> Findings:
        """The findings since the last call; the next ones begin from nothing."""
        taken, self.findings = self.findings, Findings(revision=self.findings.revision)
        return taken

    def feed(self, change: Change) -> None:
        """Enter one change; they must come in the order of their revisions.

        Raises msgspec.DecodeError for an object that cannot be read.
        """
        self.findings.revision = change.revision
        step = self.tables.apply(change)
        if step is None:
            return
        self.findings.commits += 1
        self._judges[step.place.plural](step)
        if step.before is not None and (step.after is None or step.after.uid != step.before.uid):
            self._living.pop(step.before.uid, None)
        if step.after is not None:
            self._living[step.after.uid] = step.place

    # -------------------------------------------------------------- sandboxes

    def _judge_sandbox(self, step: Step) -> None:
        before, after = step.before, step.after
        self._judge_end(step)
        if after is None:
            if before is not None:
                self._move(step.place, before.owner, None)
                self._given.pop(before.uid, None)
            return
        old, new = (before.owner if before else None), after.owner
        if before is None:
            self._judge_birth(step, new)
        elif (old and old.uid) != (new and new.uid):
            self._judge_change_of_owner(step, after, old, new)
        if new is not None:
            self._judge_namespace(step, new)
        self._move(step.place, old, new)
        if new is not None and new.kind == POOL_KIND and (old is None or old.uid != new.uid):
            self._judge_ceiling(step, new)

    def _judge_birth(self, step: Step, owner: Owner | None) -> None:
        if owner is None:
            self._breach("S1", step, "made without an owner")
        elif owner.kind == CLAIM_KIND and step.after is not None:
            self.findings.cold_starts += 1
            self._given[step.after.uid] = owner.uid

    def _judge_change_of_owner(
        self, step: Step, after: Stored, old: Owner | None, new: Owner | None
    ) -> None:
        if old is None or old.kind != POOL_KIND or new is None or new.kind != CLAIM_KIND:
            self._breach("S1", step, f"went from {_told(old)} to {_told(new)}")
            return
        self.findings.adoptions += 1
        if (first := self._given.setdefault(after.uid, new.uid)) != new.uid:
            self._breach("S1", step, f"given to {_told(new)}, and before to claim uid {first}")
        pool = self._living.get(old.uid)
        if pool is None or pool.plural != POOLS:
            self._breach("S7", step, f"adopted from {_told(old)}, which does not exist")
        if after.is_deleting:
            self._breach("S7", step, "adopted while it was being deleted")

    def _judge_namespace(self, step: Step, owner: Owner) -> None:
        place = self._living.get(owner.uid)
        if place is not None and place.namespace != step.place.namespace:
            self._breach("S5", step, f"belongs to {place}")

    def _judge_end(self, step: Step) -> None:
        before, after = step.before, step.after
        if before is None or before.is_deleting or (after is not None and not after.is_deleting):
            return
        owner = before.owner
        if owner is None or owner.kind != CLAIM_KIND:
            return
        claim = self._claim_of(step.place, owner)
        if claim is not None and not claim.is_deleting and claim.published == step.place.name:
            self._breach("S4", step, f"deleted while {owner.name} shows it")

    # ------------------------------------------------------------------ pools

    def _move(self, sandbox: Place, old: Owner | None, new: Owner | None) -> None:
        """Keep the books on who owns how many."""
        if old is not None and (new is None or new.uid != old.uid) and old.uid in self._pools:
            book = self._pools[old.uid]
            book.members.discard(sandbox)
            book.lowered = min(book.lowered, len(book.members))
        if new is not None and new.kind == POOL_KIND:
            self._pools[new.uid].members.add(sandbox)

    def _judge_ceiling(self, step: Step, pool: Owner) -> None:
        book = self._pools[pool.uid]
        allowed = max(book.replicas, book.lowered)
        if len(book.members) > allowed:
            text = f"{len(book.members)} members of {_told(pool)}, {allowed} allowed"
            self._breach("S6", step, text)

    def _judge_pool(self, step: Step) -> None:
        after = step.after
        if after is None:
            if step.before is not None:
                self._pools.pop(step.before.uid, None)
            return
        book = self._pools[after.uid]
        if after.spec.replicas < book.replicas:
            book.lowered = max(book.lowered, len(book.members))
        book.replicas = after.spec.replicas

    # ----------------------------------------------------------------- claims

    def _judge_claim(self, step: Step) -> None:
        after = step.after
        if after is None:
            return
        old, new = (step.before.published if step.before else ""), after.published
        if old == new:
            return
        if new:
            self.findings.publications += 1
            self._judge_publication(step, after, new)
        if old and new:
            self._breach("S2", step, f"published {new} over {old}")
        elif old and self._owned(step.place, after, old) is not None:
            self._breach("S2", step, f"took back {old}, which it has")

    def _judge_publication(self, step: Step, claim: Stored, name: str) -> None:
        sandbox = self._owned(step.place, claim, name)
        if sandbox is None:
            found = self.tables.sandboxes.get(Place(SANDBOXES, step.place.namespace, name))
            whose = "does not exist" if found is None else f"belongs to {_told(found.owner)}"
            self._breach("S3", step, f"published {name}, which {whose}")
        elif sandbox.is_deleting:
            self._breach("S3", step, f"published {name}, which was being deleted")

    # ---------------------------------------------------------------- helpers

    def _owned(self, place: Place, claim: Stored, name: str) -> Stored | None:
        """The sandbox of that name in the claim's namespace, if the claim owns it."""
        found = self.tables.sandboxes.get(Place(SANDBOXES, place.namespace, name))
        owner = found.owner if found is not None else None
        return found if owner is not None and owner.uid == claim.uid else None

    def _claim_of(self, sandbox: Place, owner: Owner) -> Stored | None:
        """The living claim that an owner reference means."""
        claim = self.tables.claims.get(Place(CLAIMS, sandbox.namespace, owner.name))
        return claim if claim is not None and claim.uid == owner.uid else None

    def _breach(self, promise: str, step: Step, text: str) -> None:
        thing = step.after or step.before
        writers = thing.last_writers if thing is not None and step.after is not None else ""
        by = f" (by {writers})" if writers else ""
        self.findings.breaches.append(Breach(promise, step.revision, f"{step.place}: {text}{by}"))


def _told(owner: Owner | None) -> str:
    return "nobody" if owner is None else f"{owner.kind} {owner.name}"
