"""Members of a pool that do not become ready: which are replaced, and which are held.

A pod that no node can take, or that the API server refuses, is held: its replacement would fare no
better, and making pods anew would only load the scheduler or the quota. Unless the pool would make
it from another blueprint by now: then that is tried. The time counts from when the member was last
seen Ready, so that one that was well for days and flaps gets its grace like a new one. It is this
process's own time: by the wall clock, one that is fast by the grace would replace every member
before it starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from warmclaim.api.conditions import POD_SCHEDULED, SandboxReason, Status, find
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.refill import Hindrance, Member
from warmclaim.domain.wording import duration_text, tells_of_refusal

_UNSCHEDULABLE: Final = "Unschedulable"


@dataclass(frozen=True, slots=True)
class Progress:
    """`stuck`: not ready for longer than the grace, to be replaced. `held`: how many are kept all
    the same, by why. `look_again_s`: when the next one's grace ends; None if none has begun."""

    stuck: Sequence[Member]
    held: Mapping[Hindrance, int]
    look_again_s: float | None


def hindrance_of(sandbox: Sandbox) -> Hindrance | None:
    """What keeps it from being ready, and would keep its replacement."""
    if sandbox.status is None or sandbox.is_ready:
        return None
    scheduled = find(sandbox.status.conditions, POD_SCHEDULED)
    if scheduled and scheduled.status == Status.FALSE and scheduled.reason == _UNSCHEDULABLE:
        return Hindrance.UNSCHEDULABLE
    ready = sandbox.ready
    if ready is None or ready.reason != SandboxReason.RECONCILER_ERROR:
        return None
    return Hindrance.REFUSED if tells_of_refusal(ready.message) else None


def not_progressing_note(pool: Pool, held: Mapping[Hindrance, int], grace_s: float) -> str:
    """The event's text."""
    grace = duration_text(grace_s)
    if count := held.get(Hindrance.UNSCHEDULABLE):
        return (
            f"{count}/{pool.spec.replicas} sandboxes are unschedulable past the {grace} readiness "
            "grace period; holding them instead of replacing (replacements would be equally "
            "unschedulable)"
        )
    count = held[Hindrance.REFUSED]
    return (
        f"{count}/{pool.spec.replicas} sandboxes are without a pod past the {grace} readiness "
        "grace period, since it is refused; holding them instead of replacing"
    )
