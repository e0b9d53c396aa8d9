"""What the demo's own watches saw, and whether a promise was broken. Pure.

It believes no status of the manager alone: who owns a sandbox is read from the sandbox, and every
owner and every published name is kept, so that a hand-over that is taken back is seen too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from warmclaim.api.claim import Claim
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.eligibility import claim_owner, pool_owner


@dataclass(slots=True)
class ClaimRecord:
    """One claim; times in seconds of one monotonic clock. `given`: sandboxes it ever named."""

    sent_s: float
    acked_s: float | None = None
    uid: str = ""
    ready_s: float | None = None
    given: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class SandboxRecord:
    """One sandbox, by uid. `claim_uids`: claims that ever owned it."""

    name: str
    node: str = ""
    is_ready: bool = False
    is_gone: bool = False
    in_pool: bool = False
    was_in_pool: bool = False
    claim_uids: list[str] = field(default_factory=list[str])


class Ledger:
    """Everything seen, by claim name and sandbox uid."""

    def __init__(self) -> None:
        self.claims: dict[str, ClaimRecord] = {}
        self.sandboxes: dict[str, SandboxRecord] = {}
        self.served = 0
        self.last_latency_s: float | None = None

    def claim_sent(self, name: str, now_s: float) -> None:
        """The POST of a claim leaves at `now_s`."""
        self.claims[name] = ClaimRecord(now_s)

    def claim_acked(self, name: str, now_s: float) -> None:
        """The API server answered the POST at `now_s`: the claim is stored."""
        self.claims[name].acked_s = now_s

    def saw_claim(self, claim: Claim, now_s: float) -> None:
        """The watch showed this state of a claim at `now_s`. A claim not sent is ignored."""
        record = self.claims.get(claim.metadata.name)
        if record is None:
            return
        record.uid = claim.metadata.uid
        name = claim.published
        if name and name not in record.given:
            record.given.append(name)
        if claim.is_ready and name and record.ready_s is None:
            record.ready_s = now_s
            self.served += 1
            self.last_latency_s = now_s - record.sent_s

    def saw_sandbox(self, sandbox: Sandbox, *, is_gone: bool = False) -> None:
        """The watch showed this state of a sandbox."""
        uid = sandbox.metadata.uid
        record = self.sandboxes.setdefault(uid, SandboxRecord(sandbox.metadata.name))
        record.node = sandbox.node or record.node
        record.is_ready = sandbox.is_ready
        record.is_gone = is_gone or sandbox.metadata.is_deleting
        record.in_pool = pool_owner(sandbox) is not None
        record.was_in_pool |= record.in_pool
        owner = claim_owner(sandbox)
        if owner is not None and owner.uid not in record.claim_uids:
            record.claim_uids.append(owner.uid)

    def warm(self) -> list[SandboxRecord]:
        """Sandboxes in the pool that are ready now."""
        return [s for s in self.sandboxes.values() if s.in_pool and s.is_ready and not s.is_gone]

    def handed_out(self) -> list[SandboxRecord]:
        """Sandboxes that a claim owns or owned."""
        return [s for s in self.sandboxes.values() if s.claim_uids]

    def latencies_s(self) -> list[float]:
        """POST to Ready, of the claims that became Ready."""
        return [c.ready_s - c.sent_s for c in self.claims.values() if c.ready_s is not None]

    def posts_s(self) -> list[float]:
        """POST to its answer: what the API server alone takes."""
        return [c.acked_s - c.sent_s for c in self.claims.values() if c.acked_s is not None]

    def warm_served(self) -> int:
        """Claims that were served from the pool rather than with a sandbox made for them."""
        from_pool = {s.name for s in self.handed_out() if s.was_in_pool}
        return sum(
            bool(c.ready_s is not None and from_pool & {*c.given}) for c in self.claims.values()
        )

    def problems(self) -> list[str]:
        """Each broken promise as a sentence; none is the only good result."""
        return [*self._of_claims(), *self._of_sandboxes(), *self._of_pairs()]

    def _of_claims(self) -> list[str]:
        unserved = [name for name, claim in self.claims.items() if claim.ready_s is None]
        found = [
            f"claim {name} was given {', '.join(claim.given)}"
            for name, claim in self.claims.items()
            if len(claim.given) > 1
        ]
        if unserved:
            named = ", ".join(unserved[:3]) + (", ..." if len(unserved) > 3 else "")
            found.insert(0, f"{len(unserved)} of {len(self.claims)} claims not served: {named}")
        return found

    def _of_sandboxes(self) -> list[str]:
        names = {claim.uid: name for name, claim in self.claims.items()}
        found = [
            f"sandbox {s.name} was owned by {' and '.join(names.get(u, u) for u in s.claim_uids)}"
            for s in self.sandboxes.values()
            if len(s.claim_uids) > 1
        ]
        published = Counter(name for claim in self.claims.values() for name in claim.given)
        found += [
            f"sandbox {name} was given to {count} claims"
            for name, count in published.items()
            if count > 1
        ]
        owned = Counter(uid for s in self.sandboxes.values() for uid in s.claim_uids)
        found += [
            f"claim {names.get(uid, uid)} owns {count} sandboxes"
            for uid, count in owned.items()
            if count > 1
        ]
        return found

    def _of_pairs(self) -> list[str]:
        """A claim must own what it names: status alone gives nothing to anybody."""
        owners = {s.name: s.claim_uids for s in self.sandboxes.values() if not s.is_gone}
        return [
            f"claim {name} is Ready with {claim.given[-1]}, which it does not own"
            for name, claim in self.claims.items()
            if claim.ready_s is not None and claim.uid not in owners.get(claim.given[-1], [])
        ]
