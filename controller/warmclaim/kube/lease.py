"""Leader election on a Lease: at most one process acts, told by its own monotonic clock.

1. The record's times are never compared with a clock of ours. A follower takes a Lease over when
   the record did not change for its duration, counted from when the follower first saw it so.
2. A leader counts from *before* it sent its last successful renewal, and steps down after
   `renew_deadline_s`, whatever hangs; its followers wait longer, so they find it stopped.
3. Every write is a PUT over a known resourceVersion, or a create. A write whose answer was lost is
   read back; it counts only if precisely that write is found.
4. Whatever ends a term - error, cancellation, loss - first cancels and awaits the guarded work.
5. A follower polls the Lease, and watches it so as to be quick: it tries at once when the holder
   gives the Lease back, and when the holder's time is up. What it may take it learns by reading.

The Lease saves work, it does not make it safe: a process that was stopped may still have a request
under way. Safety is in the compare-and-set of each write that the guarded work does.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable

from warmclaim.api.lease import LEASE, Lease, LeaseSpec
from warmclaim.api.meta import ObjectKey
from warmclaim.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    NotSentError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
    WarmclaimError,
)
from warmclaim.kube import lease_record
from warmclaim.kube.answers import version_number
from warmclaim.kube.client import ApiClient
from warmclaim.kube.lease_record import LEASE_NAME, LeaseTiming, lease_name
from warmclaim.kube.lease_watch import LeaseWatch
from warmclaim.seams import Channel, Clock, Rng
from warmclaim.settings import LEASE_JITTER

__all__ = ["LEASE_NAME", "LeaderElector", "LeadershipLost", "LeaseTiming", "lease_name"]

HERD_S_MAX = 0.05
"""Followers who hear of a free Lease at the same moment try spread over so long."""

_RELEASE_TRIES = 2
_STEP_S_MIN = 0.001

_log = logging.getLogger(__name__)


class LeadershipLost(WarmclaimError):
    """The term ended before the work did; the work was cancelled and has ended."""


class LeaderElector:
    """Waits to lead, then runs work for as long as it leads.

    `identity` must differ between any two processes. `on_change` hears True at the start of a term
    and False at its end; `on_slow_path` each renewal that first had to read the Lease.
    """

    def __init__(
        self,
        client: ApiClient,
        *,
        clock: Clock,
        rng: Rng,
        key: ObjectKey,
        identity: str,
        timing: LeaseTiming,
        on_change: Callable[[bool], None] | None = None,
        on_slow_path: Callable[[], None] | None = None,
    ) -> None:
        if not identity:
            raise ValueError("an elector needs an identity")
        self._client = client
        self._clock = clock
        self._rng = rng
        self._key = key
        self._identity = identity
        self._timing = timing
        self._on_change = on_change
        self._on_slow_path = on_slow_path
        self._held: Lease | None = None  # our record as the server answered it
        self._may_hold = False  # a write of ours was sent and nothing foreign was seen since
        self._is_leading = False
        self._is_running = False
        self._is_working = False
        self._deadline_s = -math.inf
        self._seen: tuple[str, str] | None = None  # uid and version of the record last seen
        self._version = 0  # that version as a number; kept when the Lease is deleted
        self._free_at_s = -math.inf
        self._holder = ""
        self._problem: str | None = None
        self._bell = asyncio.Event()
        self._watch = LeaseWatch(
            client, clock=clock, rng=rng, key=key, on_record=self._heard, on_end=self._bell.set
        )
        client.outage.on_end(self._bell.set)

    @property
    def is_leader(self) -> bool:
        """Whether work may be done just now. False from the deadline on, whatever is under way."""
        return self._is_leading and self._clock.monotonic() < self._deadline_s

    @property
    def is_working(self) -> bool:
        """Whether the guarded work has begun and not ended, deadline or not: what a watchdog
        thread must ask, since a stalled loop cannot end it."""
        return self._is_working

    @property
    def deadline_left_s(self) -> float:
        """Seconds until this leader must stop unless it renews; 0 when not leading."""
        return max(self._deadline_s - self._clock.monotonic(), 0.0) if self._is_leading else 0.0

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last read; "" if nobody."""
        return self._holder

    @property
    def problem(self) -> str | None:
        """Why the last try could not be made at all (a missing permission, no server), or None."""
        return self._problem

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait to lead, then run `work` until it returns; one term.

        Returns when `work` returned by itself, raises what it raised, and raises LeadershipLost
        after a lost term. In every case, cancellation included, `work` has ended by then. May be
        called again. The Lease stays ours until it runs out or `release` is called.
        """
        if self._is_running:
            raise RuntimeError("already running")
        self._is_running = True
        try:
            await self._acquire()
            await self._lead(work)
        finally:
            self._is_running = False

    async def release(self) -> None:
        """Give the Lease back, so that a follower need not wait. Only after `run` has ended.

        A failure is logged, and the Lease then runs out by itself.
        """
        if self._is_running:
            _log.error("the lease is not released: its work still runs")
            return
        for _ in range(_RELEASE_TRIES):
            if not self._may_hold:
                return
            try:
                await self._give_back()
            except ConflictError:
                self._held = None  # a renewal that was under way has landed: read, once more
            except WarmclaimError as error:
                _log.warning("the lease could not be released: %s", error)
                return

    async def _give_back(self) -> None:
        lease = self._held or await self._read()
        if lease is not None and lease.holder == self._identity:
            await self._put(lease, lease_record.released(lease, self._clock.wall()))
            _log.info("lease released", extra={"lease": self._key})
        self._held, self._may_hold = None, False

    async def _acquire(self) -> None:
        self._held = None
        try:
            while not await self._has_acquired():
                if self._version:
                    await self._watch.polled(self._version)
                await self._until_next_try()
        finally:
            await self._watch.stop()

    async def _has_acquired(self) -> bool:
        self._bell.clear()  # before reading: what rings from now on may be news
        return await self._try_once() and self._clock.monotonic() < self._deadline_s

    async def _until_next_try(self) -> None:
        """Wait for a period, or until there is a reason to hurry."""
        period_s = self._timing.retry_period_s * (1 + LEASE_JITTER * self._rng.random())
        free_in_s = self._free_at_s - self._clock.monotonic()
        delay_s = min(free_in_s + _STEP_S_MIN, period_s) if free_in_s > 0 else period_s
        ring = asyncio.create_task(self._bell.wait(), name="bell")
        sleep = asyncio.create_task(self._clock.sleep(delay_s), name="until the next try")
        try:
            await asyncio.wait((ring, sleep), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ring.cancel()
            sleep.cancel()
        if self._bell.is_set() or delay_s < period_s:
            await self._clock.sleep(HERD_S_MAX * self._rng.random())

    def _heard(self, lease: Lease) -> None:
        """A record that the watch brought; one that is older than what was read is no news."""
        if lease.metadata.version > self._version:
            self._observe(lease)
            if not lease.holder and self._may_take(""):
                self._bell.set()

    async def _lead(self, work: Callable[[], Awaitable[None]]) -> None:
        self._is_working = True
        self._set_leading(True)
        guarded = asyncio.create_task(_awaited(work), name="guarded work")
        renewals = asyncio.create_task(self._renew(), name="lease renewals")
        fence = asyncio.create_task(self._fence(), name="lease fence")
        tasks = (guarded, renewals, fence)
        has_returned = False
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            has_returned = guarded.done()
        finally:
            guarded.cancel()  # before anything else
            if renewals.done() or fence.done():
                self._set_leading(False)
            was_interrupted = await _ended(guarded)  # the renewals go on while it winds up
            renewals.cancel()
            fence.cancel()
            was_interrupted |= await _ended(renewals, fence)
            self._is_working = False
            self._set_leading(False)
        if was_interrupted:
            raise asyncio.CancelledError
        if has_returned:
            return guarded.result()
        failure = _failure(tasks)
        raise LeadershipLost(self._loss(failure)) from failure

    def _loss(self, failure: BaseException | None) -> str:
        if self._holder not in {"", self._identity}:
            return f"the lease was taken by {self._holder[:64]!r}"
        if failure is not None:
            return f"the renewals or the work failed: {type(failure).__name__}"
        return f"the lease was not renewed for {self._timing.renew_deadline_s:g} s"

    def _set_leading(self, is_leading: bool) -> None:
        if self._is_leading == is_leading:
            return
        self._is_leading = is_leading
        _log.info("leading" if is_leading else "not leading", extra={"lease": self._key})
        if self._on_change is not None:
            try:
                self._on_change(is_leading)
            except Exception:  # a broken gauge must not keep the work from being stopped
                _log.exception("on_change failed")

    async def _renew(self) -> None:
        """Renew until someone else holds the Lease."""
        while True:
            await self._client.outage.back_off(self._timing.retry_period_s)
            if not await self._try_once() and self._holder not in {"", self._identity}:
                return

    async def _fence(self) -> None:
        """Return at the deadline, which every renewal moves. No request is awaited here."""
        while (left_s := self._deadline_s - self._clock.monotonic()) > 0:
            # At least a little: of a last 1e-13 s a simulated clock would never get to the end.
            await self._clock.sleep(max(left_s, _STEP_S_MIN))

    async def _try_once(self) -> bool:
        """Take or renew the Lease once; whether it is ours now. A failure is kept in `problem`."""
        try:
            is_ours = await self._take()
        except (ConflictError, AlreadyExistsError):
            is_ours = False  # somebody was faster; the next try reads
        except WarmclaimError as error:
            self._note(str(error))
            return False
        self._note(None)
        return is_ours

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            _log.warning("the lease is out of reach: %s", problem, extra={"lease": self._key})
        self._problem = problem

    async def _take(self) -> bool:
        if self._held is not None and await self._has_renewed(self._held):
            return True
        lease = await self._read()
        if not self._may_take(lease.holder if lease is not None else ""):
            return False
        await self._write(lease)
        return True

    async def _has_renewed(self, held: Lease) -> bool:
        """The usual renewal: one PUT over the last answer, nothing read."""
        try:
            await self._write(held)
        except (ConflictError, NotFoundError):
            if self._on_slow_path is not None:
                self._on_slow_path()
            return False
        return True

    def _may_take(self, holder: str) -> bool:
        if holder == self._identity:
            return True
        if self._is_leading:
            return not holder
        return self._clock.monotonic() >= self._free_at_s

    async def _read(self) -> Lease | None:
        try:
            lease = await self._client.get(
                LEASE, self._key, channel=Channel.LEASE, timeout_s=self._request_s()
            )
        except NotFoundError:
            lease = None
        self._observe(lease)
        return lease

    def _observe(self, lease: Lease | None) -> None:
        """Note a change of the record, and from when on it may be taken by our own clock."""
        version = (lease.metadata.uid, lease.metadata.resource_version) if lease else None
        self._holder = lease.holder if lease else ""
        if version == self._seen:
            return
        self._seen = version
        if lease is not None:
            self._version = version_number(lease.metadata.resource_version) or 0
        if lease is None or not lease.holder:
            # Deleted or emptied by a third party: the holder may not know yet, so the time that
            # its last record gave it goes on. Only what its holder gave back is free at once.
            if lease is not None and lease_record.is_released(lease):
                self._free_at_s = -math.inf
        elif lease.holder != self._identity:
            self._may_hold = False
            self._free_at_s = self._clock.monotonic() + self._timing.wait_s(lease.record)

    async def _write(self, over: Lease | None) -> None:
        """Take or renew over that version; on success the term counts from before the sending.

        Raises what the write raised, unless reading back finds precisely this write.
        """
        sent_s, wall_s = self._clock.monotonic(), self._clock.wall()
        record = lease_record.renewed(over, self._identity, self._timing.duration_s, wall_s)
        self._may_hold, self._held = True, None
        try:
            lease = await self._put(over, record)
        except (NotSentError, ThrottledError):
            self._held = over if over is not None and over.holder == self._identity else None
            raise
        except (UnknownOutcomeError, TransientError):
            found = await self._read()
            if found is None or not lease_record.is_same_write(found.record, record):
                raise
            lease = found
        self._observe(lease)
        if lease.holder != self._identity:
            raise UnknownOutcomeError(f"the answer names {lease.holder[:64]!r} as holder")
        self._held = lease
        self._deadline_s = sent_s + self._timing.renew_deadline_s

    async def _put(self, over: Lease | None, record: LeaseSpec) -> Lease:
        body, limit_s = lease_record.lease_body(self._key, over, record), self._request_s()
        if over is None:
            return await self._client.create(
                LEASE, self._key.namespace, body, channel=Channel.LEASE, timeout_s=limit_s
            )
        return await self._client.replace(
            LEASE, self._key, body, channel=Channel.LEASE, timeout_s=limit_s
        )

    def _request_s(self) -> float:
        limit_s = self._timing.request_s_max
        return min(limit_s, max(self.deadline_left_s, _STEP_S_MIN)) if self.is_leader else limit_s


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def _ended(*tasks: asyncio.Task[None]) -> bool:
    """Return when all `tasks` have ended; whether we were cancelled ourselves meanwhile."""
    was_interrupted = False
    while any(not task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            was_interrupted = True  # told later: work that still runs must not be left alone
    return was_interrupted


def _failure(tasks: tuple[asyncio.Task[None], ...]) -> BaseException | None:
    errors = (task.exception() for task in tasks if not task.cancelled())
    return next((error for error in errors if error is not None), None)
