"""Which events wake which claims, and in which lane."""

from __future__ import annotations

from warmclaim.api.claim import Claim
from warmclaim.api.meta import ObjectKey
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.controllers.claim_records import ClaimRecords
from warmclaim.controllers.claim_sight import ClaimCaches
from warmclaim.controllers.indexes import BY_ASKED_POOL, BY_TEMPLATE
from warmclaim.domain.claim_marks import is_only_noted
from warmclaim.domain.eligibility import claim_owner
from warmclaim.kube.informer import Change
from warmclaim.runtime.async_workqueue import AsyncWorkqueue
from warmqueue import Lane, PoolKey, WaitingLine, WarmDirectory


class ClaimEvents:
    """Subscribes to the caches; a claim is woken by what can change its next decision."""

    def __init__(
        self,
        caches: ClaimCaches,
        queue: AsyncWorkqueue[ObjectKey],
        warm: WarmDirectory,
        waiting: WaitingLine[ObjectKey],
        records: ClaimRecords,
    ) -> None:
        self._caches = caches
        self._queue = queue
        self._warm = warm
        self._waiting = waiting
        self._records = records
        caches.claims.subscribe(self._claim_changed)
        caches.sandboxes.subscribe(self._sandbox_changed)
        caches.pools.subscribe(self._pool_changed)
        caches.templates.subscribe(self._template_changed)

    def candidate_arrived(self, pool: PoolKey) -> None:
        """Wake as many waiting claims as the pool can serve now, oldest first."""
        if not self._waiting.length(pool):
            return
        counts = self._warm.statistics(pool)
        for claim in self._waiting.next_for(pool, counts.ready + counts.not_ready):
            self._queue.add(claim, lane=Lane.ADOPTION)

    def _claim_changed(self, change: Change[Claim]) -> None:
        claim = change.new
        if claim is None:
            if change.old is not None:
                self._queue.add(change.old.metadata.key, lane=Lane.LIFECYCLE)
            return
        self._records.saw(claim, change.old)
        if change.old is not None and is_only_noted(change.old, claim):
            return
        if change.is_own and self._queue.core.is_worked(claim.metadata.key):
            return  # the pass that wrote it goes on by itself
        if not claim.published and not claim.metadata.is_deleting:
            self._queue.add(claim.metadata.key, lane=Lane.ADOPTION)
        else:
            self._queue.add(claim.metadata.key, lane=Lane.STATUS)

    def _sandbox_changed(self, change: Change[Sandbox]) -> None:
        old, new = change.old, change.new
        if old and new and not _matters(old, new):
            return
        if old is not None:
            self._wake_namesake(old, new)
        for sandbox in (old, new):
            owner = claim_owner(sandbox) if sandbox else None
            if sandbox and owner:
                key = ObjectKey(sandbox.metadata.namespace, owner.name)
                # A pass looks again after each of its requests. But what one claim's pass reads
                # back may be news for another claim, and the watch will not bring it again.
                if not (change.is_own and self._queue.core.is_worked(key)):
                    self._queue.add(key, lane=Lane.STATUS)

    def _wake_namesake(self, old: Sandbox, new: Sandbox | None) -> None:
        """A claim that starts cold needs its own name: it may have become free, or its own."""
        is_same = new is not None and new.metadata.owner_references == old.metadata.owner_references
        claim = self._caches.claims.store.get(old.metadata.key)
        if claim is not None and not claim.published and not is_same:
            self._queue.add(old.metadata.key, lane=Lane.ADOPTION)

    def _pool_changed(self, change: Change[Pool]) -> None:
        old, new = change.old, change.new
        if old and new and old.metadata.generation == new.metadata.generation:
            return
        pool = new or old
        if pool is not None:
            self._wake_unserved(str(pool.metadata.key))

    def _template_changed(self, change: Change[Template]) -> None:
        if change.new is None:
            return
        for pool in self._caches.pools.store.by_index(BY_TEMPLATE, str(change.new.metadata.key)):
            self._wake_unserved(str(pool.metadata.key))

    def _wake_unserved(self, pool: str) -> None:
        for claim in self._caches.claims.store.by_index(BY_ASKED_POOL, pool):
            self._queue.add(claim.metadata.key, lane=Lane.ADOPTION)


def _matters(old: Sandbox, new: Sandbox) -> bool:
    """Whether a claim that owns the sandbox could show it."""
    is_same = (
        old.metadata.uid == new.metadata.uid
        and old.metadata.owner_references == new.metadata.owner_references
        and old.metadata.is_deleting == new.metadata.is_deleting
        and old.status == new.status
    )
    return not is_same
