"""Which ordinals of a pool's last batch are accounted for; what its members are now."""

from __future__ import annotations

from dataclasses import dataclass, field

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import ANNOTATION_RESERVATION
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.controllers.indexes import BY_OWNER_UID
from warmclaim.domain.blueprint import Blueprint
from warmclaim.domain.eligibility import pool_owner
from warmclaim.domain.readiness import Patience, is_unschedulable
from warmclaim.domain.refill import Member
from warmclaim.domain.reservation import Reservation, member_name, parse_reservation, rebuilt
from warmclaim.domain.staleness import is_stale
from warmclaim.kube.store import Store


@dataclass(slots=True)
class PoolMemory:
    """What this process knows of a pool beyond the caches. Losing it costs requests, no promise.

    `seen`: ordinals of the current batch known to exist, to have existed, or to be taken by
    somebody else. `is_sure`: the caches hold whatever was created under the batches before this
    one, and nobody else counts by it, since this process reserved it or took it over. `text`: the
    annotation as last looked at, sound or not. `together`: creates to send at once (slow start).
    `is_held_up` and `is_lack_told`: an event has told that no node takes its pods, and that
    there is nothing to make them from.
    """

    uid: str
    reservation: Reservation | None = None
    text: str | None = None
    is_sure: bool = False
    together: int = 1
    seen: set[int] = field(default_factory=set[int])
    status_written_s: float = float("-inf")
    patience: Patience = field(default_factory=Patience)
    is_held_up: bool = False
    lacks_template_since_s: float | None = None
    is_lack_told: bool = False


def members_of(
    pool: Pool, sandboxes: Store[Sandbox], blueprint: Blueprint | None = None
) -> list[Member]:
    """Living sandboxes that the pool owns by uid, those being deleted included. O(members).

    `blueprint`: what they must have been made from; None if any will do.
    """
    owned = sandboxes.by_index(BY_OWNER_UID, pool.metadata.uid)
    return [
        Member(
            key=sandbox.metadata.key,
            uid=sandbox.metadata.uid,
            resource_version=sandbox.metadata.resource_version,
            created=sandbox.metadata.creation_timestamp,
            is_ready=sandbox.is_ready,
            is_deleting=sandbox.metadata.is_deleting,
            is_stale=blueprint is not None and is_stale(sandbox, blueprint),
            is_unschedulable=not sandbox.is_ready and is_unschedulable(sandbox),
            changed=sandbox.ready.last_transition_time if sandbox.ready else "",
        )
        for sandbox in owned
        if sandbox.metadata.namespace == pool.metadata.namespace and pool_owner(sandbox)
    ]


def reservation_text(pool: Pool) -> str | None:
    """The annotation as it stands, sound or not."""
    return pool.metadata.annotations.get(ANNOTATION_RESERVATION)


def current_reservation(pool: Pool, memory: PoolMemory, sandboxes: Store[Sandbox]) -> Reservation:
    """The pool's reservation: from its annotation; from memory if somebody spoilt that; else
    rebuilt from the names in use. Enters `memory`; a new batch forgets what was seen of the old.

    Whoever changed the annotation, and to whatever: this process is no longer sure. Another
    leader may have reserved before a tenant spoilt it.
    """
    text = reservation_text(pool)
    if text != memory.text:
        memory.text = text
        memory.is_sure = False
    reservation = parse_reservation(text) or memory.reservation
    if reservation is None:
        reservation = _rebuilt(pool, sandboxes)
    _enter(memory, reservation)
    return reservation


def catch_up(pool: Pool, memory: PoolMemory, sandboxes: Store[Sandbox]) -> Reservation:
    """The last batch, now that the caches hold all sandboxes. Where the annotation tells nothing,
    their names say whether memory's batch was it. O(sandboxes of all namespaces) in that case."""
    reservation = current_reservation(pool, memory, sandboxes)
    if parse_reservation(memory.text) is None:
        in_use = _rebuilt(pool, sandboxes)
        if in_use.end > reservation.end:
            reservation = in_use
            _enter(memory, reservation)
    return reservation


def _rebuilt(pool: Pool, sandboxes: Store[Sandbox]) -> Reservation:
    used = (sandbox.metadata.key for sandbox in sandboxes.values())
    taken = [name for namespace, name in used if namespace == pool.metadata.namespace]
    return rebuilt(pool.metadata.name, pool.metadata.uid, taken, pool.spec.replicas)


def _enter(memory: PoolMemory, reservation: Reservation) -> None:
    if reservation != memory.reservation:
        memory.reservation = reservation
        memory.is_sure = False
        memory.seen.clear()


def unseen_ordinals(pool: Pool, memory: PoolMemory, sandboxes: Store[Sandbox]) -> list[int]:
    """Ordinals of the last batch that are still to be accounted for. O(batch)."""
    reservation = memory.reservation
    if reservation is None or len(memory.seen) == len(reservation.ordinals):
        return []
    namespace, name = pool.metadata.key
    for ordinal in reservation.ordinals:
        if ordinal in memory.seen:
            continue
        if sandboxes.get(ObjectKey(namespace, member_name(name, pool.metadata.uid, ordinal))):
            memory.seen.add(ordinal)
    return [ordinal for ordinal in reservation.ordinals if ordinal not in memory.seen]
