"""G13: a flood of 10,000 claims in one namespace, and how long another tenant's claims wait.

On virtual time, with as many connections as a manager has for claims, and a server that takes so
long for each request: what is measured is in which order the manager works and sends, not how fast
anything computes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from tests.controllers.app_world import AppWorld, virtual

from warmclaim.api.resources import CLAIM
from warmclaim.kube.turns import Turns
from warmclaim.loadtest.percentiles import nearest_rank
from warmclaim.seams import Request
from warmclaim.settings import ApiSettings
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template
from warmclaim.testing.store import Commit

FLOOD, FLOOD_CLAIMS = "flood", 10_000
CLAIMS, CLAIM_EVERY_S = 100, 0.023
ANSWER_S = 0.02
FLOOD_EVERY_S, FLOOD_AT_ONCE = 0.01, 100
RATIO_MAX = 2.0


class Tenant:
    """Makes claims at a steady rate, and notes when each is served."""

    def __init__(self, world: AppWorld) -> None:
        self._world = world
        self._asked_s: dict[str, float] = {}
        self._waited_s: dict[str, float] = {}
        world.server.cluster.store.observers.append(self._observe)

    def _observe(self, commit: Commit) -> None:
        name = commit.object["metadata"]["name"]
        if commit.resource != str(CLAIM) or name not in self._asked_s:
            return
        if commit.object.get("status", {}).get("sandbox") and name not in self._waited_s:
            self._waited_s[name] = self._world.clock.monotonic() - self._asked_s[name]

    async def claims(self, prefix: str) -> Sequence[float]:
        """What each of 100 claims waited for its sandbox, in seconds."""
        names = [f"{prefix}-{number}" for number in range(CLAIMS)]
        for name in names:
            self._asked_s[name] = self._world.clock.monotonic()
            self._world.put(a_claim(name, pool="pool"))
            await self._world.run_for(CLAIM_EVERY_S)

        async def served() -> bool:
            return self._waited_s.keys() >= set(names)

        await self._world.until(served, within_s=60)
        return [self._waited_s[name] for name in names]


async def make_flood(world: AppWorld) -> None:
    """10,000 claims of a pool that is not there, in a second."""
    for first in range(0, FLOOD_CLAIMS, FLOOD_AT_ONCE):
        numbers = range(first, first + FLOOD_AT_ONCE)
        world.put(*(a_claim(f"flood-{n}", pool="none", namespace=FLOOD) for n in numbers))
        await world.run_for(FLOOD_EVERY_S)


def waiting_in_flood(world: AppWorld) -> int:
    """Claims of the flood that nothing was said about yet."""
    claims = [one.object for one in world.server.cluster.store.scan(str(CLAIM))]
    mine = [one for one in claims if one["metadata"]["namespace"] == FLOOD]
    assert len(mine) == FLOOD_CLAIMS
    return sum(not one.get("status") for one in mine)


@pytest.mark.timeout(120)
def test_g13_a_flood_of_10_000_claims_leaves_another_tenants_p99_at_twice_or_less(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def scenario(world: AppWorld) -> None:
        turns = Turns(ApiSettings().claim_connections_max)

        async def answer_slowly(request: Request) -> None:
            async with turns.place(request.path):
                await world.run_for(ANSWER_S)

        world.faults.before = answer_slowly
        world.put(a_template("python"), a_pool("pool", template="python", replicas=0))
        world.put(*(a_sandbox(f"w{n}", pool="pool", node=f"n{n}") for n in range(2 * CLAIMS)))
        tenant = Tenant(world)
        await world.run_for(1)
        peace_s = nearest_rank(await tenant.claims("peace"), 99)

        flood = asyncio.create_task(make_flood(world))
        flood_s = nearest_rank(await tenant.claims("beside"), 99)
        await flood
        assert waiting_in_flood(world) > 0, "the flood was still being worked"

        ratio = flood_s / peace_s
        with capsys.disabled():
            print(
                f"\nG13, simulated: {FLOOD_CLAIMS:,} claims beside; P99 {flood_s * 1000:.1f} by"
                f" {peace_s * 1000:.1f} ms: {ratio:.2f} x, budget {RATIO_MAX:g} x"
            )
        assert ratio <= RATIO_MAX

    virtual(scenario)
