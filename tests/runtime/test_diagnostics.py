"""The diagnostics port over real HTTP: who gets a snapshot, when, and how it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from tests.test_debug_endpoint import outward_address

from warmclaim.errors import UsageError
from warmclaim.runtime import diagnostics
from warmclaim.runtime.diagnostics import SNAPSHOT_EVERY_S, Diagnostics, Outlet, ReaderLeftError
from warmclaim.seams import SystemClock

HEADERS = {
    "Content-Type": "application/zip",
    "Content-Disposition": 'attachment; filename="snapshot.zip"',
}


class HandClock(SystemClock):
    """Stands still until it is moved."""

    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


class Source:
    """Sends what it is told to; knows how it was asked and how it ended."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.asked: list[bool] = []
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.has_ended = asyncio.Event()
        self.left = False

    async def take(self, outlet: Outlet, is_redacted: bool) -> None:
        self.asked.append(is_redacted)
        self.has_begun.set()
        try:
            for piece in self.pieces:
                await outlet.send(piece)
            await self.may_end.wait()
            outlet.require_reader()
        except ReaderLeftError:
            self.left = True
            raise
        finally:
            self.has_ended.set()


@asynccontextmanager
async def served(
    source: Source, address: str = "127.0.0.1:0", clock: HandClock | None = None
) -> AsyncGenerator[str]:
    port = Diagnostics(address, source.take, clock or HandClock())
    await port.start()
    try:
        yield f"http://127.0.0.1:{port.port}"
    finally:
        await port.close()


async def got(url: str, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
    async with aiohttp.ClientSession() as session, session.request(method, url) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


async def test_what_is_sent_is_the_answer() -> None:
    source = Source(b"PK", b"more")
    async with served(source) as url:
        status, body, headers = await got(f"{url}/get-snapshot")
    assert (status, body) == (200, b"PKmore")
    assert headers.items() >= HEADERS.items()
    assert "Content-Length" not in headers
    assert source.asked == [True]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/get-snapshot?redact=true", "GET", 200),
        ("/get-snapshot?redact=false", "GET", 200),
        ("/get-snapshot?redact=no", "GET", 400),
        ("/get-snapshot", "POST", 405),
        ("/get-snapshot", "HEAD", 405),
        ("/", "GET", 404),
        ("/get-snapshot/", "GET", 404),
    ],
)
async def test_only_the_one_path_is_answered(path: str, method: str, status: int) -> None:
    source = Source(b"PK")
    async with served(source) as url:
        assert (await got(url + path, method))[0] == status
    assert len(source.asked) == (status == 200)


async def test_without_redaction_only_where_it_is_asked_for() -> None:
    source = Source(b"PK")
    async with served(source) as url:
        await got(f"{url}/get-snapshot?redact=false")
    assert source.asked == [False]


async def test_who_comes_from_outside_is_refused_with_what_to_do() -> None:
    host = outward_address()
    if host is None or host.startswith("127."):
        pytest.skip("this machine has no other address")
    source = Source(b"PK")
    async with served(source, "0.0.0.0:0") as url:
        status, body, _ = await got(url.replace("127.0.0.1", host) + "/get-snapshot")
        assert (status, b"port-forward" in body) == (403, True)
        assert (await got(f"{url}/get-snapshot"))[0] == 200
    assert len(source.asked) == 1


async def test_a_second_one_at_once_is_told_to_come_again_and_a_later_one_is_served() -> None:
    source = Source(b"PK")
    source.may_end.clear()
    clock = HandClock()
    async with served(source, clock=clock) as url:
        first = asyncio.create_task(got(f"{url}/get-snapshot"))
        await source.has_begun.wait()
        status, body, headers = await got(f"{url}/get-snapshot")
        assert (status, headers["Retry-After"]) == (429, "10")
        assert b"another snapshot" in body
        source.may_end.set()
        assert (await first)[0] == 200
        clock.now_s += SNAPSHOT_EVERY_S
        assert (await got(f"{url}/get-snapshot"))[0] == 200
    assert len(source.asked) == 2


async def test_one_begins_thirty_seconds_after_the_other() -> None:
    source, clock = Source(b"PK"), HandClock()
    async with served(source, clock=clock) as url:
        assert (await got(f"{url}/get-snapshot"))[0] == 200
        clock.now_s += 10.5
        status, body, headers = await got(f"{url}/get-snapshot")
        assert (status, headers["Retry-After"]) == (429, "20")
        assert b"just now" in body
        clock.now_s = SNAPSHOT_EVERY_S
        assert (await got(f"{url}/get-snapshot"))[0] == 200
    assert len(source.asked) == 2


async def test_a_reader_that_leaves_ends_the_work_and_the_next_one_is_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    source, clock = Source(*[b"x" * 65_536] * 2_000), HandClock()
    async with served(source, clock=clock) as url:
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"{url}/get-snapshot")
            await answer.content.readexactly(100)
            answer.close()
        await asyncio.wait_for(source.has_ended.wait(), 10)
        assert source.left
        source.pieces = (b"PK",)
        clock.now_s += SNAPSHOT_EVERY_S
        assert (await got(f"{url}/get-snapshot"))[:2] == (200, b"PK")
    assert "a snapshot's reader left" in caplog.text
    assert "snapshot taken" in caplog.text


async def test_a_reader_that_takes_nothing_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics, "SEND_S_MAX", 0.05)
    source = Source(*[b"x" * 65_536] * 2_000)
    async with served(source) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"GET /get-snapshot HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await reader.read(10)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.wait_for(source.has_ended.wait(), 10)
        writer.close()
    assert source.left


async def test_a_slow_reader_slows_the_work_and_nothing_queues() -> None:
    source = Source(*[b"x" * 65_536] * 2_000)
    async with served(source) as url, aiohttp.ClientSession(read_bufsize=65_536) as session:
        answer = await session.get(f"{url}/get-snapshot")
        await asyncio.sleep(0.2)
        assert not source.has_ended.is_set()
        size = 0
        async for piece in answer.content.iter_any():
            size += len(piece)
    assert size == 2_000 * 65_536


async def test_closing_cuts_a_snapshot_so_that_it_is_not_taken_for_a_whole_one() -> None:
    source = Source(b"PK")
    source.may_end.clear()
    async with aiohttp.ClientSession() as session:
        async with served(source) as url:
            answer = await session.get(f"{url}/get-snapshot")
            assert await answer.content.readany() == b"PK"
        with pytest.raises(aiohttp.ClientError):
            await answer.read()
    assert source.has_ended.is_set()


@pytest.mark.parametrize("address", ["", "0"])
async def test_it_is_off_where_no_address_is_given(address: str) -> None:
    port = Diagnostics(address, Source().take, HandClock())
    await port.start()
    assert port.port is None
    await port.close()


async def test_an_address_that_is_taken_is_said_with_its_flag() -> None:
    async with served(Source()) as url:
        address = url.removeprefix("http://")
        with pytest.raises(UsageError, match=f"^--diagnostics-bind-address {address}: cannot"):
            await Diagnostics(address, Source().take, HandClock()).start()
