"""Lists over HTTP: short ones at once, long ones in chunks, compressed only if that pays."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from warmclaim.seams import Request
from warmclaim.streaming.json_list import FLUSH_BYTES
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_pod
from warmclaim.testing.http_front import HttpFront, serve
from warmclaim.testing.json_values import Json
from warmclaim.testing.store import Commit

PODS = "/api/v1/pods"
GZIP = {"Accept-Encoding": "gzip"}
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture
async def front(server: FakeApiServer) -> AsyncIterator[HttpFront]:
    async with serve(server) as front:
        yield front


@pytest.fixture
async def http(front: HttpFront) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(front.url, auto_decompress=False) as session:
        yield session


def _put_pods(server: FakeApiServer, number: int, *, filler_bytes: int = 10_000) -> list[str]:
    names = [f"p{index:04}" for index in range(number)]
    for name in names:
        pod: Json = {**a_pod(name), "filler": "x" * filler_bytes}
        server.cluster.store.put("pods", f"default/{name}", pod)
    return names


def _names(body: bytes) -> list[str]:
    return [item["metadata"]["name"] for item in json.loads(body)["items"]]


async def test_a_short_list_is_sent_at_once_and_never_compressed(
    http: aiohttp.ClientSession, server: FakeApiServer
) -> None:
    names = _put_pods(server, 3)
    async with http.get(PODS, headers=GZIP) as answer:
        body = await answer.read()
    assert answer.headers["content-length"] == str(len(body))
    assert "content-encoding" not in answer.headers
    assert _names(body) == names


@pytest.mark.parametrize("more", [0, 1])
async def test_compression_begins_beyond_128_kib_and_not_at_it(
    http: aiohttp.ClientSession, server: FakeApiServer, more: int
) -> None:
    _put_pods(server, 1, filler_bytes=1)
    async with http.get(PODS, headers=GZIP) as answer:
        room = 128 * 1024 - len(await answer.read())
    server.cluster.store.put(
        "pods", "default/p0000", {**a_pod("p0000"), "filler": "x" * (1 + room + more)}
    )
    async with http.get(PODS, headers=GZIP) as answer:
        body = await answer.read()
    assert answer.headers.get("content-encoding", "") == ("gzip" if more else "")
    assert len(zlib.decompress(body, wbits=31) if more else body) == 128 * 1024 + more


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("identity", False),
        ("br", False),
    ],
)
async def test_a_long_list_is_chunked_and_compressed_for_who_takes_it(
    http: aiohttp.ClientSession, server: FakeApiServer, accepted: str, is_compressed: bool
) -> None:
    names = _put_pods(server, 100)
    plain = (await server.handle(Request("GET", PODS))).body
    for _ in range(2):  # the second one over the connection that the first one left
        async with http.get(PODS, headers={"Accept-Encoding": accepted}) as answer:
            body = await answer.read()
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert ("content-encoding" in answer.headers) is is_compressed
        assert (zlib.decompress(body, wbits=31) if is_compressed else body) == plain
    assert _names(plain) == names
    assert server.lists.streamed == 3
    assert server.lists.buffers.lent_count == 0


async def test_discovery_is_no_plain_list_and_counted_as_that(
    http: aiohttp.ClientSession, server: FakeApiServer
) -> None:
    async with http.get("/api/v1") as answer:
        assert (await answer.json())["kind"] == "APIResourceList"
    assert (server.lists.streamed, server.lists.whole) == (0, 1)


async def test_a_reader_that_stops_reading_stops_the_encoder(
    front: HttpFront, server: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_pods(server, 3_000)
    encoded: list[str] = []

    def note(_kind: object, commit: Commit, _version: str) -> bytes:
        encoded.append(commit.key)
        return commit.encoded

    monkeypatch.setattr("warmclaim.testing.resources.Kind.encoded", note)
    host, _, port = front.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1_000)
    writer.write(f"GET {PODS} HTTP/1.1\r\n\r\n".encode())
    await reader.readline()
    seen = -1
    while len(encoded) > seen:  # what the sockets hold is some megabytes
        seen = len(encoded)
        await asyncio.sleep(0.05)
    assert 0 < seen < 2_000
    assert server.lists.buffers.lent_count == 1
    writer.transport.abort()
    async with asyncio.timeout(5):
        while server.lists.buffers.lent_count:  # noqa: ASYNC110 - no bell rings for it here
            await asyncio.sleep(0.01)
    assert len(encoded) < 2_000


async def test_stopping_the_front_returns_the_buffer_of_a_list_under_way(
    server: FakeApiServer,
) -> None:
    _put_pods(server, 3_000)
    front = serve(server)
    await front.start()
    session = aiohttp.ClientSession(front.url, read_bufsize=1_000)
    async with session as http, http.get(PODS, headers=PLAIN):
        assert server.lists.buffers.lent_count == 1
        await front.stop()
        assert server.lists.buffers.lent_count == 0


@pytest.mark.parametrize("headers", [PLAIN, GZIP], ids=["plain", "gzip"])
async def test_a_list_that_fails_in_the_middle_never_looks_whole(
    http: aiohttp.ClientSession,
    server: FakeApiServer,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
) -> None:
    _put_pods(server, 200)
    _break_after(monkeypatch, FLUSH_BYTES * 8 // 10_000)
    async with http.get(PODS, headers=headers) as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert server.lists.buffers.lent_count == 0


async def test_a_list_that_fails_before_its_first_byte_is_answered_500(
    http: aiohttp.ClientSession, server: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_pods(server, 200)
    _break_after(monkeypatch, 2)
    async with http.get(PODS) as answer:
        assert answer.status == 500
        assert (await answer.json())["reason"] == "InternalError"
    assert server.lists.buffers.lent_count == 0


def _break_after(monkeypatch: pytest.MonkeyPatch, good: int) -> None:
    """A conversion fails after so many objects."""
    fates: Iterator[bool] = iter([True] * good)

    def encoded(_kind: object, commit: Commit, _version: str) -> bytes:
        if not next(fates, False):
            raise RuntimeError("a conversion failed")
        return commit.encoded

    monkeypatch.setattr("warmclaim.testing.resources.Kind.encoded", encoded)
