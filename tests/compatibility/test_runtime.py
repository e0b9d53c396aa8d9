"""What all controllers share: back-off, what is watched, who reports events."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tests.controllers.app_world import AppWorld, always, refusal, virtual

from warmclaim.seams import Request, Response
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template

SANDBOXES, PODS, SERVICES = "sandboxes.agents.x-k8s.io", "pods", "services"
EXTENSIONS = {
    f"{plural}.extensions.agents.x-k8s.io"
    for plural in ("sandboxclaims", "sandboxtemplates", "sandboxwarmpools")
}


def test_a_key_that_fails_is_tried_after_5_ms_then_twice_as_late_each_time_up_to_30_s() -> None:
    async def scenario(world: AppWorld) -> None:
        moments: list[float] = []
        failing = always(refusal(409, "Conflict"), "PATCH", "/sandboxtemplates")

        async def strike(request: Request) -> Response | Exception | None:
            answer = await failing(request)
            if answer is not None:
                moments.append(world.clock.monotonic())
            return answer

        world.faults.before = strike
        world.put(a_template())
        await world.run_for(200)
        gaps_s = [later - earlier for earlier, later in pairwise(moments)]
        doubled = [0.005 * 2**step for step in range(len(gaps_s))]
        assert gaps_s == pytest.approx([min(gap_s, 30.0) for gap_s in doubled], rel=0.01)
        assert gaps_s[-1] == pytest.approx(30.0)

    virtual(scenario, controllers=frozenset({"template"}))


@pytest.mark.parametrize(
    ("controllers", "watched"),
    [
        ({"sandbox"}, {SANDBOXES, PODS, SERVICES}),
        ({"claim", "pool"}, {SANDBOXES} | EXTENSIONS),
        (
            {"claim", "pool", "sandbox", "template"},
            {SANDBOXES, PODS, SERVICES, "networkpolicies.networking.k8s.io"} | EXTENSIONS,
        ),
    ],
)
def test_only_what_the_controllers_need_is_watched(
    controllers: set[str], watched: set[str]
) -> None:
    async def scenario(world: AppWorld) -> None:
        await world.run_for(1)
        volumes = {"persistentvolumeclaims"}
        assert set(world.app.caches.informers) - volumes == watched

    virtual(scenario, controllers=frozenset(controllers))


def test_events_are_reported_under_the_controllers_names() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool(), a_sandbox("w1"), a_claim("warm"))
        world.put(a_pool("lost", template="none"))
        await world.run_for(10)
        found = world.server.cluster.store.scan("events.events.k8s.io")
        told = {
            (event["regarding"]["kind"], event["reportingController"], event["reason"])
            for event in (commit.object for commit in found)
        }
        assert told == {
            ("SandboxClaim", "sandboxclaim-controller", "SandboxAdopted"),
            ("SandboxWarmPool", "sandboxwarmpool-controller", "TemplateNotFound"),
        }

    virtual(scenario, controllers=frozenset({"claim", "pool"}))
