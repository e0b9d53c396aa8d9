"""WarmDirectory: the queues of all pools, and which pool a sandbox is in.

D1 A key is in at most one pool. Offered to another, it moves and is last in line there; one
   in flight stays in flight.
D2 A pool exists while it has entries; the last one to leave takes the pool with it.
D3 Arrival numbers rise over all pools, so a pool that was empty for a while gives no
   number twice; `take_count` rises over all pools too.
"""

import itertools
from collections.abc import Iterator
from functools import partial

from warmqueue.entry import Place, WarmEntry
from warmqueue.keys import PoolKey, SandboxKey
from warmqueue.pool_queue import Depth, QueueStatistics, WarmQueue
from warmqueue.taken import Taken


class WarmDirectory:
    """All warm queues by pool. A move costs what it costs in the queue of its pool."""

    def __init__(self) -> None:
        self._arrivals = itertools.count(1)
        self._queues: dict[PoolKey, WarmQueue] = {}
        self._homes: dict[SandboxKey, PoolKey] = {}
        self._take_count = 0

    def __len__(self) -> int:
        """Entries known, in all pools. O(1)."""
        return len(self._homes)

    @property
    def take_count(self) -> int:
        """Entries taken so far, in all pools that are or were."""
        return self._take_count

    def offer(
        self, pool: PoolKey, key: SandboxKey, uid: str, *, node: str | None, is_ready: bool
    ) -> None:
        """As `WarmQueue.offer`, in this pool; an entry of another pool moves (D1). O(log n)."""
        self._queue_for(pool, key).offer(key, uid, node=node, is_ready=is_ready)

    def hold(self, pool: PoolKey, key: SandboxKey, uid: str, *, node: str | None) -> None:
        """As `WarmQueue.hold`, in this pool; an entry of another pool moves (D1). O(log n)."""
        self._queue_for(pool, key).hold(key, uid, node=node)

    def take(self, pool: PoolKey) -> Taken | None:
        """As `WarmQueue.take`; None also for an unknown pool. O(log n)."""
        queue = self._queues.get(pool)
        return self._counted(None if queue is None else queue.take())

    def take_named(self, pool: PoolKey, key: SandboxKey) -> Taken | None:
        """As `WarmQueue.take_named`; None also where the key is in another pool. O(log n)."""
        queue = self._queue_of(key) if self._homes.get(key) == pool else None
        return self._counted(None if queue is None else queue.take_named(key))

    def give_back(self, key: SandboxKey, uid: str) -> bool:
        """As `WarmQueue.give_back`, in whatever pool the key is. O(log n)."""
        queue = self._queue_of(key)
        return queue is not None and queue.give_back(key, uid)

    def settle(self, key: SandboxKey, uid: str) -> bool:
        """As `WarmQueue.settle`, in whatever pool the key is. O(1)."""
        queue = self._queue_of(key)
        return queue is not None and queue.settle(key, uid)

    def forget(self, key: SandboxKey) -> bool:
        """As `WarmQueue.forget`, in whatever pool the key is. O(log n)."""
        queue = self._queue_of(key)
        return queue is not None and queue.forget(key)

    def drop_pool(self, pool: PoolKey) -> None:
        """Forget all entries of a pool; those in flight leave when they land. O(k log n) in its
        k entries."""
        queue = self._queues.get(pool)
        for key in () if queue is None else tuple(queue):
            self.forget(key)

    def pool_of(self, key: SandboxKey) -> PoolKey | None:
        """The pool a key is in; None when it is not known. O(1)."""
        return self._homes.get(key)

    def entry_of(self, key: SandboxKey) -> WarmEntry | None:
        """The facts last told of a key; None when it is not known. O(1)."""
        queue = self._queue_of(key)
        return None if queue is None else queue.entry_of(key)

    def place_of(self, key: SandboxKey) -> Place | None:
        """Where in its pool a key is; None when it is not known. O(1)."""
        queue = self._queue_of(key)
        return None if queue is None else queue.place_of(key)

    def pools(self) -> Iterator[PoolKey]:
        """The pools that have entries; a copy, so moves are allowed meanwhile. O(pools)."""
        return iter(tuple(self._queues))

    def keys(self, pool: PoolKey) -> tuple[SandboxKey, ...]:
        """The entries of a pool in no promised order, none for an unknown pool; a copy, so moves
        are allowed meanwhile. O(entries)."""
        return tuple(self._queues.get(pool, ()))

    def statistics(self, pool: PoolKey) -> QueueStatistics:
        """Entries of a pool in each place; zeros for an unknown pool. O(1)."""
        queue = self._queues.get(pool)
        return QueueStatistics() if queue is None else queue.statistics()

    def nodes(self, pool: PoolKey) -> dict[str, int]:
        """Waiting entries of a pool per node; empty for an unknown pool. O(nodes)."""
        queue = self._queues.get(pool)
        return {} if queue is None else queue.nodes()

    def depth(self, pool: PoolKey) -> Depth:
        """As `WarmQueue.depth`; zeros for an unknown pool. O(1)."""
        queue = self._queues.get(pool)
        return Depth() if queue is None else queue.depth()

    def waiting_on(self, pool: PoolKey, node: str | None) -> int:
        """As `WarmQueue.waiting_on`; 0 for an unknown pool. O(1)."""
        queue = self._queues.get(pool)
        return 0 if queue is None else queue.waiting_on(node)

    def check(self) -> None:
        """Recount everything; AssertionError on a difference. O(n log n) over all pools."""
        homes: dict[SandboxKey, PoolKey] = {}
        for pool, queue in self._queues.items():
            assert len(queue) > 0, f"{pool} is empty and was not dropped"
            queue.check()
            for key in queue:
                assert key not in homes, f"{key} is in {homes[key]} and in {pool}"
                homes[key] = pool
        assert homes == self._homes, "the pools hold other keys than are filed"

    def _counted(self, taken: Taken | None) -> Taken | None:
        if taken is not None:
            self._take_count += 1
        return taken

    def _queue_of(self, key: SandboxKey) -> WarmQueue | None:
        home = self._homes.get(key)
        return None if home is None else self._queues[home]

    def _queue_for(self, pool: PoolKey, key: SandboxKey) -> WarmQueue:
        queue = self._queues.get(pool)
        if queue is None:
            # Told of departures by the queue: a flight may end long after the caller let go
            # of the directory, and only then the pool is empty.
            departed = partial(self._departed, pool)
            queue = WarmQueue(arrivals=self._arrivals, on_departure=departed)
            self._queues[pool] = queue
        home = self._homes.get(key)
        self._homes[key] = pool
        if home is not None and home != pool:
            self._queues[home].move(key, queue)
            self._drop_if_empty(home)
        return queue

    def _departed(self, pool: PoolKey, key: SandboxKey) -> None:
        del self._homes[key]
        self._drop_if_empty(pool)

    def _drop_if_empty(self, pool: PoolKey) -> None:
        if len(self._queues[pool]) == 0:
            del self._queues[pool]
