"""SandboxClaim: facts, `decide_claim`, act; until there is nothing left to do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import assert_never

from warmclaim.api.claim import Claim
from warmclaim.api.conditions import ClaimReason
from warmclaim.api.meta import ObjectKey
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.timestamps import rfc3339
from warmclaim.controllers.blueprints import Blueprints
from warmclaim.controllers.claim_records import ClaimRecord, ClaimRecords
from warmclaim.controllers.claim_sight import ClaimCaches, ClaimSight, asked_pool
from warmclaim.controllers.claim_telemetry import ClaimTelemetry
from warmclaim.controllers.cold_starts import ColdStarts
from warmclaim.controllers.hand_over import HandOver
from warmclaim.controllers.keys import object_key
from warmclaim.controllers.seals import Seals
from warmclaim.domain import adoption, patches
from warmclaim.domain.adoption import ClaimDecision, Read, decide_claim
from warmclaim.domain.blueprint import cold_sandbox
from warmclaim.domain.claim_expiry import EXPIRY_LOOK_S_MAX, expires_s
from warmclaim.domain.claim_request import needs_own_sandbox
from warmclaim.domain.claim_status import failed_status
from warmclaim.domain.eligibility import Refusal as Ineligible
from warmclaim.domain.eligibility import claim_owner, why_not_adoptable
from warmclaim.domain.outcome import Outcome
from warmclaim.domain.pod_metadata import DEFAULT_LABEL_DOMAINS
from warmclaim.domain.pod_template import is_malformed
from warmclaim.domain.staleness import is_stale
from warmclaim.errors import (
    ConflictError,
    ForbiddenError,
    PermanentError,
    WarmclaimError,
)
from warmclaim.runtime.reconciler import DONE, Result, again
from warmclaim.seams import Clock
from warmclaim.settings import ClaimSettings
from warmqueue import Lane, WaitingLine, WarmDirectory

_STEPS_MAX = 32  # a pass ends after that many requests, whatever happens
_RECLAIM_LOOK_S = 1.0
_WAITING = (adoption.WaitUntil, adoption.WaitForTurn, adoption.ReadClaim)
_ON_THE_WAY_TO_A_COLD_START = (adoption.WaitForTurn, adoption.ReadClaim, adoption.ColdStart)


class ClaimReconciler:
    """Binds claims to warm sandboxes: two writes each, no read, no list.

    The pick runs here, between two awaits, so no two workers ever choose the same sandbox.
    """

    def __init__(
        self,
        caches: ClaimCaches,
        blueprints: Blueprints,
        hand_over: HandOver,
        warm: WarmDirectory,
        waiting: WaitingLine[ObjectKey],
        cold_starts: ColdStarts,
        telemetry: ClaimTelemetry,
        clock: Clock,
        settings: ClaimSettings,
        label_domains: frozenset[str] = DEFAULT_LABEL_DOMAINS,
        seals: Seals | None = None,
    ) -> None:
        self._seals = seals
        self._cold_starts = cold_starts
        self._caches = caches
        self._blueprints = blueprints
        self._hand_over = hand_over
        self._warm = warm
        self._waiting = waiting
        self._telemetry = telemetry
        self._clock = clock
        self._settings = settings
        self.looked: Callable[[ObjectKey], None] = lambda _: None
        """What woke the key until now is seen by the look that follows; its queue's, if any."""
        self.took: Callable[[int, int], None] = lambda _waiting, _replicas: None
        """Told of each pick: of how many that waited, and how many the pool wants."""
        self.records = ClaimRecords(clock)
        self._sight = ClaimSight(
            caches,
            blueprints,
            warm,
            waiting,
            clock,
            settings.wait_s_max,
            label_domains,
            self._cold_starts.may_begin,
        )

    async def reconcile(self, key: ObjectKey) -> Result:
        """Bring one claim as far as it goes."""
        await self._read_back_pending(key)
        reads: set[Read] = set()
        uid, published = "", ""
        for _ in range(_STEPS_MAX):
            claim = self._caches.claims.store.get(key)
            if claim is None:
                self._leave_lines(key)
                self.records.drop(key)
                return DONE
            if (claim.metadata.uid, claim.published) != (uid, published):
                # Made again meanwhile, or given another sandbox: nothing was read of this one.
                uid, published = claim.metadata.uid, claim.published
                reads.clear()
            if not reads:
                self.looked(key)
            record = self.records.of(key, uid)
            decision = decide_claim(self._sight.facts(claim, record, frozenset(reads)))
            self._leave_lines(key, decision)
            try:
                result = await self._act(claim, record, decision, reads)
            except (PermanentError, ForbiddenError) as error:
                self._telemetry.outcome(Outcome.FAILED)
                await self._say(claim, ClaimReason.RECONCILER_ERROR, f"Error seen: {error}")
                raise
            if result is not None:
                return result
        return again(1.0, Lane.ADOPTION)

    def forget_gone(self, key: ObjectKey) -> bool:
        """Whether the claim is gone and nothing is kept of it any more. A reservation whose outcome
        is unknown is kept: its sandbox stays in flight until it was read back."""
        record = self.records.find(key)
        pending = record.pending if record is not None else None
        is_unknown = pending is not None and not pending.is_resolved
        if key in self._caches.claims.store or is_unknown:
            return False
        self._leave_lines(key)
        self.records.drop(key)
        return True

    async def _say(self, claim: Claim, reason: ClaimReason, text: str) -> None:
        """Show why the claim does not get on, where it can still be shown."""
        status = failed_status(claim, reason, text, rfc3339(self._clock.wall()))
        if claim.published or status == claim.status:
            return
        with contextlib.suppress(WarmclaimError):  # the error to be raised is another one
            await self._hand_over.write_status(claim, patches.failure_patch(claim, status))

    async def _read_back_pending(self, key: ObjectKey) -> None:
        record = self.records.find(key)
        if record is None or record.pending is None:
            return
        if record.pending.is_resolved:
            record.pending = None
            return
        outcome = await self._hand_over.read_back(record.uid, record.pending)
        record.pending = None
        self._telemetry.outcome(outcome)

    async def _act(
        self, claim: Claim, record: ClaimRecord, decision: ClaimDecision, reads: set[Read]
    ) -> Result | None:
        """One step; None to look again at once."""
        match decision:
            case adoption.Nothing():
                return self._until_expiry(claim)
            case adoption.WaitUntil() | adoption.WaitForTurn():
                return self._wait(claim, decision)
            case adoption.ReadClaim():
                await self._hand_over.read_claim(claim)
                reads.add(decision)
            case adoption.ReadSandbox(key):
                await self._hand_over.read_sandbox(key)
                reads.add(decision)
            case adoption.Reserve():
                _note(claim, await self._reserve(claim, record), reads)
            case adoption.ColdStart():
                _note(claim, await self._start_cold(claim), reads)
            case adoption.SyncMetadata(sandbox):
                await self._hand_over.sync_metadata(claim, sandbox)
            case adoption.Reclaim() | adoption.DeleteSandbox() | adoption.DeleteClaim():
                return await self._delete(claim, decision)
            case _:
                await self._write(claim, record, decision, reads)
        return None

    def _wait(self, claim: Claim, decision: adoption.WaitUntil | adoption.WaitForTurn) -> Result:
        key = claim.metadata.key
        if not needs_own_sandbox(claim):  # a member that comes meanwhile is the oldest's
            self._waiting.join(asked_pool(claim), key)
        if isinstance(decision, adoption.WaitUntil):
            self._telemetry.waiting(claim, decision.left_s)
            return again(decision.left_s, Lane.ADOPTION)
        self._cold_starts.line_up(key)
        self._telemetry.yielding(claim, len(self._cold_starts))
        return self._until_expiry(claim)  # or until it is called

    async def _delete(
        self,
        claim: Claim,
        decision: adoption.Reclaim | adoption.DeleteSandbox | adoption.DeleteClaim,
    ) -> Result:
        match decision:
            case adoption.DeleteClaim(is_foreground):
                self._telemetry.deleting(claim)
                await self._hand_over.delete_claim(claim, is_foreground=is_foreground)
                return DONE
            case adoption.DeleteSandbox(sandbox):
                await self._hand_over.reclaim(sandbox)
            case adoption.Reclaim(sandbox):
                await self._hand_over.reclaim(sandbox)
                self._telemetry.outcome(Outcome.RECLAIMED)
        return again(_RECLAIM_LOOK_S, Lane.STATUS)  # by then the cache shows it going

    async def _reserve(self, claim: Claim, record: ClaimRecord) -> Sandbox | None:
        """The sandbox that is the claim's now; None if it got none."""
        pool_key, assigned = asked_pool(claim), self._sight.assigned(claim)
        depth = self._warm.depth(pool_key)
        taken = self._warm.take_named(pool_key, assigned) if assigned else self._warm.take(pool_key)
        if taken is None:
            return None
        with taken:
            sandbox = self._caches.sandboxes.store.get(object_key(taken.entry.key))
            pool = self._sight.pool_of(claim)
            self.took(depth.waiting, pool.spec.replicas if pool else 0)
            is_same = sandbox is not None and sandbox.metadata.uid == taken.entry.uid
            refusal = self._why_not(sandbox, pool) if sandbox and is_same else None
            if sandbox is None or not is_same or refusal:
                taken.forget()
                self._telemetry.passed_over(claim, record, taken.entry.key.name, refusal)
                return None
            record.picked_s, record.depth = self._clock.monotonic(), depth
            record.tries += 1
            record.pending = taken
            self._telemetry.picked(claim, sandbox)
            keeps = self._sight.keeps_eviction_mark(pool)
            # What was verified is what must be given: an edit may come between.
            outcome = await self._hand_over.reserve(
                claim,
                sandbox,
                taken,
                keeps_eviction_mark=keeps,
                tests_spec=self._seals is not None,
            )
        record.pending = None
        if outcome is Outcome.ADOPTED:
            record.reserved_s = self._clock.monotonic()
            self._cold_starts.reserved(record.reserved_s - record.picked_s)
        self._telemetry.reserved(claim, sandbox, record, outcome)
        await self._count_attempt(claim, record, outcome)
        return sandbox if outcome is Outcome.ADOPTED else None

    def _why_not(self, sandbox: Sandbox, pool: Pool | None) -> Ineligible | None:
        if refusal := why_not_adoptable(sandbox, pool):
            return refusal
        if is_malformed(sandbox):
            return Ineligible.MALFORMED
        if self._seals is not None and pool is not None and self._seals.refuses(sandbox, pool):
            return Ineligible.UNSEALED
        blueprint = self._blueprints.of(pool) if pool and pool.spec.recreates else None
        if blueprint is not None and is_stale(sandbox, blueprint):
            # The pool replaces it; its going or its change, or that of what is wanted, tells the
            # warm queue.
            return Ineligible.STALE
        return None

    async def _count_attempt(self, claim: Claim, record: ClaimRecord, outcome: Outcome) -> None:
        if outcome is Outcome.ADOPTED:
            record.attempts = 0
            return
        record.lost += 1
        record.attempts += 1
        if record.attempts >= self._settings.adoption_attempts_max:
            tries, record.attempts = record.attempts, 0
            text = f"none of {tries} warm sandboxes could be won"
            message = f"{text}; the next pass retries from a converged view"
            await self._say(claim, ClaimReason.ADOPTION_CONFLICT, message)
            raise ConflictError(409, "Conflict", f"{text}; the last one: {outcome}")

    async def _start_cold(self, claim: Claim) -> Sandbox | None:
        """The same for one that is made for the claim."""
        pool = self._sight.pool_of(claim)
        template = self._blueprints.template_of(pool) if pool else None
        blueprint = self._blueprints.of(pool) if pool else None
        if template is None or blueprint is None:
            return None
        self._cold_starts.begin()
        namespace, name = claim.metadata.key
        body = cold_sandbox(claim, blueprint, template)
        try:
            sandbox = await self._hand_over.create(namespace, body, name)
        except BaseException:
            self._cold_starts.leave(claim.metadata.key)  # others may begin until it is tried again
            raise
        owner = claim_owner(sandbox) if sandbox else None
        if sandbox is None or owner is None or owner.uid != claim.metadata.uid:
            return None
        self._telemetry.cold_started(claim, sandbox)
        return sandbox

    async def _write(
        self,
        claim: Claim,
        record: ClaimRecord,
        decision: adoption.StatusDecision,
        reads: set[Read],
    ) -> None:
        match decision:
            case adoption.Publish(_, status):
                operations = patches.publication_patch(claim, status)
            case adoption.Mirror(status):
                operations = patches.mirror_patch(claim, status)
            case adoption.Unpublish(status):
                operations = patches.unpublication_patch(claim, status)
            case adoption.ReportFailure(status):
                operations = patches.failure_patch(claim, status)
            case adoption.Expire(status):
                is_published = bool(claim.published)
                patch = patches.mirror_patch if is_published else patches.failure_patch
                operations = patch(claim, status)
            case _:
                assert_never(decision)
        # The sandbox that was seen to be gone may come back under its name, in any pause.
        is_patient = not isinstance(decision, adoption.Unpublish)
        if await self._hand_over.write_status(claim, operations, is_patient=is_patient):
            self._verify_published(claim, decision)
            self._telemetry.status_written(claim, decision, record, self._sight.shown(claim))
            return
        # Refused although the server's own view allows it: not a race, so not worth a hot loop.
        if adoption.ReadClaim() in reads:
            raise ConflictError(409, "Conflict", f"status of {claim.metadata.key} was refused")
        reads.add(adoption.ReadClaim())

    def _until_expiry(self, claim: Claim) -> Result:
        """Nothing to do until an event comes, or the claim's time is over."""
        moment = expires_s(claim)
        left_s = moment - self._clock.wall() if moment is not None else 0.0
        if left_s <= 0 or claim.metadata.is_deleting:
            return DONE
        return again(min(left_s, EXPIRY_LOOK_S_MAX), Lane.LIFECYCLE)

    def _verify_published(self, claim: Claim, decision: object) -> None:
        """What the server stored, not what was asked for, is the truth: a webhook may change it."""
        now = self._caches.claims.store.get(claim.metadata.key)
        if not isinstance(decision, adoption.Publish) or now is None:
            return
        if now.published != decision.sandbox.metadata.name:
            raise ConflictError(409, "Conflict", f"{claim.metadata.key} was stored otherwise")

    def _leave_lines(self, key: ObjectKey, decision: ClaimDecision | None = None) -> None:
        """The claim stands in no line but those that were decided, if any."""
        if not isinstance(decision, _WAITING):
            self._waiting.leave(key)
        if not isinstance(decision, _ON_THE_WAY_TO_A_COLD_START):
            self._cold_starts.leave(key)


def _note(claim: Claim, own: Sandbox | None, reads: set[Read]) -> None:
    """The answer to a write tells as much of the sandbox as a read. Only where that is asked for:
    a look that rests on reads does not count for what woke the claim, and costs another one."""
    if own is not None and claim.status is not None:
        reads.add(adoption.ReadSandbox(own.metadata.key))
