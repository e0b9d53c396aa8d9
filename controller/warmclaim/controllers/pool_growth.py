"""How a pool gets members: ordinals are reserved on the pool, then created under their names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import LABEL_WARM_POOL
from warmclaim.api.pool import Pool
from warmclaim.api.resources import POOL, SANDBOX
from warmclaim.api.sandbox import Sandbox
from warmclaim.controllers.pool_members import (
    PoolMemory,
    catch_up,
    current_reservation,
    reservation_text,
)
from warmclaim.controllers.pool_telemetry import PoolTelemetry
from warmclaim.domain.blueprint import Blueprint, member_sandbox
from warmclaim.domain.patches import create_reservation_patch
from warmclaim.domain.refill import CreateMembers, ReserveCreates
from warmclaim.domain.reservation import Reservation, member_name
from warmclaim.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    UnknownOutcomeError,
)
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.seams import Channel
from warmclaim.settings import PoolSettings


class PoolGrowth:
    """Carries out what `decide_refill` decided about more members."""

    def __init__(
        self,
        client: ApiClient,
        pools: Informer[Pool],
        sandboxes: Informer[Sandbox],
        telemetry: PoolTelemetry,
        settings: PoolSettings,
    ) -> None:
        self._client = client
        self._pools = pools
        self._sandboxes = sandboxes
        self._telemetry = telemetry
        self._settings = settings

    async def carry_out(
        self,
        pool: Pool,
        memory: PoolMemory,
        blueprint: Blueprint | None,
        decision: ReserveCreates | CreateMembers,
    ) -> None:
        """One step. Raises what a request raised; the step's world is in the caches then."""
        if not memory.is_sure:
            await self._make_sure(pool, memory)
        elif isinstance(decision, ReserveCreates):
            await self._reserve(pool, memory, decision.reservation)
        elif blueprint is not None:
            await self._create_some(pool, memory, blueprint, decision.ordinals)

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
        self._pools.observe(written)
        newest = self._pools.store.get(pool.metadata.key) or written
        current_reservation(newest, memory, self._sandboxes.store)
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
        now = self._pools.store.get(pool.metadata.key)
        if now is None or now.metadata.uid != pool.metadata.uid:
            return
        if reservation_text(now) != reservation_text(pool):
            return  # a list from before it tells nothing of what it allows
        reservation = catch_up(now, memory, self._sandboxes.store)
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
                self._sandboxes.observe(sandbox)
            token = page.continue_token
            if not token:
                break

    async def _read_pool(self, pool: Pool) -> None:
        try:
            view = await self._client.get(POOL, pool.metadata.key, channel=Channel.REFILL)
        except NotFoundError:
            self._pools.observe_absent(pool.metadata.key, pool.metadata.uid)
        else:
            self._pools.observe(view)

    async def _create_some(
        self, pool: Pool, memory: PoolMemory, blueprint: Blueprint, ordinals: Sequence[int]
    ) -> None:
        """Slow start: 1, 2, 4, ... at once, so that a refusal costs one request, not a batch."""
        creates = (
            self._create(pool, memory, blueprint, ordinal)
            for ordinal in ordinals[: memory.together]
        )
        failure = await first_failure(creates)
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
            self._sandboxes.observe(created)
        if memory.reservation is not None and ordinal in memory.reservation.ordinals:
            memory.seen.add(ordinal)

    async def _see_taken(self, pool: Pool, key: ObjectKey) -> None:
        """The name is taken: by an earlier try of ours, or by somebody else, then it is skipped."""
        try:
            found = await self._client.get(SANDBOX, key, channel=Channel.REFILL)
        except NotFoundError:
            return  # it was there and is gone again; its ordinal is spent
        self._sandboxes.observe(found)
        is_ours = LABEL_WARM_POOL in found.metadata.labels or found.metadata.owner_references
        if not is_ours:
            self._telemetry.name_taken(pool, key.name)


async def first_failure(calls: Iterable[Awaitable[None]]) -> BaseException | None:
    """Do all of them at once and await them all, so that none goes on after its pass ended."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return next((answer for answer in answers if isinstance(answer, BaseException)), None)
