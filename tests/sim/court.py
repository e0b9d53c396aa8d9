"""A store, its judge, and short words for what managers and others commit."""

from __future__ import annotations

from warmclaim.api.names import ANNOTATION_RESERVATION
from warmclaim.domain.reservation import member_name
from warmclaim.testing import builders
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.judge import CLAIMS, POOLS, SANDBOXES, Judge
from warmclaim.testing.sim.trace import Attribution
from warmclaim.testing.store import ObjectStore

MANAGER, TENANT = "m0", "tenant"
DELETED = {"metadata": {"deletionTimestamp": builders.T0}}


class _Time:
    """Stands still, but for what is added to `now_s`; the wall clock is ahead by `ahead_s`."""

    now_s = 0.0
    ahead_s = 1_800_000_000.0

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return self.now_s + self.ahead_s

    async def sleep(self, delay_s: float) -> None:
        self.now_s += delay_s


class Court:
    """A store, its judge, and short words for commits. Objects are in ns-0 unless they say so."""

    def __init__(self) -> None:
        self.store = ObjectStore()
        self.attribution = Attribution()
        self.time = _Time()
        self.judge = Judge(self.store, self.attribution, self.time)
        self.store.observers.append(self.judge)

    @property
    def promises(self) -> list[str]:
        return [breach.promise for breach in self.judge.breaches]

    def _put(self, who: str, resource: str, value: Json) -> None:
        metadata = value["metadata"]
        self.attribution.who = who
        self.store.put(resource, f"{metadata['namespace']}/{metadata['name']}", value)

    def pool(self, replicas: int = 3, batch: str | None = None, who: str = TENANT) -> None:
        merge = {"metadata": {"annotations": {ANNOTATION_RESERVATION: batch}}} if batch else None
        pool = builders.a_pool("pool", replicas=replicas, namespace="ns-0", merge=merge)
        self._put(who, POOLS, pool)

    def reserve(self, first: int, end: int, replicas: int) -> None:
        text = f'{{"first":{first},"end":{end},"replicas":{replicas}}}'
        self.pool(replicas, text, MANAGER)

    def member(self, ordinal: int, who: str = MANAGER, merge: Json | None = None) -> str:
        name = member_name("pool", "pool-uid", ordinal)
        self._put(who, SANDBOXES, builders.a_sandbox(name, namespace="ns-0", merge=merge))
        return name

    def stray(self, name: str, who: str = TENANT, merge: Json | None = None) -> None:
        """A sandbox of the pool's mark that is nobody's, or one that has lost its owner."""
        value = builders.a_sandbox(name, namespace="ns-0", merge=merge)
        del value["metadata"]["ownerReferences"]
        self._put(who, SANDBOXES, value)

    def take_in(self, name: str, who: str = MANAGER, *, merge: Json | None = None) -> None:
        """It becomes the pool's member."""
        self._put(who, SANDBOXES, builders.a_sandbox(name, namespace="ns-0", merge=merge))

    def reserve_stray(self, name: str, replicas: int) -> None:
        """The pool's last batch names it, at the version that it has now."""
        found = self.store.get(SANDBOXES, f"ns-0/{name}")
        version = found.object["metadata"]["resourceVersion"] if found else "0"
        batch = f'"first":0,"end":0,"replicas":{replicas},"takesIn":"{name}@{version}"'
        self.pool(replicas, f"{{{batch}}}", MANAGER)

    def adopt(
        self, name: str, claim: str, who: str = MANAGER, *, merge: Json | None = None
    ) -> None:
        value = builders.a_sandbox(name, claim=claim, namespace="ns-0", merge=merge)
        self._put(who, SANDBOXES, value)

    def claim(self, name: str, shows: str | None = None, who: str = MANAGER) -> None:
        self._put(who, CLAIMS, builders.a_claim(name, namespace="ns-0", sandbox=shows))

    def delete(self, resource: str, name: str, who: str = MANAGER) -> None:
        self.attribution.who = who
        self.store.delete(resource, f"ns-0/{name}")

    def handed_over(self) -> str:
        """A sound hand-over: pool, member, claim c, reservation, publication."""
        self.pool()
        self.reserve(0, 3, 3)
        name = self.member(0)
        self.claim("c", who=TENANT)
        self.adopt(name, "c")
        self.claim("c", shows=name)
        return name
