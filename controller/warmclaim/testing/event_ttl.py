"""The end of Events: an API server keeps each for an hour after it was last written."""

from __future__ import annotations

from collections import deque

from warmclaim.testing.actors import Actor
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.resources import EVENT
from warmclaim.testing.store import Commit

EVENT_TTL_S = 3600.0


class EventTtl(Actor):
    """Removes each Event `ttl_s` after its last write. Cost of a write: O(1).

    Without it a run keeps every Event, as the embedded server does by itself.
    """

    def __init__(self, cluster: Cluster, *, ttl_s: float = EVENT_TTL_S) -> None:
        super().__init__(cluster)
        self.ttl_s = ttl_s
        self._written: deque[tuple[str, int]] = deque()  # key and version, oldest first

    def begin(self) -> None:
        for commit in self.cluster.store.scan(EVENT.resource):
            self.observe(commit)

    def observe(self, commit: Commit) -> None:
        if commit.resource == EVENT.resource and commit.is_live:
            self._written.append((commit.key, commit.rv))
            self.plan(self._end_oldest, after_s=self.ttl_s)

    def _end_oldest(self) -> None:
        key, rv = self._written.popleft()
        found = self.cluster.store.get(EVENT.resource, key)
        if found is not None and found.rv == rv:
            self.cluster.store.delete(EVENT.resource, key)
