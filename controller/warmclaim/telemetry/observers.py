"""What the lower rooms report, as metrics: requests and passes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import urlsplit

from warmclaim.errors import InvariantError, PermanentError, WarmclaimError
from warmclaim.telemetry.families import OTHER
from warmclaim.telemetry.manager_metrics import ControllerMetrics, ManagerMetrics
from warmclaim.telemetry.metrics import Metrics
from warmqueue import Lane

_METHODS: Final = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "patch": "PATCH",
    "update": "PUT",
    "delete": "DELETE",
}
_NO_ANSWER: Final = "<error>"
_NOT_SENT: Final = "not_sent"
_BROKEN: Final = 500
_CODES: Final = {str(status.value): str(status.value) for status in HTTPStatus}


class FinishedRequest(Protocol):
    """A request as the client reports it; `outcome` is a status in digits or a word."""

    @property
    def verb(self) -> str: ...
    @property
    def resource(self) -> str: ...
    @property
    def subresource(self) -> str: ...
    @property
    def channel(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def duration_s(self) -> float: ...


class RequestMetrics:
    """Counts requests to the API server at `server_url`; some 3 us each."""

    def __init__(self, metrics: Metrics, server_url: str) -> None:
        self._metrics = metrics
        self._host = urlsplit(server_url).netloc

    def __call__(self, record: FinishedRequest) -> None:
        """Count one finished request."""
        outcome, metrics = record.outcome, self._metrics
        method = _METHODS.get(record.verb, "GET")
        code = _CODES.get(outcome, OTHER) if outcome.isdigit() else _NO_ANSWER
        metrics.manager.rest_requests.of(code, method, self._host).inc()
        resource = record.resource
        if record.subresource:
            resource = f"{resource}/{record.subresource}"
        metrics.api_requests.of(record.verb, resource, record.channel).inc()
        if method != "GET" and _is_unknown(outcome):
            metrics.unknown_outcomes.of(record.verb, resource).inc()


def _is_unknown(outcome: str) -> bool:
    """Whether a write that ended so may or may not have been applied."""
    return outcome.startswith("5") if outcome.isdigit() else outcome != _NOT_SENT


class EndedPass(Protocol):
    """A pass as the controller reports it; `error` is what it raised."""

    @property
    def result(self) -> str: ...
    @property
    def lane(self) -> Lane: ...
    @property
    def waited_s(self) -> float: ...
    @property
    def duration_s(self) -> float: ...
    @property
    def error(self) -> Exception | None: ...


class PassMetrics:
    """Counts passes of all controllers."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._controllers: dict[str, ControllerMetrics] = {}

    def add_controller(self, name: str, *, workers: int) -> None:
        """Make the series of a controller, all at 0."""
        self._controllers[name] = self._metrics.manager.controller(name, workers=workers)

    def pass_ended(self, controller: str, ended: EndedPass) -> None:
        """Count one pass. About 6 us."""
        series = self._controllers[controller]
        series.results[ended.result].inc()
        series.seconds.observe(ended.duration_s)
        series.worked_s.observe(ended.duration_s)
        series.waited_s.observe(ended.waited_s)
        self._metrics.lane_wait_s[ended.lane].observe(ended.waited_s)
        if ended.error is not None:
            self._failed(series, ended.error)

    def _failed(self, series: ControllerMetrics, error: Exception) -> None:
        series.errors.inc()
        match error:
            case PermanentError() | InvariantError():
                series.terminal_errors.inc()
                if isinstance(error, InvariantError):
                    self._metrics.violations[error.invariant].inc()
                return
            case WarmclaimError():
                pass
            case TimeoutError():
                series.timeouts.inc()
            case _:
                series.panics.inc()
        series.retries.inc()


class WebhookMetrics:
    """Counts conversions and certificates; the series that alerts ask for begin at 0."""

    def __init__(self, metrics: ManagerMetrics, path: str) -> None:
        self._metrics = metrics
        self._path = path
        self._in_flight = metrics.webhook_in_flight.of(path)
        self._seconds = metrics.webhook_s.of(path)
        for code in ("200", "500"):
            metrics.webhook_requests.of(path, code)

    def began(self) -> None:
        """A request came."""
        self._in_flight.inc()

    def ended(self, status: int, duration_s: float) -> None:
        """It was answered."""
        self._in_flight.dec()
        self._seconds.observe(duration_s)
        self._metrics.webhook_requests.of(self._path, str(status)).inc()
        if status == _BROKEN:
            self._metrics.conversion_panics.inc()

    def certificate_read(self, *, is_good: bool) -> None:
        """A certificate was taken into use, or could not be."""
        self._metrics.certificate_reads.inc()
        if not is_good:
            self._metrics.certificate_read_errors.inc()
