"""Our HTTP endpoints: /healthz, /livez and /readyz on one address, /metrics on another.

Anyone in the cluster may connect, so a connection costs little: 64 at once, one request each,
5 s to send it, small heads, bodies are never read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from aiohttp import web

from warmclaim.errors import UsageError
from warmclaim.settings import BindAddress, ServingSettings, bind_address

READY_PATH = "/readyz"
CONNECTIONS_MAX = 64
HEAD_S_MAX = 5.0
REASON_CHARS_MAX = 200
NOTES_MAX = 50

Check: TypeAlias = Callable[[], str | None]
"""None when all is well, else the reason in a few words. Must not block."""

Notes: TypeAlias = Callable[[], Sequence[str]]
"""One line for each thing that somebody should mend. Must neither block nor raise."""

_Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)
# aiohttp logs each malformed request with its stack; clients must not be able to fill the log.
_silent = logging.Logger("http-parser")
_silent.disabled = True


class Probes:
    """Named checks behind the probe endpoints.

    Live checks ask whether a restart would help; ready checks whether this process does its work
    (caches synced, API server in reach). A check that raises has failed. Notes are what is wrong
    although the process does its work: /readyz says them, and its code stays.
    """

    def __init__(self) -> None:
        self._notes: dict[str, Notes] = {}
        self._live: dict[str, Check] = {}
        self._ready: dict[str, Check] = {}

    def add_live(self, name: str, check: Check) -> None:
        """Have /livez and /healthz ask `check`."""
        self._live[name] = check

    def add_ready(self, name: str, check: Check) -> None:
        """Have /readyz ask `check`."""
        self._ready[name] = check

    def add_notes(self, name: str, notes: Notes) -> None:
        """Have /readyz say what `notes` finds."""
        self._notes[name] = notes

    def noted(self) -> list[str]:
        """All notes, each with its name; at most `NOTES_MAX`."""
        lines = [f"{name}: {note}" for name, notes in self._notes.items() for note in notes()]
        return [line[:REASON_CHARS_MAX] for line in lines[:NOTES_MAX]]

    def live(self) -> dict[str, str | None]:
        """Each live check's reason, None where all is well."""
        return {name: _asked(check) for name, check in self._live.items()}

    def ready(self) -> dict[str, str | None]:
        """The same for the ready checks."""
        return {name: _asked(check) for name, check in self._ready.items()}


def _asked(check: Check) -> str | None:
    try:
        reason = check()
    except Exception as error:
        _log.exception("health check failed")
        return type(error).__name__
    return reason[:REASON_CHARS_MAX] if reason is not None else None


class Serving:
    """Both servers. `scrape` renders /metrics; it runs in the loop and must be quick."""

    def __init__(
        self, settings: ServingSettings, probes: Probes, scrape: Callable[[], bytes]
    ) -> None:
        self._probes = _Endpoint(
            "health-probe-bind-address", settings.probe_address, _probe_handler(probes)
        )
        self._metrics = _Endpoint(
            "metrics-bind-address", settings.metrics_address, _metrics_handler(scrape)
        )

    @property
    def probe_port(self) -> int | None:
        """The port that answers probes, None while off. The real one where 0 was asked for."""
        return self._probes.port

    @property
    def metrics_port(self) -> int | None:
        """The port that answers /metrics, None while off."""
        return self._metrics.port

    async def start(self) -> None:
        """Listen. Raises UsageError, which names the flag, where an address cannot be had."""
        await self._probes.start()
        try:
            await self._metrics.start()
        except UsageError:
            await self._probes.close()
            raise

    async def close(self) -> None:
        """Stop listening and end what is open. May be called twice."""
        await self._probes.close()
        await self._metrics.close()

    async def run(self) -> None:
        """Serve until cancelled; starts what is not started."""
        await self.start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self.close()


class _Refused(asyncio.Protocol):
    """Ends a connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()


class _Endpoint:
    """One listening address."""

    def __init__(self, flag: str, address: str, handler: _Handler) -> None:
        self._flag = flag
        self._address = bind_address(address)
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._http: web.Server | None = None

    @property
    def port(self) -> int | None:
        if self._server is None:
            return None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        if self._address is None or self._server is not None:
            return
        self._http = http = _http_server(self._handler)

        def accept() -> asyncio.BaseProtocol:
            return http() if len(http.connections) < CONNECTIONS_MAX else _Refused()

        try:
            self._server = await asyncio.get_running_loop().create_server(
                accept, _host(self._address), self._address.port, reuse_address=True
            )
        except OSError as error:
            problem = error.strerror or type(error).__name__
            raise UsageError(
                f"--{self._flag} {self._address}: cannot listen there: {problem}"
            ) from None

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is None or self._http is None:
            return
        server.close()
        await self._http.shutdown(timeout=1.0)
        await server.wait_closed()


def _http_server(handler: _Handler) -> web.Server:
    return web.Server(
        handler,
        access_log=None,
        logger=_silent,
        keepalive_timeout=HEAD_S_MAX,  # aiohttp counts it from the start of the connection
        lingering_time=0.0,
        max_line_size=2048,
        max_field_size=4096,
        max_headers=64,
    )


def _host(address: BindAddress) -> str | None:
    if address.host:
        return address.host
    # Two sockets (IPv4 and IPv6) would get two different free ports.
    return "0.0.0.0" if address.port == 0 else None


def _answer(status: int, body: bytes, content_type: str = "text/plain") -> web.Response:
    response = web.Response(status=status, body=body, content_type=content_type, charset="utf-8")
    response.force_close()
    return response


def _probe_handler(probes: Probes) -> _Handler:
    checks = {"/healthz": probes.live, "/livez": probes.live, READY_PATH: probes.ready}

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        ask = checks.get(request.path)
        if ask is None:
            return _answer(404, b"not found\n")
        if request.method not in {"GET", "HEAD"}:
            return _answer(405, b"method not allowed\n")
        notes = probes.noted() if request.path == READY_PATH else []
        return _verdict(ask(), notes, is_verbose="verbose" in request.query)

    return handle


def _verdict(
    reasons: Mapping[str, str | None], notes: Sequence[str], *, is_verbose: bool
) -> web.Response:
    is_well = all(reason is None for reason in reasons.values())
    lines = [
        f"[+]{name} ok" if reason is None else f"[-]{name}: {reason}"
        for name, reason in reasons.items()
    ]
    said = [*(lines if is_verbose else []), *(f"[!]{note}" for note in notes)]
    body = "\n".join([*said, "ok" if is_well else "not ok", ""])
    return _answer(200 if is_well else 503, body.encode())


def _metrics_handler(scrape: Callable[[], bytes]) -> _Handler:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.path != "/metrics":
            return _answer(404, b"not found\n")
        if request.method not in {"GET", "HEAD"}:
            return _answer(405, b"method not allowed\n")
        try:
            body = scrape()
        except Exception:
            _log.exception("metrics could not be rendered")
            return _answer(500, b"metrics could not be rendered\n")
        response = _answer(200, body)
        response.headers["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8"
        return response

    return handle
