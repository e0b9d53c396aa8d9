"""What is kept of a claim when it is gone: one row of the claim history."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from warmclaim.api import names
from warmclaim.api.claim import Claim
from warmclaim.api.conditions import FINISHED, READY, ClaimReason, find
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.timestamps import seconds_of
from warmclaim.domain.claim_marks import observed_since_s
from warmclaim.domain.sandbox_marks import launch_type_of
from warmqueue import Depth

NO_DEPTH: Final = Depth()
_REASON_CHARS_MAX: Final = 128
_FAULTS: Final = frozenset(
    {
        ClaimReason.TEMPLATE_NOT_FOUND,
        ClaimReason.WARM_POOL_NOT_FOUND,
        ClaimReason.INVALID_METADATA,
        ClaimReason.ENV_REJECTED,
        ClaimReason.VOLUME_CLAIM_TEMPLATES,
        ClaimReason.INVALID_CONFIGURATION,
        ClaimReason.RECONCILER_ERROR,
    }
)
"""What a claim that is not Ready waits for in vain; with any other reason it waits its turn."""


class ClaimEnd(StrEnum):
    """How a claim ended, as the history tells it."""

    SERVED = "served"
    """It was Ready at some time."""
    REFUSED = "refused"
    """Its Ready condition said why it could not be served; `reason` is that."""
    EXPIRED = "expired"
    """Its lifetime was over before it was served."""
    ABANDONED = "abandoned"
    """Deleted while it waited."""


class ClaimRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One claim, from its creation to its end.

    Times are microseconds since the epoch, None where it did not come to that or nobody knows; by
    this process's clock, but `created_us` and `finished_us` by the API server's and the kubelet's,
    in whole seconds. `seen_us` and `ready_us` are the first, the other times the last of their
    kind; `deleted_us` is when it was seen to be gone.

    `reason`: why it was not Ready at its end, "" where it was. `attempts`: reservations that were
    sent, `conflicts`: those that were not won. `candidates_refused`: taken out of the warm queue
    and not to be handed out, by why. The counts are those at the pick, before the sandbox was
    taken; 0 where none was picked.
    """

    uid: str
    namespace: str
    name: str
    pool: str
    outcome: ClaimEnd
    reason: str = ""
    template: str = ""
    sandbox: str = ""
    node: str = ""
    launch_type: str = ""
    created_us: int
    seen_us: int | None = None
    picked_us: int | None = None
    reserved_us: int | None = None
    published_us: int | None = None
    ready_us: int | None = None
    finished_us: int | None = None
    deleted_us: int | None = None
    attempts: int = 0
    conflicts: int = 0
    candidates_refused: dict[str, int] = {}
    pool_waiting: int = 0
    best_node_waiting: int = 0
    second_node_waiting: int = 0
    controller_version: str = ""


class GivenSandbox(NamedTuple):
    """What the history tells of the sandbox that a claim has. "" for what it does not say yet."""

    name: str
    node: str
    template: str
    launch_type: str


@dataclass(frozen=True, slots=True)
class ClaimWay:
    """What one process did for a claim. Times are seconds since 1970, as in `ClaimRow`.

    `was_ready`: it was Ready when the process first saw it, so that `seen_s` tells nothing.
    """

    seen_s: float | None = None
    picked_s: float | None = None
    reserved_s: float | None = None
    published_s: float | None = None
    ready_s: float | None = None
    was_ready: bool = False
    attempts: int = 0
    conflicts: int = 0
    candidates_refused: dict[str, int] = field(default_factory=dict[str, int])
    depth: Depth = NO_DEPTH
    given: GivenSandbox | None = None


def given_sandbox(sandbox: Sandbox) -> GivenSandbox:
    """The marks of a sandbox that the history tells of."""
    annotations = sandbox.metadata.annotations
    return GivenSandbox(
        sandbox.metadata.name,
        sandbox.node or "",
        annotations.get(names.ANNOTATION_TEMPLATE_REF, ""),
        launch_type_of(sandbox),
    )


def history_row(claim: Claim, way: ClaimWay, gone_s: float, version: str) -> ClaimRow:
    """The row of a claim that was seen to be gone at `gone_s`, seconds since 1970; `claim` is how
    it was last seen. What another process noted on it fills in what this one did not see. 10 us."""
    metadata = claim.metadata
    given = way.given or GivenSandbox(claim.published, "", "", "")
    seen_s, ready_s = _seen_s(claim, way), _ready_s(claim, way, gone_s)
    finished = find(claim.conditions, FINISHED)
    finished_at = finished.last_transition_time if finished and finished.is_true else None
    reason = _reason(claim)
    return ClaimRow(
        uid=metadata.uid,
        namespace=metadata.namespace,
        name=metadata.name,
        pool=claim.spec.warm_pool_ref.name,
        outcome=_end(claim, reason, was_ready=way.was_ready or ready_s is not None),
        reason=reason[:_REASON_CHARS_MAX],
        template=given.template,
        sandbox=given.name,
        node=given.node,
        launch_type=given.launch_type,
        created_us=_microseconds(seconds_of(metadata.creation_timestamp)) or 0,
        seen_us=_microseconds(seen_s),
        picked_us=_microseconds(way.picked_s),
        reserved_us=_microseconds(way.reserved_s),
        published_us=_microseconds(way.published_s),
        ready_us=_microseconds(ready_s),
        finished_us=_microseconds(_within_life(claim, finished_at, gone_s)),
        deleted_us=_microseconds(gone_s),
        attempts=way.attempts,
        conflicts=way.conflicts,
        candidates_refused=way.candidates_refused,
        pool_waiting=way.depth.waiting,
        best_node_waiting=way.depth.best_node,
        second_node_waiting=way.depth.second_node,
        controller_version=version,
    )


def _end(claim: Claim, reason: str, *, was_ready: bool) -> ClaimEnd:
    if was_ready or claim.is_ready:
        return ClaimEnd.SERVED
    if reason == ClaimReason.CLAIM_EXPIRED:
        return ClaimEnd.EXPIRED
    return ClaimEnd.REFUSED if reason in _FAULTS else ClaimEnd.ABANDONED


def _reason(claim: Claim) -> str:
    ready = find(claim.conditions, READY)
    return "" if ready is None or ready.is_true else ready.reason


def _seen_s(claim: Claim, way: ClaimWay) -> float | None:
    if way.seen_s is None:
        return None
    since_s = observed_since_s(claim, way.seen_s)
    return None if way.was_ready and since_s == way.seen_s else since_s


def _ready_s(claim: Claim, way: ClaimWay, gone_s: float) -> float | None:
    """When it was first Ready: as this process saw it, unless another one noted so before that."""
    noted = claim.metadata.annotations.get(names.ANNOTATION_FIRST_READY)
    noted_s = _within_life(claim, noted, gone_s)
    if noted_s is None or way.ready_s is None:
        return way.ready_s or noted_s
    return noted_s if way.seen_s is not None and noted_s < way.seen_s else way.ready_s


def _within_life(claim: Claim, text: str | None, gone_s: float) -> float | None:
    """The time in `text`, in seconds since 1970; None for one that cannot be true of the claim."""
    noted_s, made_s = seconds_of(text), seconds_of(claim.metadata.creation_timestamp)
    if noted_s is None or made_s is None or not made_s <= noted_s <= gone_s:
        return None
    return noted_s


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000_000)
