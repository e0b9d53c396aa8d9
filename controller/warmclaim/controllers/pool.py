"""SandboxWarmPool: keeps `spec.replicas` members, never one more at any instant."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import assert_never

import msgspec

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import LABEL_LAUNCH_TYPE, LABEL_WARM_POOL, WARM, name_hash
from warmclaim.api.pool import Pool, PoolStatus
from warmclaim.api.resources import POOL, SANDBOX
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.controllers.blueprints import Blueprints
from warmclaim.controllers.indexes import BY_OWNER_UID
from warmclaim.controllers.pool_growth import PoolGrowth, answers_to
from warmclaim.controllers.pool_members import (
    PoolMemories,
    PoolMemory,
    current_reservation,
    open_orphan,
    orphans_of,
    unseen_ordinals,
    versioned,
)
from warmclaim.controllers.pool_telemetry import LeftAlone, PoolTelemetry
from warmclaim.controllers.seals import Seals
from warmclaim.domain.blueprint import Blueprint
from warmclaim.domain.orphans import why_left_alone
from warmclaim.domain.refill import (
    Counts,
    CreateMembers,
    DeleteMembers,
    Member,
    Pause,
    PoolFacts,
    ReserveCreates,
    Settled,
    Shrink,
    TakeIn,
    decide_refill,
    surplus_of,
)
from warmclaim.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    NotPermittedError,
    PermanentError,
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

LEFT_ALONE_S = 1.0
"""A member that changed before its delete tells so by its own event. A server that answers 409 for
another reason, a storage conflict or a webhook, brings none: then it is looked at again."""

KEYS_LOOK_S = 1.0
"""A pool that waits for the keys of the seal looks that often whether they were read."""

MARKS_LOOK_S = 60.0
"""Labels that the server refused are tried again after that long, for a role or a policy may have
been mended: by one request then. Each event of a member wakes its pool, which is far more often."""

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
        seals: Seals | None = None,
    ) -> None:
        self._seals = seals
        self._client = client
        self._caches = caches
        self._blueprints = blueprints
        self._telemetry = telemetry
        self._turn = turn
        self._clock = clock
        self._settings = settings
        self._growth = PoolGrowth(
            client, caches.pools, caches.sandboxes, telemetry, clock, settings, seals
        )
        self.memories = PoolMemories(caches.sandboxes.store, clock, settings)

    @property
    def caught_up(self) -> int:
        """Pools for which a list was made before they grew. O(1)."""
        return self._growth.caught_up

    async def reconcile(self, key: ObjectKey) -> Result:
        """Bring one pool to its size, then its status up to date, also after a failure."""
        pool = self._caches.pools.store.get(key)
        if pool is None or pool.metadata.is_deleting:
            self.memories.forget(key)
            return DONE
        try:
            paused = await self._resize(key)
        except WarmclaimError:
            await self._write_status(key)
            raise
        written = await self._write_status(key)
        marked = await self._mark_members(key)
        return _soonest(paused, written, marked, self._tell(key), self._look_at_keys(key))

    async def _resize(self, key: ObjectKey) -> Result:
        has_turn = False
        for _ in range(_STEPS_MAX):
            pool = self._caches.pools.store.get(key)
            if pool is None:
                break
            memory = self.memories.of(pool)
            blueprint = self._blueprints.of(pool)
            decision = decide_refill(self._facts(pool, memory, blueprint))
            match decision:
                case Settled():
                    break
                case Pause(after_s):
                    return again(after_s, Lane.REFILL)
                case DeleteMembers(members):
                    return await self._delete_all(members)  # their going wakes the pool
                case Shrink(count):
                    ledger = memory.ledger
                    surplus = surplus_of(ledger.members, count, ledger.doubtful)
                    return await self._delete_all(surplus)
                case CreateMembers() if memory.is_sure and not has_turn:
                    await self._turn()
                    has_turn = True  # and look again: the world went on meanwhile
                case ReserveCreates() | CreateMembers() | TakeIn():
                    # Reserved is at once, although refill yields: then the creates wait only for
                    # their turn.
                    if await self._growth.carry_out(pool, memory, blueprint, decision):
                        has_turn = False
                case _:
                    assert_never(decision)
        return DONE

    def forget_gone(self, key: ObjectKey) -> bool:
        """Whether the pool is gone; then nothing is kept of it any more."""
        is_gone = key not in self._caches.pools.store
        if is_gone:
            self.memories.forget(key)
        return is_gone

    def _look_at_keys(self, key: ObjectKey) -> Result:
        """Have the keys of the seal read where members bear none that is known; they are replaced
        when these were read after that. When to look again."""
        pool = self._caches.pools.store.get(key)
        if pool is None or self._seals is None or not self.memories.of(pool).ledger.doubtful:
            return DONE
        self._seals.wanted.set()
        return again(KEYS_LOOK_S, Lane.REFILL)

    def _tell(self, key: ObjectKey) -> Result:
        """Tell what holds the pool up; when to look at it again."""
        pool = self._caches.pools.store.get(key)
        if pool is None or pool.metadata.is_deleting:
            return DONE
        memory = self.memories.of(pool)
        if memory.ledger.counts.living >= pool.spec.replicas:
            memory.is_refusal_told = False
        blueprint = self._blueprints.of(pool)
        if blueprint is not None:
            self._telemetry.orphans(pool, memory, self._left_alone(pool, memory, blueprint))
        now_s = self._clock.monotonic()
        lack = self._telemetry.template(pool, memory, now_s, is_missing=blueprint is None)
        progress = memory.ledger.progress(now_s)
        return _soonest(lack, self._telemetry.progress(pool, memory, progress))

    def _facts(self, pool: Pool, memory: PoolMemory, blueprint: Blueprint | None) -> PoolFacts:
        """O(what changed since the last look, and what of the last batch is not accounted for)."""
        sandboxes, ledger = self._caches.sandboxes.store, memory.ledger
        now_s, pace = self._clock.monotonic(), memory.pace
        ledger.judge_by(blueprint, lambda: sandboxes.by_index(BY_OWNER_UID, pool.metadata.uid))
        unfit = (
            self._unsealed(pool, memory, now_s)
            or (ledger.stale if pool.spec.recreates else [])
            or ledger.progress(now_s).stuck
        )
        pace.see(ledger.counts.active, pool.spec.replicas, now_s)
        if memory.refused not in (None, blueprint):
            memory.refused = None
            pace.forgive(now_s)
        return PoolFacts(
            replicas=pool.spec.replicas,
            counts=ledger.counts,
            reservation=current_reservation(pool, memory, sandboxes),
            unseen=unseen_ordinals(pool, memory, sandboxes),
            has_template=blueprint is not None,
            batch_max=self._settings.batch_items_max,
            unfit=unfit,
            pause_s=max(pace.pause_s(now_s), self._keyless_s),
            orphan=self._fit_orphan(pool, memory, blueprint),
            is_open=open_orphan(pool, memory, sandboxes) is not None,
        )

    @property
    def _keyless_s(self) -> float:
        """For how long nothing may be made for want of a key to seal it with."""
        return KEYS_LOOK_S if self._seals is not None and self._seals.keys is None else 0.0

    def _unsealed(self, pool: Pool, memory: PoolMemory, now_s: float) -> list[Member]:
        """Members that are to be replaced since nobody with the key made them as they stand."""
        if self._seals is None:
            return []
        sandboxes, ledger = self._caches.sandboxes.store, memory.ledger
        members = partial(sandboxes.by_index, BY_OWNER_UID, pool.metadata.uid)
        ledger.judge_seals(self._seals.keys, members, now_s)
        return ledger.unsealed(self._seals.read_s)

    def _why_left_alone(self, orphan: Sandbox, pool: Pool, blueprint: Blueprint) -> str | None:
        why, seals = why_left_alone(orphan, pool, blueprint), self._seals
        if why is None and seals is not None and seals.keys and seals.refuses(orphan, pool):
            return "it has no seal of this pool"
        return why

    def _fit_orphan(self, pool: Pool, memory: PoolMemory, blueprint: Blueprint | None) -> str:
        """The first that the pool may take in, as a reservation names it; "" if there is none."""
        if blueprint is None:
            return ""
        for orphan in orphans_of(pool, self._caches.sandboxes.store):
            is_new = versioned(orphan) != memory.left_out
            if is_new and self._why_left_alone(orphan, pool, blueprint) is None:
                return versioned(orphan)
        return ""

    def _left_alone(self, pool: Pool, memory: PoolMemory, blueprint: Blueprint) -> list[LeftAlone]:
        """What stays without an owner, at the end of a pass."""
        is_full = memory.ledger.counts.living >= pool.spec.replicas
        found: list[LeftAlone] = []
        for orphan in orphans_of(pool, self._caches.sandboxes.store):
            why = self._why_left_alone(orphan, pool, blueprint)
            if why is None and versioned(orphan) == memory.left_out:
                why = "the server refused the change"
            if why is None and is_full:
                why = "the pool has as many sandboxes as it wants"
            if why is not None:
                found.append(LeftAlone(orphan.metadata.name, why))
        return found

    async def _delete_all(self, members: Sequence[Member]) -> Result:
        started, size, result = 0, 1, DONE
        while started < len(members):
            batch = members[started : started + size]
            for answer in await answers_to(self._delete(member) for member in batch):
                if isinstance(answer, BaseException):
                    raise answer
                if not answer:
                    result = again(LEFT_ALONE_S, Lane.REFILL)
            started += len(batch)
            size *= 2
        return result

    async def _delete(self, member: Member) -> bool:
        """Only at the version that was seen: a member adopted a moment ago has another. Returns
        False where the server says that this one has."""
        try:
            left = await self._client.delete(
                SANDBOX,
                member.key,
                uid=member.uid,
                resource_version=member.resource_version,
                channel=Channel.REFILL,
            )
        except NotFoundError:
            left = None
        except ConflictError:
            _log.info("surplus member changed, left alone", extra={"sandbox": str(member.key)})
            return False
        self._caches.sandboxes.observe_deletion(member.key, member.uid, left)
        return True

    async def _mark_members(self, key: ObjectKey) -> Result:
        """Label members that do not say that they were launched warm, as another controller may
        have left them. What the server refuses fails no pass: members serve without it."""
        pool = self._caches.pools.store.get(key)
        if pool is None or pool.metadata.is_deleting:
            return DONE
        memory, now_s = self.memories.of(pool), self._clock.monotonic()
        if now_s < memory.marks_again_s:
            return again(memory.marks_again_s - now_s, Lane.REFILL)
        for member in memory.ledger.unmarked[: self._settings.batch_items_max]:
            try:
                await self._mark(member)
            except (ForbiddenError, ConflictError, PermanentError) as error:
                memory.marks_again_s = self._clock.monotonic() + MARKS_LOOK_S
                if not isinstance(error, NotPermittedError):  # that is said once, by the client
                    _log.warning("launch type refused: %s", error, extra={"pool": str(key)})
                return again(MARKS_LOOK_S, Lane.REFILL)
        return DONE

    async def _mark(self, member: Member) -> None:
        patch = {"metadata": {"uid": member.uid, "labels": {LABEL_LAUNCH_TYPE: WARM}}}
        sandboxes = self._caches.sandboxes
        try:
            marked = await self._client.merge_patch(
                SANDBOX, member.key, patch, channel=Channel.REFILL
            )
        except NotFoundError:
            sandboxes.observe_absent(member.key, member.uid)
        else:
            sandboxes.observe(marked)

    async def _write_status(self, key: ObjectKey) -> Result:
        pool = self._caches.pools.store.get(key)
        if pool is None or pool.metadata.is_deleting:
            return DONE
        memory = self.memories.of(pool)
        status = _status_of(pool, memory.ledger.counts)
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
            if written.status != status:  # a webhook had its way; with a back-off it is told again
                raise ConflictError(409, "Conflict", f"the status of {key} was stored otherwise")
        return DONE


def _status_of(pool: Pool, counts: Counts) -> PoolStatus:
    return PoolStatus(
        replicas=counts.active,
        ready_replicas=counts.ready,
        selector=f"{LABEL_WARM_POOL}={name_hash(pool.metadata.name)}",
        observed_generation=pool.metadata.generation,
    )


def _soonest(*results: Result) -> Result:
    delays = [result for result in results if result.after_s is not None]
    return min(delays, key=lambda result: result.after_s or 0.0, default=DONE)
