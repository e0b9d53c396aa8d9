"""Actions on what the managers run on: API servers, store, leases, clocks, permissions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.patch import MERGE_PATCH
from warmclaim.testing.resources import LEASE, NAMESPACE
from warmclaim.testing.sim.case import Action
from warmclaim.testing.sim.transport import Line
from warmclaim.testing.virtual_loop import VirtualClock

OUTAGE_S_MAX: Final = 12.0
CLOCK_STEP_S: Final = 7200.0


class Machinery:
    """Carries such actions out. `heal` ends what lasts."""

    def __init__(self, cluster: Cluster, line: Line, clock: VirtualClock) -> None:
        self._cluster = cluster
        self._line = line
        self._clock = clock
        self._acts: dict[str, Callable[[str, float], bool]] = {
            "clock.step": self._step_clock,
            "lease.delete": self._delete_leases,
            "api.outage": self._break_off,
            "api.restart": self._restart,
            "api.expire": self._expire,
            "server.freeze": line.servers.freeze,
            "server.thaw": lambda target, _: line.servers.thaw(target),
            "store.compact": self._compact,
        }

    def does(self, action: Action) -> bool:
        """Whether this action is one of these."""
        return action.do in self._acts

    def act(self, action: Action) -> bool:
        """Do it; whether it changed anything."""
        return self._acts[action.do](action.target, action.x)

    def heal(self) -> None:
        """The world is sound from here on."""
        self._line.down_until_s = 0.0
        self._line.servers.heal()

    def _step_clock(self, _target: str, x: float) -> bool:
        self._clock.wall_offset_s += (x - 0.5) * CLOCK_STEP_S
        return True

    def _break_off(self, _target: str, x: float) -> bool:
        """No server takes connections for a while."""
        self._line.down_until_s = self._clock.monotonic() + x * OUTAGE_S_MAX
        self._line.servers.end_watches()
        return True

    def _restart(self, _target: str, x: float) -> bool:
        self._line.servers.restart(x)
        return True

    def _expire(self, _target: str, _x: float) -> bool:
        """What nobody watches changes, all history goes, every watch ends: each begins anew with
        410 and a list."""
        place = Target(NAMESPACE, "", "default")
        change = {"metadata": {"annotations": {"changed-at": str(self._cluster.store.rv)}}}
        self._cluster.patch(place, MERGE_PATCH, change)
        self._cluster.store.compact()
        self._line.servers.end_watches()
        return True

    def _compact(self, _target: str, _x: float) -> bool:
        self._cluster.store.compact()
        return True

    def _delete_leases(self, _target: str, _x: float) -> bool:
        found = list(self._cluster.store.scan(LEASE.resource))
        for commit in found:
            self._cluster.store.delete(LEASE.resource, commit.key)
        return bool(found)
