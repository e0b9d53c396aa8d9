"""One reservation at a time for a sandbox and for a claim: each case by hand."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from warmclaim.api.resources import CLAIM, SANDBOX
from warmclaim.errors import NotSentError, UnknownOutcomeError
from warmclaim.seams import ByteStream, Request, Response
from warmclaim.testing import builders
from warmclaim.testing.sim.flights import Flights

OK = Response(200, b"{}", {})


class _Server:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.answers: dict[str, asyncio.Future[Response]] = {}

    async def request(self, request: Request) -> Response:
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.answers[request.path] = answer
        return await answer

    async def stream(self, request: Request) -> ByteStream:
        raise AssertionError("no watch here")

    async def close(self) -> None:
        """Nothing is open."""


class Rig:
    """A process that sends without a thought."""

    def __init__(self) -> None:
        self.breaches: list[str] = []
        self._server = _Server()
        flights = Flights(lambda promise, _: self.breaches.append(promise))
        self._transport = flights.tap(self._server, "m0-1")

    async def reserve(self, sandbox: str, claim: str) -> asyncio.Task[Response]:
        owner = [builders.an_owner(CLAIM, claim)]
        operations = [{"op": "replace", "path": "/metadata/ownerReferences", "value": owner}]
        body = msgspec.json.encode(operations)
        return await self.sent(
            Request("PATCH", _path(sandbox), body=body, content_type="application/json-patch+json")
        )

    async def read(self, sandbox: str) -> None:
        task = await self.sent(Request("GET", _path(sandbox)))
        await self.end(sandbox, task, OK)

    async def end(
        self, sandbox: str, task: asyncio.Task[Response], how: Response | Exception
    ) -> None:
        answer = self._server.answers[_path(sandbox)]
        if isinstance(how, Response):
            answer.set_result(how)
        else:
            answer.set_exception(how)
        await asyncio.gather(task, return_exceptions=True)

    async def sent(self, request: Request) -> asyncio.Task[Response]:
        task = asyncio.create_task(self._transport.request(request))
        await asyncio.sleep(0)
        return task


def _path(sandbox: str) -> str:
    return SANDBOX.item(builders.as_view(builders.a_sandbox(sandbox), SANDBOX.view).metadata.key)


async def test_two_claims_reserve_one_sandbox_at_once() -> None:
    rig = Rig()
    first = await rig.reserve("a", "c")
    second = await rig.reserve("a", "d")
    assert rig.breaches == ["S8"]
    for task in (first, second):
        task.cancel()
    await asyncio.gather(first, second, return_exceptions=True)


async def test_one_claim_reserves_two_sandboxes_at_once() -> None:
    rig = Rig()
    tasks = [await rig.reserve(name, "c") for name in ("a", "b")]
    assert rig.breaches == ["S8"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    "how", [OK, Response(422, b"{}", {}), NotSentError("refused")], ids=["done", "lost", "unsent"]
)
async def test_after_a_clear_end_another_may_be_tried(how: Response | Exception) -> None:
    rig = Rig()
    await rig.end("a", await rig.reserve("a", "c"), how)
    await rig.end("b", await rig.reserve("b", "c"), OK)
    await rig.end("a", await rig.reserve("a", "d"), OK)
    assert rig.breaches == []


async def test_after_a_lost_answer_the_sandbox_is_read_first() -> None:
    rig = Rig()
    await rig.end("a", await rig.reserve("a", "c"), UnknownOutcomeError("no answer"))
    await rig.end("b", await rig.reserve("b", "c"), OK)
    assert rig.breaches == ["S8"]


async def test_a_read_tells_what_became_of_a_lost_answer() -> None:
    rig = Rig()
    await rig.end("a", await rig.reserve("a", "c"), UnknownOutcomeError("no answer"))
    await rig.read("a")
    await rig.end("b", await rig.reserve("b", "c"), OK)
    await rig.end("a", await rig.reserve("a", "d"), OK)
    assert rig.breaches == []


async def test_the_same_reservation_again_is_none_too_many() -> None:
    rig = Rig()
    await rig.end("a", await rig.reserve("a", "c"), UnknownOutcomeError("no answer"))
    await rig.end("a", await rig.reserve("a", "c"), OK)
    assert rig.breaches == []


async def test_a_patch_that_reserves_nothing_is_free() -> None:
    rig = Rig()
    first = await rig.reserve("a", "c")
    body = b'[{"op": "add", "path": "/status", "value": {}}]'
    request = Request("PATCH", _path("b"), body=body, content_type="application/json-patch+json")
    second = await rig.sent(request)
    assert rig.breaches == []
    for task in (first, second):
        task.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
