"""Requests and watches of the load generator: keep-alive HTTP/1.1, one connection per request
in flight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace, TracebackType
from typing import Self

import aiohttp
import msgspec

from warmclaim.kube.config import Connection
from warmclaim.loadtest.failures import RefusedError
from warmclaim.loadtest.views import Metadata, Thing, WatchEvent

USER_AGENT = "warmclaim-loadtest"
JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
_REQUEST_S_MAX = 60.0
_WATCH_S = 3600
_IDLE_S_MAX = 600.0

Feed = Callable[[str, Thing, float], None]
"""Takes the type of an event, its object, and when its line was read (monotonic seconds)."""


class Wire:
    """Requests of one user over at most `connections` connections; use it as a context."""

    def __init__(self, connection: Connection, *, connections: int) -> None:
        self._connection = connection
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self.queued_s_max = 0.0
        """The longest that a request waited here for a connection; may be set back."""

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=self._connections,
            ssl=self._connection.ssl_context or True,
            keepalive_timeout=_IDLE_S_MAX,
        )
        self._session = aiohttp.ClientSession(
            self._connection.server_url,
            connector=connector,
            headers={"User-Agent": USER_AGENT},
            timeout=aiohttp.ClientTimeout(total=_REQUEST_S_MAX),
            trace_configs=[self._tracing()],
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            # The TLS connections say goodbye in the next turns of the loop.
            await asyncio.sleep(0.05)

    async def open_connections(self) -> None:
        """Make every connection now: a handshake costs the server more than a request."""
        await asyncio.gather(*(self.send("GET", "/version") for _ in range(self._connections)))

    async def send(
        self, method: str, path: str, body: object = None, content_type: str = JSON
    ) -> bytes:
        """Send one request and return its answer.

        Raises:
            RefusedError: a status of 300 or more; a redirect is not followed.
            aiohttp.ClientError, TimeoutError: no answer within 60 s.
        """
        payload = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": content_type} | self._authorization()
        async with self._open().request(
            method,
            path,
            data=payload,
            headers=headers,
            allow_redirects=False,
            server_hostname=self._connection.tls_server_name,
        ) as response:
            answer = await response.read()
        if response.status >= 300:
            raise RefusedError(method, path, response.status, answer)
        return answer

    async def stream(self, path: str) -> aiohttp.ClientResponse:
        """Open an answer without end. Raises as `send` does; the caller closes it."""
        endless = aiohttp.ClientTimeout(total=None, sock_connect=10.0)
        response = await self._open().get(
            path,
            timeout=endless,
            headers=self._authorization(),
            allow_redirects=False,
            server_hostname=self._connection.tls_server_name,
        )
        if response.status != 200:
            raise RefusedError("GET", path, response.status, await response.read())
        return response

    def _tracing(self) -> aiohttp.TraceConfig:
        """Notes how long requests wait where all connections are in use."""
        tracing = aiohttp.TraceConfig()

        async def queued(_: object, context: SimpleNamespace, __: object) -> None:
            context.queued_s = time.monotonic()

        async def connected(_: object, context: SimpleNamespace, __: object) -> None:
            self.queued_s_max = max(self.queued_s_max, time.monotonic() - context.queued_s)

        tracing.on_connection_queued_start.append(queued)
        tracing.on_connection_queued_end.append(connected)
        return tracing

    def _authorization(self) -> dict[str, str]:
        header = self._connection.credentials.authorization()
        return {} if header is None else {"Authorization": header}

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the wire is used outside its context")
        return self._session


class Watch:
    """One watch on a collection, from now on; feeds every event to one function."""

    def __init__(self, wire: Wire, path: str, feed: Feed) -> None:
        """`wire` needs a connection for each watch that it carries."""
        self._wire = wire
        self._path = path
        self._feed = feed
        self._version = ""
        self._things = msgspec.json.Decoder(Thing)
        self._events = msgspec.json.Decoder(WatchEvent)
        self.resumptions = 0
        """How often the server had ended the watch."""

    async def prepare(self) -> None:
        """Fix the version from which `run` follows. The collection must be empty."""
        answer = await self._wire.send("GET", self._path)
        listed = msgspec.json.decode(answer, type=_List)
        if listed.items:
            raise RuntimeError(f"{self._path} holds {len(listed.items)} objects already")
        self._version = listed.metadata.resource_version

    async def run(self) -> None:
        """Follow until cancelled; a watch that the server ends goes on where it ended.

        Raises:
            RefusedError: the server no longer knows the version, or refuses otherwise.
            aiohttp.ClientError: the connection broke.
        """
        while True:
            query = f"watch=1&allowWatchBookmarks=true&timeoutSeconds={_WATCH_S}"
            uri = f"{self._path}?{query}&resourceVersion={self._version}"
            response = await self._wire.stream(uri)
            try:
                await self._read(response)
            finally:
                response.close()
            self.resumptions += 1

    async def _read(self, response: aiohttp.ClientResponse) -> None:
        rest = b""
        async for chunk in response.content.iter_any():
            now_s = time.monotonic()
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._enter(line, now_s)

    def _enter(self, line: bytes, now_s: float) -> None:
        event = self._events.decode(line)
        if event.type == "ERROR":
            raise RefusedError("WATCH", self._path, 0, bytes(event.object))
        thing = self._things.decode(event.object)
        self._version = thing.metadata.resource_version
        if event.type != "BOOKMARK":
            self._feed(event.type, thing, now_s)


class _List(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw]
    metadata: Metadata
