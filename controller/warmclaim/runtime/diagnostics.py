"""The diagnostics port: GET /get-snapshot, and the reports that were asked for by flag. For who is
on this machine, or in this pod, alone, unless a guard asks everybody for a token.

A snapshot is made while it is sent: what is made waits for who reads it, and ends when the reader
has left or takes nothing for `SEND_S_MAX`. One at a time, and one begins `SNAPSHOT_EVERY_S` after
the other; who comes sooner is told when.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeAlias

from aiohttp import web

from warmclaim.runtime.endpoint import CurrentTls, Endpoint
from warmclaim.runtime.guard import Admit, loopback_only, misshapen, refused
from warmclaim.runtime.health import HEAD_S_MAX
from warmclaim.seams import Clock
from warmclaim.settings import bind_address
from warmclaim.telemetry.logs import fields

SNAPSHOT_PATH: Final = "/get-snapshot"
SEND_S_MAX: Final = 30.0
SNAPSHOT_EVERY_S: Final = 30.0
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


Report: TypeAlias = Callable[[Mapping[str, str]], Awaitable[web.Response]]
"""Answers a path, by its query."""


class Diagnostics:
    """Listens from `start` to `close`, unless `address` is off. `reports` are what is answered
    beside snapshots, by path."""

    def __init__(
        self,
        address: str,
        take: TakeSnapshot,
        clock: Clock,
        *,
        reports: Mapping[str, Report] | None = None,
        admit: Admit = loopback_only,
        tls: CurrentTls | None = None,
    ) -> None:
        where = bind_address(address)
        self._take = take
        self._clock = clock
        self._reports = reports or {}
        self._admit = admit
        self._is_taking = False
        self._next_s = -math.inf
        self._endpoint = (
            Endpoint(
                f"--diagnostics-bind-address {where}",
                where,
                self._handle,
                connection_s_max=HEAD_S_MAX,
                tls=tls,
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
        report = self._reports.get(request.path)
        if report is None and request.path != SNAPSHOT_PATH:
            here = ", ".join([SNAPSHOT_PATH, *self._reports])
            return refused(404, f"not found; here is {here}")
        no = misshapen(request, "GET") or await self._admit(request)
        if no is not None:
            return no
        if report is None:
            return await self._snapshot_in_turn(request)
        response = await report(request.query)
        response.headers["Cache-Control"] = "no-store"
        response.force_close()
        return response

    async def _snapshot_in_turn(self, request: web.BaseRequest) -> web.StreamResponse:
        redact = request.query.get("redact", "true")
        if redact not in {"true", "false"}:
            return refused(400, "redact is true or false")
        now_s = self._clock.monotonic()
        if self._is_taking:
            return _later("another snapshot is being taken; come again", RETRY_AFTER_S)
        if now_s < self._next_s:
            return _later("a snapshot was taken just now; come again", self._next_s - now_s)
        self._is_taking, self._next_s = True, now_s + SNAPSHOT_EVERY_S
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


def _later(why: str, wait_s: float) -> web.Response:
    response = refused(429, why)
    response.headers["Retry-After"] = str(math.ceil(wait_s))
    return response
