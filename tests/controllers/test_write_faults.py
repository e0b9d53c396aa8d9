"""A1-A5, A7, A12-A14: the server says no to a write, and no claim ever gets two sandboxes or none.

Writes of which nobody knows what became of them are in test_unknown_outcomes. Faults that only the
transport sees (A13, A17, A18, and A9, A10, A16 on a real socket) are in
tests/kube/test_transport.py and tests/kube/test_client.py.
"""

from __future__ import annotations

import pytest
from tests.controllers.app_world import (
    CLAIM,
    NAMESPACE,
    SANDBOX,
    AppWorld,
    always,
    once,
    refusal,
    virtual,
)
from tests.controllers.test_claim_controller import stock, warm
from tests.controllers.write_steps import (
    LOST,
    PUBLISH,
    RESERVE,
    STEPS,
    one_claim_is_served,
    ready_reason,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.seams import Request, Response
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template


@STEPS
def test_a1_a_conflict_is_read_back_and_decided_anew(step: tuple[str, ...]) -> None:
    async def scenario(world: AppWorld) -> None:
        world.faults.before = once(refusal(409, "Conflict"), *step)
        await one_claim_is_served(world)
        assert world.reads() == 1

    virtual(scenario)


def test_a1_a_conflict_after_the_reservation_was_made_never_picks_another() -> None:
    async def scenario(world: AppWorld) -> None:
        world.faults.after = once(refusal(409, "Conflict"), *RESERVE)
        assert await one_claim_is_served(world) == "w1"
        assert [line for line in world.writes() if line.startswith("patch sandboxes")] == [
            "patch sandboxes 200"
        ]

    virtual(scenario)


def test_a2_a_cold_start_whose_name_was_taken_by_its_own_first_try_is_finished() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, replicas=0)
        world.faults.after = once(LOST, "POST", "/sandboxes")
        world.put(a_claim("c", pool="pool"))
        assert (await world.served("c")).published == "c"

    virtual(scenario)


def test_a2_a_cold_start_never_touches_a_sandbox_of_somebody_else() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, replicas=0)
        squatter = warm("c")
        squatter["metadata"]["ownerReferences"] = []  # type: ignore[index]

        async def squat(request: Request) -> None:
            if request.method == "POST" and not await world.exists(SANDBOX, "c"):
                world.put(squatter)

        world.faults.before = squat
        world.put(a_claim("c", pool="pool"))
        await world.run_for(3)
        assert not await world.is_published("c")
        assert await ready_reason(world) == "ReconcilerError"
        assert (await world.sandbox("c")).metadata.owner_references == ()
        await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, "c"))
        world.faults.before = once(LOST, "nothing")
        await world.served("c", within_s=1)  # woken by its going

    virtual(scenario)


def test_f2_a_claim_made_again_in_the_middle_of_a_pass_is_read_before_its_cold_start() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, replicas=0)
        lines: list[str] = []

        async def interfere(request: Request) -> None:
            line = f"{request.method} {request.path.rpartition('/')[2]}"
            if line == "GET c" and not lines:
                world.put(warm("w1"))  # a candidate after all
            elif line == "PATCH w1":
                await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, "w1"))
                await world.hand.delete(CLAIM, ObjectKey(NAMESPACE, "c"))
                world.put(a_claim("c", pool="pool", merge={"metadata": {"uid": "c-again"}}))
            lines.append(line)
            await world.run_for(0.05)

        world.faults.before = interfere
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        assert lines[:4] == ["GET c", "PATCH w1", "GET c", "POST sandboxes"]

    virtual(scenario)


def test_a3_a_candidate_that_is_gone_is_dropped_and_the_next_one_taken() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"), warm("w2"))
        await world.run_for(0.1)
        gone: list[str] = []

        async def vanish(request: Request) -> None:
            if not gone and request.path.endswith("/sandboxes/w1"):
                gone.append("w1")
                await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, "w1"))

        world.faults.before = vanish
        world.put(a_claim("c", pool="pool"))
        assert (await world.served("c")).published == "w2"

    virtual(scenario)


def test_a3_a_claim_that_is_gone_at_publication_leaves_its_sandbox_to_the_collector() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"), warm("w2"))
        world.faults.before = once(refusal(404, "NotFound"), *PUBLISH)
        world.put(a_claim("c", pool="pool"))
        await world.run_for(2)
        assert world.writes() == ["patch sandboxes 200"]  # and nothing is picked for a ghost

    virtual(scenario)


def test_a4_a_sandbox_that_another_claim_won_is_given_up() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"), warm("w2"))
        await world.run_for(0.1)

        async def rob(request: Request) -> None:
            if request.path.endswith("/sandboxes/w1") and request.method == "PATCH":
                stolen = a_sandbox("w1", claim="rival", node="n1")
                world.put(stolen)

        world.faults.before = rob
        world.put(a_claim("c", pool="pool"))
        assert (await world.served("c")).published == "w2"

    virtual(scenario)


def test_a4_a_candidate_that_was_made_again_under_its_name_is_not_the_one_picked() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"))
        await world.run_for(0.1)
        renewed = warm("w1")
        renewed["metadata"]["uid"] = "w1-second-uid"  # type: ignore[index]

        async def renew(request: Request) -> None:
            if request.method == "PATCH" and b"w1-uid" in (request.body or b""):
                await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, "w1"))
                world.put(renewed)

        world.faults.before = renew
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        assert (await world.sandbox("w1")).metadata.uid == "w1-second-uid"

    virtual(scenario)


@STEPS
def test_a5_a_throttled_claim_waits_as_long_as_the_server_says(step: tuple[str, ...]) -> None:
    async def scenario(world: AppWorld) -> None:
        busy = Response(
            429, b"Too many requests", {"content-type": "text/plain", "retry-after": "2"}
        )
        world.faults.before = once(busy, *step)
        stock(world, warm("w1"))
        await world.run_for(0.1)
        world.put(a_claim("c", pool="pool"))
        waited_s = await world.until(lambda: world.is_published("c"), within_s=5)
        assert waited_s >= 2
        attempts = [r for r in world.faults.seen if r.method == "PATCH"]
        assert len(attempts) == 3  # two writes and one refusal: no hot key

    virtual(scenario)


@STEPS
def test_a7_a_permanent_5xx_is_said_and_not_stormed(step: tuple[str, ...]) -> None:
    async def scenario(world: AppWorld) -> None:
        too_large = refusal(500, "", "etcdserver: request is too large")
        world.faults.before = always(too_large, *step)
        stock(world, warm("w1"), warm("w2"))
        world.put(a_claim("c", pool="pool"))
        await world.run_for(300)
        tries = [r for r in world.faults.seen if r.method == "PATCH"]
        assert len(tries) <= 14  # once a minute, and the attempts to say so
        if step == RESERVE:
            assert await ready_reason(world) == "ReconcilerError"
        world.faults.before = always(too_large, "nothing")
        await world.served("c", within_s=61)

    virtual(scenario)


@pytest.mark.parametrize("code", [400, 403, 422])
def test_a12_a_denial_is_shown_and_retried_slowly(code: int) -> None:
    async def scenario(world: AppWorld) -> None:
        reason = {400: "BadRequest", 403: "Forbidden", 422: "Invalid"}[code]
        world.faults.before = always(refusal(code, reason, "denied by a webhook"), *RESERVE)
        stock(world, warm("w1"))
        world.put(a_claim("c", pool="pool"))
        await world.run_for(120)
        tries = [r for r in world.faults.seen if r.method == "PATCH" and "/sandboxes/" in r.path]
        assert 1 <= len(tries) <= 70
        assert await ready_reason(world) == "ReconcilerError"
        world.faults.before = once(LOST, "nothing")
        await world.served("c", within_s=61)

    virtual(scenario)


def test_a13_rejected_credentials_lose_nothing() -> None:
    async def scenario(world: AppWorld) -> None:
        world.faults.before = once(refusal(401, "Unauthorized"), *RESERVE)
        await one_claim_is_served(world)

    virtual(scenario)


def test_a14_a_forbidden_namespace_holds_up_no_other() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"))
        world.server.cluster.put(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}
        )
        world.put(
            a_template("python", namespace="other"),
            a_pool("pool", template="python", namespace="other"),
            a_sandbox("w9", pool="pool", namespace="other"),
        )
        forbidden = refusal(403, "Forbidden", "namespace is being terminated")
        world.faults.before = always(forbidden, "PATCH", "/namespaces/other/sandboxes/")
        world.put(a_claim("blocked", pool="pool", namespace="other"))
        world.put(a_claim("c", pool="pool"))
        await world.served("c", within_s=1)
        await world.run_for(30)
        tries = [r for r in world.faults.seen if "/namespaces/other/sandboxes/" in r.path]
        assert 2 <= len(tries) <= 20

    virtual(scenario)
