"""When a claim's life ends, by its own word or by its pod's end."""

from __future__ import annotations

from typing import Final

from warmclaim.api.claim import Claim
from warmclaim.api.conditions import FINISHED, READY, ClaimReason, find
from warmclaim.api.timestamps import seconds_of

EXPIRY_LOOK_S_MAX: Final = 60.0
"""How long a wait for an end may be before the wall clock is looked at again: it may be set in
between, and no event tells. Price: a pass a minute for each claim or sandbox that has an end."""

EXPIRED_TEXT = "Claim expired. Sandbox cleanup initiated."


def expires_s(claim: Claim) -> float | None:
    """The moment, in seconds since 1970; None for never. The earlier of shutdownTime, and of
    ttlSecondsAfterFinished after the Finished condition became true on the claim."""
    lifecycle = claim.spec.lifecycle
    if lifecycle is None:
        return None
    moments = [seconds_of(lifecycle.shutdown_time)]
    finished = find(claim.conditions, FINISHED)
    if lifecycle.ttl_seconds_after_finished is not None and finished and finished.is_true:
        since_s = seconds_of(finished.last_transition_time)
        if since_s is not None:
            moments.append(since_s + lifecycle.ttl_seconds_after_finished)
    return min((moment for moment in moments if moment is not None), default=None)


def is_expired(claim: Claim, now_s: float) -> bool:
    """Has the moment come?"""
    moment = expires_s(claim)
    return moment is not None and now_s >= moment


def is_marked_expired(claim: Claim) -> bool:
    """Does its status say so already? Nothing is deleted before that is stored."""
    ready = find(claim.conditions, READY)
    return ready is not None and ready.reason == ClaimReason.CLAIM_EXPIRED


def not_owned_text(claim: Claim) -> str:
    """For a claim that names somebody else's sandbox."""
    name, own = claim.published[:253], claim.metadata.name
    return (
        f'Claim expired. sandbox not owned by this claim: sandbox "{name}" is not owned by claim '
        f'"{own}"; deletion skipped.'
    )
