"""One exchange on one of aiohttp's connections: a head and a body out, a head in.

aiohttp's connector makes, keeps, limits and ends the connections, with TLS, and its parser reads
the answers. Its ClientSession is left out: what it does besides is for web pages (cookies,
redirects, proxies, repeats, uploads, a task for each body), all of it switched off for an API
server, and a warm claim causes eight requests. Measured, a request took 89 us of processor time
with it, and takes 35 without. It also repeats a PUT or DELETE on a connection that the server
closed; here nothing is repeated.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode
from weakref import WeakSet

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from warmclaim.kube.config import Connection
from warmclaim.seams import Request

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection as Acquired
    from aiohttp.http import RawResponseMessage

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
_FAREWELL_S_MAX: Final = 1.0
# The deadline of an exchange is set around it: aiohttp's own are rounded up to whole seconds, and a
# lease renewal cannot give one away.
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None)


class LostError(Exception):
    """The connection broke after it was there, before the head of an answer."""


@dataclass(slots=True)
class Attempt:
    """How far a request came."""

    has_connection: bool = False
    is_reused: bool = False


class Answer:
    """An answer whose head is there. It ends with its last piece, or by `close`."""

    def __init__(self, acquired: Acquired, head: RawResponseMessage, content: Any) -> None:
        self.status: int = head.code
        self.content: aiohttp.StreamReader = content
        self._acquired = acquired
        self._head = head
        self.content.on_eof(self._release)

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in lower case."""
        return {name.lower(): value for name, value in self._head.headers.items()}

    def close(self) -> None:
        """Drop the connection: what is left of the answer is not wanted."""
        self._acquired.close()

    def _release(self) -> None:
        """Keep the connection for the next request, if it is fit for one."""
        transport = self._acquired.transport
        # Answered before it was all sent: a refusal of a large body.
        if transport is not None and transport.get_write_buffer_size():
            self._acquired.close()
        else:
            self._acquired.release()


class Wire:
    """Connections to one API server, `connections_max` of them (0: no limit), kept for `idle_s_max`
    after an exchange. To be made in a running loop."""

    def __init__(
        self,
        connection: Connection,
        user_agent: str,
        *,
        connections_max: int,
        idle_s_max: float,
        read_buffer_bytes: int,
    ) -> None:
        context, url = connection.ssl_context, URL(connection.server_url)
        self._connector = aiohttp.TCPConnector(
            limit=connections_max,
            ssl=True if context is None else context,
            keepalive_timeout=idle_s_max,
            socket_factory=_socket,
        )
        # Tells the connector where to; never sent.
        self._where = aiohttp.ClientRequest(
            "GET",
            url,
            loop=asyncio.get_running_loop(),
            ssl=True,
            server_hostname=connection.tls_server_name,
        )
        self._base_path = url.raw_path.rstrip("/")
        self._read_buffer_bytes = read_buffer_bytes
        self._used: WeakSet[ResponseHandler] = WeakSet()
        self._fixed_head = "".join(
            _line(name, value)
            for name, value in (
                ("Host", self._where.headers["Host"]),
                ("User-Agent", user_agent),
                ("Accept", "application/json"),
                ("Accept-Encoding", "identity"),
            )
        )

    async def send(self, request: Request, authorization: str | None, attempt: Attempt) -> Answer:
        """Send once; the answer as soon as its head is there. `attempt` is kept up to date.

        Raises LostError, and aiohttp's errors and OSError before there is a connection or when what
        comes is no HTTP. Waits for a free connection, and for the answer, without limit.
        """
        sent = self._written(request, authorization)
        acquired = await self._connector.connect(self._where, [], _NO_TIMEOUT)
        protocol = acquired.protocol
        assert protocol is not None, "aiohttp gives none that is closed"
        attempt.has_connection, attempt.is_reused = True, protocol in self._used
        self._used.add(protocol)
        try:
            head, content = await self._exchanged(protocol, sent)
        except BaseException:
            acquired.close()
            raise
        return Answer(acquired, head, content)

    async def close(self) -> None:
        """Close all connections; requests under way fail. Those that end their TLS in due form, as
        a server that closes after each answer has them do, get `_FAREWELL_S_MAX` for it."""
        ends = [end for protocol in self._used if (end := protocol.closed) is not None]
        await self._connector.close()
        if ends:
            await asyncio.wait(ends, timeout=_FAREWELL_S_MAX)

    async def _exchanged(
        self, protocol: ResponseHandler, sent: bytes
    ) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
        protocol.set_response_params(
            read_until_eof=True, auto_decompress=False, read_bufsize=self._read_buffer_bytes
        )
        if protocol.transport is None:
            raise LostError("the connection was closed")
        protocol.transport.write(sent)
        try:
            while True:
                head, content = await protocol.read()
                if head.code >= 200 or head.code == 101:
                    return head, content
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise LostError(str(error) or type(error).__name__) from error
        except HttpProcessingError as error:
            raise aiohttp.ClientPayloadError(f"no HTTP: {error.message}") from error

    def _written(self, request: Request, authorization: str | None) -> bytes:
        target = self._base_path + request.path
        if request.query:
            target += "?" + urlencode(request.query, quote_via=quote)
        head = f"{request.method} {target} HTTP/1.1\r\n{self._fixed_head}"
        if authorization is not None:
            head += _line("Authorization", authorization)
        if request.body is None:
            return f"{head}\r\n".encode()
        head += _line("Content-Type", request.content_type)
        return f"{head}Content-Length: {len(request.body)}\r\n\r\n".encode() + request.body


def _line(name: str, value: str) -> str:
    if "\r" in value or "\n" in value or "\0" in value:
        raise ValueError(f"the header {name} would have more than one line")
    return f"{name}: {value}\r\n"


def _socket(address: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
    made = socket.socket(family=address[0], type=address[1], proto=address[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _SOCKET_OPTIONS.items():
        option = getattr(socket, name, None)
        if option is not None:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made
