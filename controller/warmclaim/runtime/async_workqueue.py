"""The asyncio shell around `warmqueue.Workqueue`: one timer, a line of waiters, no decision."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from warmclaim.seams import Clock
from warmqueue import Lane, Work, Workqueue

K = TypeVar("K", bound=Hashable)


class AsyncWorkqueue(Generic[K]):
    """Hands due keys to waiting workers, oldest waiter first.

    A standby has no workers, and may see a million objects come and go. So between `stand_by` and
    `begin` a key is dropped where `forget_gone(key)` says that its object is gone and that nothing
    is left to do for it.
    """

    def __init__(
        self,
        core: Workqueue[K],
        clock: Clock,
        *,
        forget_gone: Callable[[K], bool] = lambda _: False,
    ) -> None:
        self._core = core
        self._clock = clock
        self._forget_gone = forget_gone
        self._has_workers = False
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timed_for: float | None = None

    @property
    def core(self) -> Workqueue[K]:
        return self._core

    def begin(self) -> None:
        """There are workers from now on."""
        self._has_workers = True

    def stand_by(self) -> None:
        """The workers have ended; others may come. O(keys)."""
        self._has_workers = False
        for key in self._core.known():
            if self._forget_gone(key):
                self._core.discard(key)

    def add(self, key: K, *, lane: Lane = Lane.STATUS, after_s: float = 0.0) -> None:
        """Have `key` worked once, not before `after_s` seconds from now."""
        if not self._has_workers and self._forget_gone(key):
            self._core.discard(key)
            return
        self._core.add(key, self._clock.monotonic(), lane=lane, after_s=after_s)
        self._wake()

    def is_due(self) -> bool:
        """Whether a key is due now."""
        due_at = self._core.due_at()
        return due_at is not None and due_at <= self._clock.monotonic()

    def get_nowait(self) -> Work[K] | None:
        """The most urgent key, if one is due. The caller owes `done`."""
        work = self._core.next(self._clock.monotonic())
        if work is not None:
            self._wake()  # a timer wakes one waiter, and may have made several keys due
        return work

    async def get(self) -> Work[K]:
        """The most urgent due key; waits until there is one. The caller owes `done`."""
        while (work := self.get_nowait()) is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            self._arm()
            try:
                await waiter
            except asyncio.CancelledError:
                self._pass_on(waiter)
                raise
        return work

    def looked(self, key: K) -> None:
        """A run of `key` looks anew, at nothing but the present state. So the watch's copy of its
        own write is worth no other run, though it may come before the answer."""
        self._core.looked(key, self._clock.monotonic())

    def is_wanted(self, key: K) -> bool:
        """Whether another run of `key`, which is being worked, was asked for."""
        return self._core.is_wanted(key)

    def done(self, key: K) -> None:
        """`key` is no longer being worked."""
        self._core.done(key, self._clock.monotonic())
        self._wake()

    def retry(self, key: K, *, lane: Lane) -> float:
        """`key` failed: again after its back-off. Returns that delay in seconds."""
        delay_s = self._core.retry(key, self._clock.monotonic(), lane=lane)
        self._wake()
        return delay_s

    def forget(self, key: K) -> None:
        """`key` succeeded: its next failure starts the back-off anew."""
        self._core.forget(key)

    def _pass_on(self, waiter: asyncio.Future[None]) -> None:
        # A waiter cancelled after it was woken takes the wake-up with it: give it to the next.
        if waiter.done() and not waiter.cancelled():
            self._wake()

    def _wake(self) -> None:
        if not self._waiters:
            return
        due_at = self._core.due_at()
        if due_at is None:
            return
        if due_at > self._clock.monotonic():
            self._arm()
            return
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _arm(self) -> None:
        due_at = self._core.due_at()
        if self._timer is not None:
            if due_at == self._timed_for:
                return
            self._timer.cancel()
            self._timer = None
        if due_at is None:
            return
        delay_s = max(due_at - self._clock.monotonic(), 0.0)
        self._timed_for = due_at
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._wake()
