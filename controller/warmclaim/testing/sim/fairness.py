"""L6: first come, first served, and one bad object delays no other.

In the quiet after everything else a batch of claims is made for one healthy pool, no more than it
has members, all at one moment. Among them are two bad ones: one that names no pool there is, and
one that no manager can read. Then

* the first writes for the sound ones (reservation or cold create) are *sent* in the order in which
  the claims were made: no claim is overtaken by more later ones than there are workers, which is
  what tasks that are ready together may do;
* each has its sandbox within `SERVED_S_MAX`.

What order the requests land in is the network's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from warmclaim.api.resources import CLAIM, POOL, SANDBOX
from warmclaim.seams import Clock
from warmclaim.testing import builders
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.barrier import claimed_by
from warmclaim.testing.sim.objects import controller_of, published_by, ready_of
from warmclaim.testing.sim.trace import WORLD, Attribution
from warmclaim.testing.sim.wire import Exchange, Report
from warmclaim.testing.store import ObjectStore

BATCH_SHARE: Final = 5
"""Of so many seeds one ends with such a batch: it costs as much as a tenth of a run."""

SERVED_S_MAX: Final = 5.0
MORE_THAN_WORKERS: Final = 3

_CLAIMS, _POOLS, _SANDBOXES = str(CLAIM), str(POOL), str(SANDBOX)
_TENANT: Final = "tenant"
_LOOK_EVERY_S: Final = 0.05


class Fairness:
    """Hears of writes; `run` is the phase. `workers`: those of the claim controller.
    `on_odd(resource, key)` hears of the object that nobody can read, before it is there."""

    def __init__(
        self, store: ObjectStore, workers: int, report: Report, on_odd: Callable[[str, str], None]
    ) -> None:
        self._store = store
        self._on_odd = on_odd
        self._workers = workers
        self._report = report
        self._made: list[str] = []
        self._sent: dict[str, None] = {}

    def sent(self, exchange: Exchange) -> None:
        """Note the first write for each claim of the batch."""
        if self._made and (uid := claimed_by(exchange)) in self._made:
            self._sent.setdefault(uid)

    async def run(self, cluster: Cluster, attribution: Attribution, clock: Clock) -> None:
        """Make the batch and see it served. Nothing happens where no pool has two members."""
        namespace, pool, count = self._choice()
        if count < 2:
            return
        attribution.who = _TENANT
        try:
            self._make(cluster, namespace, "fair-bad", "no-such-pool")
            self._put_odd(namespace)
            self._made = [
                self._make(cluster, namespace, f"fair-{number}", pool) for number in range(count)
            ]
        finally:
            attribution.who = WORLD
        keys = [f"{namespace}/fair-{number}" for number in range(count)]
        until_s = clock.monotonic() + SERVED_S_MAX
        while (unserved := self._unserved(keys)) and clock.monotonic() < until_s:
            await clock.sleep(_LOOK_EVERY_S)
        if unserved:
            self._report("L6", f"not served in {SERVED_S_MAX:g} s: {', '.join(unserved)}")
        self.judge()

    def judge(self) -> None:
        """Hold the order of sending against the order of making."""
        for uid, overtakers in overtaken(self._made, list(self._sent)).items():
            if overtakers > self._workers:
                text = f"claim {uid} was overtaken by {overtakers} later ones"
                self._report("L6", f"{text}, with {self._workers} workers")

    def _choice(self) -> tuple[str, str, int]:
        """The pool with most ready members, and how many claims it gets."""
        best = ("", "", 0)
        for pool in self._store.scan(_POOLS):
            metadata = pool.object["metadata"]
            ready = sum(
                (owner := controller_of(found.object)) is not None
                and owner.uid == metadata["uid"]
                and ready_of(found.object).status == "True"
                for found in self._store.scan(_SANDBOXES)
            )
            count = min(ready, self._workers + MORE_THAN_WORKERS)
            if count > best[2]:
                best = (metadata["namespace"], metadata["name"], count)
        return best

    def _make(self, cluster: Cluster, namespace: str, name: str, pool: str) -> str:
        kind = cluster.kinds.named(CLAIM.api_version, CLAIM.kind)
        assert kind is not None, "claims are not served"
        body = builders.as_sent(builders.a_claim(name, pool=pool, namespace=namespace))
        made = cluster.create(Target(kind, namespace), body)
        return str(made.object["metadata"]["uid"])

    def _put_odd(self, namespace: str) -> None:
        """As if it were from before a change of the schema: none that it has now lets it in."""
        merge: Json = {"metadata": {"uid": "odd"}, "spec": {"warmPoolRef": {"name": 7}}}
        odd = builders.a_claim("fair-odd", namespace=namespace, merge=merge)
        self._on_odd(_CLAIMS, f"{namespace}/fair-odd")
        self._store.put(_CLAIMS, f"{namespace}/fair-odd", odd)

    def _unserved(self, keys: Sequence[str]) -> list[str]:
        found = {key: self._store.get(_CLAIMS, key) for key in keys}
        return [
            key for key, claim in found.items() if claim is None or not published_by(claim.object)
        ]


def overtaken(made: Sequence[str], sent: Sequence[str]) -> dict[str, int]:
    """For each that was sent: how many that were made later were sent before it."""
    places = {uid: place for place, uid in enumerate(made)}
    return {
        uid: sum(places[before] > places[uid] for before in sent[:number])
        for number, uid in enumerate(sent)
    }
