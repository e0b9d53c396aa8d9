"""SandboxWarmPool: keeps `spec.replicas` members, never one more at any instant."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

import msgspec

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import LABEL_WARM_POOL, name_hash
from warmclaim.api.pool import Pool, PoolStatus
from warmclaim.api.resources import POOL, SANDBOX
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.controllers.blueprints import Blueprints
from warmclaim.controllers.pool_members import (
    PoolMemory,
    catch_up,
    current_reservation,
    members_of,
    reservation_text,
    unseen_ordinals,
)
from warmclaim.controllers.pool_telemetry import PoolTelemetry
from warmclaim.domain.blueprint import Blueprint, member_sandbox
from warmclaim.domain.eligibility import pool_owner
from warmclaim.domain.patches import create_reservation_patch
from warmclaim.domain.readiness import Progress
from warmclaim.domain.refill import (
    CreateMembers,
    DeleteMembers,
    Member,
    PoolFacts,
    ReserveCreates,
    Settled,
    decide_refill,
)
from warmclaim.domain.reservation import Reservation, member_name, ordinal_of
from warmclaim.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    UnknownOutcomeError,
    WarmclaimError,
)
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.runtime.reconciler import DONE, Result, again
from warmclaim.seams import Channel, Clock
from warmclaim.settings import PoolSettings
from warmqueue import Lane

_log = logging.getLogger("warmclaim.pool")

STATUS_EVERY_S = 1.0
"""Counts of a filling pool change with every member; one write a second is what a reader needs."""

_STEPS_MAX = 64


@dataclass(frozen=True, slots=True)
class PoolCaches:
    """What the pool controller reads."""

    pools: Informer[Pool]
    sandboxes: Informer[Sandbox]
    templates: Informer[Template]


class PoolReconciler:
    """Reserves ordinals, creates members, deletes surplus ones, writes the counts.

    `turn` is awaited before each batch of creates: refill yields to claims.
    """

    def __init__(
        self,
        client: ApiClient,
        caches: PoolCaches,
        blueprints: Blueprints,
        telemetry: PoolTelemetry,
        turn: Callable[[], Awaitable[None]],
        clock: Clock,
        settings: PoolSettings,
    ) -> None:
        self._client = client
        self._caches = caches
        self._blueprints = blueprints
        self._telemetry = telemetry
        self._turn = turn
        self._clock = clock
        self._settings = settings
        self._memories: dict[ObjectKey, PoolMemory] = {}

    @property
    def remembered(self) -> int:
        """Pools of which something is kept here: bounded by those that live."""
        return len(self._memories)

    async def reconcile(self, key: ObjectKey) -> Result:
        """Bring one pool to its size, then its status up to date, also after a failure."""
        pool = self._caches.pools.store.get(key)
        if pool is None or pool.metadata.is_deleting:
            self._forget(key)
            return DONE
        try:
            await self._resize(key)
        except WarmclaimError:
            await self._write_status(key)
            raise
        return _soonest(await self._write_status(key), self._tell(key))

    async def _resize(self, key: ObjectKey) -> None:
        has_turn = False
        for _ in range(_STEPS_MAX):
            pool = self._caches.pools.store.get(key)
            if pool is None:
                return
            memory = self._memory(pool)
            blueprint = self._blueprints.of(pool)
            decision = decide_refill(self._facts(pool, memory, blueprint))
            match decision:
                case Settled():
                    return
                case ReserveCreates() | CreateMembers() if not memory.is_sure:
                    await self._make_sure(pool, memory)
                case ReserveCreates(reservation):
                    # At once, although refill yields: then the creates wait only for their turn.
                    await self._reserve(pool, memory, reservation)
                case CreateMembers() if not has_turn:
                    await self._turn()
                    has_turn = True  # and look again: the world went on meanwhile
                case CreateMembers(ordinals):
                    if blueprint is not None:
                        await self._create_some(pool, memory, blueprint, ordinals)
                    has_turn = False
                case DeleteMembers(members):
                    await self._delete_all(members)
                    return  # their going wakes the pool
                case _:
                    assert_never(decision)

    def saw(self, sandbox: Sandbox) -> None:
        """Note that a sandbox exists or has existed: its ordinal must not be created again."""
        owner = pool_owner(sandbox)
        if owner is None:
            return
        memory = self._memories.get(ObjectKey(sandbox.metadata.namespace, owner.name))
        if memory is None or memory.reservation is None or memory.uid != owner.uid:
            return
        ordinal = ordinal_of(owner.name, owner.uid, sandbox.metadata.name)
        if ordinal is not None and ordinal in memory.reservation.ordinals:
            memory.seen.add(ordinal)

    def _memory(self, pool: Pool) -> PoolMemory:
        memory = self._memories.get(pool.metadata.key)
        if memory is None or memory.uid != pool.metadata.uid:
            memory = self._memories[pool.metadata.key] = PoolMemory(pool.metadata.uid)
        return memory

    def forget_gone(self, key: ObjectKey) -> bool:
        """Whether the pool is gone; then nothing is kept of it any more."""
        is_gone = key not in self._caches.pools.store
        if is_gone:
            self._forget(key)
        return is_gone

    def _forget(self, key: ObjectKey) -> None:
        self._memories.pop(key, None)

    def _tell(self, key: ObjectKey) -> Result:
        """Tell what holds the pool up; when to look at it again."""
        pool = self._caches.pools.store.get(key)
        if pool is None or pool.metadata.is_deleting:
            return DONE
        memory = self._memory(pool)
        is_missing = self._blueprints.of(pool) is None
        now_s = self._clock.monotonic()
        lack = self._telemetry.template(pool, memory, now_s, is_missing=is_missing)
        progress = self._progress(memory, members_of(pool, self._caches.sandboxes.store))
        return _soonest(lack, self._telemetry.progress(pool, memory, progress))

    def _progress(self, memory: PoolMemory, members: Sequence[Member]) -> Progress:
        now_s, grace_s = self._clock.monotonic(), self._settings.readiness_grace_s
        return memory.patience.progress(members, now_s, grace_s)

    def _facts(self, pool: Pool, memory: PoolMemory, blueprint: Blueprint | None) -> PoolFacts:
        sandboxes = self._caches.sandboxes.store
        members = members_of(pool, sandboxes, blueprint if pool.spec.recreates else None)
        return PoolFacts(
            replicas=pool.spec.replicas,
            members=members,
            reservation=current_reservation(pool, memory, sandboxes),
            unseen=unseen_ordinals(pool, memory, sandboxes),
            has_template=blueprint is not None,
            batch_max=self._settings.batch_items_max,
            stuck=self._progress(memory, members).stuck,
        )

    async def _reserve(self, pool: Pool, memory: PoolMemory, wanted: Reservation) -> None:
        """Write a reservation over the one that `pool` shows; then it is this process's own."""
        operations = create_reservation_patch(pool, wanted)
        try:
            written = await self._client.json_patch(
                POOL, pool.metadata.key, operations, channel=Channel.REFILL
            )
        except (ConflictError, UnknownOutcomeError):
            await self._read_pool(pool)
            raise
        self._caches.pools.observe(written)
        newest = self._caches.pools.store.get(pool.metadata.key) or written
        current_reservation(newest, memory, self._caches.sandboxes.store)
        # An answer may be late: what another leader wrote after it is in the cache already.
        is_newest = newest.metadata.resource_version == written.metadata.resource_version
        memory.is_sure = is_newest and memory.reservation == wanted

    async def _make_sure(self, pool: Pool, memory: PoolMemory) -> None:
        """Catch up with a reservation that this process did not make itself, and take it over.

        Whoever made it had seen all members of the batches before; this cache may lack them, if
        its watch is behind, and would count too few. A consistent list has them all. Then the
        batch gets a new turn: whoever else counts by it, another leader that does not know yet
        that it is none any more, reserves nothing from then on. Without that, it might reserve the
        next batch in the moment in which we make a member of this one again, which it had seen
        made and deleted. One list and one PATCH for each pool that is taken over.
        """
        await self._list_all(pool.metadata.namespace)
        now = self._caches.pools.store.get(pool.metadata.key)
        if now is None or now.metadata.uid != pool.metadata.uid:
            return
        if reservation_text(now) != reservation_text(pool):
            return  # a list from before it tells nothing of what it allows
        reservation = catch_up(now, memory, self._caches.sandboxes.store)
        if reservation.ordinals:
            await self._reserve(now, memory, reservation.taken_over())
        else:
            memory.is_sure = True  # nothing may be made of it by anybody

    async def _list_all(self, namespace: str) -> None:
        token = ""
        while True:
            page = await self._client.list_page(
                SANDBOX, namespace=namespace, continue_token=token, channel=Channel.REFILL
            )
            for sandbox in page.items:
                self._caches.sandboxes.observe(sandbox)
            token = page.continue_token
            if not token:
                break

    async def _read_pool(self, pool: Pool) -> None:
        try:
            view = await self._client.get(POOL, pool.metadata.key, channel=Channel.REFILL)
        except NotFoundError:
            self._caches.pools.observe_absent(pool.metadata.key, pool.metadata.uid)
        else:
            self._caches.pools.observe(view)

    async def _create_some(
        self, pool: Pool, memory: PoolMemory, blueprint: Blueprint, ordinals: Sequence[int]
    ) -> None:
        """Slow start: 1, 2, 4, ... at once, so that a refusal costs one request, not a batch."""
        creates = (
            self._create(pool, memory, blueprint, ordinal)
            for ordinal in ordinals[: memory.together]
        )
        failure = await _first_failure(creates)
        if failure is not None:
            memory.together = 1
            self._telemetry.create_refused(pool, failure)
            raise failure
        memory.together = min(memory.together * 2, self._settings.batch_items_max)

    async def _create(
        self, pool: Pool, memory: PoolMemory, blueprint: Blueprint, ordinal: int
    ) -> None:
        namespace, pool_name = pool.metadata.key
        name = member_name(pool_name, pool.metadata.uid, ordinal)
        is_evictable = self._settings.marks_safe_to_evict
        body = member_sandbox(pool, blueprint, name, is_evictable=is_evictable)
        try:
            created = await self._client.create(
                SANDBOX, namespace, body, channel=Channel.REFILL, is_patient=False
            )
        except AlreadyExistsError:
            await self._see_taken(pool, ObjectKey(namespace, name))
        else:
            self._caches.sandboxes.observe(created)
        if memory.reservation is not None and ordinal in memory.reservation.ordinals:
            memory.seen.add(ordinal)

    async def _see_taken(self, pool: Pool, key: ObjectKey) -> None:
        """The name is taken: by an earlier try of ours, or by somebody else, then it is skipped."""
        try:
            found = await self._client.get(SANDBOX, key, channel=Channel.REFILL)
        except NotFoundError:
            return  # it was there and is gone again; its ordinal is spent
        self._caches.sandboxes.observe(found)
        is_ours = LABEL_WARM_POOL in found.metadata.labels or found.metadata.owner_references
        if not is_ours:
            self._telemetry.name_taken(pool, key.name)

    async def _delete_all(self, members: Sequence[Member]) -> None:
        started, size = 0, 1
        while started < len(members):
            batch = members[started : started + size]
            failure = await _first_failure(self._delete(member) for member in batch)
            if failure is not None:
                raise failure
            started += len(batch)
            size *= 2

    async def _delete(self, member: Member) -> None:
        """Only at the version that was seen: a member adopted a moment ago has another."""
        try:
            await self._client.delete(
                SANDBOX,
                member.key,
                uid=member.uid,
                resource_version=member.resource_version,
                channel=Channel.REFILL,
            )
        except (NotFoundError, ConflictError):
            _log.info("surplus member changed, left alone", extra={"sandbox": str(member.key)})

    async def _write_status(self, key: ObjectKey) -> Result:
        pool = self._caches.pools.store.get(key)
        if pool is None or pool.metadata.is_deleting:
            return DONE
        memory = self._memory(pool)
        status = self._status_of(pool)
        if status == pool.status:
            return DONE
        now = self._clock.monotonic()
        left_s = memory.status_written_s + STATUS_EVERY_S - now
        is_final = status.ready_replicas == pool.spec.replicas == status.replicas
        if left_s > 0 and not is_final:
            return again(left_s, Lane.REFILL)
        memory.status_written_s = now
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": pool.metadata.uid},
            {"op": "add", "path": "/status", "value": msgspec.to_builtins(status)},
        ]
        try:
            written = await self._client.json_patch(
                POOL, key, operations, subresource="status", channel=Channel.REFILL
            )
        except NotFoundError:
            self._caches.pools.observe_absent(key, pool.metadata.uid)
        else:
            self._caches.pools.observe(written)
        return DONE

    def _status_of(self, pool: Pool) -> PoolStatus:
        members = members_of(pool, self._caches.sandboxes.store)
        active = [member for member in members if not member.is_deleting]
        return PoolStatus(
            replicas=len(active),
            ready_replicas=sum(member.is_ready for member in active),
            selector=f"{LABEL_WARM_POOL}={name_hash(pool.metadata.name)}",
            observed_generation=pool.metadata.generation,
        )


def _soonest(*results: Result) -> Result:
    delays = [result for result in results if result.after_s is not None]
    return min(delays, key=lambda result: result.after_s or 0.0, default=DONE)


async def _first_failure(calls: Iterable[Awaitable[None]]) -> BaseException | None:
    """Do all of them at once and await them all, so that none goes on after its pass ended."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return next((answer for answer in answers if isinstance(answer, BaseException)), None)
