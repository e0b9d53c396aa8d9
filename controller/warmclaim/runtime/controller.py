"""N workers, one key at a time each; every outcome is counted and answered in one place."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from warmclaim.errors import (
    InvariantError,
    NamespaceTerminatingError,
    NotPermittedError,
    PermanentError,
    ThrottledError,
    WarmclaimError,
    means_no_service,
)
from warmclaim.runtime.async_workqueue import AsyncWorkqueue
from warmclaim.runtime.reconciler import Reconciler, Result
from warmclaim.seams import Clock
from warmqueue import Lane, Work

K = TypeVar("K", bound=Hashable)

PERMANENT_RETRY_S = 60.0  # the same request never succeeds; only a change elsewhere can help
HASTENED_PER_S = 500.0
"""Keys made due at the end of an outage come in line, not all at once."""

HOLD_S_MAX = 0.001
"""So long a worker may go from key to key without letting others have the loop."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EndedPass:
    """One pass: of which key, in which lane that was due, for how long, and what became of it.
    `result` is success, requeue_after or error; then `error` is what was raised."""

    key: Hashable
    lane: Lane
    waited_s: float
    duration_s: float
    result: str
    error: Exception | None = None


class PassObserver(Protocol):
    """Is told of each pass that was not cancelled."""

    def pass_ended(self, controller: str, ended: EndedPass) -> None:
        """A pass of `controller` ended; must not raise."""
        ...


class Controller(Generic[K]):
    """Works the keys of one queue with one reconciler.

    A pass that raises is tried again: after the server's own Retry-After, after a minute where
    the request can never succeed, else with the key's exponential back-off. Only in a namespace
    that terminates it is not: all that is there will be deleted, which is an event. No exception
    of a pass ends a worker: one poison object must not stop its kind. `span` is entered around
    each pass, with its work.

    `has_recovered_since(moment)` tells whether an outage of the API server has ended since then: a
    pass that began before, and failed for it, is repeated at once.
    """

    def __init__(
        self,
        name: str,
        reconciler: Reconciler[K],
        queue: AsyncWorkqueue[K],
        *,
        workers: int,
        clock: Clock,
        observer: PassObserver,
        span: Callable[[Work[K]], AbstractContextManager[object]] = lambda _: nullcontext(),
        has_recovered_since: Callable[[float], bool] = lambda _: False,
    ) -> None:
        self.name = name
        self.queue = queue
        self._reconciler = reconciler
        self._workers = workers
        self._clock = clock
        self._observer = observer
        self._span = span
        self._has_recovered_since = has_recovered_since
        # Failed for want of an API server or of a permission, oldest first.
        self._unserved: dict[K, Lane] = {}
        self._active: Counter[Lane] = Counter()
        self._ended_s: dict[Lane, float] = {}
        self._began_s: dict[K, float] = {}  # of the passes under way: at most one for each worker

    def idle_s(self, lane: Lane) -> float:
        """Seconds since a key of this lane was last worked; 0 while one is, infinite before any."""
        if self._active[lane]:
            return 0.0
        return self._clock.monotonic() - self._ended_s.get(lane, float("-inf"))

    def ages_s(self) -> list[float]:
        """How many seconds each pass under way has taken so far. O(workers)."""
        now_s = self._clock.monotonic()
        return [now_s - began_s for began_s in self._began_s.values()]

    @property
    def unserved(self) -> int:
        """Keys that failed for want of an API server or of a permission, and no pass came since:
        bounded by those known now, or when the last term ended."""
        return len(self._unserved)

    def hasten(self, after_s: float = 0.0) -> None:
        """The API server serves again, or permits again: have what failed for want of that worked,
        beginning in `after_s`. Each key's back-off goes on where it was, should it fail again."""
        unserved, self._unserved = self._unserved, {}
        for number, (key, lane) in enumerate(unserved.items()):
            self.queue.add(key, lane=lane, after_s=after_s + number / HASTENED_PER_S)

    async def run(self) -> None:
        """Work until cancelled."""
        self.queue.begin()
        try:
            async with asyncio.TaskGroup() as workers:
                for number in range(self._workers):
                    workers.create_task(self._work(), name=f"{self.name}-{number}")
        finally:
            self.queue.stand_by()
            known = self.queue.core  # of a key that is gone no pass would take it out any more
            self._unserved = {key: lane for key, lane in self._unserved.items() if key in known}

    async def _work(self) -> None:
        let_go_s = self._clock.monotonic()
        while True:
            # Neither a key that is due nor a pass with nothing to do waits for anything: 20,000 of
            # them, as at the begin of a term, would keep the loop for seconds.
            if self.queue.is_due() and self._clock.monotonic() - let_go_s >= HOLD_S_MAX:
                await self._clock.sleep(0.0)
                let_go_s = self._clock.monotonic()
            work = self.queue.get_nowait()
            if work is None:
                work = await self.queue.get()
                let_go_s = self._clock.monotonic()
            self._active[work.lane] += 1
            self._began_s[work.key] = self._clock.monotonic()
            try:
                await self._one_pass(work)
            except asyncio.CancelledError:
                # Leadership was lost in the middle: should it come back, so must the key.
                self.queue.add(work.key, lane=work.lane)
                raise
            finally:
                self._active[work.lane] -= 1
                del self._began_s[work.key]
                self._ended_s[work.lane] = self._clock.monotonic()
                self.queue.done(work.key)

    async def _one_pass(self, work: Work[K]) -> None:
        started = self._began_s[work.key]
        self._unserved.pop(work.key, None)
        failure: Exception | None = None
        try:
            with self._span(work):
                result = await self._reconciler.reconcile(work.key)
        except Exception as error:
            self._failed(work, error, started)
            word, failure = "error", error
        else:
            word = self._succeeded(work, result)
        duration_s = self._clock.monotonic() - started
        ended = EndedPass(work.key, work.lane, work.waited_s, duration_s, word, failure)
        self._observer.pass_ended(self.name, ended)

    def _succeeded(self, work: Work[K], result: Result) -> str:
        self.queue.forget(work.key)
        if result.after_s is None:
            return "success"
        self.queue.add(work.key, lane=result.lane, after_s=result.after_s)
        return "requeue_after"

    def _failed(self, work: Work[K], error: Exception, started: float) -> None:
        fields = {"controller": self.name, "key": str(work.key)}
        if isinstance(error, ThrottledError) and error.retry_after_s is not None:
            self.queue.add(work.key, lane=work.lane, after_s=error.retry_after_s)
            return
        if isinstance(error, NamespaceTerminatingError):
            self.queue.forget(work.key)
            _log.debug("left alone: %s", error, extra=fields)
            return
        if isinstance(error, PermanentError | InvariantError):
            _log.error("refused for good: %s", error, extra=fields)
            self.queue.add(work.key, lane=Lane.HOUSEKEEPING, after_s=PERMANENT_RETRY_S)
            return
        delay_s = self.queue.retry(work.key, lane=work.lane)
        if isinstance(error, NotPermittedError):
            self._unserved[work.key] = work.lane
            _log.debug("not permitted, again in %.3f s: %s", delay_s, error, extra=fields)
            return
        if means_no_service(error):
            self._unserved[work.key] = work.lane
            if self._has_recovered_since(started):
                delay_s = 0.0
                self.queue.add(work.key, lane=work.lane)
        if isinstance(error, WarmclaimError):
            _log.warning("failed, again in %.3f s: %s", delay_s, error, extra=fields)
        else:
            # A fault of ours, met at this object; the others go on.
            _log.error("pass crashed, again in %.3f s", delay_s, exc_info=error, extra=fields)
