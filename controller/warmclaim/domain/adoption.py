"""The claim's next step: facts in, one decision out, each at most one API request.

The hand-over has two writes. The *reservation* changes a warm sandbox's owner from its pool to
the claim; the *publication* names that sandbox in the claim's status, once. Only the second is
the contract with users. Nothing is remembered between passes that matters for safety: a claim's
reservations are the sandboxes that it owns by uid, so a crash between the two writes is finished
by whoever comes next, and a second reservation (an old view, another leader) is never published
and is reclaimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from warmclaim.api.claim import Claim, ClaimStatus
from warmclaim.api.conditions import ClaimReason
from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import is_object_name
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.timestamps import rfc3339
from warmclaim.domain.assignment import assigned_name
from warmclaim.domain.claim_expiry import (
    EXPIRED_TEXT,
    is_expired,
    is_marked_expired,
    not_owned_text,
)
from warmclaim.domain.claim_request import Refusal, asks_for_more, sync_operations
from warmclaim.domain.claim_status import (
    expired_status,
    failed_status,
    mirrored_status,
    missing_status,
    refused_status,
)

_NAME_CHARS_MAX = 253  # a longer one is no name, and a message of 1 MB none either


@dataclass(frozen=True, slots=True)
class ReadClaim:
    """Look at the claim on the API server before a step that an old view makes harmful."""


@dataclass(frozen=True, slots=True)
class ReadSandbox:
    """Look at this sandbox on the API server."""

    key: ObjectKey


Read: TypeAlias = ReadClaim | ReadSandbox


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """What `decide_claim` looks at.

    `owned`: living sandboxes whose controlling owner is this claim, by uid.
    `namesake`: a sandbox with the claim's own name that belongs to somebody else.
    `has_candidate`: the warm queue would give one now.
    `wait_left_s`: how long the claim may still wait for a member that is on its way; 0 if none is.
    `refusal`: the claim asks for what it may not have; `template_fault`: why nothing can be made of
    the template for it alone. `names_alien`: its status names a sandbox of somebody else.
    `reads`: what the API server itself told in this pass; `is_fresh`: the caches are young enough
    to reserve on. `now_s`: wall time in seconds since 1970. `may_start_cold`: no warm claim would
    have to wait for it; not asked where there is a candidate, or the claim has a sandbox.
    """

    claim: Claim
    owned: Sequence[Sandbox]
    namesake: Sandbox | None
    pool: Pool | None
    has_template: bool
    has_candidate: bool
    wait_left_s: float
    reads: frozenset[Read]
    is_fresh: bool
    now_s: float
    names_alien: bool = False
    refusal: Refusal | None = None
    template_fault: Refusal | None = None
    may_start_cold: bool = True

    @property
    def now(self) -> str:
        """Wall time as the API writes it."""
        return rfc3339(self.now_s)


@dataclass(frozen=True, slots=True)
class Nothing:
    """The claim is as it should be; an event will tell when that changes."""


@dataclass(frozen=True, slots=True)
class WaitForTurn:
    """A sandbox is to be made for the claim alone, once warm claims no longer suffer from it."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """Take the warm queue's pick and change its owner to the claim."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Name `sandbox` in the claim's status. Write-once: refused if one stands there."""

    sandbox: Sandbox
    status: ClaimStatus


@dataclass(frozen=True, slots=True)
class Mirror:
    """Bring the status of a published claim up to date."""

    status: ClaimStatus


@dataclass(frozen=True, slots=True)
class Unpublish:
    """The published sandbox is gone for good: take its name back, say SandboxMissing."""

    status: ClaimStatus


@dataclass(frozen=True, slots=True)
class Reclaim:
    """Delete a reservation that was never published."""

    sandbox: Sandbox


@dataclass(frozen=True, slots=True)
class ColdStart:
    """No warm sandbox is to be had: create one under the claim's own name."""


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """A member is on its way: wait for it, at most that long."""

    left_s: float


@dataclass(frozen=True, slots=True)
class ReportFailure:
    """Write a not-ready status; the event that mends the cause wakes the claim."""

    status: ClaimStatus


@dataclass(frozen=True, slots=True)
class SyncMetadata:
    """Bring the claim's own part of the pod metadata of its sandbox up to date."""

    sandbox: Sandbox


@dataclass(frozen=True, slots=True)
class Expire:
    """Say in the status that the claim's time is over; what follows waits until that is stored."""

    status: ClaimStatus


@dataclass(frozen=True, slots=True)
class DeleteClaim:
    """Its time is over, and its policy says that it goes with its sandbox."""

    is_foreground: bool


@dataclass(frozen=True, slots=True)
class DeleteSandbox:
    """The claim's time is over: its sandbox goes, the claim stays."""

    sandbox: Sandbox


StatusDecision: TypeAlias = Publish | Mirror | Unpublish | ReportFailure | Expire
"""Those that write the claim's status."""

ClaimDecision: TypeAlias = (
    Nothing
    | ReadClaim
    | ReadSandbox
    | Reserve
    | Publish
    | Mirror
    | Unpublish
    | Reclaim
    | ColdStart
    | WaitUntil
    | WaitForTurn
    | ReportFailure
    | SyncMetadata
    | Expire
    | DeleteClaim
    | DeleteSandbox
)


def decide_claim(facts: ClaimFacts) -> ClaimDecision:
    """The next step for one claim. Pure; cost O(sandboxes that the claim owns), mostly 1."""
    if facts.claim.metadata.is_deleting:
        return Nothing()
    if is_expired(facts.claim, facts.now_s):
        return _end(facts)
    if facts.claim.published:
        return _keep_published(facts)
    reservations = [sandbox for sandbox in facts.owned if not sandbox.metadata.is_deleting]
    if reservations:
        return _publish(facts, _best_of(reservations, assigned_name(facts.claim)))
    return _find_sandbox(facts)


def _best_of(reservations: Sequence[Sandbox], assigned: str) -> Sandbox:
    """Any would do; whoever comes next must choose the same."""

    def rank(sandbox: Sandbox) -> tuple[bool, bool, str, str]:
        name = sandbox.metadata.name
        return name != assigned, not sandbox.is_ready, sandbox.metadata.creation_timestamp, name

    return min(reservations, key=rank)


def _publish(facts: ClaimFacts, sandbox: Sandbox) -> ClaimDecision:
    read = ReadSandbox(sandbox.metadata.key)
    if facts.claim.status is not None and read not in facts.reads:
        # It may have been served before, and its sandbox deleted by another leader as its time was
        # over: then that was prolonged, or a clock set back, and the cache shows the sandbox still.
        return read
    return Publish(sandbox, mirrored_status(facts.claim, sandbox, facts.now))


def _end(facts: ClaimFacts) -> ClaimDecision:
    claim = facts.claim
    if not is_marked_expired(claim):
        return Expire(expired_status(claim, EXPIRED_TEXT, facts.now, keeps_sandbox=True))
    if ReadClaim() not in facts.reads:
        return ReadClaim()  # its life may have been prolonged meanwhile
    policy = claim.spec.lifecycle.shutdown_policy if claim.spec.lifecycle else ""
    if policy in ("Delete", "DeleteForeground"):
        return DeleteClaim(is_foreground=policy == "DeleteForeground")
    living = next((s for s in facts.owned if not s.metadata.is_deleting), None)
    if living is not None:
        return DeleteSandbox(living)
    if facts.owned or not claim.published:
        return Nothing()
    if (read := _unread(facts)) is not None:
        return read
    text = not_owned_text(claim) if facts.names_alien else EXPIRED_TEXT
    return Unpublish(expired_status(claim, text, facts.now, keeps_sandbox=False))


def _keep_published(facts: ClaimFacts) -> ClaimDecision:
    published = facts.claim.published
    sandbox = next((s for s in facts.owned if s.metadata.name == published), None)
    if sandbox is None:
        return _published_is_missing(facts)
    status = mirrored_status(facts.claim, sandbox, facts.now)
    if facts.refusal is not None:  # the binding stays
        reason, text = facts.refusal.reason, facts.refusal.text
        status = refused_status(facts.claim, status, reason, text, facts.now)
    if status != facts.claim.status:
        return Mirror(status)
    if facts.refusal is None and sync_operations(facts.claim, sandbox):
        return SyncMetadata(sandbox)
    extras = (s for s in facts.owned if s is not sandbox and not s.metadata.is_deleting)
    extra = next(extras, None)
    if extra is None:
        return Nothing()
    # What the cache says of the claim may be older than its publication by another leader.
    return Reclaim(extra) if ReadClaim() in facts.reads else ReadClaim()


def _published_is_missing(facts: ClaimFacts) -> ClaimDecision:
    if ReadClaim() not in facts.reads:
        return ReadClaim()
    return _unread(facts) or Unpublish(missing_status(facts.claim, facts.now))


def _unread(facts: ClaimFacts) -> ReadSandbox | None:
    """The read that tells whether the published sandbox is there, if it is still to be made."""
    published = facts.claim.published
    if not is_object_name(published):  # a tenant may have written anything there
        return None
    read = ReadSandbox(ObjectKey(facts.claim.metadata.namespace, published))
    return read if read not in facts.reads else None


def _find_sandbox(facts: ClaimFacts) -> ClaimDecision:
    if facts.refusal is not None:
        return _report(facts, facts.refusal.reason, facts.refusal.text)
    pool_name = facts.claim.spec.warm_pool_ref.name
    if facts.pool is None:
        text = f'SandboxWarmPool "{pool_name[:_NAME_CHARS_MAX]}" not found'
        return _report(facts, ClaimReason.WARM_POOL_NOT_FOUND, text)
    # A pool that recreates gives no member whose blueprint cannot be compared.
    needs_template = asks_for_more(facts.claim) or facts.pool.spec.recreates
    if needs_template and not facts.has_template:
        return _no_template(facts, facts.pool)
    if not facts.is_fresh and ReadClaim() not in facts.reads:
        return ReadClaim()
    if facts.has_candidate:
        return Reserve()
    if facts.wait_left_s > 0:
        return WaitUntil(facts.wait_left_s)
    return _start_cold(facts, facts.pool)


def _start_cold(facts: ClaimFacts, pool: Pool) -> ClaimDecision:
    name = facts.claim.metadata.name
    if any(sandbox.metadata.name == name for sandbox in facts.owned):
        return Nothing()  # its own earlier one is still being deleted; its going wakes the claim
    if facts.namesake is not None:
        text = (
            f'Error seen: sandbox "{name}" exists and does not belong to this claim; '
            "delete it or use another claim name"
        )
        return _report(facts, ClaimReason.RECONCILER_ERROR, text)
    if not facts.has_template:
        return _no_template(facts, pool)
    if facts.template_fault is not None:
        return _report(facts, facts.template_fault.reason, facts.template_fault.text)
    if not facts.may_start_cold:
        return WaitForTurn()
    # A claim that another leader served a moment ago looks unserved in an old cache; a warm
    # reservation would be refused or reclaimed, but a pod should not be started for nothing.
    return ColdStart() if ReadClaim() in facts.reads else ReadClaim()


def _no_template(facts: ClaimFacts, pool: Pool) -> ClaimDecision:
    template = pool.spec.sandbox_template_ref.name[:_NAME_CHARS_MAX]
    text = f'SandboxTemplate "{template}" not found'
    return _report(facts, ClaimReason.TEMPLATE_NOT_FOUND, text)


def _report(facts: ClaimFacts, reason: ClaimReason, message: str) -> ClaimDecision:
    status = failed_status(facts.claim, reason, message, facts.now)
    return Nothing() if status == facts.claim.status else ReportFailure(status)
