"""A1-A16: what goes wrong with a write, and that no claim ever gets two sandboxes or none.

Faults that only the transport sees (A13, A17, A18, and A9, A10, A16 on a real socket) are in
tests/kube/test_transport.py and tests/kube/test_client.py.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest
from tests.controllers.app_world import (
    CLAIM,
    NAMESPACE,
    SANDBOX,
    AppWorld,
    Fault,
    always,
    once,
    refusal,
    running,
    virtual,
)
from tests.controllers.test_claim_controller import stock, warm

from warmclaim.api.conditions import READY, find
from warmclaim.api.meta import ObjectKey
from warmclaim.errors import NotSentError, UnknownOutcomeError
from warmclaim.seams import Request, Response
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template

RESERVE = ("PATCH", "/sandboxes/")
PUBLISH = ("PATCH", "/sandboxclaims/", "/status")
STEPS = pytest.mark.parametrize("step", [RESERVE, PUBLISH], ids=["reserve", "publish"])
LOST = UnknownOutcomeError("no answer")


async def ready_reason(world: AppWorld, claim: str = "c") -> str:
    ready = find((await world.claim(claim)).conditions, READY)
    return ready.reason if ready else ""


async def one_claim_is_served(world: AppWorld, *, within_s: float = 5.0) -> str:
    """Three members, one claim; afterwards it has one sandbox and the pool the other two."""
    stock(world, warm("w1"), warm("w2"), warm("w3"))
    await world.run_for(0.1)
    world.put(a_claim("c", pool="pool"))
    claim = await world.served("c", within_s=within_s)
    await world.run_for(3)
    assert (await world.claim("c")).published == claim.published
    assert await world.owned("c") == [claim.published]
    assert len(await world.sandboxes()) == 3
    world.app.warm.check()
    assert len(world.app.warm) == 2
    return claim.published


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
@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("code", [500, 503, 504])
def test_a6_a_server_error_is_an_unknown_outcome(
    step: tuple[str, ...], where: str, code: int
) -> None:
    async def scenario(world: AppWorld) -> None:
        setattr(world.faults, where, once(refusal(code, "InternalError"), *step))
        await one_claim_is_served(world)

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


@STEPS
@pytest.mark.parametrize("where", ["before", "after"], ids=["not applied", "applied"])
def test_a8_a_lost_answer_is_read_back(step: tuple[str, ...], where: str) -> None:
    async def scenario(world: AppWorld) -> None:
        setattr(world.faults, where, once(LOST, *step))
        await one_claim_is_served(world)
        assert world.reads() == 1

    virtual(scenario)


@STEPS
def test_a8_while_the_outcome_cannot_be_read_back_the_sandbox_is_offered_to_nobody(
    step: tuple[str, ...],
) -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"))
        await world.run_for(0.1)
        lose, hide = once(LOST, *step), always(refusal(503, "Unavailable"), "GET")
        world.faults.after = lose
        world.faults.before = hide
        world.put(a_claim("c", pool="pool"))
        await world.run_for(1)
        world.put(a_claim("rival", pool="pool"))
        await world.run_for(1)
        # Nobody knows who owns w1, and nobody else is given it.
        assert not await world.owned("rival") or await world.owned("rival") == ["rival"]
        world.faults.before = once(LOST, "nothing")
        assert (await world.served("c", within_s=40)).published == "w1"

    virtual(scenario)


@STEPS
def test_a9_a_request_that_never_left_is_simply_sent_again(step: tuple[str, ...]) -> None:
    async def scenario(world: AppWorld) -> None:
        world.faults.before = once(NotSentError("connection refused"), *step)
        await one_claim_is_served(world)
        assert world.reads() == 0

    virtual(scenario)


@STEPS
@pytest.mark.parametrize(
    "body", [b'{"metadata":{"name":"w', b"", b"null", b"[]"], ids=["torn", "empty", "null", "list"]
)
def test_a10_an_unreadable_200_is_an_unknown_outcome(step: tuple[str, ...], body: bytes) -> None:
    async def scenario(world: AppWorld) -> None:
        torn = Response(200, body, {"content-type": "application/json"})
        world.faults.after = once(torn, *step)
        await one_claim_is_served(world)

    virtual(scenario)


def changed_by_webhook(world: AppWorld, *words: str, path: tuple[str, ...]) -> Fault:
    """The server answers 200 but stores the object without our change, once."""
    left = ["once"]

    async def strike(request: Request) -> Response | None:
        line = f"{request.method} {request.path}"
        if not left or not all(word in line for word in words):
            return None
        left.clear()
        operations = msgspec.json.decode(request.body or b"[]")
        kept = [entry for entry in operations if not entry["path"].startswith(path)]
        return await world.server.handle(replace(request, body=msgspec.json.encode(kept)))

    return strike


@pytest.mark.parametrize(
    ("step", "path"),
    [(RESERVE, ("/metadata/ownerReferences", "/metadata/labels")), (PUBLISH, ("/status",))],
    ids=["reserve", "publish"],
)
def test_a11_what_the_server_stored_is_believed_not_what_was_asked(
    step: tuple[str, ...], path: tuple[str, ...]
) -> None:
    async def scenario(world: AppWorld) -> None:
        world.faults.before = changed_by_webhook(world, *step, path=path)
        await one_claim_is_served(world)

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


def test_a15_a_reservation_that_lands_after_another_leader_served_the_claim_is_reclaimed() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1", "n1"))
        await world.run_for(0.1)
        landing: list[Request] = []

        async def stall(request: Request) -> Exception | None:
            if request.method == "PATCH" and "/sandboxes/" in request.path and not landing:
                landing.append(request)
                await asyncio.sleep(60)
                return LOST
            return None

        world.faults.before = stall
        world.put(a_claim("c", pool="pool"))
        await world.run_for(1)
        assert len(landing) == 1
        held = landing[0].path.rpartition("/")[2]
        world.put(warm("w2", "n2"), warm("w3", "n2"))  # the second leader's pick is another one
        _, other = world.another("second")
        async with running(other):
            published = (await world.served("c")).published
            assert published != held
            await world.server.handle(landing[0])  # the first leader's write lands now

            async def is_reclaimed() -> bool:
                return await world.owned("c") == [published]

            assert len(await world.owned("c")) == 2
            await world.until(is_reclaimed, within_s=10)
            assert (await world.claim("c")).published == published

    virtual(scenario)


@STEPS
@pytest.mark.parametrize(
    "answer",
    [
        Response(200, b"<html>login</html>", {"content-type": "text/html"}),
        Response(302, b"", {"location": "http://elsewhere.test/"}),
        Response(204, b"", {}),
    ],
    ids=["html", "redirect", "no content"],
)
def test_a16_an_answer_that_is_no_object_is_never_believed(
    step: tuple[str, ...], answer: Response
) -> None:
    async def scenario(world: AppWorld) -> None:
        world.faults.before = once(answer, *step)
        await one_claim_is_served(world)

    virtual(scenario)
