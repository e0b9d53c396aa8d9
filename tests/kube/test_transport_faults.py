"""What may have been sent, and what is never repeated, on sockets that misbehave. A numbers name
faults."""

from __future__ import annotations

import asyncio
import socket

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

from warmclaim.errors import NotSentError, UnknownOutcomeError
from warmclaim.kube.config import connection_to
from warmclaim.kube.transport import HttpTransport, TransportSettings
from warmclaim.seams import Method


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
    async def resets(server: Server, _number: int, streams: Streams) -> None:
        await server.head(streams)
        reset(streams[1])

    async with serving(resets) as server, transport_to(server.port) as transport:
        with pytest.raises(UnknownOutcomeError):
            await transport.request(a(method))
        assert len(server.heads) == 1


async def test_a9_reset_in_the_middle_of_an_answer_is_an_unknown_outcome() -> None:
    async def cut(server: Server, _number: int, streams: Streams) -> None:
        await server.head(streams)
        streams[1].write(OK[:-1])
        await streams[1].drain()
        reset(streams[1])

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


def kept_then_closed(server_reads: bool) -> Handler:
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


def test_same_on_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def scenario() -> None:
        await test_refused_connection_is_surely_not_sent()
        await test_a18_keep_alive_closed_under_a_write_is_unknown_and_never_repeated("PUT", True)
        await test_a17_one_byte_at_a_time_ends_at_the_total_deadline()

    uvloop.run(scenario())
