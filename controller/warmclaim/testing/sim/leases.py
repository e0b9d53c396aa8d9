"""What third parties do to the Lease: delete it, garble it, take it and give it back."""

from __future__ import annotations

from functools import partial
from typing import Final

from warmclaim.testing.cluster import Cluster
from warmclaim.testing.json_values import Json
from warmclaim.testing.lag import Later
from warmclaim.testing.resources import LEASE
from warmclaim.testing.sim.objects import part
from warmclaim.testing.sim.trace import is_manager
from warmclaim.testing.store import Commit

FLAP_EVERY_S: Final = 5.0
FLAP_S_MAX: Final = 30.0
_FOREIGN: Final = "somebody-else"
_GARBAGE: Final[tuple[Json, ...]] = (
    {},
    {
        "holderIdentity": _FOREIGN,
        "leaseDurationSeconds": 2**31 - 1,
        "acquireTime": "1970-01-01T00:00:00.000000Z",
        "renewTime": "1970-01-01T00:00:00.000000Z",
        "leaseTransitions": 2**31 - 1,
    },
    {
        "holderIdentity": _FOREIGN,
        "leaseDurationSeconds": 0,
        "renewTime": "9999-12-31T23:59:59.999999Z",
    },
    {"holderIdentity": _FOREIGN},
    {"leaseDurationSeconds": -5, "leaseTransitions": -1},
)
_FREE: Final[Json] = {"holderIdentity": "", "leaseDurationSeconds": 1}
"""What a holder writes that gives a Lease back."""
_IDENTITY: Final = ("name", "namespace", "uid")


class Leases:
    """Acts on every Lease there is; each act tells whether there was one."""

    def __init__(self, cluster: Cluster, retry_period_s: float, later: Later) -> None:
        self._cluster = cluster
        self._store = cluster.store
        self._held_s = retry_period_s * 1.2 + 0.6  # so long that its leader does notice
        self._later = later
        self._is_over = False
        self._deleted: dict[str, Json] = {}

    def delete(self, _target: str, _x: float) -> bool:
        """It is gone."""
        found = self._all()
        for commit in found:
            self._store.delete(LEASE.resource, commit.key)
            self._deleted[commit.key] = commit.object
        return bool(found)

    def garble(self, _target: str, x: float) -> bool:
        """It says something that no holder writes."""
        return self._write(_GARBAGE[int(x * len(_GARBAGE))])

    def flap(self, _target: str, x: float) -> bool:
        """Somebody takes it and gives it back, every few seconds."""
        self._take(self._cluster.clock.monotonic() + x * FLAP_S_MAX)
        return bool(self._all())

    def heal(self) -> None:
        """What others hold is given back, and not taken again; what was deleted and nobody has
        made anew is there and free. Without that a candidate keeps to what it last read, and a
        garbled record may have given its holder five minutes."""
        self._is_over = True
        for key, value in self._deleted.items():
            if self._store.get(LEASE.resource, key) is None:
                fresh = {
                    name: part for name, part in value["metadata"].items() if name in _IDENTITY
                }
                self._store.put(LEASE.resource, key, {**value, "metadata": fresh, "spec": _FREE})
        holders = (part(c.object, "spec", "holderIdentity") for c in self._all())
        if not all(is_manager(str(holder or "")) for holder in holders):
            self._write(_FREE)

    def _take(self, until_s: float) -> None:
        if not self._is_over:
            self._write({"holderIdentity": _FOREIGN, "leaseDurationSeconds": 60})
            self._later(self._held_s, partial(self._give_back, until_s))

    def _give_back(self, until_s: float) -> None:
        if self._is_over:
            return
        self._write(_FREE)
        if self._cluster.clock.monotonic() + FLAP_EVERY_S < until_s:
            self._later(FLAP_EVERY_S, partial(self._take, until_s))

    def _all(self) -> list[Commit]:
        return list(self._store.scan(LEASE.resource))

    def _write(self, spec: Json) -> bool:
        found = self._all()
        for commit in found:
            self._store.put(LEASE.resource, commit.key, {**commit.object, "spec": spec})
        return bool(found)
