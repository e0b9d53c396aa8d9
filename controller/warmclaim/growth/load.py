"""Claims on the embedded cluster, as its users make and delete them; no request is sent for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from warmclaim.api.resources import CLAIM
from warmclaim.growth.stock import NAMESPACE, pool_name
from warmclaim.seams import Clock
from warmclaim.testing import builders
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.sim.grip import Grip
from warmclaim.testing.sim.objects import published_by, ready_of
from warmclaim.testing.store import Commit


class Claims:
    """Goes round the pools; `used` tells what the manager has taken so far."""

    def __init__(self, cluster: Cluster, pools: int, used: Callable[[], float]) -> None:
        self._grip = Grip(cluster)
        self._pools = pools
        self._used = used
        self._made = 0
        self._open: set[str] = set()
        self._waiting: dict[str, asyncio.Future[float]] = {}
        self.cold = 0
        """Claims that were given a sandbox made for them; which has their name."""
        cluster.store.observers.append(self._observe)

    @property
    def unserved(self) -> int:
        """Claims that are not Ready yet."""
        return len(self._waiting)

    async def single(self) -> float:
        """One claim: what the manager took from its creation to its Ready."""
        before = self._used()
        return await self._create() - before

    async def burst(self, count: int, rate: float, clock: Clock) -> None:
        """So many claims, `rate` of them a second, whatever becomes of the ones before."""
        for _ in range(count):
            self._create()
            await clock.sleep(1 / rate)

    def delete_all(self) -> None:
        """All that are there."""
        for name in sorted(self._open):
            self._grip.delete(CLAIM, NAMESPACE, name)
        self._open.clear()

    def _create(self) -> asyncio.Future[float]:
        name, pool = f"claim-{self._made}", pool_name(self._made % self._pools)
        self._made += 1
        self._open.add(name)
        ready = self._waiting[name] = asyncio.get_running_loop().create_future()
        body = builders.as_sent(builders.a_claim(name, pool=pool, namespace=NAMESPACE))
        self._grip.create(CLAIM, NAMESPACE, body)
        return ready

    def _observe(self, commit: Commit) -> None:
        if commit.resource != str(CLAIM):
            return
        name = commit.object["metadata"]["name"]
        if name in self._waiting and ready_of(commit.object).status == "True":
            self.cold += published_by(commit.object) == name
            self._waiting.pop(name).set_result(self._used())
