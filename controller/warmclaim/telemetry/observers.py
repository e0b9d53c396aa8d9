"""What the lower rooms report, as metrics: requests and passes."""

from __future__ import annotations

from typing import Protocol

from warmclaim.telemetry.metrics import ControllerMetrics, Metrics, WorkqueueMetrics

_METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "patch": "PATCH",
    "update": "PUT",
    "delete": "DELETE",
}
_NO_ANSWER = "<error>"


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


class RequestMetrics:
    """Counts requests to the API server at `host`; some 0.5 us each."""

    def __init__(self, metrics: Metrics, host: str) -> None:
        self._metrics = metrics
        self._host = host

    def __call__(self, record: FinishedRequest) -> None:
        """Count one finished request."""
        code = record.outcome if record.outcome.isdigit() else _NO_ANSWER
        self._metrics.rest_requests.of(code, _METHODS.get(record.verb, "GET"), self._host).inc()
        resource = record.resource
        if record.subresource:
            resource = f"{resource}/{record.subresource}"
        self._metrics.api_requests.of(record.verb, resource, record.channel).inc()
        is_write = _METHODS.get(record.verb, "GET") != "GET"
        if is_write and (code == _NO_ANSWER or code.startswith("5")):
            self._metrics.unknown_outcomes.of(record.verb, resource).inc()


class PassMetrics:
    """Counts passes of all controllers."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._controllers: dict[str, tuple[ControllerMetrics, WorkqueueMetrics]] = {}

    def add_controller(self, name: str, *, workers: int) -> None:
        """Make the series of a controller, all at 0."""
        series = self._metrics.controller(name, workers=workers), self._metrics.workqueue(name)
        self._controllers[name] = series

    def pass_ended(self, controller: str, result: str, duration_s: float, waited_s: float) -> None:
        """Count one pass."""
        passes, queue = self._controllers[controller]
        passes.results[result].inc()
        passes.seconds.observe(duration_s)
        queue.waited_s.observe(waited_s)
        queue.worked_s.observe(duration_s)
        queue.adds.inc()
        if result == "error":
            passes.errors.inc()
            queue.retries.inc()

    def invariant_violated(self, invariant: str) -> None:
        """Count a refused step."""
        self._metrics.violations[invariant].inc()
