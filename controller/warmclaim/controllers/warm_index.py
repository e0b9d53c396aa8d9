"""Sandbox and pool events become moves of the warm queue; nothing else fills it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from warmclaim.api.meta import ObjectKey
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.controllers.claim_sight import ClaimCaches
from warmclaim.controllers.indexes import BY_OWNING_POOL, BY_TEMPLATE
from warmclaim.controllers.keys import object_key, sandbox_key
from warmclaim.controllers.seals import Seals
from warmclaim.domain.eligibility import Refusal, pool_owner, why_not_adoptable
from warmclaim.kube.informer import Change
from warmqueue import PoolKey, WarmDirectory

UNSEALED_TOLD_MAX: Final = 20

# What an honest cluster shows as well; the other refusals say that somebody forged something.
_ORDINARY = {Refusal.DELETING, Refusal.NO_POOL_OWNER, Refusal.POOL_GONE}


class WarmIndex:
    """Keeps the warm queue equal to the set of sandboxes that may be handed out.

    `on_candidate(pool)` is called after each sandbox that a waiting claim could now take;
    `on_refused(reason)` for each sandbox that only looks like a pool's member. With `seals` such a
    one is, too, what bears no seal of its pool.
    """

    def __init__(
        self,
        caches: ClaimCaches,
        warm: WarmDirectory,
        *,
        on_candidate: Callable[[PoolKey], None],
        on_refused: Callable[[Refusal], None],
        seals: Seals | None = None,
    ) -> None:
        self._sandboxes = caches.sandboxes.store
        self._pools = caches.pools.store
        self._warm = warm
        self._on_candidate = on_candidate
        self._on_refused = on_refused
        self._seals = seals
        self._unsealed: dict[ObjectKey, str] = {}  # to the pool's name
        caches.sandboxes.subscribe(self._sandbox_changed)
        caches.pools.subscribe(self._pool_changed)
        caches.templates.subscribe(self._template_changed)
        if seals is not None:
            seals.on_change(self._look_again)

    def __len__(self) -> int:
        """Members that are refused for want of a seal: at most those that live."""
        return len(self._unsealed)

    def unsealed_of(self, pool: ObjectKey) -> list[str]:
        """Names of such members of a pool, the first few. O(all such members)."""
        found = (
            key.name for key, name in self._unsealed.items() if (key.namespace, name) == tuple(pool)
        )
        return list(islice(found, UNSEALED_TOLD_MAX))

    def _sandbox_changed(self, change: Change[Sandbox]) -> None:
        if change.new is not None:
            self._place(change.new)
        elif change.old is not None:
            self._unsealed.pop(change.old.metadata.key, None)
            self._warm.forget(sandbox_key(change.old.metadata.key))

    def _pool_changed(self, change: Change[Pool]) -> None:
        old, new = change.old, change.new
        if old is not None and new is not None and _what_fits(old) == _what_fits(new):
            return
        if pool := new or old:
            self._place_members(pool)

    def _template_changed(self, change: Change[Template]) -> None:
        """What was stale, and so was not to be given, may be as the template wants it again.
        O(members) of the pools that make members anew."""
        old, new = change.old, change.new
        if new is None or (old and old.metadata.generation == new.metadata.generation):
            return
        for pool in self._pools.by_index(BY_TEMPLATE, str(new.metadata.key)):
            if pool.spec.recreates:
                self._place_members(pool)

    def _place_members(self, pool: Pool) -> None:
        members = self._sandboxes.by_index(BY_OWNING_POOL, str(pool.metadata.key))
        # Oldest first: arrival numbers are given here when the pool is seen after its members.
        by_age = sorted(members, key=lambda s: (s.metadata.creation_timestamp, s.metadata.name))
        for sandbox in by_age:
            self._place(sandbox)

    def _look_again(self) -> Iterator[None]:
        """There are other keys: what was refused may be sealed. What a former key sealed and none
        of these is found out when it is picked."""
        for key in list(self._unsealed):
            if (sandbox := self._sandboxes.get(key)) is not None:
                self._place(sandbox)
            yield

    def _why_not(self, sandbox: Sandbox, pool: Pool | None) -> Refusal | None:
        """Keeps account of what is refused for want of a seal."""
        key, refusal = sandbox.metadata.key, why_not_adoptable(sandbox, pool)
        self._unsealed.pop(key, None)
        if refusal is not None or pool is None or self._seals is None:
            return refusal
        if not self._seals.refuses(sandbox, pool):
            return None
        self._unsealed[key] = pool.metadata.name
        return Refusal.UNSEALED

    def _place(self, sandbox: Sandbox) -> None:
        key = sandbox_key(sandbox.metadata.key)
        owner = pool_owner(sandbox)
        pool = PoolKey(key.namespace, owner.name if owner else "")
        refusal = self._why_not(sandbox, self._pools.get(object_key(pool)))
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


def _what_fits(pool: Pool) -> tuple[object, ...]:
    """What decides of members that did not change whether they may be given."""
    return pool.metadata.uid, pool.spec.recreates, pool.spec.sandbox_template_ref
