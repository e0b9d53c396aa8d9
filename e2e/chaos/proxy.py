"""A TCP proxy between one client and the API servers, with a hand on what passes.

TLS ends here and begins again, with the API server's own key: only who sees the plain text can cut
a watch in the middle of a chunk. Everything else happens to connections, as a bad network does it:

reset       all connections end with a TCP reset
cut         each connection ends in the middle of what the server sends next
half-open   the far side of each connection is gone, and the near side is never told
stall       nothing passes in either direction, new connections neither; later all goes on
delay       every piece arrives late by a fixed time, in both directions
throttle    the server's answers come at so many bytes a second, all connections together
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, urlsplit

_PIECE_BYTES = 64 * 1024
_QUEUED_PIECES_MAX = 64
_CONNECT_S_MAX = 10.0
_NEXT_S = 2.0
"""A server that is stopped is passed over after this long, one that is down at once."""
_BACKLOG = 128
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, for zero seconds: closing sends a reset."""


@dataclass(eq=False, slots=True)
class _Connection:
    """One client's connection and the one made for it; neither has TLS before it is complete."""

    accepted: socket.socket
    client: asyncio.StreamWriter | None = None
    server: asyncio.StreamWriter | None = None
    is_half_open: bool = False
    is_to_be_cut: bool = False

    def drop(self, *, by_reset: bool = False) -> None:
        """Close both sides at once, without a farewell of TLS, as a process that dies does."""
        if self.client is None:
            self.accepted.close()
        for writer in (self.client, self.server):
            if writer is None:
                continue
            if by_reset:
                _linger_zero(writer)
            writer.transport.abort()


class Proxy:
    """One listening port before some servers, of which each new connection gets the first that
    answers; use it as a context. Not for any other loop."""

    def __init__(self, servers: Sequence[str], key_dir: Path) -> None:
        """`servers` are https URLs; `key_dir` has the certificate and key that they share, as
        apiserver.crt and apiserver.key."""
        self._addresses = [urlsplit(server) for server in servers]
        self._server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server_side.load_cert_chain(key_dir / "apiserver.crt", key_dir / "apiserver.key")
        self._client_side = ssl.create_default_context()
        # Loopback, and what passes carries its own credentials to the server whose key we hold.
        self._client_side.check_hostname = False
        self._client_side.verify_mode = ssl.CERT_NONE
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._listener = socket.socket()
        self._delay_s = 0.0
        self._bytes_per_s = 0.0
        self._unthrottled = asyncio.Event()
        self._unthrottled.set()
        self._throttled_until_s = 0.0
        self.connected = 0
        """Connections that were passed on so far."""

    async def __aenter__(self) -> Self:
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        self._start(self._accept())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()

    @property
    def url(self) -> str:
        """Where a client finds the server through this proxy."""
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def reset(self) -> int:
        """Reset all connections; how many there were."""
        return sum(self._drop(connection, by_reset=True) for connection in list(self._connections))

    def cut(self) -> int:
        """Let each connection end inside of what the server sends next; how many there are."""
        for connection in self._connections:
            connection.is_to_be_cut = True
        return len(self._connections)

    def half_open(self) -> int:
        """Lose the server's side of each connection without a word; how many there are.

        The client's side stays open and swallows what is sent, until the client closes it.
        """
        for connection in self._connections:
            connection.is_half_open = True
            if connection.server is not None:
                connection.server.transport.abort()
        return len(self._connections)

    def delay(self, late_s: float) -> None:
        """Let every piece arrive so late, until `heal`."""
        self._delay_s = late_s

    def throttle(self, bytes_per_s: float) -> None:
        """Let the server's answers pass at this rate, until `heal`."""
        self._bytes_per_s = bytes_per_s
        self._throttled_until_s = 0.0
        self._unthrottled.clear()

    def stall(self) -> None:
        """Let nothing pass until `heal`."""
        self._open.clear()

    def heal(self) -> None:
        """End stall, delay and throttle. What was reset, cut or half-opened stays so."""
        self._delay_s = 0.0
        self._unthrottled.set()
        self._open.set()

    def _drop(self, connection: _Connection, *, by_reset: bool) -> int:
        connection.drop(by_reset=by_reset)
        self._connections.discard(connection)
        return 1

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        # Not asyncio's own server: that would shake hands, or read, before a stall is over.
        loop = asyncio.get_running_loop()
        while True:
            accepted, _ = await loop.sock_accept(self._listener)
            self._start(self._handle(_Connection(accepted)))

    async def _handle(self, connection: _Connection) -> None:
        self._connections.add(connection)
        try:
            await self._open.wait()
            async with asyncio.timeout(_CONNECT_S_MAX):
                # First, so that a client of a server that is down gets no connection either.
                from_server, connection.server = await self._connected()
                from_client, connection.client = await _shaken(
                    connection.accepted, self._server_side
                )
            self.connected += 1
            await self._pass_on(connection, from_client, from_server)
        except (OSError, TimeoutError):
            pass  # the one side sees that the other has gone
        finally:
            connection.drop()
            self._connections.discard(connection)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the first server that shakes hands. Raises OSError, TimeoutError."""
        for address in self._addresses[:-1]:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_NEXT_S):
                    return await self._connect(address)
        return await self._connect(self._addresses[-1])

    async def _connect(
        self, address: SplitResult
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(address.hostname, address.port, ssl=self._client_side)

    async def _pass_on(
        self,
        connection: _Connection,
        from_client: asyncio.StreamReader,
        from_server: asyncio.StreamReader,
    ) -> None:
        """Carry both directions until one ends; a half-open connection, until the client's does."""
        assert connection.server is not None
        assert connection.client is not None
        up = asyncio.create_task(self._carry(connection, from_client, connection.server))
        down = asyncio.create_task(self._carry(connection, from_server, connection.client))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if connection.is_half_open:
                await up
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _carry(
        self, connection: _Connection, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        """One direction until its source ends. Reading goes on while a piece is delayed, so that a
        delay costs time and not throughput."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED_PIECES_MAX)
        delivering = asyncio.create_task(self._deliver(connection, pieces, sink))
        try:
            while piece := await _read(source):
                if connection.is_half_open:
                    continue
                await pieces.put((time.monotonic() + self._delay_s, piece))
                if delivering.done():
                    return
            await pieces.put((time.monotonic() + self._delay_s, b""))
            if not connection.is_half_open:
                await delivering
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)

    async def _deliver(
        self,
        connection: _Connection,
        pieces: asyncio.Queue[tuple[float, bytes]],
        sink: asyncio.StreamWriter,
    ) -> None:
        is_answer = sink is connection.client
        while True:
            due_s, piece = await pieces.get()
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await self._open.wait()
            if not piece:
                return
            if is_answer:
                await self._throttle(len(piece))
            if connection.is_half_open:
                continue
            if sink.is_closing():
                return
            with contextlib.suppress(OSError):
                if is_answer and connection.is_to_be_cut:
                    sink.write(piece[: len(piece) // 2])
                    await sink.drain()
                    # A farewell of TLS: the client gets the half piece, and then a clean end.
                    sink.close()
                    return
                sink.write(piece)
                await sink.drain()

    async def _throttle(self, size: int) -> None:
        """Wait until so many bytes more may pass."""
        if self._unthrottled.is_set():
            return
        now_s = time.monotonic()
        self._throttled_until_s = max(self._throttled_until_s, now_s) + size / self._bytes_per_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._throttled_until_s - now_s):
                await self._unthrottled.wait()


async def _shaken(
    accepted: socket.socket, context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams over an accepted connection, after the handshake. Raises OSError."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=context)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _read(source: asyncio.StreamReader) -> bytes:
    """The next piece; empty at the end, however it came."""
    try:
        return await source.read(_PIECE_BYTES)
    except OSError:
        return b""


def _linger_zero(writer: asyncio.StreamWriter) -> None:
    plain = writer.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
