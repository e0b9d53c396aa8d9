"""What the parts of a cluster that act by themselves have in common: due work, one task."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from warmclaim.testing.alarm import Alarm
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.refusals import Refusal
from warmclaim.testing.store import Commit

_log = logging.getLogger(__name__)

Work = Callable[[], None]


class Actor:
    """Watches the commits of a cluster and does work when it is due, in order of time.

        async with FakeNodes(cluster):
            ...

    A subclass overrides `observe` (called inside the commit: it may only look and `plan`) and
    `begin`. Work runs outside commits, on one task; a Refusal in it is expected (the object is
    gone by then) and anything else is logged and does not stop the actor.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._due: list[tuple[float, int, Work]] = []
        self._planned = 0
        self._alarm = Alarm(cluster.clock)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Takes in what is there and begins to act."""
        self.begin()
        self.cluster.store.observers.append(self.observe)
        self._task = asyncio.create_task(self._run(), name=type(self).__name__)

    async def stop(self) -> None:
        """Stops acting; planned work is dropped. May be called twice."""
        task, self._task = self._task, None
        if task is None:
            return
        self.cluster.store.observers.remove(self.observe)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._alarm.close()
        self._due.clear()

    def begin(self) -> None:
        """Called at the start, before the first commit that is observed."""

    def observe(self, commit: Commit) -> None:
        """Called with every commit. Must not write: plan it instead."""
        raise NotImplementedError

    def plan(self, work: Work, *, after_s: float = 0.0) -> None:
        """Has `work` done in `after_s` seconds; works of the same moment keep their order."""
        self._planned += 1
        moment = self.cluster.clock.monotonic() + after_s
        heapq.heappush(self._due, (moment, self._planned, work))
        if self._due[0][1] == self._planned:
            self._alarm.ring()

    def drawn(self, between: tuple[float, float]) -> float:
        """A number of this range, by the cluster's Rng."""
        low, high = between
        return low + (high - low) * self.cluster.rng.random()

    async def _run(self) -> None:
        while True:
            now = self.cluster.clock.monotonic()
            while self._due and self._due[0][0] <= now:
                _, _, work = heapq.heappop(self._due)
                self._do(work)
            await self._alarm.wait(self._due[0][0] if self._due else None)

    def _do(self, work: Work) -> None:
        try:
            work()
        except Refusal as refusal:
            _log.debug("%s: %s", type(self).__name__, refusal)
        except Exception:
            _log.exception("%s", type(self).__name__)
