"""Real HTTP on loopback: a plain client, chunked watches, tokens, broken requests."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim
from warmclaim.testing.cluster import Target
from warmclaim.testing.http_front import HttpFront, serve
from warmclaim.testing.json_values import Json
from warmclaim.testing.resources import NAMESPACE

CLAIMS = "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/default/sandboxclaims"


def _claim(name: str) -> Json:
    return a_claim(name, merge={"metadata": {"uid": None, "resourceVersion": None}})


@pytest.fixture
async def front(server: FakeApiServer) -> AsyncIterator[HttpFront]:
    async with serve(server) as front:
        yield front


@pytest.fixture
async def http(front: HttpFront) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(front.url, headers={"User-Agent": "tester/1"}) as session:
        yield session


async def _lines(response: aiohttp.ClientResponse, number: int) -> list[Any]:
    async with asyncio.timeout(5):
        return [json.loads(await response.content.readline()) for _ in range(number)]


async def test_create_get_patch_delete_over_a_socket(http: aiohttp.ClientSession) -> None:
    async with http.post(CLAIMS, json=_claim("c1")) as created:
        assert created.status == 201
        assert created.content_type == "application/json"
    async with http.get(f"{CLAIMS}/c1") as found:
        assert (await found.json())["metadata"]["name"] == "c1"
    headers = {"content-type": "application/json-patch+json"}
    patch: list[Json] = [{"op": "test", "path": "/status", "value": None}]
    patch += [{"op": "add", "path": "/status", "value": {"sandbox": {"name": "w"}}}]
    async with http.patch(f"{CLAIMS}/c1/status", data=json.dumps(patch), headers=headers) as first:
        assert first.status == 200
    async with http.patch(f"{CLAIMS}/c1/status", data=json.dumps(patch), headers=headers) as again:
        assert again.status == 422
    async with http.delete(f"{CLAIMS}/c1") as deleted:
        assert (await deleted.json())["status"] == "Success"
    async with http.get(f"{CLAIMS}/c1") as gone:
        assert (await gone.json())["reason"] == "NotFound"


async def test_a_watch_streams_lines_as_they_happen(
    http: aiohttp.ClientSession, server: FakeApiServer
) -> None:
    query = {"watch": "true", "resourceVersion": str(server.cache.rv)}
    async with http.get(CLAIMS, params=query) as watch:
        assert watch.headers["transfer-encoding"] == "chunked"
        for name in ("a", "b"):
            async with http.post(CLAIMS, json=_claim(name)):
                pass
            (event,) = await _lines(watch, 1)
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", name)


async def test_a_watch_ends_cleanly_after_its_timeout(http: aiohttp.ClientSession) -> None:
    for _ in range(2):  # the second one over the connection that the first one left
        async with http.get(CLAIMS, params={"watch": "1", "timeoutSeconds": "1"}) as watch:
            assert await watch.content.read() == b""
    async with http.get("/version") as after:
        assert after.status == 200


async def test_a_client_that_leaves_a_quiet_watch_is_forgotten(
    http: aiohttp.ClientSession, server: FakeApiServer
) -> None:
    watch = await http.get(CLAIMS, params={"watch": "true"})
    assert server.open_watches == 1
    watch.close()
    async with asyncio.timeout(5):
        while server.open_watches:  # noqa: ASYNC110 - a socket's end rings no bell here
            await asyncio.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop")
def test_a_client_that_leaves_is_no_error_on_uvloop_either(
    server: FakeApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    uvloop = importlib.import_module("uvloop")

    async def scenario() -> None:
        async with serve(server) as front, aiohttp.ClientSession(front.url) as http:
            for _ in range(20):
                watch = await http.get(CLAIMS, params={"watch": "true"})
                watch.close()
                server.cluster.create(Target(NAMESPACE), {"metadata": {"generateName": "n-"}})
            while server.open_watches:  # noqa: ASYNC110 - a socket's end rings no bell here
                await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
    assert caplog.text == ""


async def test_a_slow_reader_gets_every_event_and_holds_up_nobody(
    http: aiohttp.ClientSession, server: FakeApiServer
) -> None:
    query = {"watch": "true", "resourceVersion": str(server.cache.rv)}
    async with http.get("/api/v1/namespaces", params=query) as watch:
        body = {"metadata": {"annotations": {"filler": "x" * 100_000}}}
        for number in range(100):
            named: Json = {**body, "metadata": {**body["metadata"], "name": f"n{number}"}}
            server.cluster.create(Target(NAMESPACE), named)
        await asyncio.sleep(0.05)
        events = await _lines(watch, 100)
    assert [e["object"]["metadata"]["name"] for e in events] == [f"n{n}" for n in range(100)]


async def test_stopping_the_front_ends_watches_without_an_error(server: FakeApiServer) -> None:
    front = serve(server)
    await front.start()
    async with aiohttp.ClientSession(front.url) as session:
        watch = await session.get(CLAIMS, params={"watch": "true"})
        await front.stop()
        assert await watch.content.read() == b""
    assert server.open_watches == 0


async def test_only_the_bearer_of_the_token_is_answered(
    server: FakeApiServer, tmp_path: Path
) -> None:
    async with serve(server, token="let-me-in") as front, aiohttp.ClientSession() as session:
        async with session.get(f"{front.url}/version") as refused:
            assert refused.status == 401
            assert (await refused.json())["reason"] == "Unauthorized"
        path = front.write_kubeconfig(tmp_path / "kubeconfig")
        config = yaml.safe_load(path.read_text())
        assert path.stat().st_mode & 0o077 == 0
        assert config["clusters"][0]["cluster"]["server"] == front.url
        bearer = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
        async with session.get(f"{front.url}/version", headers=bearer) as answered:
            assert answered.status == 200


async def test_the_request_log_has_the_client_by_its_user_agent(
    http: aiohttp.ClientSession, server: FakeApiServer
) -> None:
    async with http.post(CLAIMS, json=_claim("c1")):
        pass
    async with http.get(CLAIMS):
        pass
    resource = "sandboxclaims.extensions.agents.x-k8s.io"
    assert server.requests.count(verb="create", resource=resource, user_agent="tester/1") == 1
    assert server.requests.count(verb="list", resource=resource, code=200) == 1
    assert server.requests.writes(user_agent="tester/1") == 1


async def _raw(front: HttpFront, *pieces: bytes) -> bytes:
    """What the server answers to these bytes, until it closes."""
    host, _, port = front.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.005)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"GET /version HTTP/1.0\r\n\r\n",
        b"GET /version HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET /version HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
    ids=["no request", "1.0", "no colon", "negative", "underscore", "encoding", "long head"],
)
async def test_a_broken_request_is_answered_400_and_the_connection_closed(
    front: HttpFront, sent: bytes
) -> None:
    answer = await _raw(front, sent)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")


async def test_a_body_beyond_3_mib_is_answered_413(front: HttpFront) -> None:
    answer = await _raw(front, b"POST /x HTTP/1.1\r\nContent-Length: 3145729\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_chunked_body_and_one_that_waits_for_continue_are_read(front: HttpFront) -> None:
    body = json.dumps(_claim("c1")).encode()
    head = f"POST {CLAIMS} HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    half = len(body) // 2
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:half], body[half:])]
    answer = await _raw(front, head.encode(), *chunks, b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 201 Created\r\n")
    head = f"POST {CLAIMS} HTTP/1.1\r\nConnection: close\r\nExpect: 100-continue\r\n"
    body = json.dumps(_claim("c2")).encode()
    answer = await _raw(front, f"{head}Content-Length: {len(body)}\r\n\r\n".encode(), body)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n")


async def test_requests_may_follow_each_other_on_one_connection(front: HttpFront) -> None:
    first = b"GET /livez HTTP/1.1\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n"
    answer = await _raw(front, first + first + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 3


async def test_who_speaks_during_a_watch_ends_it_and_the_connection(front: HttpFront) -> None:
    watch = f"GET {CLAIMS}?watch=true HTTP/1.1\r\n\r\n".encode()
    answer = await _raw(front, watch, b"GET /livez HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"0\r\n\r\n")


async def test_an_unknown_method_is_answered_405(front: HttpFront) -> None:
    answer = await _raw(front, b"BREW /pot HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ")
