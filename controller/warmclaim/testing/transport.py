"""A Transport that calls the server inside the process: no sockets, and no time of its own."""

from __future__ import annotations

from warmclaim.errors import NotSentError
from warmclaim.seams import ByteStream, Request, Response
from warmclaim.testing.api import Caller, FakeApiServer


class InProcessTransport:
    """warmclaim.seams.Transport over a FakeApiServer.

    `user_agent` is how the server's request log names this client. `close` closes its streams.
    """

    def __init__(self, server: FakeApiServer, *, user_agent: str = "in-process") -> None:
        self._server = server
        self._caller = Caller(user_agent)
        self._streams: list[ByteStream] = []
        self._is_closed = False

    async def request(self, request: Request) -> Response:
        self._require_open()
        return await self._server.handle(request, self._caller)

    async def stream(self, request: Request) -> ByteStream:
        self._require_open()
        stream = await self._server.open_stream(request, self._caller)
        self._streams.append(stream)
        return stream

    async def close(self) -> None:
        self._is_closed = True
        for stream in self._streams:
            await stream.close()
        self._streams.clear()

    def _require_open(self) -> None:
        if self._is_closed:
            raise NotSentError("this transport is closed")
