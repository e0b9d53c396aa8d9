"""Members of a pool that do not become ready: which are replaced, and which are held.

A pod that no node can take is held: its replacement could not be placed either, and making pods
anew would only load the scheduler. The time counts from when the member was last seen Ready, so
that one that was well for days and flaps gets its grace like a new one. It is this process's own
time: by the wall clock, one that is fast by the grace would replace every member before it starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from warmclaim.api.conditions import POD_SCHEDULED, Status, find
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.refill import Member
from warmclaim.domain.wording import duration_text

_UNSCHEDULABLE: Final = "Unschedulable"


@dataclass(frozen=True, slots=True)
class Progress:
    """`stuck`: not ready for longer than the grace, to be replaced. `held`: how many no node can
    take. `look_again_s`: when the next one's grace ends; None if no event needs to be awaited."""

    stuck: Sequence[Member]
    held: int
    look_again_s: float | None


def is_unschedulable(sandbox: Sandbox) -> bool:
    """Does its pod wait because no node can take it?"""
    scheduled = find(sandbox.status.conditions, POD_SCHEDULED) if sandbox.status else None
    return (
        scheduled is not None
        and scheduled.status == Status.FALSE
        and scheduled.reason == _UNSCHEDULABLE
    )


def not_progressing_note(pool: Pool, held: int, grace_s: float) -> str:
    """The event's text."""
    grace = duration_text(grace_s)
    return (
        f"{held}/{pool.spec.replicas} sandboxes are unschedulable past the {grace} "
        "readiness grace period; holding them instead of replacing (replacements would be equally "
        "unschedulable)"
    )
