"""What is remembered of each pool: its members, counted, and which ordinals of its last batch are
accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import ANNOTATION_RESERVATION
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.controllers.indexes import BY_MARK, BY_OWNER_UID, mark_of_pool
from warmclaim.domain.blueprint import Blueprint
from warmclaim.domain.eligibility import pool_owner
from warmclaim.domain.pool_ledger import PoolIdentity, PoolLedger
from warmclaim.domain.refill_pace import PaceLimits, RefillPace
from warmclaim.domain.reservation import (
    Reservation,
    member_name,
    ordinal_of,
    parse_reservation,
    rebuilt,
)
from warmclaim.kube.informer import Change
from warmclaim.kube.store import Store
from warmclaim.seams import Clock
from warmclaim.settings import PoolSettings

ORPHANS_MAX = 100


@dataclass(slots=True)
class PoolMemory:
    """What this process knows of a pool beyond the caches. Losing it costs requests, no promise.

    Of its last batch. `reservation`: which that is. `text`: the annotation as last looked at, sound
    or not. `seen`: ordinals known to exist, to have existed, or to be taken by somebody else.
    `is_sure`: the caches hold whatever was created under the batches before this one, and nobody
    else counts by it, since this process reserved it or took it over. `sure_s`: when the API server
    last said so.

    What the server refused. `refused`: the blueprint of which it wanted no sandbox. `left_out`: the
    sandbox that it did not let the pool take in, as the batch named it. `marks_again_s`: when
    labels on members, of which it wanted none, are tried again.

    What an event has told. `is_held_up`: no node takes its pods. `is_lack_told`: there is nothing
    to make them from. `is_refusal_told`: the server wants none. `are_orphans_told`: sandboxes of
    its mark are nobody's.
    """

    key: ObjectKey
    uid: str
    ledger: PoolLedger
    pace: RefillPace
    reservation: Reservation | None = None
    text: str | None = None
    is_sure: bool = False
    sure_s: float = float("-inf")
    seen: set[int] = field(default_factory=set[int])
    status_written_s: float = float("-inf")
    is_held_up: bool = False
    lacks_template_since_s: float | None = None
    is_lack_told: bool = False
    refused: Blueprint | None = None
    is_refusal_told: bool = False
    left_out: str = ""
    are_orphans_told: bool = False
    marks_again_s: float = float("-inf")


class PoolMemories:
    """One memory for each pool that was looked at, kept current by the sandboxes' changes.

    Its first look counts a pool's members once; from then on nothing walks over them.
    """

    def __init__(self, sandboxes: Store[Sandbox], clock: Clock, settings: PoolSettings) -> None:
        self._sandboxes = sandboxes
        self._clock = clock
        self._grace_s = settings.readiness_grace_s
        self._limits = PaceLimits(
            settings.replenish_delay_s, settings.refill_per_s_max, settings.batch_items_max
        )
        self._by_key: dict[ObjectKey, PoolMemory] = {}
        self._by_owner: dict[tuple[str, str], PoolMemory] = {}  # by namespace and uid

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def members(self) -> int:
        """Members in all ledgers: bounded by the sandboxes that live. O(pools)."""
        return sum(len(memory.ledger) for memory in self._by_key.values())

    def of(self, pool: Pool) -> PoolMemory:
        """What is known of this pool, by uid. O(1), O(members) the first time."""
        key, uid = pool.metadata.key, pool.metadata.uid
        memory = self._by_key.get(key)
        if memory is None or memory.uid != uid:
            self.forget(key)
            now_s = self._clock.monotonic()
            ledger = PoolLedger(PoolIdentity(key.namespace, uid), self._grace_s)
            for sandbox in self._sandboxes.by_index(BY_OWNER_UID, uid):
                ledger.see(sandbox.metadata.key, sandbox, now_s)
            memory = PoolMemory(key, uid, ledger, RefillPace(self._limits, now_s))
            self._by_key[key] = self._by_owner[key.namespace, uid] = memory
        return memory

    def forget(self, key: ObjectKey) -> None:
        """Nothing is kept of the pool any more."""
        memory = self._by_key.pop(key, None)
        if memory is not None:
            self._by_owner.pop((key.namespace, memory.uid), None)

    def sandbox_changed(self, change: Change[Sandbox]) -> None:
        """Enter a change in the ledgers of the pools that had or have the sandbox, and note that
        it exists or has existed: its ordinal must not be created again. O(1)."""
        for sandbox in (change.old, change.new):
            owner = pool_owner(sandbox) if sandbox else None
            if sandbox is None or owner is None:
                continue
            key = sandbox.metadata.key
            memory = self._by_owner.get((key.namespace, owner.uid))
            if memory is not None:
                memory.ledger.see(key, change.new, self._clock.monotonic())
                _note_seen(memory, key.name)


def _note_seen(memory: PoolMemory, name: str) -> None:
    if memory.reservation is None:
        return
    ordinal = ordinal_of(memory.key.name, memory.uid, name)
    if ordinal is not None and ordinal in memory.reservation.ordinals:
        memory.seen.add(ordinal)


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


def open_orphan(pool: Pool, memory: PoolMemory, sandboxes: Store[Sandbox]) -> Sandbox | None:
    """What the last batch may still take in, by us or by another leader; None once that is settled.
    It is when anything happened to the sandbox, since whoever takes it in tests its version."""
    named = memory.reservation.takes_in if memory.reservation else ""
    if not named or named == memory.left_out:
        return None
    name, _, _ = named.partition("@")
    sandbox = sandboxes.get(ObjectKey(pool.metadata.namespace, name))
    return sandbox if sandbox is not None and versioned(sandbox) == named else None


def versioned(sandbox: Sandbox) -> str:
    """A sandbox at this version, as a reservation names it."""
    return f"{sandbox.metadata.name}@{sandbox.metadata.resource_version}"


def orphans_of(pool: Pool, sandboxes: Store[Sandbox]) -> Sequence[Sandbox]:
    """Sandboxes of the pool's mark without an owner, the first few: a tenant may make any number.
    O(those that are there)."""
    return sandboxes.by_index(BY_MARK, mark_of_pool(pool)[0])[:ORPHANS_MAX]
