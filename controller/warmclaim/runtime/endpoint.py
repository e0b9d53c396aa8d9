"""One address on which this process answers HTTP/1.1, with or without TLS.

Anyone in the cluster may connect, so a connection costs little: `CONNECTIONS_MAX` at once, counted
before the first byte of TLS; small heads; an end for everyone who sends or reads too slowly; and no
line in the log for what a stranger sends.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias

from aiohttp import web

from warmclaim.errors import UsageError
from warmclaim.runtime.connection import HEAD_BYTES_MAX, BoundedConnection
from warmclaim.settings import BindAddress

CONNECTIONS_MAX: Final = 64
CLOSE_S_MAX: Final = 1.0
"""How long an answer that is under way may take when the endpoint is closed."""

ANSWER_S_MAX: Final = 30.0
"""How long a reader may take for the last of its answer."""

FIELD_BYTES_MAX: Final = 12 * 1024
"""Of one header: a bearer token with many claims in it has 8 KiB."""

HANDSHAKE_S_MAX: Final = 5.0
_BACKLOG: Final = 128
_ACCEPT_AGAIN_S: Final = 1.0
_BROKEN: Final = (OSError, asyncio.TimeoutError)

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
CurrentTls: TypeAlias = Callable[[], ssl.SSLContext | None]
"""The context for the next connection; None while there is no certificate."""

# aiohttp logs each malformed request with its stack; clients must not be able to fill the log.
_silent = logging.Logger("http-parser")
_silent.disabled = True


class Endpoint:
    """Listens from `start` to `close`. `flag` says where as the user said it, for errors.

    A connection has `connection_s_max` to make its TLS and send a head, and `answer_s_max` to take
    the answer. It serves one request and reads no body, unless it `keeps_connections`: then
    `answer_s_max` is also the time until the next request.
    """

    def __init__(
        self,
        flag: str,
        address: BindAddress,
        handler: Handler,
        *,
        connection_s_max: float,
        answer_s_max: float = ANSWER_S_MAX,
        keeps_connections: bool = False,
        tls: CurrentTls | None = None,
    ) -> None:
        self._flag = flag
        self._address = address
        self._handler = handler
        self._connection_s_max = connection_s_max
        self._answer_s_max = answer_s_max
        self._keeps_connections = keeps_connections
        self._tls = tls
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: dict[object, BoundedConnection] = {}  # by aiohttp's protocol
        self._http: web.Server | None = None

    @property
    def port(self) -> int | None:
        """The port that is listened on, None while none is. The real one where 0 was asked for."""
        if not self._listeners:
            return None
        port: int = self._listeners[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """How many there are, those that still shake hands among them."""
        return len(self._open)

    async def start(self) -> None:
        """Listen, if not yet. Raises UsageError, which names the flag, where it cannot."""
        if self._listeners:
            return
        try:
            self._listeners = await _listening(self._address)
        except OSError as error:
            problem = error.strerror or type(error).__name__
            raise UsageError(f"{self._flag}: cannot listen there: {problem}") from None
        self._http = self._http_server()
        for listener in self._listeners:
            self._begin(self._accept(listener, self._http))

    async def close(self) -> None:
        """Stop listening and end what is open. May be called twice."""
        listeners, self._listeners = self._listeners, []
        if not listeners or self._http is None:
            return
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in listeners:
            listener.close()
        await self._http.shutdown(timeout=CLOSE_S_MAX)

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket, http: web.Server) -> None:
        """asyncio's own server counts a connection only after its handshake, and then it cannot
        refuse it before one; so this one accepts by hand."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                taken, _ = await loop.sock_accept(listener)
            except OSError:  # no descriptor is left, or the client has gone
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(loop.create_future(), _ACCEPT_AGAIN_S)
                continue
            context = self._tls() if self._tls else None
            if len(self._open) >= CONNECTIONS_MAX or (self._tls and context is None):
                taken.close()
                continue
            taken.setblocking(False)
            self._begin(self._connect(taken, context, http))

    async def _connect(
        self, taken: socket.socket, context: ssl.SSLContext | None, http: web.Server
    ) -> None:
        inner = http()
        connection = BoundedConnection(
            inner,
            on_end=lambda: self._open.pop(inner, None),
            head_s_max=self._connection_s_max,
            takes_more=self._keeps_connections,
        )
        self._open[inner] = connection
        limit_s = min(self._connection_s_max, HANDSHAKE_S_MAX) if context else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                taken,
                ssl=context,
                ssl_handshake_timeout=limit_s,
                ssl_shutdown_timeout=limit_s,
            )
        except BaseException as error:
            # Whoever took the socket over has closed it. Closed here once more, its number might
            # by then be another's.
            connection.abandon()
            if not isinstance(error, _BROKEN):
                raise

    def _http_server(self) -> web.Server:
        return web.Server(
            self._bounded,
            access_log=None,
            logger=_silent,
            keepalive_timeout=max(self._connection_s_max, self._answer_s_max),
            lingering_time=0.0,
            max_line_size=2048,
            max_field_size=min(FIELD_BYTES_MAX, HEAD_BYTES_MAX),
            max_headers=64,
        )

    async def _bounded(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = self._open.get(request.protocol)
        if connection is None:
            raise ConnectionResetError("the client left")
        connection.request_began()
        try:
            return await self._handler(request)
        finally:
            connection.request_ended(self._answer_s_max)


async def _listening(address: BindAddress) -> list[socket.socket]:
    """A listening socket for each address of the host; all of them or, with an OSError, none."""
    # Two sockets (IPv4 and IPv6) would get two different free ports.
    host = address.host or ("0.0.0.0" if address.port == 0 else None)
    found = await asyncio.get_running_loop().getaddrinfo(
        host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    made: list[socket.socket] = []
    try:
        for family, where in dict.fromkeys((one[0], one[4]) for one in found):
            if family == socket.AF_INET6 and not socket.has_ipv6:
                continue
            listener = socket.socket(family, socket.SOCK_STREAM)
            made.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(where)
            listener.listen(_BACKLOG)
            listener.setblocking(False)
    except OSError:
        for listener in made:
            listener.close()
        raise
    return made
