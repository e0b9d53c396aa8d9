"""The diagnostics port: GET /get-snapshot, for who is on this machine, or in this pod, alone.

A snapshot is made while it is sent: what is made waits for who reads it, and ends when the reader
has left or takes nothing for `SEND_S_MAX`. One at a time; a second reader is told to come again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

from aiohttp import web

from warmclaim.runtime.endpoint import Endpoint
from warmclaim.runtime.health import HEAD_S_MAX, is_local
from warmclaim.settings import bind_address
from warmclaim.telemetry.logs import fields

SNAPSHOT_PATH: Final = "/get-snapshot"
SEND_S_MAX: Final = 30.0
RETRY_AFTER_S: Final = 10

_HEADERS: Final = {
    "Content-Type": "application/zip",
    "Content-Disposition": 'attachment; filename="snapshot.zip"',
    "Cache-Control": "no-store",
}

_log = logging.getLogger(__name__)


class ReaderLeftError(Exception):
    """Nobody reads any more what is being made."""


class Outlet(Protocol):
    """Where a snapshot goes. Both raise ReaderLeftError when nobody reads it any more; `send` waits
    for a slow reader."""

    def require_reader(self) -> None: ...
    async def send(self, data: bytes) -> None: ...


TakeSnapshot: TypeAlias = Callable[[Outlet, bool], Awaitable[None]]
"""Makes a snapshot, with secrets redacted or not; what fails in it is told in it. Raises
ReaderLeftError, and nothing else."""


class Diagnostics:
    """Listens from `start` to `close`, unless `address` is off."""

    def __init__(self, address: str, take: TakeSnapshot) -> None:
        where = bind_address(address)
        self._take = take
        self._is_taking = False
        self._endpoint = (
            Endpoint(
                f"--diagnostics-bind-address {where}",
                where,
                self._handle,
                connection_s_max=HEAD_S_MAX,
            )
            if where
            else None
        )

    @property
    def port(self) -> int | None:
        """The port that is listened on, None while off. The real one where 0 was asked for."""
        return self._endpoint.port if self._endpoint else None

    async def start(self) -> None:
        """Listen. Raises UsageError, which names the flag, where the address cannot be had."""
        if self._endpoint is not None:
            await self._endpoint.start()

    async def close(self) -> None:
        """Stop listening; a snapshot under way is cut. May be called twice."""
        if self._endpoint is not None:
            await self._endpoint.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not is_local(request):
            return _refusal(403, "only from loopback: kubectl port-forward to this pod")
        if request.path != SNAPSHOT_PATH:
            return _refusal(404, f"not found; here is {SNAPSHOT_PATH}")
        if request.method != "GET":
            return _refusal(405, "method not allowed")
        redact = request.query.get("redact", "true")
        if redact not in {"true", "false"}:
            return _refusal(400, "redact is true or false")
        if self._is_taking:
            response = _refusal(429, "another snapshot is being taken; come again")
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
            return response
        self._is_taking = True
        try:
            return await self._snapshot(request, is_redacted=redact == "true")
        finally:
            self._is_taking = False

    async def _snapshot(self, request: web.BaseRequest, *, is_redacted: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers=_HEADERS)
        response.enable_chunked_encoding()
        response.force_close()
        await response.prepare(request)
        outlet = _HttpOutlet(request, response)
        try:
            await self._take(outlet, is_redacted)
            await response.write_eof()
        except (ReaderLeftError, ConnectionError):
            _log.info("a snapshot's reader left", extra=fields(sent_bytes=outlet.sent_bytes))
            if request.transport is not None:
                request.transport.abort()
        else:
            _log.info("snapshot taken", extra=fields(sent_bytes=outlet.sent_bytes))
        return response


class _HttpOutlet:
    """The body of an answer."""

    def __init__(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response
        self.sent_bytes = 0

    def require_reader(self) -> None:
        """See Outlet."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ReaderLeftError

    async def send(self, data: bytes) -> None:
        """See Outlet; a reader that takes nothing for `SEND_S_MAX` has left."""
        self.require_reader()
        try:
            async with asyncio.timeout(SEND_S_MAX):
                await self._response.write(data)
        except (ConnectionError, TimeoutError):
            raise ReaderLeftError from None
        self.sent_bytes += len(data)


def _refusal(status: int, why: str) -> web.Response:
    response = web.Response(status=status, text=f"{why}\n")
    response.force_close()
    return response
