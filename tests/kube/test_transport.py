"""The transport on real sockets: requests, credentials, streams. A and H numbers name faults."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest
from tests.kube.socket_server import (
    OK,
    Handler,
    Server,
    Streams,
    a,
    answering,
    reset,
    serving,
    transport_to,
)

from warmclaim.errors import NotSentError, PermanentError, StreamError, UnknownOutcomeError
from warmclaim.kube.transport import TransportSettings
from warmclaim.seams import Channel, Method, Request


async def test_request_sends_what_was_asked_and_returns_the_whole_answer() -> None:
    async with serving(answering(OK)) as server, transport_to(server.port) as transport:
        request = Request("PATCH", "/a%2Fb", (("x", "1 &"), ("y", "")), b"[]", "application/p")
        response = await transport.request(request)
        assert (response.status, response.body) == (200, b"{}")
        assert response.headers["content-type"] == "application/json"
        head = server.heads[0].decode()
        assert head.startswith("PATCH /a%2Fb?x=1%20%26&y= HTTP/1.1\r\n")
        for field in ("Content-Type: application/p", "Accept-Encoding: identity", "warmclaim/"):
            assert field in head
        assert "Cookie" not in head


async def test_one_connection_serves_requests_one_after_the_other() -> None:
    async with serving(answering(OK)) as server, transport_to(server.port) as transport:
        for _ in range(5):
            await transport.request(a("GET"))
        assert server.connections == 1


async def test_channels_have_connections_of_their_own() -> None:
    async with serving(answering(OK)) as server, transport_to(server.port) as transport:
        for channel in Channel:
            await transport.request(a("GET", channel=channel))
        assert server.connections == len(Channel)


async def test_body_beyond_the_limit_is_dropped_and_permanent_for_reads() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b" " * 3000
    settings = TransportSettings(body_bytes_max=2000)
    async with serving(answering(raw)) as server, transport_to(server.port, settings) as transport:
        with pytest.raises(PermanentError, match="more than 2000 bytes"):
            await transport.request(a("GET"))
        with pytest.raises(UnknownOutcomeError, match="more than 2000 bytes"):
            await transport.request(a("PUT"))


async def test_body_that_is_taken_piece_by_piece_may_be_longer_and_is_not_held() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b" " * 3000
    settings, pieces = TransportSettings(body_bytes_max=2000), list[bytes]()
    async with serving(answering(raw)) as server, transport_to(server.port, settings) as transport:
        response = await transport.request(replace(a("GET"), on_piece=pieces.append))
        assert (response.status, response.body) == (200, b"")
        assert b"".join(pieces) == b" " * 3000


async def test_body_of_a_refusal_is_never_taken_for_that_of_an_answer() -> None:
    raw = b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"
    pieces = list[bytes]()
    async with serving(answering(raw)) as server, transport_to(server.port) as transport:
        response = await transport.request(replace(a("GET"), on_piece=pieces.append))
        assert (response.status, response.body, pieces) == (500, b"no", [])


async def test_compressed_answer_is_not_unpacked() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"
    async with serving(answering(raw)) as server, transport_to(server.port) as transport:
        assert (await transport.request(a("GET"))).body == b"abc"


async def test_proxy_variables_are_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with serving(answering(OK)) as server, transport_to(server.port) as transport:
        assert (await transport.request(a("GET"))).status == 200


class Tokens:
    """Credentials that have a next token for each refusal."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)
        self.refused: list[str | None] = []

    def authorization(self) -> str | None:
        return self._tokens[0]

    async def refresh(self, rejected: str | None) -> None:
        self.refused.append(rejected)
        if len(self._tokens) > 1:
            self._tokens.pop(0)


def accepting(token: bytes) -> Handler:
    denied = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"

    async def handler(server: Server, _number: int, streams: Streams) -> None:
        while head := await server.head(streams):
            streams[1].write(OK if b"Authorization: " + token + b"\r\n" in head else denied)

    return handler


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_a13_after_401_fresh_credentials_are_tried_once(method: Method) -> None:
    tokens = Tokens("old", "new", "newer")
    async with (
        serving(accepting(b"new")) as server,
        transport_to(server.port, credentials=tokens) as transport,
    ):
        assert (await transport.request(a(method))).status == 200
        assert tokens.refused == ["old"]


async def test_a13_second_401_is_the_answer() -> None:
    tokens = Tokens("old", "new", "newer")
    async with (
        serving(accepting(b"other")) as server,
        transport_to(server.port, credentials=tokens) as transport,
    ):
        assert (await transport.request(a("PATCH"))).status == 401
        assert len(server.heads) == 2
        assert (await transport.stream(a("GET"))).status == 401


async def test_a13_unchanged_credentials_are_not_sent_again() -> None:
    tokens = Tokens("old")
    async with (
        serving(accepting(b"other")) as server,
        transport_to(server.port, credentials=tokens) as transport,
    ):
        assert (await transport.request(a("GET"))).body == b"no"
        assert len(server.heads) == 1


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def streaming(*pieces: bytes, cut: bool) -> Handler:
    async def handler(server: Server, _number: int, streams: Streams) -> None:
        await server.head(streams)
        streams[1].write(CHUNKED)
        for piece in pieces:
            streams[1].write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await streams[1].drain()
            await asyncio.sleep(0.02)
        if not cut:
            streams[1].write(b"0\r\n\r\n")
        else:
            reset(streams[1])

    return handler


async def test_stream_gives_pieces_as_they_come_and_an_end() -> None:
    async with (
        serving(streaming(b"one", b"two", cut=False)) as server,
        transport_to(server.port) as transport,
    ):
        stream = await transport.stream(a("GET", timeout_s=0.5, channel=Channel.WATCH))
        assert stream.status == 200
        assert stream.headers["content-type"] == "application/json"
        assert [await stream.read() for _ in range(3)] == [b"one", b"two", b""]
        await stream.close()
        await stream.close()


async def test_h10_reset_of_a_stream_is_a_stream_error() -> None:
    async with (
        serving(streaming(b"one", cut=True)) as server,
        transport_to(server.port) as transport,
    ):
        stream = await transport.stream(a("GET", channel=Channel.WATCH))
        assert await stream.read() == b"one"
        with pytest.raises(StreamError):
            await stream.read()
        await stream.close()


async def test_stream_brings_a_piece_larger_than_any_buffer() -> None:
    big = b"x" * 3_000_000
    async with (
        serving(streaming(big, cut=False)) as server,
        transport_to(server.port) as transport,
    ):
        stream = await transport.stream(a("GET", channel=Channel.WATCH))
        total = 0
        while piece := await stream.read():
            total += len(piece)
        assert total == len(big)


async def test_closing_a_stream_closes_its_connection() -> None:
    ended = asyncio.Event()

    async def watch(server: Server, _number: int, streams: Streams) -> None:
        await server.head(streams)
        streams[1].write(CHUNKED)
        await streams[0].read()
        ended.set()

    async with serving(watch) as server, transport_to(server.port) as transport:
        stream = await transport.stream(a("GET", channel=Channel.WATCH))
        await stream.close()
        async with asyncio.timeout(5):
            await ended.wait()


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="Linux's name of the option")
async def test_sockets_notice_a_dead_peer_within_20_s(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []
    plain_socket = socket.socket

    def recording(*args: int, **kwargs: int) -> socket.socket:
        made.append(plain_socket(*args, **kwargs))
        return made[-1]

    async with serving(answering(OK)) as server, transport_to(server.port) as transport:
        monkeypatch.setattr("warmclaim.kube.wire.socket.socket", recording)
        await transport.request(a("GET"))
        sock = made[0]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        values = [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options]
        assert values == [10, 5, 2]


async def test_closed_transport_sends_nothing() -> None:
    async with serving(answering(OK)) as server, transport_to(server.port) as transport:
        await transport.close()
        with pytest.raises(NotSentError):
            await transport.request(a("GET"))


def test_works_on_uvloop_too() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def scenario() -> None:
        await test_request_sends_what_was_asked_and_returns_the_whole_answer()
        await test_h10_reset_of_a_stream_is_a_stream_error()

    uvloop.run(scenario())


async def test_credentials_cannot_smuggle_in_another_header() -> None:
    async with (
        serving(accepting(b"x")) as server,
        transport_to(server.port, credentials=Tokens("x\r\nImpersonate-User: admin")) as transport,
    ):
        with pytest.raises(ValueError, match="Authorization would have more than one line"):
            await transport.request(a("GET"))
        assert server.heads == []
