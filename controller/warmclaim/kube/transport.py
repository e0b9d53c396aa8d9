"""HttpTransport: the Transport that opens sockets.

What it must know, and a plain HTTP client does not tell: whether a failed request may have reached
the server. As long as no connection was there, nothing was sent (`NotSentError`); from then on
everything but a whole answer is an unknown outcome, a timeout most of all. HTTP clients repeat PUT
and DELETE on a connection that the server closed, which is right for HTTP (both are idempotent) and
wrong here: a repeated compare-and-set reports its own success as a conflict. So only a GET gets a
free second try.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from warmclaim import __version__
from warmclaim.errors import NotSentError, PermanentError, StreamError, UnknownOutcomeError
from warmclaim.kube import answers
from warmclaim.kube.config import Connection
from warmclaim.kube.turns import Turns
from warmclaim.kube.wire import Answer, Attempt, LostError, Wire
from warmclaim.seams import ByteStream, Channel, Request, Response


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """Limits. A channel's connections are its own, so no channel waits for another; requests
    beyond them wait, within their own time limit, and the namespaces take turns. 0 connections: no
    limit. `body_bytes_max` is of what is held: a list, taken piece by piece, may be longer."""

    claim_connections_max: int = 16
    refill_connections_max: int = 8
    watch_connections_max: int = 0
    lease_connections_max: int = 1
    review_connections_max: int = 4
    body_bytes_max: int = 64 * 1024 * 1024
    # Below the server's 90 s, so that it is seldom the server who closes an idle connection.
    idle_s_max: float = 60.0
    read_buffer_bytes: int = 256 * 1024

    def connections_max(self, channel: Channel) -> int:
        return {
            Channel.CLAIMS: self.claim_connections_max,
            Channel.REFILL: self.refill_connections_max,
            Channel.WATCH: self.watch_connections_max,
            Channel.LEASE: self.lease_connections_max,
            Channel.REVIEW: self.review_connections_max,
        }[channel]


class HttpTransport:
    """Sends requests to one API server; aiohttp, HTTP/1.1, one pool of connections per channel.

    Follows no redirect, obeys no proxy variable, keeps no cookie, accepts no compression (a
    compressed answer costs the server more than the bytes save in a cluster network, and a small
    one can be made to unpack into a huge one).
    """

    def __init__(
        self,
        connection: Connection,
        *,
        settings: TransportSettings | None = None,
        user_agent: str = f"warmclaim/{__version__}",
    ) -> None:
        self._connection = connection
        self._settings = settings or TransportSettings()
        self._user_agent = user_agent
        self._wires: dict[Channel, Wire] = {}
        self._turns: dict[Channel, Turns] = {}
        self._is_closed = False

    async def request(self, request: Request) -> Response:
        """The whole answer, within `timeout_s`.

        Raises NotSentError, UnknownOutcomeError, and PermanentError for a body beyond the limit
        (for writes that is an unknown outcome too).
        """
        attempt = Attempt()
        try:
            async with (
                asyncio.timeout(request.timeout_s),
                self._turns_of(request.channel).place(request.path),
            ):
                answer = await self._authorized(request, attempt)
                try:
                    body = await self._body(request, answer)
                finally:
                    answer.close()  # after the last piece it has ended already
        except (TimeoutError, LostError, aiohttp.ClientError, OSError) as error:
            raise _failure(request, attempt, error) from error
        return Response(answer.status, body, answer.headers)

    async def stream(self, request: Request) -> ByteStream:
        """The answer as soon as its head is there; the same errors as `request`."""
        attempt = Attempt()
        try:
            async with asyncio.timeout(request.timeout_s):
                answer = await self._authorized(request, attempt)
        except (TimeoutError, LostError, aiohttp.ClientError, OSError) as error:
            raise _failure(request, attempt, error) from error
        return HttpStream(answer)

    async def close(self) -> None:
        """Close all connections; requests under way fail."""
        self._is_closed = True
        for wire in self._wires.values():
            await wire.close()

    async def _authorized(self, request: Request, attempt: Attempt) -> Answer:
        """Send; after a 401 once more with fresh credentials (it was surely not applied)."""
        credentials = self._connection.credentials
        header = credentials.authorization()
        answer = await self._repeated(request, header, attempt)
        if answer.status != 401:
            return answer
        attempt.has_connection = False
        await credentials.refresh(header)
        fresh = credentials.authorization()
        if fresh == header:
            return answer
        answer.close()
        return await self._repeated(request, fresh, attempt)

    async def _repeated(
        self, request: Request, authorization: str | None, attempt: Attempt
    ) -> Answer:
        """Send; a GET on a kept connection that turns out to be closed is sent once more."""
        wire = self._wire(request.channel)
        try:
            return await wire.send(request, authorization, attempt)
        except LostError:
            if request.method != "GET" or not attempt.is_reused:
                raise
        return await wire.send(request, authorization, attempt)

    async def _body(self, request: Request, answer: Answer) -> bytes:
        limit, size, pieces = self._settings.body_bytes_max, 0, list[bytes]()
        on_piece = request.on_piece if 200 <= answer.status < 300 else None
        while piece := await answer.content.readany():
            if on_piece is not None:
                on_piece(piece)
                continue
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                why = f"{request.method} {request.path}: an answer of more than {limit} bytes"
                if request.method == "GET":
                    raise PermanentError(answer.status, answers.ANSWER_TOO_LARGE, why)
                raise UnknownOutcomeError(why)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _turns_of(self, channel: Channel) -> Turns:
        turns = self._turns.get(channel)
        if turns is None:
            turns = self._turns[channel] = Turns(self._settings.connections_max(channel))
        return turns

    def _wire(self, channel: Channel) -> Wire:
        """Made at first use, since it wants a running loop."""
        if self._is_closed:
            raise NotSentError("the transport is closed")
        wire = self._wires.get(channel)
        if wire is None:
            wire = self._wires[channel] = Wire(
                self._connection,
                self._user_agent,
                connections_max=self._settings.connections_max(channel),
                idle_s_max=self._settings.idle_s_max,
                read_buffer_bytes=self._settings.read_buffer_bytes,
            )
        return wire


class HttpStream:
    """An open answer of a watch."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    async def read(self) -> bytes:
        """The next piece; b"" at a clean end. Waits without limit."""
        try:
            return await self._answer.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise StreamError(_words(error)) from error

    async def close(self) -> None:
        """Drop the connection: what is left of the answer is not wanted."""
        self._answer.close()


def _failure(
    request: Request, attempt: Attempt, error: BaseException
) -> NotSentError | UnknownOutcomeError:
    what = f"{request.method} {request.path}: {_words(error)}"
    if isinstance(error, TimeoutError):
        what = f"{request.method} {request.path}: no answer within {request.timeout_s:g} s"
    return UnknownOutcomeError(what) if attempt.has_connection else NotSentError(what)


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
