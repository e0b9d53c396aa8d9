"""Actions on what the managers run on: API servers, store, leases, clocks, permissions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from warmclaim.api.resources import CLAIM, POOL, SANDBOX, TEMPLATE
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.lag import Later
from warmclaim.testing.patch import MERGE_PATCH
from warmclaim.testing.resources import NAMESPACE, Kind
from warmclaim.testing.sim.case import Action, Options
from warmclaim.testing.sim.leases import Leases
from warmclaim.testing.sim.objects import is_deleting
from warmclaim.testing.sim.transport import Line
from warmclaim.testing.virtual_loop import VirtualClock

OUTAGE_S_MAX: Final = 12.0
CLOCK_STEP_S: Final = 7200.0
FORBIDDEN_S_MAX: Final = 15.0
LOST_S_MAX: Final = 8.0
_DEFINED: Final = (CLAIM, POOL, SANDBOX, TEMPLATE)
_EMPTIED_SHARE: Final = 0.3


class Machinery:
    """Carries such actions out. `heal` ends what lasts."""

    def __init__(
        self, cluster: Cluster, line: Line, options: Options, clock: VirtualClock, later: Later
    ) -> None:
        self._cluster = cluster
        self._line = line
        self._clock = clock
        self._later = later
        self._leases = Leases(cluster, options.lease_s[2], later)
        self._lost: list[Kind] = []
        self._acts: dict[str, Callable[[str, float], bool]] = {
            "clock.step": self._step_clock,
            "lease.delete": self._leases.delete,
            "lease.garble": self._leases.garble,
            "lease.flap": self._leases.flap,
            "rbac.lose": self._forbid,
            "crd.lose": self._lose_kind,
            "api.outage": self._break_off,
            "api.restart": self._restart,
            "api.expire": self._expire,
            "server.freeze": line.servers.freeze,
            "server.cut": line.servers.cut,
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
        self._line.forbidden_until_s.clear()
        self._line.servers.heal()
        self._leases.heal()
        self._bring_back()

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

    def _forbid(self, namespace: str, x: float) -> bool:
        """The managers may do nothing in that namespace for a while; lists of all still work."""
        until_s = self._cluster.clock.monotonic() + x * FORBIDDEN_S_MAX
        self._line.forbidden_until_s[namespace] = until_s
        return True

    def _lose_kind(self, _target: str, x: float) -> bool:
        """A definition goes, with or without the objects of its kind, and comes back."""
        resource = _DEFINED[int(x * len(_DEFINED))]
        kind = self._cluster.kinds.named(resource.api_version, resource.kind)
        if kind is None or self._is_ending():
            return False
        if x * 13 % 1 < _EMPTIED_SHARE:
            for commit in list(self._cluster.store.scan(kind.resource)):
                metadata = commit.object["metadata"]
                self._cluster.delete(Target(kind, metadata["namespace"], metadata["name"]))
        self._cluster.kinds.remove(kind.group, kind.plural)
        self._lost.append(kind)
        self._line.servers.end_watches(kind.resource)
        self._later(0.5 + x * 29 % 1 * LOST_S_MAX, self._bring_back)
        return True

    def _bring_back(self) -> None:
        while self._lost:
            self._cluster.kinds.register(self._lost.pop())

    def _is_ending(self) -> bool:
        found = self._cluster.store.scan(NAMESPACE.resource)
        return any(is_deleting(commit.object) for commit in found)
