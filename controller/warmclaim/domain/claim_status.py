"""The status that a claim should show; equal to what it shows means nothing is written."""

from __future__ import annotations

import msgspec

from warmclaim.api.claim import Claim, ClaimedSandbox, ClaimStatus
from warmclaim.api.conditions import (
    FINISHED,
    READY,
    ClaimReason,
    Condition,
    Status,
    find,
    is_admitted,
    upsert,
    without,
)
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.timestamps import seconds_of


def mirrored_status(claim: Claim, sandbox: Sandbox, now: str) -> ClaimStatus:
    """The status of a claim that has `sandbox`: its name, addresses, Ready and Finished."""
    conditions = upsert(claim.conditions, _forwarded_ready(claim, sandbox), now=now)
    conditions = _forwarded_finished(conditions, sandbox)
    pod_ips = sandbox.status.pod_ips if sandbox.status else ()
    return _status(conditions, ClaimedSandbox(name=sandbox.metadata.name, pod_ips=pod_ips))


def failed_status(claim: Claim, reason: ClaimReason, message: str, now: str) -> ClaimStatus:
    """The status of a claim that has no sandbox, and why. Nothing of it is Finished then, and no
    time to live runs."""
    ready = _not_ready(claim, reason, message)
    return _status(upsert(without(claim.conditions, FINISHED), ready, now=now), None)


def refused_status(
    claim: Claim, mirrored: ClaimStatus, reason: ClaimReason, message: str, now: str
) -> ClaimStatus:
    """The status of a claim that keeps its sandbox and is not Ready by its own fault."""
    ready = _not_ready(claim, reason, message)
    others = without(mirrored.conditions, READY)
    kept = find(claim.conditions, READY)
    conditions = upsert((kept, *others) if kept else others, ready, now=now)
    return _status(conditions, mirrored.sandbox)


def expired_status(claim: Claim, message: str, now: str, *, keeps_sandbox: bool) -> ClaimStatus:
    """The status of a claim whose time is over. Finished stays: it may be the reason."""
    ready = _not_ready(claim, ClaimReason.CLAIM_EXPIRED, message)
    sandbox = claim.status.sandbox if claim.status and keeps_sandbox else None
    return _status(upsert(claim.conditions, ready, now=now), sandbox)


def missing_status(claim: Claim, now: str) -> ClaimStatus:
    """The status of a claim whose published sandbox vanished."""
    return failed_status(claim, ClaimReason.SANDBOX_MISSING, "Sandbox does not exist", now)


def _forwarded_ready(claim: Claim, sandbox: Sandbox) -> Condition:
    ready = sandbox.ready
    if ready is None or not is_admitted(ready):
        return _not_ready(claim, ClaimReason.SANDBOX_NOT_READY, "Sandbox is not ready")
    if ready.reason == ClaimReason.SANDBOX_EXPIRED:
        text = "Underlying Sandbox resource has expired independently of the Claim."
        return _not_ready(claim, ClaimReason.SANDBOX_EXPIRED, text)
    # A warm sandbox was Ready before the claim was made; to its user it became so no earlier
    # than the claim.
    times = (ready.last_transition_time, claim.metadata.creation_timestamp)
    since = max(times, key=lambda text: seconds_of(text) or 0.0)
    return msgspec.structs.replace(
        ready, last_transition_time=since, observed_generation=claim.metadata.generation
    )


def _forwarded_finished(
    conditions: tuple[Condition, ...], sandbox: Sandbox
) -> tuple[Condition, ...]:
    finished = find(sandbox.status.conditions, FINISHED) if sandbox.status else None
    conditions = without(conditions, FINISHED)
    if finished is None or not is_admitted(finished):
        return conditions
    return (*conditions, finished)


def _status(conditions: tuple[Condition, ...], sandbox: ClaimedSandbox | None) -> ClaimStatus:
    """In the order of types, as other controllers of this API write them: what they wrote is not
    written again."""
    ordered = tuple(sorted(conditions, key=lambda condition: condition.type))
    return ClaimStatus(conditions=ordered, sandbox=sandbox)


def _not_ready(claim: Claim, reason: ClaimReason, message: str) -> Condition:
    return Condition(
        type=READY,
        status=Status.FALSE,
        reason=reason,
        message=message,
        observed_generation=claim.metadata.generation,
    )
