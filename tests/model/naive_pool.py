"""A pool's members by recount: all of them are read at every look, as `PoolLedger` must not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from warmclaim.api.meta import ObjectKey
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.blueprint import Blueprint
from warmclaim.domain.eligibility import pool_owner
from warmclaim.domain.pool_ledger import member_of
from warmclaim.domain.refill import Counts, Hindrance, Member
from warmclaim.domain.staleness import is_stale


@dataclass(frozen=True)
class Recounted:
    """What a look tells. Of those that wait only the keys: in which order is nobody's business."""

    counts: Counts
    stale: set[ObjectKey]
    unmarked: set[ObjectKey]
    stuck: set[ObjectKey]
    held: dict[Hindrance, int]
    look_again_s: float | None


@dataclass
class NaivePool:
    """Counts anew. `note` must be called after each change: it times those that are not ready."""

    namespace: str
    uid: str
    grace_s: float
    blueprint: Blueprint | None = None
    since_s: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])

    def members(self, sandboxes: Iterable[Sandbox]) -> list[Sandbox]:
        """Those that the pool owns."""
        return [
            sandbox
            for sandbox in sandboxes
            if sandbox.metadata.namespace == self.namespace
            and (owner := pool_owner(sandbox))
            and owner.uid == self.uid
        ]

    def note(self, sandboxes: Iterable[Sandbox], now_s: float) -> None:
        """Since when each is not ready; a change in between begins the wait anew."""
        waiting = _waiting(map(member_of, self.members(sandboxes)))
        self.since_s = {mark: self.since_s.get(mark, now_s) for mark in waiting}

    def look(self, sandboxes: Iterable[Sandbox], now_s: float) -> Recounted:
        """Count everything."""
        own = self.members(sandboxes)
        found = [member_of(sandbox) for sandbox in own]
        staying = [s for s in own if not s.metadata.is_deleting]
        waiting = _waiting(found)
        left = {mark: self.since_s[mark] + self.grace_s - now_s for mark in waiting}
        overdue = [member for mark, member in waiting.items() if left[mark] <= 0]
        stale = {s.metadata.key for s in staying if self.blueprint and is_stale(s, self.blueprint)}
        return Recounted(
            counts=Counts(
                len(found),
                sum(member.is_deleting for member in found),
                sum(member.is_ready and not member.is_deleting for member in found),
            ),
            stale=stale,
            unmarked={
                s.metadata.key
                for s in staying
                if s.metadata.labels.get("agents.x-k8s.io/launch-type") != "warm"
            },
            stuck={m.key for m in overdue if m.hindrance is None or m.key in stale},
            held=dict(Counter(m.hindrance for m in overdue if m.hindrance and m.key not in stale)),
            look_again_s=min((s for s in left.values() if s > 0), default=None),
        )


def _waiting(members: Iterable[Member]) -> dict[tuple[str, str], Member]:
    return {(m.uid, m.changed): m for m in members if not (m.is_ready or m.is_deleting)}
