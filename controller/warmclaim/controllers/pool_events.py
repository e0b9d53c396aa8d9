"""Which events wake which pools."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from warmclaim.api.meta import ObjectKey
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.controllers.indexes import BY_MARK, BY_TEMPLATE, mark_of_orphan
from warmclaim.controllers.pool import PoolCaches
from warmclaim.domain.eligibility import pool_owner
from warmclaim.kube.informer import Change
from warmclaim.runtime.async_workqueue import AsyncWorkqueue
from warmqueue import Lane

GATHER_S = 0.2
"""Member events of that long make one pass, and what is missing then one reservation. At 50 claims
a second 0.05 s cost 0.46 reservations for each claim; a pod takes longer than either to start."""


class PoolEvents:
    """Subscribes to the caches; own creates wake nobody, the pass that made them goes on."""

    def __init__(
        self,
        caches: PoolCaches,
        queue: AsyncWorkqueue[ObjectKey],
        sandbox_changed: Callable[[Change[Sandbox]], None],
    ) -> None:
        self._caches = caches
        self._keep_count = sandbox_changed
        self._queue = queue
        caches.pools.subscribe(self._pool_changed)
        caches.sandboxes.subscribe(self._sandbox_changed)
        caches.templates.subscribe(self._template_changed)

    def wake_all(self) -> Iterator[None]:
        """Each pool looks at its members again. O(pools)."""
        for pool in list(self._caches.pools.store.values()):
            self._queue.add(pool.metadata.key, lane=Lane.REFILL)
            yield

    def _pool_changed(self, change: Change[Pool]) -> None:
        old, new = change.old, change.new
        # The answer to an own write may bring a new target with it.
        is_same_spec = old and new and old.metadata.generation == new.metadata.generation
        if change.is_own and is_same_spec:
            return
        if pool := new or old:
            self._queue.add(pool.metadata.key, lane=Lane.REFILL)

    def _sandbox_changed(self, change: Change[Sandbox]) -> None:
        self._keep_count(change)  # also of what came and went between two passes
        for sandbox in (change.old, change.new):
            owner = pool_owner(sandbox) if sandbox else None
            if sandbox and owner:
                key = ObjectKey(sandbox.metadata.namespace, owner.name)
                self._queue.add(key, lane=Lane.REFILL, after_s=GATHER_S)
            for mark in mark_of_orphan(sandbox) if sandbox else ():
                for pool in self._caches.pools.store.by_index(BY_MARK, mark):
                    self._queue.add(pool.metadata.key, lane=Lane.REFILL, after_s=GATHER_S)

    def _template_changed(self, change: Change[Template]) -> None:
        template = change.new or change.old
        if template is None:
            return
        for pool in self._caches.pools.store.by_index(BY_TEMPLATE, str(template.metadata.key)):
            self._queue.add(pool.metadata.key, lane=Lane.REFILL)
