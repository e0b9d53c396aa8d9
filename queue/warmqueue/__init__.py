"""Pure queues of the warm claim path: they decide, and know no clock, task, lock or socket.

- `WarmDirectory`, `WarmQueue`: which warm sandbox a claim gets (promises P1 to P8).
- `WaitingLine`: which claim gets the next member of a pool that was empty.
- `Workqueue`: which key a worker reconciles next (promises W1 to W9).
- `Backoff`, `TokenBucket`: how long to wait after failures, and how often to go at most.

Each container has `check()`, which recounts all it keeps: for tests, not for the hot path.
Nothing here is safe to use from two threads.
"""

from warmqueue.backoff import Backoff, TokenBucket
from warmqueue.directory import WarmDirectory
from warmqueue.entry import Place, WarmEntry
from warmqueue.keys import PoolKey, SandboxKey
from warmqueue.pool_queue import Depth, QueueStatistics, WarmQueue
from warmqueue.taken import AlreadyResolvedError, Taken
from warmqueue.waiting import WaitingLine
from warmqueue.workqueue import (
    Lane,
    NotWorkedError,
    QueueFullError,
    Work,
    Workqueue,
    WorkqueueStatistics,
)

__all__ = [
    "AlreadyResolvedError",
    "Backoff",
    "Depth",
    "Lane",
    "NotWorkedError",
    "Place",
    "PoolKey",
    "QueueFullError",
    "QueueStatistics",
    "SandboxKey",
    "Taken",
    "TokenBucket",
    "WaitingLine",
    "WarmDirectory",
    "WarmEntry",
    "WarmQueue",
    "Work",
    "Workqueue",
    "WorkqueueStatistics",
]
