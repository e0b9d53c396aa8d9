"""The transport against real sockets on loopback that misbehave. A numbers name faults."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from warmclaim.errors import NotSentError, PermanentError, StreamError, UnknownOutcomeError
from warmclaim.kube.config import Connection, connection_to
from warmclaim.kube.transport import HttpTransport, TransportSettings
from warmclaim.seams import Channel, Method, Request

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """Plays one handler per connection; counts connections and request heads."""

    def __init__(self, handler: Callable[[Server, int, Streams], Awaitable[None]]) -> None:
        self.connections = 0
        self.heads: list[bytes] = []
        self.port = 0
        self._handler = handler
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            await self._handler(self, self.connections, (reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def head(self, streams: Streams) -> bytes:
        """Read one request, body included."""
        head = await streams[0].readuntil(b"\r\n\r\n")
        for field in head.lower().split(b"\r\n"):
            if field.startswith(b"content-length:"):
                await streams[0].readexactly(int(field.split(b":")[1]))
        self.heads.append(head)
        return head

    def drop(self) -> None:
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def serving(
    handler: Callable[[Server, int, Streams], Awaitable[None]],
) -> AsyncGenerator[Server]:
    server = Server(handler)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.drop()
        listener.close()


@asynccontextmanager
async def transport_to(
    port: int, settings: TransportSettings | None = None, **fields: object
) -> AsyncGenerator[HttpTransport]:
    connection = connection_to(f"http://127.0.0.1:{port}", credentials=None)
    if fields:
        connection = Connection(connection.server_url, None, fields["credentials"])  # type: ignore[arg-type]
    transport = HttpTransport(connection, settings=settings)
    try:
        yield transport
    finally:
        await transport.close()


def a(method: Method, timeout_s: float = 5.0, channel: Channel = Channel.CLAIMS) -> Request:
    body = None if method == "GET" else b'{"kind":"Widget"}'
    return Request(method, "/apis/x", body=body, timeout_s=timeout_s, channel=channel)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def answering(raw: bytes) -> Callable[[Server, int, Streams], Awaitable[None]]:
    async def handler(server: Server, _number: int, streams: Streams) -> None:
        while True:
            await server.head(streams)
            streams[1].write(raw)
            await streams[1].drain()

    return handler


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


async def test_refused_connection_is_surely_not_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with transport_to(unused.getsockname()[1]) as transport:
            with pytest.raises(NotSentError):
                await transport.request(a("POST"))


async def test_unknown_host_is_surely_not_sent() -> None:
    transport = HttpTransport(connection_to("http://no-such-host.invalid", credentials=None))
    with pytest.raises(NotSentError):
        await transport.request(a("POST"))
    await transport.close()


async def test_failed_tls_handshake_is_surely_not_sent() -> None:
    async def no_tls(_server: Server, _number: int, streams: Streams) -> None:
        await streams[0].read(100)
        streams[1].write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(no_tls) as server:
        transport = HttpTransport(
            connection_to(f"https://127.0.0.1:{server.port}", credentials=None)
        )
        with pytest.raises(NotSentError):
            await transport.request(a("POST"))
        await transport.close()


async def test_waiting_for_a_connection_past_the_deadline_is_surely_not_sent() -> None:
    async def silent(server: Server, _number: int, streams: Streams) -> None:
        await server.head(streams)
        await asyncio.sleep(10)

    settings = TransportSettings(claim_connections_max=1)
    async with serving(silent) as server, transport_to(server.port, settings) as transport:
        first = asyncio.create_task(transport.request(a("POST", timeout_s=0.4)))
        await asyncio.sleep(0.05)
        with pytest.raises(NotSentError):
            await transport.request(a("POST", timeout_s=0.1))
        with pytest.raises(UnknownOutcomeError, match=r"no answer within 0\.4 s"):
            await first


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a9_reset_of_a_write_is_an_unknown_outcome_and_never_repeated(
    method: Method,
) -> None:
    async def reset(server: Server, _number: int, streams: Streams) -> None:
        await server.head(streams)
        _reset(streams[1])

    async with serving(reset) as server, transport_to(server.port) as transport:
        with pytest.raises(UnknownOutcomeError):
            await transport.request(a(method))
        assert len(server.heads) == 1


async def test_a9_reset_in_the_middle_of_an_answer_is_an_unknown_outcome() -> None:
    async def cut(server: Server, _number: int, streams: Streams) -> None:
        await server.head(streams)
        streams[1].write(OK[:-1])
        await streams[1].drain()
        _reset(streams[1])

    async with serving(cut) as server, transport_to(server.port) as transport:
        with pytest.raises(UnknownOutcomeError):
            await transport.request(a("PUT"))


async def test_a10_truncated_body_is_an_unknown_outcome() -> None:
    async def truncated(server: Server, _number: int, streams: Streams) -> None:
        await server.head(streams)
        streams[1].write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    async with serving(truncated) as server, transport_to(server.port) as transport:
        with pytest.raises(UnknownOutcomeError):
            await transport.request(a("PUT"))


def kept_then_closed(server_reads: bool) -> Callable[[Server, int, Streams], Awaitable[None]]:
    """The first connection answers once and is closed under the second request."""

    async def handler(server: Server, number: int, streams: Streams) -> None:
        await server.head(streams)
        streams[1].write(OK)
        await streams[1].drain()
        if number > 1:
            await asyncio.sleep(10)
        if server_reads:
            await server.head(streams)
        else:
            await streams[0].read(1)
        streams[1].close()

    return handler


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("server_reads", [True, False])
async def test_a18_keep_alive_closed_under_a_write_is_unknown_and_never_repeated(
    method: Method, server_reads: bool
) -> None:
    async with (
        serving(kept_then_closed(server_reads)) as server,
        transport_to(server.port) as transport,
    ):
        await transport.request(a("GET"))
        with pytest.raises(UnknownOutcomeError):
            await transport.request(a(method))
        assert server.connections == 1


@pytest.mark.parametrize("server_reads", [True, False])
async def test_a18_keep_alive_closed_under_a_read_is_repeated_once(server_reads: bool) -> None:
    async with (
        serving(kept_then_closed(server_reads)) as server,
        transport_to(server.port) as transport,
    ):
        await transport.request(a("GET"))
        assert (await transport.request(a("GET"))).status == 200
        assert server.connections == 2


async def test_a18_read_on_a_new_connection_is_not_repeated() -> None:
    async def close(server: Server, _number: int, streams: Streams) -> None:
        await server.head(streams)

    async with serving(close) as server, transport_to(server.port) as transport:
        with pytest.raises(UnknownOutcomeError):
            await transport.request(a("GET"))
        assert server.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a16_redirect_is_never_followed(status: int) -> None:
    raw = f"HTTP/1.1 {status} X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".encode()
    async with serving(answering(raw)) as server, transport_to(server.port) as transport:
        assert (await transport.request(a("GET"))).status == status
        assert len(server.heads) == 1


async def test_a16_interim_100_continue_is_passed_over() -> None:
    raw = b"HTTP/1.1 100 Continue\r\n\r\n" + OK
    async with serving(answering(raw)) as server, transport_to(server.port) as transport:
        assert (await transport.request(a("PUT"))).status == 200


async def test_a16_answer_that_is_no_http_is_an_unknown_outcome() -> None:
    async with (
        serving(answering(b"SSH-2.0-OpenSSH\r\n\r\n")) as server,
        transport_to(server.port) as transport,
    ):
        with pytest.raises(UnknownOutcomeError):
            await transport.request(a("PUT"))


async def test_a17_one_byte_at_a_time_ends_at_the_total_deadline() -> None:
    async def slow(server: Server, _number: int, streams: Streams) -> None:
        await server.head(streams)
        streams[1].write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            streams[1].write(b" ")
            await streams[1].drain()
            await asyncio.sleep(0.02)

    async with serving(slow) as server, transport_to(server.port) as transport:
        began = asyncio.get_running_loop().time()
        with pytest.raises(UnknownOutcomeError):
            await transport.request(a("PUT", timeout_s=0.3))
        assert asyncio.get_running_loop().time() - began < 1


async def test_a17_one_byte_of_the_head_at_a_time_ends_at_the_total_deadline() -> None:
    async def slow(server: Server, _number: int, streams: Streams) -> None:
        await server.head(streams)
        for byte in OK:
            streams[1].write(bytes([byte]))
            await streams[1].drain()
            await asyncio.sleep(0.02)

    async with serving(slow) as server, transport_to(server.port) as transport:
        with pytest.raises(UnknownOutcomeError):
            await transport.stream(a("GET", timeout_s=0.3))


async def test_body_beyond_the_limit_is_dropped_and_permanent_for_reads() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b" " * 3000
    settings = TransportSettings(body_bytes_max=2000)
    async with serving(answering(raw)) as server, transport_to(server.port, settings) as transport:
        with pytest.raises(PermanentError, match="more than 2000 bytes"):
            await transport.request(a("GET"))
        with pytest.raises(UnknownOutcomeError, match="more than 2000 bytes"):
            await transport.request(a("PUT"))


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


def accepting(token: bytes) -> Callable[[Server, int, Streams], Awaitable[None]]:
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


def streaming(*pieces: bytes, cut: bool) -> Callable[[Server, int, Streams], Awaitable[None]]:
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
            _reset(streams[1])

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
        monkeypatch.setattr("warmclaim.kube.transport.socket.socket", recording)
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
        await test_refused_connection_is_surely_not_sent()
        await test_a18_keep_alive_closed_under_a_write_is_unknown_and_never_repeated("PUT", True)

    uvloop.run(scenario())
