"""HttpTransport: the Transport that opens sockets.

What it must know, and a plain HTTP client does not tell: whether a failed request may have reached
the server. As long as no connection was there, nothing was sent (`NotSentError`); from then on
everything but a whole answer is an unknown outcome, a timeout most of all. aiohttp repeats PUT and
DELETE on a connection that the server closed, which is right for HTTP (both are idempotent) and
wrong here: a repeated compare-and-set reports its own success as a conflict. So repeats are
switched off there, and only a GET gets a free second try here.

A warm claim causes eight requests, so what each pays is kept small: aiohttp's trace signals would
tell when there is a connection for 15 us a request, the connector itself tells it for 2.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from warmclaim import __version__
from warmclaim.errors import NotSentError, PermanentError, StreamError, UnknownOutcomeError
from warmclaim.kube import answers
from warmclaim.kube.config import Connection
from warmclaim.seams import ByteStream, Channel, Request, Response

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection as AcquiredConnection

# A dead peer is noticed after 10 + 2 x 5 s, whether or not bytes are under way to it.
_KEEPALIVE_IDLE_S: Final = 10
_KEEPALIVE_INTERVAL_S: Final = 5
_KEEPALIVE_PROBES: Final = 2
_SOCKET_OPTIONS: Final = {
    "TCP_KEEPIDLE": _KEEPALIVE_IDLE_S,
    "TCP_KEEPINTVL": _KEEPALIVE_INTERVAL_S,
    "TCP_KEEPCNT": _KEEPALIVE_PROBES,
    "TCP_USER_TIMEOUT": 1000 * (_KEEPALIVE_IDLE_S + _KEEPALIVE_PROBES * _KEEPALIVE_INTERVAL_S),
}


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """Limits. A channel's connections are its own, so no channel waits for another; requests
    beyond them wait, within their own time limit. 0 connections: no limit. `body_bytes_max` is of
    what is held: a list, taken piece by piece, may be longer."""

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


# aiohttp itself repeats none but the idempotent ones.
_REPEATED_BY_AIOHTTP: Final = frozenset(("GET", "PUT", "DELETE"))


@dataclass(slots=True)
class _Attempt:
    """How far a request came. Set by the connector."""

    has_connection: bool = False
    is_reused: bool = False


_attempt: ContextVar[_Attempt] = ContextVar("attempt")
"""That of the request which the present task sends."""


class _Lost(Exception):
    """The connection broke after it was there."""


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
        self._sessions: dict[Channel, aiohttp.ClientSession] = {}
        self._is_closed = False

    async def request(self, request: Request) -> Response:
        """The whole answer, within `timeout_s`.

        Raises NotSentError, UnknownOutcomeError, and PermanentError for a body beyond the limit
        (for writes that is an unknown outcome too).
        """
        _attempt.set(attempt := _Attempt())
        try:
            async with asyncio.timeout(request.timeout_s):
                answer = await self._authorized(request, attempt)
                try:
                    body = await self._body(request, answer)
                finally:
                    answer.release()
        except (TimeoutError, _Lost, aiohttp.ClientError, OSError) as error:
            raise _failure(request, attempt, error) from error
        return Response(answer.status, body, _headers(answer))

    async def stream(self, request: Request) -> ByteStream:
        """The answer as soon as its head is there; the same errors as `request`."""
        _attempt.set(attempt := _Attempt())
        try:
            async with asyncio.timeout(request.timeout_s):
                answer = await self._authorized(request, attempt)
        except (TimeoutError, _Lost, aiohttp.ClientError, OSError) as error:
            raise _failure(request, attempt, error) from error
        return HttpStream(answer)

    async def close(self) -> None:
        """Close all connections; requests under way fail."""
        self._is_closed = True
        for session in self._sessions.values():
            await session.close()

    async def _authorized(self, request: Request, attempt: _Attempt) -> aiohttp.ClientResponse:
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
        self, request: Request, authorization: str | None, attempt: _Attempt
    ) -> aiohttp.ClientResponse:
        """Send; a GET on a kept connection that turns out to be closed is sent once more."""
        try:
            return await self._sent(request, authorization)
        except _Lost:
            if request.method != "GET" or not attempt.is_reused:
                raise
        return await self._sent(request, authorization)

    async def _sent(self, request: Request, authorization: str | None) -> aiohttp.ClientResponse:
        headers = {} if authorization is None else {"Authorization": authorization}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        return await self._session(request.channel).request(
            request.method,
            self._url(request),
            data=request.body,
            headers=headers,
            allow_redirects=False,
            server_hostname=self._connection.tls_server_name,
            middlewares=_WITHOUT_REPEATS if request.method in _REPEATED_BY_AIOHTTP else (),
        )

    def _url(self, request: Request) -> URL:
        url = self._connection.server_url + request.path
        if request.query:
            url += "?" + urlencode(request.query, quote_via=quote)
        return URL(url, encoded=True)

    async def _body(self, request: Request, answer: aiohttp.ClientResponse) -> bytes:
        limit, size, pieces = self._settings.body_bytes_max, 0, list[bytes]()
        on_piece = request.on_piece if 200 <= answer.status < 300 else None
        while piece := await answer.content.readany():
            if on_piece is not None:
                on_piece(piece)
                continue
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                answer.close()
                why = f"{request.method} {request.path}: an answer of more than {limit} bytes"
                if request.method == "GET":
                    raise PermanentError(answer.status, answers.ANSWER_TOO_LARGE, why)
                raise UnknownOutcomeError(why)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _session(self, channel: Channel) -> aiohttp.ClientSession:
        """Made at first use, since aiohttp wants a running loop."""
        if self._is_closed:
            raise NotSentError("the transport is closed")
        session = self._sessions.get(channel)
        if session is None:
            session = self._sessions[channel] = self._new_session(channel)
        return session

    def _new_session(self, channel: Channel) -> aiohttp.ClientSession:
        context = self._connection.ssl_context
        connector = _Connector(
            limit=self._settings.connections_max(channel),
            ssl=True if context is None else context,
            keepalive_timeout=self._settings.idle_s_max,
            socket_factory=_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            # One deadline for the exchange is set around it: aiohttp's own is rounded up to whole
            # seconds, and a lease renewal cannot give one away.
            timeout=aiohttp.ClientTimeout(total=None),
            headers={
                "User-Agent": self._user_agent,
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=self._settings.read_buffer_bytes,
        )


class _Connector(aiohttp.TCPConnector):
    """Tells the attempt under way when it has a connection."""

    async def connect(self, *args: Any, **kwargs: Any) -> AcquiredConnection:
        attempt = _attempt.get()
        attempt.is_reused = True
        connection = await super().connect(*args, **kwargs)
        attempt.has_connection = True
        return connection

    async def _create_connection(self, *args: Any, **kwargs: Any) -> ResponseHandler:
        _attempt.get().is_reused = False
        return await super()._create_connection(*args, **kwargs)


class HttpStream:
    """An open answer of a watch."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        return _headers(self._answer)

    async def read(self) -> bytes:
        """The next piece; b"" at a clean end. Waits without limit."""
        try:
            return await self._answer.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise StreamError(_words(error)) from error

    async def close(self) -> None:
        """Drop the connection: what is left of the answer is not wanted."""
        self._answer.close()


async def _without_repeats(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Hide a lost connection from aiohttp, which would send an idempotent request again."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Lost(_words(error)) from error


_WITHOUT_REPEATS: Final = (_without_repeats,)


def _socket(address: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
    made = socket.socket(family=address[0], type=address[1], proto=address[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _SOCKET_OPTIONS.items():
        option = getattr(socket, name, None)
        if option is not None:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


def _failure(
    request: Request, attempt: _Attempt, error: BaseException
) -> NotSentError | UnknownOutcomeError:
    what = f"{request.method} {request.path}: {_words(error)}"
    if isinstance(error, TimeoutError):
        what = f"{request.method} {request.path}: no answer within {request.timeout_s:g} s"
    return UnknownOutcomeError(what) if attempt.has_connection else NotSentError(what)


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}
