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
from warmclaim.controllers.claim_telemetry import Events
from warmclaim.controllers.pool_members import (
    PoolMemory,
    catch_up,
    current_reservation,
    members_of,
    unseen_ordinals,
)
from warmclaim.domain.blueprint import Blueprint, member_sandbox
from warmclaim.domain.eligibility import pool_owner
from warmclaim.domain.patches import create_reservation_patch
from warmclaim.domain.readiness import Progress, not_progressing_note
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
_NAME_CHARS_MAX = 253


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
        events: Events,
        turn: Callable[[], Awaitable[None]],
        clock: Clock,
        settings: PoolSettings,
    ) -> None:
        self._client = client
        self._caches = caches
        self._blueprints = blueprints
        self._events = events
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
        return _sooner(await self._write_status(key), self._tell_progress(key))

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
                    self._tell_template(pool, memory, is_missing=blueprint is None)
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

    def _tell_template(self, pool: Pool, memory: PoolMemory, *, is_missing: bool) -> None:
        """Say once that there is nothing to make members from; the template's coming wakes us."""
        if is_missing and not memory.lacks_template:
            name = pool.spec.sandbox_template_ref.name[:_NAME_CHARS_MAX]
            note = f'SandboxTemplate "{name}" not found; no sandboxes are created'
            self._events.warning(POOL, pool, "TemplateNotFound", "Reconciling", note)
        memory.lacks_template = is_missing

    def _tell_progress(self, key: ObjectKey) -> Result:
        """Say once that no node takes the pool's pods, and once that it goes on; when to look at
        members that are not ready yet."""
        pool = self._caches.pools.store.get(key)
        if pool is None or pool.metadata.is_deleting:
            return DONE
        memory = self._memory(pool)
        progress = self._progress(memory, members_of(pool, self._caches.sandboxes.store))
        if progress.held and not memory.is_held_up:
            note = not_progressing_note(pool, progress.held, self._settings.readiness_grace_s)
            self._events.warning(POOL, pool, "WarmPoolNotProgressing", "Reconciling", note)
        elif memory.is_held_up and not progress.held:
            note = "Warm pool is progressing again"
            self._events.normal(POOL, pool, "WarmPoolProgressing", "Reconciling", note)
        memory.is_held_up = bool(progress.held)
        looks = [self._settings.unschedulable_recheck_s] if progress.held else []
        if progress.look_again_s is not None:
            looks.append(progress.look_again_s)
        return again(min(looks), Lane.REFILL) if looks else DONE

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
        """Catch up with a reservation that this process did not make itself.

        Whoever made it had seen all members of the batches before; this cache may lack them, if
        its watch is behind, and would count too few. Read after the reservation, a consistent list
        has them all; the next reservation of somebody else is another one, and read again. One
        GET and one list for each pool that is taken over.
        """
        before = memory.reservation
        await self._read_pool(pool)
        now = self._caches.pools.store.get(pool.metadata.key)
        sandboxes = self._caches.sandboxes
        if now is None or now.metadata.uid != pool.metadata.uid:
            return
        if current_reservation(now, memory, sandboxes.store) != before:
            return
        token = ""
        while True:
            page = await self._client.list_page(
                SANDBOX,
                namespace=pool.metadata.namespace,
                continue_token=token,
                channel=Channel.REFILL,
            )
            for sandbox in page.items:
                sandboxes.observe(sandbox)
            token = page.continue_token
            if not token:
                break
        catch_up(now, memory, sandboxes.store)

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
            self._say_refused(pool, failure)
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
            note = f'Sandbox "{key.name}" has a name of this pool and no owner; name skipped'
            self._events.warning(POOL, pool, "SandboxNameTaken", "Creating", note)

    def _say_refused(self, pool: Pool, error: BaseException) -> None:
        _log.warning("create refused: %s", error, extra={"pool": str(pool.metadata.key)})
        if isinstance(error, WarmclaimError):
            note = f"Could not create a sandbox: {error}"
            self._events.warning(POOL, pool, "SandboxCreateFailed", "Creating", note)

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


def _sooner(one: Result, other: Result) -> Result:
    delays = [result for result in (one, other) if result.after_s is not None]
    return min(delays, key=lambda result: result.after_s or 0.0, default=DONE)


async def _first_failure(calls: Iterable[Awaitable[None]]) -> BaseException | None:
    """Do all of them at once and await them all, so that none goes on after its pass ended."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return next((answer for answer in answers if isinstance(answer, BaseException)), None)
