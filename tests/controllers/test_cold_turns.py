"""Claims that nothing warm is there for, beside claims that are served warm: they wait in line."""

from __future__ import annotations

import json

from tests.controllers.app_world import CLAIM, NAMESPACE, AppWorld, virtual

from warmclaim.api.conditions import READY, find
from warmclaim.api.meta import ObjectKey
from warmclaim.api.timestamps import rfc3339
from warmclaim.domain.claim_steps import YIELDS
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template

NAMES = [f"cold-{number:02}" for number in range(60)]


def flood(world: AppWorld) -> None:
    world.put(*(a_claim(name, pool="empty") for name in NAMES))


async def serve_one_warm(world: AppWorld) -> None:
    world.put(a_template("python"), a_pool("pool", replicas=0), a_pool("empty", replicas=0))
    world.put(a_sandbox("w1", pool="pool"), a_claim("warm", pool="pool"))
    await world.run_for(0.5)
    assert (await world.claim("warm")).published == "w1"


def given(world: AppWorld) -> dict[str, str]:
    """What the claims of the flood got, as the manager sees it."""
    claims = world.app.caches.claims.store
    found = [(name, claims.get(ObjectKey(NAMESPACE, name))) for name in NAMES]
    return {name: claim.published for name, claim in found if claim and claim.published}


def in_line(world: AppWorld) -> int:
    return world.app.remembered()["cold starts in line"]


def test_without_warm_claims_all_begin_at_once() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template("python"), a_pool("empty", replicas=0))
        await world.run_for(1)
        flood(world)
        await world.run_for(0.3)
        assert list(given(world)) == NAMES

    virtual(scenario)


def test_beside_a_warm_claim_they_begin_one_after_the_other() -> None:
    """Whoever stands in line costs no read, and is told about."""

    async def scenario(world: AppWorld) -> None:
        await serve_one_warm(world)
        reads = world.reads()
        flood(world)
        await world.run_for(0.3)
        begun = len(given(world))
        assert 0 < begun < len(NAMES) / 2
        assert in_line(world) + begun == len(NAMES)
        assert world.reads() - reads == begun
        record = world.app.diagnose(f"/debug/claims/{NAMESPACE}/{NAMES[-1]}")
        assert record is not None
        assert [step["step"] for step in json.loads(record)["steps"]] == [YIELDS]
        await world.run_for(3)
        assert list(given(world)) == NAMES
        assert in_line(world) == 0

    virtual(scenario)


def test_a_member_that_comes_meanwhile_goes_to_the_oldest_in_line_at_once() -> None:
    async def scenario(world: AppWorld) -> None:
        await serve_one_warm(world)
        flood(world)
        await world.run_for(0.2)
        begun = len(given(world))
        assert 0 < begun < len(NAMES) / 2
        world.put(a_sandbox("w2", pool="empty"), a_claim("younger", pool="empty"))
        await world.run_for(0.03)
        found = [name for name, sandbox in given(world).items() if sandbox == "w2"]
        assert found in ([NAMES[begun]], [NAMES[begun + 1]])
        await world.run_for(3)
        assert list(given(world)) == NAMES
        assert in_line(world) == 0

    virtual(scenario)


def test_a_claim_that_is_deleted_in_line_is_forgotten() -> None:
    async def scenario(world: AppWorld) -> None:
        await serve_one_warm(world)
        flood(world)
        await world.run_for(0.1)
        before = in_line(world)
        await world.hand.delete(CLAIM, ObjectKey(NAMESPACE, NAMES[-1]))
        await world.run_for(0.01)
        assert in_line(world) < before
        await world.run_for(3)
        assert list(given(world)) == NAMES[:-1]
        assert len(await world.sandboxes()) == len(NAMES)

    virtual(scenario)


def test_one_whose_time_is_over_in_line_says_so() -> None:
    async def scenario(world: AppWorld) -> None:
        await serve_one_warm(world)
        flood(world)
        # Half a second from now: times of the API are whole seconds.
        ends = {"shutdownTime": rfc3339(world.clock.wall() + 1), "shutdownPolicy": "Retain"}
        world.put(a_claim("zz", pool="empty", merge={"spec": {"lifecycle": ends}}))
        await world.run_for(0.3)
        assert not (await world.claim("zz")).conditions
        await world.run_for(0.4)
        assert in_line(world) > 0
        ready = find((await world.claim("zz")).conditions, READY)
        assert ready is not None
        assert ready.reason == "ClaimExpired"

    virtual(scenario)
