"""Sandbox and pool events become moves of the warm queue; nothing else fills it."""

from __future__ import annotations

from collections.abc import Callable

from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.controllers.indexes import BY_OWNING_POOL
from warmclaim.controllers.keys import object_key, sandbox_key
from warmclaim.domain.eligibility import Refusal, pool_owner, why_not_adoptable
from warmclaim.kube.informer import Change, Informer
from warmqueue import PoolKey, WarmDirectory

# What an honest cluster shows as well; the other refusals say that somebody forged something.
_ORDINARY = {Refusal.DELETING, Refusal.NO_POOL_OWNER, Refusal.POOL_GONE}


class WarmIndex:
    """Keeps the warm queue equal to the set of sandboxes that may be handed out.

    `on_candidate(pool)` is called after each sandbox that a waiting claim could now take;
    `on_refused(reason)` for each sandbox that only looks like a pool's member.
    """

    def __init__(
        self,
        sandboxes: Informer[Sandbox],
        pools: Informer[Pool],
        warm: WarmDirectory,
        *,
        on_candidate: Callable[[PoolKey], None],
        on_refused: Callable[[Refusal], None],
    ) -> None:
        self._sandboxes = sandboxes.store
        self._pools = pools.store
        self._warm = warm
        self._on_candidate = on_candidate
        self._on_refused = on_refused
        sandboxes.subscribe(self._sandbox_changed)
        pools.subscribe(self._pool_changed)

    def _sandbox_changed(self, change: Change[Sandbox]) -> None:
        if change.new is not None:
            self._place(change.new)
        elif change.old is not None:
            self._warm.forget(sandbox_key(change.old.metadata.key))

    def _pool_changed(self, change: Change[Pool]) -> None:
        old, new = change.old, change.new
        if old is not None and new is not None and old.metadata.uid == new.metadata.uid:
            return
        pool = new or old
        members = self._sandboxes.by_index(BY_OWNING_POOL, str(pool.metadata.key)) if pool else ()
        # Oldest first: arrival numbers are given here when the pool is seen after its members.
        by_age = sorted(members, key=lambda s: (s.metadata.creation_timestamp, s.metadata.name))
        for sandbox in by_age:
            self._place(sandbox)

    def _place(self, sandbox: Sandbox) -> None:
        key = sandbox_key(sandbox.metadata.key)
        owner = pool_owner(sandbox)
        pool = PoolKey(key.namespace, owner.name if owner else "")
        refusal = why_not_adoptable(sandbox, self._pools.get(object_key(pool)))
        if refusal is not None:
            self._warm.forget(key)
            if refusal not in _ORDINARY:
                self._on_refused(refusal)
        elif sandbox.has_address:
            uid, node = sandbox.metadata.uid, sandbox.node
            self._warm.offer(pool, key, uid, node=node, is_ready=sandbox.is_ready)
            self._on_candidate(pool)
        else:
            self._warm.hold(pool, key, sandbox.metadata.uid, node=sandbox.node)
