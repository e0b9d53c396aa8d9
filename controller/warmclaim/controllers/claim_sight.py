"""What is known of a claim before its next step: from the caches and the warm queue, no request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from warmclaim.api.claim import Claim
from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import ANNOTATION_SAFE_TO_EVICT
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.controllers.blueprints import Blueprints
from warmclaim.controllers.claim_records import ClaimRecord
from warmclaim.controllers.indexes import BY_OWNER_UID, BY_OWNING_POOL
from warmclaim.controllers.keys import pool_key
from warmclaim.domain.adoption import ClaimFacts, Read
from warmclaim.domain.assignment import assigned_name
from warmclaim.domain.claim_request import (
    Refusal,
    asks_for_more,
    needs_own_sandbox,
    why_refused,
    why_unfit,
    why_unusable,
)
from warmclaim.domain.eligibility import claim_owner
from warmclaim.kube.informer import Informer
from warmclaim.seams import Clock
from warmqueue import Place, PoolKey, SandboxKey, WaitingLine, WarmDirectory

_CACHE_AGE_S_MAX = 30.0  # unwatched for longer, the claim is read before it gets anything


@dataclass(frozen=True, slots=True)
class ClaimCaches:
    """What the claim controller reads."""

    claims: Informer[Claim]
    sandboxes: Informer[Sandbox]
    pools: Informer[Pool]
    templates: Informer[Template]


class ClaimSight:
    """Gathers the facts for `decide_claim`. `wait_s_max` bounds the wait for a member that is on
    its way, `label_domains` are those of labels that claims may ask for."""

    def __init__(
        self,
        caches: ClaimCaches,
        blueprints: Blueprints,
        warm: WarmDirectory,
        waiting: WaitingLine[ObjectKey],
        clock: Clock,
        wait_s_max: float,
        label_domains: frozenset[str],
        may_start_cold: Callable[[ObjectKey], bool],
    ) -> None:
        self._caches = caches
        self._blueprints = blueprints
        self._warm = warm
        self._waiting = waiting
        self._clock = clock
        self._wait_s_max = wait_s_max
        self._label_domains = label_domains
        self._may_start_cold = may_start_cold

    def facts(self, claim: Claim, record: ClaimRecord, reads: frozenset[Read]) -> ClaimFacts:
        """All that the decision needs; `reads` is what this pass read from the API server."""
        key, caches = claim.metadata.key, self._caches
        pool = self.pool_of(claim)
        namesake = caches.sandboxes.store.get(key)
        is_alien = namesake is not None and not _is_owner(claim, namesake)
        template = self._blueprints.template_of(pool) if pool else None
        is_warm = not claim.published and not needs_own_sandbox(claim)
        has_candidate = is_warm and self._has_candidate(claim)
        must_wait = is_warm and not has_candidate
        return ClaimFacts(
            claim=claim,
            owned=self._owned(claim),
            namesake=namesake if is_alien else None,
            pool=pool,
            has_template=template is not None,
            has_candidate=has_candidate,
            wait_left_s=self._wait_left_s(key, pool, record) if must_wait else 0.0,
            reads=reads,
            is_fresh=caches.sandboxes.unwatched_s() < _CACHE_AGE_S_MAX,
            now_s=self._clock.wall(),
            names_alien=self._names_alien(claim),
            refusal=self._refusal(claim, pool),
            template_fault=why_unusable(template) if template and must_wait else None,
            may_start_cold=has_candidate or bool(claim.published) or self._may_start_cold(key),
        )

    def pool_of(self, claim: Claim) -> Pool | None:
        """The pool that it asks for."""
        key = ObjectKey(claim.metadata.namespace, claim.spec.warm_pool_ref.name)
        return self._caches.pools.store.get(key)

    def assigned(self, claim: Claim) -> SandboxKey | None:
        """The member that was chosen for the claim before, if it may be taken."""
        name = assigned_name(claim)
        key = SandboxKey(claim.metadata.namespace, name)
        if not name or self._warm.pool_of(key) != asked_pool(claim):
            return None
        return key if self._warm.place_of(key) is not Place.IN_FLIGHT else None

    def shown(self, claim: Claim) -> Sandbox | None:
        """The sandbox that the claim's status names by now, whoever owns it."""
        now = self._caches.claims.store.get(claim.metadata.key)
        if now is None or not now.published:
            return None
        key = ObjectKey(claim.metadata.namespace, now.published)
        return self._caches.sandboxes.store.get(key)

    def keeps_eviction_mark(self, pool: Pool | None) -> bool:
        """Whether the pool's template itself marks its pods as safe to evict."""
        template = self._blueprints.template_of(pool) if pool else None
        marks = template.spec.pod_metadata("annotations") if template else {}
        return ANNOTATION_SAFE_TO_EVICT in marks

    def _refusal(self, claim: Claim, pool: Pool | None) -> Refusal | None:
        if not asks_for_more(claim):
            return None
        if not claim.published:
            template = self._blueprints.template_of(pool) if pool else None
            blueprint = self._blueprints.of(pool) if pool else None
            return why_refused(claim, template, blueprint, self._label_domains)
        sandbox = self.shown(claim)
        return why_unfit(claim, sandbox, self._label_domains) if sandbox else None

    def _names_alien(self, claim: Claim) -> bool:
        key = ObjectKey(claim.metadata.namespace, claim.published)
        sandbox = self._caches.sandboxes.store.get(key)
        return sandbox is not None and not _is_owner(claim, sandbox)

    def _owned(self, claim: Claim) -> list[Sandbox]:
        owned = self._caches.sandboxes.store.by_index(BY_OWNER_UID, claim.metadata.uid)
        namespace = claim.metadata.namespace
        return [s for s in owned if claim_owner(s) and s.metadata.namespace == namespace]

    def _has_candidate(self, claim: Claim) -> bool:
        counts = self._warm.statistics(asked_pool(claim))
        return counts.waiting > 0 or self.assigned(claim) is not None

    def _wait_left_s(self, key: ObjectKey, pool: Pool | None, record: ClaimRecord) -> float:
        """0 unless a member that nobody waits for yet is on its way: one without an address so
        far, or one that the pool still owes. A pool that cannot grow costs its claims this wait."""
        if pool is None or self._blueprints.template_of(pool) is None:
            return 0.0
        line = pool_key(pool.metadata.key)
        ahead = self._waiting.position(key)
        if ahead is None:
            ahead = self._waiting.length(line)
        # Either count may be raised by forged owners, that by uid from any namespace.
        sandboxes = self._caches.sandboxes.store
        members = min(
            sandboxes.count(BY_OWNER_UID, pool.metadata.uid),
            sandboxes.count(BY_OWNING_POOL, str(pool.metadata.key)),
        )
        coming = self._warm.statistics(line).held + max(pool.spec.replicas - members, 0)
        if ahead >= coming:
            return 0.0
        return record.seen_s + self._wait_s_max - self._clock.monotonic()


def asked_pool(claim: Claim) -> PoolKey:
    """The name of the pool that it asks for, in the warm queue."""
    return PoolKey(claim.metadata.namespace, claim.spec.warm_pool_ref.name)


def _is_owner(claim: Claim, sandbox: Sandbox) -> bool:
    owner = claim_owner(sandbox)
    return owner is not None and owner.uid == claim.metadata.uid
