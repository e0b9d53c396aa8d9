"""How a pool gets members: ordinals are reserved on the pool, then created under their names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Sequence
from typing import TypeVar

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import LABEL_WARM_POOL
from warmclaim.api.pool import Pool
from warmclaim.api.resources import POOL, SANDBOX
from warmclaim.api.sandbox import Sandbox
from warmclaim.controllers.pool_members import (
    PoolMemory,
    catch_up,
    current_reservation,
    open_orphan,
    reservation_text,
    versioned,
)
from warmclaim.controllers.pool_telemetry import PoolTelemetry
from warmclaim.controllers.seals import Seals, check_made
from warmclaim.domain.blueprint import Blueprint, member_sandbox
from warmclaim.domain.patches import adoption_patch, create_reservation_patch
from warmclaim.domain.refill import CreateMembers, ReserveCreates, TakeIn
from warmclaim.domain.reservation import Reservation, member_name, parse_reservation
from warmclaim.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    NamespaceTerminatingError,
    NotFoundError,
    NotPermittedError,
    PermanentError,
    StoredOtherwiseError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Change, Informer
from warmclaim.seams import Channel, Clock
from warmclaim.settings import PoolSettings

SURE_S_MAX = 2.0
"""A create cannot test the pool, so it is not sent on an older word that the batch is still this
process's own. The watch may be silent for longer, and another leader may have taken it over, made
the same members, given them away and seen them deleted. A read for each pool that goes on with a
batch after that long; none where all is made at once. Waiting for a place in the refill window may
add a second."""

CAUGHT_UP_S_MAX = 10.0
"""A list catches up with all pools of its namespace that are taken over in this time. Not with what
is taken over in a later term: what happened to a reservation in between may not have been seen."""

T = TypeVar("T")

_log = logging.getLogger("warmclaim.pool")


class PoolGrowth:
    """Carries out what `decide_refill` decided about more members."""

    def __init__(
        self,
        client: ApiClient,
        pools: Informer[Pool],
        sandboxes: Informer[Sandbox],
        telemetry: PoolTelemetry,
        clock: Clock,
        settings: PoolSettings,
        seals: Seals | None = None,
    ) -> None:
        self._seals = seals
        self._client = client
        self._pools = pools
        self._sandboxes = sandboxes
        self._telemetry = telemetry
        self._clock = clock
        self._settings = settings
        # When, by a pool's uid, the caches held all members of the batches before the last.
        self._caught_up_s: dict[str, float] = {}
        pools.subscribe(self._pool_changed)

    @property
    def caught_up(self) -> int:
        """Pools for which a list was made. O(1)."""
        return len(self._caught_up_s)

    async def carry_out(
        self,
        pool: Pool,
        memory: PoolMemory,
        blueprint: Blueprint | None,
        decision: ReserveCreates | CreateMembers | TakeIn,
    ) -> bool:
        """One step; True if it was a batch of creates. Raises what a request raised; the step's
        world is in the caches then."""
        if not memory.is_sure:
            await self._make_sure(pool, memory)
        elif isinstance(decision, ReserveCreates):
            await self._reserve(pool, memory, decision.reservation)
        elif isinstance(decision, TakeIn):
            await self._take_in(pool, memory)
        elif self._clock.monotonic() - memory.sure_s > SURE_S_MAX:
            await self._make_sure_still(pool, memory)
        elif blueprint is not None:
            await self._create_some(pool, memory, blueprint, decision.ordinals)
            return True
        return False

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
        memory.sure_s = self._clock.monotonic()

    async def _make_sure(self, pool: Pool, memory: PoolMemory) -> None:
        """Catch up with a reservation that this process did not make itself, and take it over.

        Whoever made it had seen all members of the batches before; this cache may lack them, if
        its watch is behind, and would count too few. A consistent list has them all. Then the
        batch gets a new turn: whoever else counts by it, another leader that does not know yet
        that it is none any more, reserves nothing from then on. Without that, it might reserve the
        next batch in the moment in which we make a member of this one again, which it had seen
        made and deleted. One PATCH for each pool that is taken over, and one list for all of a
        namespace: a hundred pools that each listed its 3,000 sandboxes took 6 s of a processor.
        """
        if not self._is_caught_up(pool.metadata.uid):
            await self._list_all(pool.metadata.namespace)
        now = self._pools.store.get(pool.metadata.key)
        if now is None or now.metadata.uid != pool.metadata.uid:
            return
        if reservation_text(now) != reservation_text(pool):
            return  # a list from before it tells nothing of what it allows
        reservation = catch_up(now, memory, self._sandboxes.store)
        if reservation.ordinals or reservation.takes_in:
            await self._reserve(now, memory, reservation.taken_over())
        else:
            memory.is_sure = True  # nothing may be made of it by anybody

    async def _make_sure_still(self, pool: Pool, memory: PoolMemory) -> None:
        """Ask whose the last batch is. Whoever took it over has changed the pool."""
        await self._read_pool(pool)
        memory.sure_s = self._clock.monotonic()

    async def _take_in(self, pool: Pool, memory: PoolMemory) -> None:
        """Make a member of what the last batch names. Where the server says no although nothing
        happened to it, a policy does: then it is left out, and the pool makes one of its own."""
        orphan = open_orphan(pool, memory, self._sandboxes.store)
        if orphan is None:
            return
        key, named = orphan.metadata.key, versioned(orphan)
        operations = adoption_patch(orphan, pool)
        try:
            taken = await self._client.json_patch(
                SANDBOX, key, operations, channel=Channel.REFILL, is_patient=False
            )
        except NotFoundError:
            self._sandboxes.observe_absent(key, orphan.metadata.uid)
        except (ConflictError, ForbiddenError, PermanentError) as error:
            if isinstance(error, NotPermittedError | NamespaceTerminatingError):
                raise
            await self._read_sandbox(key, orphan.metadata.uid)
            if open_orphan(pool, memory, self._sandboxes.store) is not None:
                memory.left_out = named
                _log.warning("not taken in: %s", error, extra={"sandbox": str(key)})
        except UnknownOutcomeError:
            await self._read_sandbox(key, orphan.metadata.uid)
            raise
        else:
            self._sandboxes.observe(taken)

    async def _read_sandbox(self, key: ObjectKey, uid: str) -> None:
        try:
            found = await self._client.get(SANDBOX, key, channel=Channel.REFILL)
        except NotFoundError:
            self._sandboxes.observe_absent(key, uid)
        else:
            self._sandboxes.observe(found)

    def _pool_changed(self, change: Change[Pool]) -> None:
        """Another reservation needs a list from after it."""
        if change.old is None:
            return
        if change.new is None or reservation_text(change.new) != reservation_text(change.old):
            self._caught_up_s.pop(change.old.metadata.uid, None)

    def _is_caught_up(self, uid: str) -> bool:
        listed_s = self._caught_up_s.get(uid)
        return listed_s is not None and self._clock.monotonic() - listed_s < CAUGHT_UP_S_MAX

    async def _list_all(self, namespace: str) -> None:
        """Catch up with all pools of a namespace: the list is of after each reservation that the
        cache shows when it begins. Of one that is absent or odd nobody knows what it allowed."""
        before = {
            pool.metadata.key: pool
            for pool in self._pools.store.values()
            if pool.metadata.namespace == namespace and parse_reservation(reservation_text(pool))
        }
        token, began_s = "", self._clock.monotonic()
        while True:
            page = await self._client.list_page(
                SANDBOX, namespace=namespace, continue_token=token, channel=Channel.REFILL
            )
            for sandbox in page.items:
                self._sandboxes.observe(sandbox)
            token = page.continue_token
            if not token:
                break
        for key, pool in before.items():
            now = self._pools.store.get(key)
            is_same = now is not None and now.metadata.uid == pool.metadata.uid
            if is_same and now and reservation_text(now) == reservation_text(pool):
                self._caught_up_s[pool.metadata.uid] = began_s

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
        """As many at once as the pool's pace allows. A refusal slows it down and is told; what
        else prevents a create is raised."""
        pace = memory.pace
        taken = ordinals[: pace.take(len(ordinals), self._clock.monotonic())]
        creates = (self._create(pool, memory, blueprint, ordinal) for ordinal in taken)
        answers = await answers_to(creates)
        pace.give_back(sum(_is_unused(answer) for answer in answers))
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if not failures:
            pace.went_well()
            return
        pace.failed()
        for failure in failures:
            if not is_refusal(failure):
                raise failure
        refusal, now_s = failures[0], self._clock.monotonic()
        pace.refused(now_s, is_for_good=isinstance(refusal, PermanentError))
        memory.refused = blueprint
        self._telemetry.create_refused(pool, memory, refusal)

    async def _create(
        self, pool: Pool, memory: PoolMemory, blueprint: Blueprint, ordinal: int
    ) -> bool:
        """Whether this made it; else it has been made, or its name is taken. With the seal on it
        bears one from the start: a later write would seal what somebody changed in between."""
        namespace, pool_name = pool.metadata.key
        name = member_name(pool_name, pool.metadata.uid, ordinal)
        is_evictable = self._settings.marks_safe_to_evict
        body = member_sandbox(pool, blueprint, name, is_evictable=is_evictable)
        keys = self._seals.put_on(body, pool) if self._seals is not None else None
        is_made = True
        try:
            created = await self._client.create(
                SANDBOX, namespace, body, channel=Channel.REFILL, is_patient=False
            )
        except AlreadyExistsError:
            is_made = False
            await self._see_taken(pool, ObjectKey(namespace, name))
        else:
            self._sandboxes.observe(created)
            if keys is not None:
                check_made(created, pool, keys)
        if memory.reservation is not None and ordinal in memory.reservation.ordinals:
            memory.seen.add(ordinal)
        return is_made

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


def is_refusal(error: BaseException) -> bool:
    """Whether the server looked at an object and does not want it: a quota, a policy, a webhook, or
    because it makes no sense. What is missing a permission, or a living namespace, is another
    matter."""
    is_other = isinstance(error, NotPermittedError | NamespaceTerminatingError)
    return isinstance(error, ForbiddenError | PermanentError) and not is_other


def _is_unused(answer: bool | BaseException) -> bool:
    """Whether a create surely made nothing."""
    if not isinstance(answer, BaseException):
        return not answer
    may_have = isinstance(answer, UnknownOutcomeError | TransientError | StoredOtherwiseError)
    return not may_have or isinstance(answer, ThrottledError)


async def answers_to(calls: Iterable[Awaitable[T]]) -> list[T | BaseException]:
    """Do all of them at once and await them all, so that none goes on after its pass ended."""
    return await asyncio.gather(*calls, return_exceptions=True)
