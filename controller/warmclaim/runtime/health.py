"""Our HTTP endpoints: /healthz, /livez and /readyz on one address, /metrics on another, which also
answers /debug/ paths.

Probes are open, and tell strangers nothing but how it is: why, they tell the machine (or pod)
itself alone, and the log. /metrics is open, too, and the rest is for the machine itself, unless a
guard asks everybody for a token. A connection costs little (`endpoint`): one request each, 5 s to
send it, bodies are never read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from aiohttp import web

from warmclaim.errors import UsageError
from warmclaim.runtime.endpoint import CurrentTls, Endpoint, Handler
from warmclaim.runtime.guard import Admit, anyone, is_local, loopback_only, misshapen
from warmclaim.settings import ServingSettings, bind_address

READY_PATH = "/readyz"
DEBUG_PREFIX = "/debug/"
HEAD_S_MAX = 5.0
REASON_CHARS_MAX = 200
NOTES_MAX = 50

Check: TypeAlias = Callable[[], str | None]
"""None when all is well, else the reason in a few words. Must not block."""

Notes: TypeAlias = Callable[[], Sequence[str]]
"""One line for each thing that somebody should mend. Must neither block nor raise."""

Diagnose: TypeAlias = Callable[[str], bytes | None]
"""The JSON for a path below /debug/, or None."""

_log = logging.getLogger(__name__)


class Probes:
    """Named checks behind the probe endpoints.

    Live checks ask whether a restart would help; ready checks whether this process does its work
    (caches synced, API server in reach). A check that raises has failed. Notes are what is wrong
    although the process does its work: /readyz?verbose says them, and its code stays.
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
        """Have /readyz?verbose say what `notes` finds."""
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
    """Both servers. `scrape` renders /metrics, `diagnose` answers /debug/ paths in JSON, None for
    one that it does not know; they run in the loop and must be quick. `admit` decides on requests
    to the metrics address, by default by what they ask for; `tls` is for that address."""

    def __init__(
        self,
        settings: ServingSettings,
        probes: Probes,
        scrape: Callable[[], bytes],
        diagnose: Diagnose = lambda _: None,
        *,
        admit: Admit | None = None,
        tls: CurrentTls | None = None,
    ) -> None:
        self._probes = _endpoint(
            "health-probe-bind-address", settings.probe_address, _probe_handler(probes)
        )
        self._metrics = _endpoint(
            "metrics-bind-address",
            settings.metrics_address,
            _metrics_handler(scrape, admit or anyone, _debug(diagnose, admit or loopback_only)),
            tls,
        )

    @property
    def probe_port(self) -> int | None:
        """The port that answers probes, None while off. The real one where 0 was asked for."""
        return self._probes.port if self._probes else None

    @property
    def metrics_port(self) -> int | None:
        """The port that answers /metrics, None while off."""
        return self._metrics.port if self._metrics else None

    async def start(self) -> None:
        """Listen. Raises UsageError, which names the flag, where an address cannot be had."""
        try:
            for endpoint in self._endpoints:
                await endpoint.start()
        except UsageError:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop listening and end what is open. May be called twice."""
        for endpoint in self._endpoints:
            await endpoint.close()

    @property
    def _endpoints(self) -> list[Endpoint]:
        return [endpoint for endpoint in (self._probes, self._metrics) if endpoint is not None]

    async def run(self) -> None:
        """Serve until cancelled; starts what is not started."""
        await self.start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self.close()


def _endpoint(
    flag: str, address: str, handler: Handler, tls: CurrentTls | None = None
) -> Endpoint | None:
    """None where the address is off."""
    where = bind_address(address)
    if where is None:
        return None
    return Endpoint(f"--{flag} {where}", where, handler, connection_s_max=HEAD_S_MAX, tls=tls)


def _answer(status: int, body: bytes, content_type: str = "text/plain") -> web.Response:
    response = web.Response(status=status, body=body, content_type=content_type, charset="utf-8")
    response.force_close()
    return response


def _probe_handler(probes: Probes) -> Handler:
    checks = {"/healthz": probes.live, "/livez": probes.live, READY_PATH: probes.ready}
    failing: dict[str, frozenset[str]] = {}

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        ask = checks.get(request.path)
        if ask is None:
            return _answer(404, b"not found\n")
        if request.method not in {"GET", "HEAD"}:
            return _answer(405, b"method not allowed\n")
        reasons = ask()
        failing[request.path] = _told(request.path, reasons, failing.get(request.path, frozenset()))
        if "verbose" not in request.query or not is_local(request):
            return _verdict(reasons, [])
        notes = probes.noted() if request.path == READY_PATH else []
        return _verdict(reasons, [*_lines(reasons), *(f"[!]{note}" for note in notes)])

    return handle


def _told(path: str, reasons: Mapping[str, str | None], before: frozenset[str]) -> frozenset[str]:
    """The checks that fail now; the log says why, whenever they are others than `before`."""
    bad = {name: reason for name, reason in reasons.items() if reason is not None}
    now = frozenset(bad)
    if now - before:
        said = "; ".join(f"{name}: {reason}" for name, reason in bad.items())
        _log.warning("%s answers not ok: %s", path, said)
    elif before and not now:
        _log.info("%s answers ok again", path)
    return now


def _lines(reasons: Mapping[str, str | None]) -> list[str]:
    return [
        f"[+]{name} ok" if reason is None else f"[-]{name}: {reason}"
        for name, reason in reasons.items()
    ]


def _verdict(reasons: Mapping[str, str | None], said: Sequence[str]) -> web.Response:
    is_well = all(reason is None for reason in reasons.values())
    body = "\n".join([*said, "ok" if is_well else "not ok", ""])
    return _answer(200 if is_well else 503, body.encode())


def _debug(diagnose: Diagnose, admit: Admit) -> Handler:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        no = misshapen(request, "GET", "HEAD") or await admit(request)
        if no is not None:
            return no
        body = diagnose(request.path)
        if body is None:
            return _answer(404, b"not found\n")
        return _answer(200, body, "application/json")

    return handle


def _metrics_handler(scrape: Callable[[], bytes], admit: Admit, debug: Handler) -> Handler:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(DEBUG_PREFIX):
            return await debug(request)
        if request.path != "/metrics":
            return _answer(404, b"not found\n")
        no = misshapen(request, "GET", "HEAD") or await admit(request)
        if no is not None:
            return no
        try:
            body = scrape()
        except Exception:
            _log.exception("metrics could not be rendered")
            return _answer(500, b"metrics could not be rendered\n")
        response = _answer(200, body)
        response.headers["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8"
        return response

    return handle
