"""How many members a pool gets or loses next.

One rule holds at any instant, through crashes and with two leaders: members that live (those
being deleted included) plus those that may still come never exceed the pool's target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from warmclaim.api.meta import ObjectKey
from warmclaim.domain.reservation import Reservation


@dataclass(frozen=True, slots=True)
class Member:
    """A living sandbox that the pool owns, by uid."""

    key: ObjectKey
    uid: str
    resource_version: str
    created: str
    is_ready: bool
    is_deleting: bool
    is_stale: bool = False
    """Made from another blueprint than the pool wants, and not to be handed out."""
    is_unschedulable: bool = False
    changed: str = ""
    """The last transition of its Ready condition, as it stands there."""


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """What `decide_refill` looks at.

    `unseen` are the ordinals of `reservation` that nobody has yet shown to exist, to be taken by
    somebody else, or to have existed. `stuck` are members that did not get ready in time.
    """

    replicas: int
    members: Sequence[Member]
    reservation: Reservation
    unseen: Sequence[int]
    has_template: bool
    batch_max: int
    stuck: Sequence[Member] = ()


@dataclass(frozen=True, slots=True)
class ReserveCreates:
    """Write this reservation to the pool; nothing may be created before that succeeded."""

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class CreateMembers:
    """Create the members with these ordinals; each create is idempotent by its name."""

    ordinals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DeleteMembers:
    """Delete these members, each only at the version that was seen."""

    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """The pool is as it should be, or waits for something that an event will tell."""


RefillDecision: TypeAlias = ReserveCreates | CreateMembers | DeleteMembers | Settled


def decide_refill(facts: PoolFacts) -> RefillDecision:
    """The pool's next step. Stale and stuck members go first: they take the room of others."""
    stale = [member for member in facts.members if member.is_stale and not member.is_deleting]
    if unfit := stale or facts.stuck:
        return DeleteMembers(tuple(unfit[: facts.batch_max]))
    missing = facts.replicas - len(facts.members)
    if missing > 0 and facts.has_template:
        return _grow(facts, missing)
    if missing < 0:
        return _shrink(facts)
    return Settled()


def _grow(facts: PoolFacts, missing: int) -> RefillDecision:
    if facts.unseen:
        return CreateMembers(tuple(facts.unseen[: min(missing, facts.batch_max)]))
    first = facts.reservation.end
    count = min(missing, facts.batch_max)
    return ReserveCreates(Reservation(first, first + count, facts.replicas))


def _shrink(facts: PoolFacts) -> RefillDecision:
    active = [member for member in facts.members if not member.is_deleting]
    surplus = min(len(active) - facts.replicas, facts.batch_max)
    if surplus <= 0:
        return Settled()
    # Not-ready ones first, then the newest: the oldest ready ones are the best to hand out.
    newest_first = sorted(active, key=lambda member: (member.created, member.key), reverse=True)
    leaving = sorted(newest_first, key=lambda member: member.is_ready)
    return DeleteMembers(tuple(leaving[:surplus]))
