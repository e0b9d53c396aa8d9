"""A server on loopback whose connections each play a handler."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from warmclaim.kube.config import Connection, connection_to
from warmclaim.kube.transport import HttpTransport, TransportSettings
from warmclaim.seams import Channel, Method, Request

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Handler: TypeAlias = "Callable[[Server, int, Streams], Awaitable[None]]"


class Server:
    """Plays one handler per connection; counts connections and request heads."""

    def __init__(self, handler: Handler) -> None:
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
    handler: Handler,
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


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def answering(raw: bytes) -> Handler:
    async def handler(server: Server, _number: int, streams: Streams) -> None:
        while True:
            await server.head(streams)
            streams[1].write(raw)
            await streams[1].drain()

    return handler
