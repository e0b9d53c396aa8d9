"""What the demo's watches saw of the one claim whose life ends during the demo. Pure.

It must be served, say Ready=False with the reason ClaimExpired after its shutdownTime, and then go,
with its sandbox, in that order: who watches the claim learns why it went.
"""

from __future__ import annotations

from dataclasses import dataclass

from warmclaim.api.claim import Claim
from warmclaim.api.conditions import READY, ClaimReason, find
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.eligibility import claim_owner
from warmclaim.testing.demo.scenario import EXPIRING


@dataclass(frozen=True, slots=True)
class Ending:
    """Milliseconds after its shutdownTime at which the watches showed each."""

    expired: float
    claim_gone: float
    sandbox_gone: float


class Lifetime:
    """Times are seconds of one monotonic clock; None for what was not seen yet."""

    def __init__(self) -> None:
        self.shutdown_s: float | None = None
        self.ready_s: float | None = None
        self.expired_s: float | None = None
        self.claim_gone_s: float | None = None
        self.sandbox_gone_s: float | None = None
        self._uid = ""

    def claim_sent(self, shutdown_s: float) -> None:
        """The POST of the claim leaves; its life ends at that time."""
        self.shutdown_s = shutdown_s

    def saw_claim(self, claim: Claim, now_s: float, *, is_gone: bool = False) -> None:
        """The watch showed this state of a claim. Others are ignored."""
        if claim.metadata.name != EXPIRING:
            return
        self._uid = claim.metadata.uid
        ready = find(claim.conditions, READY)
        if is_gone:
            self.claim_gone_s = now_s
        elif ready is not None and ready.is_true:
            self.ready_s = self.ready_s or now_s
        elif ready is not None and ready.reason == ClaimReason.CLAIM_EXPIRED:
            self.expired_s = self.expired_s or now_s

    def saw_sandbox(self, sandbox: Sandbox, now_s: float, *, is_gone: bool = False) -> None:
        """The watch showed this state of a sandbox. Those of other claims are ignored."""
        owner = claim_owner(sandbox)
        if is_gone and owner is not None and owner.uid == self._uid:
            self.sandbox_gone_s = now_s

    @property
    def is_over(self) -> bool:
        """Whether claim and sandbox are gone."""
        return self.claim_gone_s is not None and self.sandbox_gone_s is not None

    @property
    def ending(self) -> Ending | None:
        """How it ended; None unless all of it was seen."""
        moments = (self.expired_s, self.claim_gone_s, self.sandbox_gone_s)
        if self.shutdown_s is None:
            return None
        after_ms = [1000 * (at_s - self.shutdown_s) for at_s in moments if at_s is not None]
        return Ending(*after_ms) if len(after_ms) == len(moments) else None

    def problems(self) -> list[str]:
        """What is not as it should be, as sentences; for a claim that was sent."""
        if self.shutdown_s is None:
            return []
        name = f"claim {EXPIRING}"
        if self.ready_s is None:
            return [f"{name} not served"]
        if self.expired_s is None:
            return [f"{name} did not say that it expired"]
        found: list[str] = []
        if self.expired_s < self.shutdown_s:
            found.append(f"{name} expired before its shutdownTime")
        if self.claim_gone_s is None:
            found.append(f"{name} is still there")
        elif self.claim_gone_s < self.expired_s:
            found.append(f"{name} was deleted before it said why")
        if self.sandbox_gone_s is None:
            found.append(f"the sandbox of {name} is still there")
        return found
