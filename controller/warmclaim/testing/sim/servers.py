"""The API servers of a run: one store, a watch cache each, and who talks to which."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final

from warmclaim.seams import Clock, Rng
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.lag import LaggingCache, Later
from warmclaim.testing.sim.case import Options
from warmclaim.testing.virtual_loop import SeededRng

FREEZE_S_MAX: Final = 40.0


class Servers:
    """As many as the options say, "s0" and on.

    One server sees every commit at once. Of several each lags by a time drawn for each commit,
    and may be frozen: it then answers reads of its cache from the past, and its watches say
    nothing, until it is thawed or restarted. Consistent reads and writes are never late, unless
    the server was cut off from the store as well: then it answers none.
    """

    def __init__(self, cluster: Cluster, options: Options, clock: Clock, later: Later) -> None:
        self._clock = clock
        self._later = later
        self._caches: list[LaggingCache] = []
        self._homes: dict[str, int] = {}
        self._freezes: Counter[int] = Counter()
        self._cut: set[int] = set()
        if options.servers == 1:
            self.all = [FakeApiServer(cluster)]
            return
        for number in range(options.servers):
            rng = SeededRng(f"s{number} {options.seed}")
            self._caches.append(
                LaggingCache(
                    cluster.store,
                    clock=clock,
                    later=later,
                    delay_s=partial(_drawn, rng, options.server_lag_s),
                )
            )
        self.all = [FakeApiServer(cluster, cache=cache) for cache in self._caches]

    def of(self, manager: str) -> FakeApiServer:
        """The server that this manager's connections lead to; at first its own number's."""
        return self.all[self._homes.get(manager, int(manager[1:]) % len(self.all))]

    def switch(self, manager: str, x: float) -> bool:
        """Lead its new connections to the server that `x` says; whether that is another one."""
        before, number = self.of(manager), int(x * len(self.all))
        self._homes[manager] = number
        return self.all[number] is not before

    def freeze(self, server: str, x: float) -> bool:
        """Let a server hear of nothing more for up to `FREEZE_S_MAX`; False for the only one."""
        if not self._caches:
            return False
        number = self._number(server)
        self._caches[number].freeze()
        self._freezes[number] += 1
        which = self._freezes[number]
        self._later(x * FREEZE_S_MAX, lambda: self._thaw(number, which))
        return True

    def cut(self, server: str, x: float) -> bool:
        """Freeze a server and let it reach the store no more; both end with the freeze."""
        self._cut.add(self._number(server))
        return self.freeze(server, x)

    def is_cut(self, manager: str) -> bool:
        """Whether this manager's server can only answer from its cache."""
        return bool(self._cut) and self.all.index(self.of(manager)) in self._cut

    def thaw(self, server: str) -> bool:
        """End a freeze early; False if there was none."""
        number = self._number(server)
        if not self._caches or not self._caches[number].is_frozen:
            return False
        self._thaw(number, self._freezes[number])
        return True

    def restart(self, x: float) -> None:
        """One server ends its watches and begins anew, with all that the store has."""
        number = int(x * len(self.all))
        if self._caches:
            self._cut.discard(number)
            self._caches[number].catch_up()
        self.all[number].end_watches()

    def end_watches(self, resource: str = "") -> None:
        """All watches of all servers, or those of one resource."""
        for server in self.all:
            server.end_watches(resource)

    def heal(self) -> None:
        """Nothing is frozen any more."""
        for number in range(len(self._caches)):
            self._thaw(number, self._freezes[number])

    def _thaw(self, number: int, which: int) -> None:
        if self._freezes[number] == which:  # not frozen once more since
            self._caches[number].thaw()
            self._cut.discard(number)

    def _number(self, server: str) -> int:
        return int(server[1:]) % len(self.all)


def _drawn(rng: Rng, most: float) -> float:
    return most * rng.random()
