"""A Transport that calls the server inside the process: no sockets, and no time of its own."""

from __future__ import annotations

from collections.abc import Callable

from warmclaim.errors import NotSentError
from warmclaim.seams import ByteStream, Request, Response
from warmclaim.testing.api import Caller, FakeApiServer
from warmclaim.testing.forwarded import ForwardedStream


class InProcessTransport:
    """warmclaim.seams.Transport over a FakeApiServer.

    `user_agent` is how the server's request log names this client. `close` closes its streams.
    """

    def __init__(self, server: FakeApiServer, *, user_agent: str = "in-process") -> None:
        self._server = server
        self._caller = Caller(user_agent)
        self._open: dict[int, _Open] = {}
        self._is_closed = False

    async def request(self, request: Request) -> Response:
        self._require_open()
        return await self._server.handle(request, self._caller)

    async def stream(self, request: Request) -> ByteStream:
        self._require_open()
        inner = await self._server.open_stream(request, self._caller)
        stream = _Open(inner, lambda: self._open.pop(id(stream), None))
        self._open[id(stream)] = stream
        return stream

    async def end_streams(self) -> None:
        """The connections end, as cleanly as at a restart of the server; others may follow."""
        for stream in tuple(self._open.values()):
            await stream.close()

    async def close(self) -> None:
        self._is_closed = True
        await self.end_streams()

    def _require_open(self) -> None:
        if self._is_closed:
            raise NotSentError("this transport is closed")


class _Open(ForwardedStream):
    """A stream until it is closed; `on_close` is told so."""

    def __init__(self, inner: ByteStream, on_close: Callable[[], object]) -> None:
        super().__init__(inner)
        self._on_close = on_close

    async def close(self) -> None:
        self._on_close()
        await super().close()
