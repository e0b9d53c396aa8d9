"""The latencies of a claim's way to Ready: each claim is measured once in its life."""

from __future__ import annotations

import re

import pytest
from tests.controllers.app_world import NAMESPACE, SANDBOX, AppWorld, once, virtual

from warmclaim.api import names
from warmclaim.api.meta import ObjectKey
from warmclaim.api.timestamps import rfc3339_nano
from warmclaim.errors import UnknownOutcomeError
from warmclaim.telemetry.exposition import exposition
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template
from warmclaim.testing.json_values import Json

CONTROLLER = "agent_sandbox_claim_controller_startup_latency_ms"
WEBHOOK = "agent_sandbox_claim_startup_latency_ms"
CLIENT = "agent_sandbox_client_claim_startup_latency_ms"
CREATION = "agent_sandbox_creation_latency_ms"
NOT_READY: Json = {"conditions": []}


def member(name: str = "w1") -> Json:
    return a_sandbox(name, pool="pool")


def stock(world: AppWorld, *more: Json, replicas: int = 2) -> None:
    world.put(a_template("python"), a_pool("pool", replicas=replicas), *more)


def measured(world: AppWorld, name: str) -> tuple[float, float]:
    """How many, and the sum of them in milliseconds."""
    text = exposition(world.app.metrics.registry).decode()

    def total(of: str) -> float:
        return sum(map(float, re.findall(rf"^{name}_{of}(?:{{.*}})? (\S+)$", text, re.MULTILINE)))

    return total("count"), total("sum")


async def set_status(world: AppWorld, name: str, status: Json) -> None:
    key = ObjectKey(NAMESPACE, name)
    await world.hand.merge_patch(SANDBOX, key, {"status": status}, subresource="status")


def claim(world: AppWorld, **ago_s: float) -> Json:
    """With marks of its start, so many seconds before now; below 0 to come."""
    keys = {
        "webhook": names.ANNOTATION_WEBHOOK_OBSERVED,
        "client": names.ANNOTATION_CLIENT_REQUESTED,
        "controller": names.ANNOTATION_CONTROLLER_OBSERVED,
    }
    now_s = world.clock.wall()
    marks = {keys[key]: rfc3339_nano(now_s - ago) for key, ago in ago_s.items()}
    return a_claim("c", pool="pool", merge={"metadata": {"annotations": marks}})


@pytest.mark.parametrize("seconds", [0.0, 4.0])
def test_all_four_are_observed_at_once_when_the_claim_is_ready(seconds: float) -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, member() if not seconds else member("other"), replicas=0)
        if seconds:
            world.put(a_sandbox("w1", claim="c", merge={"status": None}))
        await world.run_for(10)
        world.put(claim(world, webhook=2.5, client=3.5))
        await world.run_for(seconds)
        if seconds:
            assert measured(world, CONTROLLER) == (0, 0)
            await set_status(world, "w1", member()["status"])
        await world.run_for(1)
        for name, expected_s in ((WEBHOOK, 2.5), (CLIENT, 3.5), (CONTROLLER, 0.0)):
            count, sum_ms = measured(world, name)
            assert count == 1
            assert abs(sum_ms - (expected_s + seconds) * 1000) < 50
        assert measured(world, CREATION) == (1, 0)

    virtual(scenario)


@pytest.mark.parametrize(
    ("mark", "name", "count"),
    [("webhook", WEBHOOK, 0), ("client", CLIENT, 0), ("controller", CONTROLLER, 1)],
)
def test_a_start_that_is_to_come_is_not_believed(mark: str, name: str, count: int) -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, member())
        await world.run_for(1)
        world.put(claim(world, **{mark: -3600.0}))
        await world.served("c")
        found, sum_ms = measured(world, name)
        assert found == count
        assert 0 <= sum_ms < 100

    virtual(scenario)


def test_an_earlier_controllers_first_sight_counts() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, member())
        await world.run_for(60)
        world.put(claim(world, controller=5.0))
        await world.served("c")
        count, sum_ms = measured(world, CONTROLLER)
        assert count == 1
        assert 5000 <= sum_ms < 5100

    virtual(scenario)


def test_readiness_that_comes_again_is_not_measured_again() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, member())
        world.put(claim(world))
        await world.served("c")
        for status in (NOT_READY, member()["status"]) * 2:
            await set_status(world, "w1", status)
            await world.run_for(10)
        assert measured(world, CONTROLLER)[0] == 1

    virtual(scenario)


@pytest.mark.parametrize("noted", ["2026-01-01T00:00:00Z", "unknown", ""])
def test_one_that_was_ready_before_is_not_measured(noted: str) -> None:
    async def scenario(world: AppWorld) -> None:
        marks = {names.ANNOTATION_FIRST_READY: noted} if noted else {}
        stock(world, a_sandbox("w1", claim="c"))
        world.put(a_claim("c", sandbox="w1", merge={"metadata": {"annotations": marks}}))
        await world.run_for(1)
        for status in (NOT_READY, member()["status"]):
            await set_status(world, "w1", status)
            await world.run_for(10)
        assert (await world.claim("c")).is_ready
        assert measured(world, CONTROLLER)[0] == 0

    virtual(scenario)


def test_after_a_lost_answer_the_next_readiness_is_not_taken_for_the_first() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, member())
        await world.run_for(1)
        world.faults.after = once(UnknownOutcomeError("lost"), "PATCH", "/sandboxclaims/c/status")
        world.put(claim(world))
        await world.served("c")
        await world.run_for(60)
        for status in (NOT_READY, member()["status"]):
            await set_status(world, "w1", status)
            await world.run_for(10)
        assert measured(world, CONTROLLER) == (0, 0)

    virtual(scenario)
