"""How many members a pool gets or loses next.

One rule holds at any instant, through crashes and with two leaders: members that live (those
being deleted included) plus those that may still come never exceed the pool's target.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from warmclaim.api.meta import ObjectKey
from warmclaim.domain.reservation import BATCH_MAX, Reservation


class Hindrance(StrEnum):
    """Why a member is not ready, where one in its place would not be either."""

    UNSCHEDULABLE = "no node can take its pod"
    REFUSED = "the API server refuses its pod"


@dataclass(frozen=True, slots=True)
class Member:
    """A living sandbox that the pool owns, by uid."""

    key: ObjectKey
    uid: str
    resource_version: str
    created: str
    is_ready: bool
    is_deleting: bool
    hindrance: Hindrance | None = None
    changed: str = ""
    """The last transition of its Ready condition, as it stands there."""


class Counts(NamedTuple):
    """`living`: all members; `deleting`: those of them on their way out; `ready`: of the others."""

    living: int
    deleting: int
    ready: int

    @property
    def active(self) -> int:
        return self.living - self.deleting


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """What `decide_refill` looks at.

    `unseen` are the ordinals of `reservation` that nobody has yet shown to exist, to be taken by
    somebody else, or to have existed. `unfit` are members that are to be replaced: made from
    another blueprint than the pool wants, or not ready in time. `pause_s`: for how long nothing
    may be created. `orphan`: a sandbox that the pool may take in, as a reservation names it;
    `is_open`: that of the last batch may still be taken in, by whoever.
    """

    replicas: int
    counts: Counts
    reservation: Reservation
    unseen: Sequence[int]
    has_template: bool
    batch_max: int
    unfit: Sequence[Member] = ()
    pause_s: float = 0.0
    orphan: str = ""
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class ReserveCreates:
    """Write this reservation to the pool; nothing may be created before that succeeded."""

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class CreateMembers:
    """Create the members with these ordinals; each create is idempotent by its name."""

    ordinals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TakeIn:
    """Take in what the last batch names, if it still is at that version."""


@dataclass(frozen=True, slots=True)
class DeleteMembers:
    """Delete these members, each only at the version that was seen."""

    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Shrink:
    """Delete so many members; `surplus_of` says which."""

    count: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing may be created for so long."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Settled:
    """The pool is as it should be, or waits for something that an event will tell."""


RefillDecision: TypeAlias = (
    ReserveCreates | CreateMembers | TakeIn | DeleteMembers | Shrink | Pause | Settled
)


def decide_refill(facts: PoolFacts) -> RefillDecision:
    """The pool's next step. Unfit members go first: they take the room of others. O(batch)."""
    if facts.unfit:
        return DeleteMembers(tuple(facts.unfit[: facts.batch_max]))
    missing = facts.replicas - facts.counts.living
    if missing > 0 and facts.has_template:
        return _grow(facts, missing)
    surplus = min(facts.counts.active - facts.replicas, facts.batch_max)
    return Shrink(surplus) if surplus > 0 else Settled()


def surplus_of(
    members: Iterable[Member], count: int, doubtful: Container[ObjectKey] = ()
) -> list[Member]:
    """The members that leave when a pool shrinks: the doubtful first, which no claim can be given;
    then those not ready, then the newest, since the oldest ready ones are the best to hand out.
    O(members log members)."""
    active = [member for member in members if not member.is_deleting]
    newest_first = sorted(active, key=lambda member: (member.created, member.key), reverse=True)
    return sorted(newest_first, key=lambda one: (one.key not in doubtful, one.is_ready))[:count]


def _grow(facts: PoolFacts, missing: int) -> RefillDecision:
    if facts.pause_s > 0:
        return Pause(facts.pause_s)
    if facts.unseen:
        return CreateMembers(tuple(facts.unseen[: min(missing, facts.batch_max)]))
    first = facts.reservation.end
    if facts.is_open:
        return TakeIn()
    if facts.orphan:
        return ReserveCreates(Reservation(first, first, facts.replicas, takes_in=facts.orphan))
    count = min(missing, facts.batch_max, BATCH_MAX)
    return ReserveCreates(Reservation(first, first + count, facts.replicas))
