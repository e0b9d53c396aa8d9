"""Real HTTP in front of a FakeApiServer, on loopback.

    async with serve(server) as front:
        front.url                        # http://127.0.0.1:41673
        front.write_kubeconfig(path)     # for kubectl and any client library

Plain HTTP/1.1; watches and long lists are chunked, and wait for a client that reads slowly. The
front decides nothing but how an answer is written: it turns bytes into a Request and back.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, cast
from urllib.parse import parse_qsl

import yaml

from warmclaim.seams import ByteStream, Method, Request, Response
from warmclaim.streaming.json_list import gzipped
from warmclaim.testing import refusals
from warmclaim.testing.api import Answer, Caller, FakeApiServer, ListAnswer
from warmclaim.testing.http_wire import (
    HEAD_MAX_BYTES,
    WireRequest,
    chunk,
    chunk_parts,
    head_of,
    read_request,
)
from warmclaim.testing.refusals import Refusal

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_STOP_WITHIN_S = 2.0
_log = logging.getLogger(__name__)


def serve(
    server: FakeApiServer,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    token: str | None = None,
) -> HttpFront:
    """A front to enter with `async with`. Port 0: any free one. With a `token`, only requests
    that bear it are answered, all others by 401."""
    return HttpFront(server, host, port, token)


class HttpFront:
    """A listening socket, one task per connection; see `serve`."""

    def __init__(self, server: FakeApiServer, host: str, port: int, token: str | None) -> None:
        self._server = server
        self._host = host
        self._port = port
        self._token = token
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._streams: set[ByteStream] = set()

    async def __aenter__(self) -> HttpFront:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listens. Raises OSError where the port is taken."""
        self._listener = await asyncio.start_server(
            self._on_connection, self._host, self._port, limit=HEAD_MAX_BYTES, backlog=1024
        )
        self._port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends all watches cleanly, then all connections; requests get 2 s to finish."""
        if self._listener is None:
            return
        self._listener.close()
        self._listener = None
        for stream in tuple(self._streams):
            await stream.close()
        # One turn of the loop lets ended watches say so, before idle connections are cut.
        await asyncio.sleep(0)
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=_STOP_WITHIN_S)

    def write_kubeconfig(self, path: Path) -> Path:
        """Writes a kubeconfig with one context that leads here, readable by the owner only."""
        user: dict[str, Any] = {"token": self._token} if self._token else {}
        name = "embedded"
        config: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": self.url}}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path

    async def _on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._connections.add(task)
        try:
            # A client that goes away, or a stop, is no error of ours.
            with suppress(ConnectionError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        except Exception:
            _log.exception("a connection broke")
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection may be used again."""
        try:
            incoming = await read_request(reader, writer)
            if incoming is None:
                return False
            request, caller = self._understood(incoming)
        except Refusal as refusal:
            await _send(writer, Response(refusal.code, refusal.body, refusal.headers))
            return False
        stream = await self._server.open_stream(request, caller)
        if isinstance(stream, Answer):
            await _send(writer, stream.response)
            return incoming.keeps_connection
        if isinstance(stream, ListAnswer):
            try:
                await _send_list(writer, stream, may_compress=incoming.accepts_gzip)
            finally:
                await stream.close()
            return incoming.keeps_connection
        is_intact = await self._forward(stream, reader, writer)
        return is_intact and incoming.keeps_connection

    def _understood(self, incoming: WireRequest) -> tuple[Request, Caller]:
        """The request in our own words. Refuses 401 and 405."""
        headers = incoming.headers
        if self._token is not None and headers.get("authorization") != f"Bearer {self._token}":
            raise refusals.unauthorized()
        if incoming.method not in _METHODS:
            raise refusals.method_not_allowed()
        path, _, query = incoming.target.partition("?")
        request = Request(
            cast(Method, incoming.method),
            path,
            tuple(parse_qsl(query, keep_blank_values=True)) if query else (),
            incoming.body,
            headers.get("content-type", "application/json").partition(";")[0].strip(),
        )
        return request, Caller(headers.get("user-agent", ""))

    async def _forward(
        self, stream: ByteStream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Sends a stream piece by piece, no faster than the client reads, until either ends.

        Returns whether the connection may be used again: not if the client left or spoke.
        """
        self._streams.add(stream)
        gone = asyncio.ensure_future(_close_when_client_leaves(reader, stream))
        try:
            piece = None
            await _write(writer, head_of(stream.status, stream.headers, length=None))
            while piece != b"" and not writer.is_closing():
                piece = await stream.read()
                await _write(writer, chunk(piece))
            return not gone.done()
        finally:
            gone.cancel()
            self._streams.discard(stream)
            await stream.close()
            # The reader has room for one who waits: the next request must find it free.
            await asyncio.gather(gone, return_exceptions=True)


async def _send(writer: asyncio.StreamWriter, response: Response) -> None:
    head = head_of(response.status, response.headers, length=len(response.body))
    await _write(writer, head + response.body)


async def _send_list(
    writer: asyncio.StreamWriter, answer: ListAnswer, *, may_compress: bool
) -> None:
    """Sends a long list in chunks, compressed if the client takes that, no faster than it reads.

    Raises ConnectionError where the client left, and what encoding raises: the last chunk is then
    missing, and the end of the connection tells the client that this was not the list.
    """
    headers = {**answer.headers, "vary": "Accept-Encoding"}
    if may_compress:
        headers["content-encoding"] = "gzip"
    await _write(writer, head_of(answer.status, headers, length=None))
    # A piece is sent before the next one is encoded, so that many readers hold one each.
    writer.transport.set_write_buffer_limits(0)
    for piece in gzipped(answer.pieces) if may_compress else answer.pieces:
        if writer.is_closing():
            raise ConnectionResetError("the client left")
        writer.writelines(chunk_parts(piece))
        del piece  # else it is held beside the next one
        await writer.drain()
        # `drain` waits only for a slow reader; a quick one must not hold up all others.
        await asyncio.sleep(0)
    writer.transport.set_write_buffer_limits()
    await _write(writer, chunk(b""))


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    # asyncio drops what is written after the client left; to uvloop it is an error.
    if not writer.is_closing():
        writer.write(data)
        await writer.drain()


async def _close_when_client_leaves(reader: asyncio.StreamReader, stream: ByteStream) -> None:
    """On a quiet resource nothing would be written, so nothing would fail, for hours."""
    with suppress(ConnectionError):
        await reader.read(1)
    await stream.close()
