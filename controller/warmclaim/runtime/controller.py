"""N workers, one key at a time each; every outcome is counted and answered in one place."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, Protocol, TypeVar

from warmclaim.errors import (
    InvariantError,
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

_log = logging.getLogger(__name__)


class PassObserver(Protocol):
    """Is told of each pass: `result` is success, requeue_after or error."""

    def pass_ended(self, controller: str, result: str, duration_s: float, waited_s: float) -> None:
        """A pass of `controller` took `duration_s` after its key had waited `waited_s`."""
        ...

    def invariant_violated(self, invariant: str) -> None:
        """A step that would break this promise was refused."""
        ...


class Controller(Generic[K]):
    """Works the keys of one queue with one reconciler.

    A pass that raises is tried again: after the server's own Retry-After, after a minute where
    the request can never succeed, else with the key's exponential back-off. No exception of a
    pass ends a worker: one poison object must not stop its kind. `span` is entered around each
    pass, with its key.

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
        span: Callable[[str], AbstractContextManager[object]] = lambda _: nullcontext(),
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
        self._unserved: dict[K, Lane] = {}  # failed for want of an API server, oldest first
        self._active: Counter[Lane] = Counter()
        self._ended_s: dict[Lane, float] = {}

    def idle_s(self, lane: Lane) -> float:
        """Seconds since a key of this lane was last worked; 0 while one is, infinite before any."""
        if self._active[lane]:
            return 0.0
        return self._clock.monotonic() - self._ended_s.get(lane, float("-inf"))

    def hasten(self, after_s: float = 0.0) -> None:
        """The API server serves again: have what failed for want of it worked, beginning in
        `after_s`. Each key's back-off goes on where it was, should it fail again."""
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

    async def _work(self) -> None:
        while True:
            work = await self.queue.get()
            self._active[work.lane] += 1
            try:
                await self._one_pass(work)
            except asyncio.CancelledError:
                # Leadership was lost in the middle: should it come back, so must the key.
                self.queue.add(work.key, lane=work.lane)
                raise
            finally:
                self._active[work.lane] -= 1
                self._ended_s[work.lane] = self._clock.monotonic()
                self.queue.done(work.key)

    async def _one_pass(self, work: Work[K]) -> None:
        started = self._clock.monotonic()
        self._unserved.pop(work.key, None)
        try:
            with self._span(str(work.key)):
                result = await self._reconciler.reconcile(work.key)
        except Exception as error:
            self._failed(work, error, started)
            word = "error"
        else:
            word = self._succeeded(work, result)
        duration_s = self._clock.monotonic() - started
        self._observer.pass_ended(self.name, word, duration_s, work.waited_s)

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
        if isinstance(error, PermanentError | InvariantError):
            if isinstance(error, InvariantError):
                self._observer.invariant_violated(error.invariant)
            _log.error("refused for good: %s", error, extra=fields)
            self.queue.add(work.key, lane=Lane.HOUSEKEEPING, after_s=PERMANENT_RETRY_S)
            return
        delay_s = self.queue.retry(work.key, lane=work.lane)
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
