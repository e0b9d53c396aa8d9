"""One address on which this process answers HTTP, with or without TLS.

Anyone in the cluster may connect, so a connection costs little: `CONNECTIONS_MAX` at once, small
heads, and no line in the log for what a stranger sends.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from aiohttp import web

from warmclaim.errors import UsageError
from warmclaim.settings import BindAddress

CONNECTIONS_MAX: Final = 64
CLOSE_S_MAX: Final = 1.0
"""How long an answer that is under way may take when the endpoint is closed."""

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# aiohttp logs each malformed request with its stack; clients must not be able to fill the log.
_silent = logging.Logger("http-parser")
_silent.disabled = True


class Endpoint:
    """Listens from `start` to `close`. `flag` says where as the user said it, for errors; a
    connection is closed `connection_s_max` after it was made, unless a request is under way."""

    def __init__(
        self,
        flag: str,
        address: BindAddress,
        handler: Handler,
        *,
        connection_s_max: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._flag = flag
        self._address = address
        self._handler = handler
        self._connection_s_max = connection_s_max
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._http: web.Server | None = None

    @property
    def port(self) -> int | None:
        """The port that is listened on, None while none is. The real one where 0 was asked for."""
        if self._server is None:
            return None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen, if not yet. Raises UsageError, which names the flag, where it cannot."""
        if self._server is not None:
            return
        self._http = http = self._http_server()

        def accept() -> asyncio.BaseProtocol:
            return http() if len(http.connections) < CONNECTIONS_MAX else _Refused()

        address = self._address
        try:
            self._server = await asyncio.get_running_loop().create_server(
                accept, _host(address), address.port, ssl=self._tls, reuse_address=True
            )
        except OSError as error:
            problem = error.strerror or type(error).__name__
            raise UsageError(f"{self._flag}: cannot listen there: {problem}") from None

    async def close(self) -> None:
        """Stop listening and end what is open. May be called twice."""
        server, self._server = self._server, None
        if server is None or self._http is None:
            return
        server.close()
        await self._http.shutdown(timeout=CLOSE_S_MAX)
        await server.wait_closed()

    def _http_server(self) -> web.Server:
        return web.Server(
            self._handler,
            access_log=None,
            logger=_silent,
            keepalive_timeout=self._connection_s_max,  # counted from the connection's beginning
            lingering_time=0.0,
            max_line_size=2048,
            max_field_size=4096,
            max_headers=64,
        )


class _Refused(asyncio.Protocol):
    """Ends a connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()


def _host(address: BindAddress) -> str | None:
    if address.host:
        return address.host
    # Two sockets (IPv4 and IPv6) would get two different free ports.
    return "0.0.0.0" if address.port == 0 else None
