"""What claims ask of the API server, counted by verb and resource on the embedded one.

Every controller is on, with its default flags, on virtual time; nodes and garbage collector are
not counted. A kind of request that has no bound is one too many.
"""

from __future__ import annotations

from collections import Counter

import pytest
from tests.controllers.app_world import AppWorld, running
from tests.cost.bounds import POOL_WRITES_MAX, REQUESTS_EACH

from warmclaim.kube.outage import PROBE_NAME
from warmclaim.settings import CONTROLLERS
from warmclaim.testing.audit import AuditEntry
from warmclaim.testing.builders import a_claim, a_pool, a_template
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.virtual_loop import World, run_virtual

FEW, MANY = 10, 40
POOL_SIZE = 50
FILL_S, GAP_S, AFTER_S = 30.0, 0.02, 20.0


def asked(claims: int) -> Counter[str]:
    """Requests of the manager for so many warm claims at 50/s, refill and all that follows
    included."""
    found: Counter[str] = Counter()

    def note(entry: AuditEntry) -> None:
        if entry.user_agent == "controller" and entry.verb != "watch" and entry.name != PROBE_NAME:
            plural = entry.resource.partition(".")[0]
            found["/".join(filter(None, (f"{entry.verb} {plural}", entry.subresource)))] += 1

    async def main(world: World) -> None:
        app_world = AppWorld(world, controllers=CONTROLLERS)
        cluster = app_world.server.cluster
        app_world.put(a_template("python"), a_pool("pool", template="python", replicas=POOL_SIZE))
        nodes = FakeNodes(cluster, count=10, ready_delay_s=(0.5, 1.0))
        async with nodes, GarbageCollector(cluster), running(app_world.app):
            await app_world.run_for(FILL_S)
            app_world.server.requests.observers.append(note)
            for number in range(claims):
                app_world.put(a_claim(f"c{number}", pool="pool"))
                await app_world.run_for(GAP_S)
            await app_world.run_for(AFTER_S)
            published = [
                (await app_world.claim(f"c{number}")).published for number in range(claims)
            ]
        # None of these reads is the manager's; a cold one would bear the claim's name.
        assert all(name and not name.startswith("c") for name in published)

    run_virtual(main)
    return found


@pytest.mark.parametrize("claims", [FEW, MANY])
def test_a_warm_claim_costs_these_requests_and_no_other(claims: int) -> None:
    found = asked(claims)
    of_pool = {kind: found.pop(kind, 0) for kind in POOL_WRITES_MAX}
    assert {kind: count / claims for kind, count in found.items()} == REQUESTS_EACH
    assert all(count <= POOL_WRITES_MAX[kind] for kind, count in of_pool.items()), of_pool
