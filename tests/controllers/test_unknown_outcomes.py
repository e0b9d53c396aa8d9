"""A6, A8-A11, A15, A16: nobody knows what became of a write; still no claim gets two sandboxes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest
from tests.controllers.app_world import (
    AppWorld,
    Fault,
    always,
    once,
    refusal,
    running,
    virtual,
)
from tests.controllers.test_claim_controller import stock, warm
from tests.controllers.write_steps import (
    LOST,
    PUBLISH,
    RESERVE,
    STEPS,
    one_claim_is_served,
)

from warmclaim.errors import NotSentError
from warmclaim.seams import Request, Response
from warmclaim.testing.builders import a_claim


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
