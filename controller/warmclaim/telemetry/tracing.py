"""OpenTelemetry spans around passes and what happens in them, by names that dashboards know.

Off by default: without `--enable-tracing` nothing of OpenTelemetry is imported (0.2 s of start-up)
and a pass pays for a few calls that do nothing.
"""

from __future__ import annotations

import importlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import msgspec

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import ANNOTATION_TRACE_CONTEXT, LABEL_CREATED_BY
from warmclaim.domain.sandbox_pod import normalised_created_by
from warmclaim.errors import WarmclaimError
from warmclaim.seams import Clock, SystemClock
from warmclaim.telemetry.observers import FinishedRequest
from warmqueue import Work

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

SERVICE_NAME: Final = "agent-sandbox-controller"
SPAN_NAMES: Final = {
    "sandboxclaim": "ReconcileSandboxClaim",
    "sandbox": "ReconcileSandbox",
    "sandboxtemplate": "ReconcileSandboxTemplate",
}
_CHILD_NAMES: Final = {"pods": "reconcilePod", "persistentvolumeclaims": "reconcilePVCs"}

CONTEXT_CHARS_MAX: Final = 4096
"""A trace context is 70 characters, and with much vendor state 600; a tenant may write anything."""

_COMPLAINTS_MAX: Final = 256
_NS: Final = 1e9

Value: TypeAlias = str | int | float | bool
RequestObserver: TypeAlias = Callable[[FinishedRequest], None]

_log = logging.getLogger(__name__)


class TracingUnavailable(WarmclaimError):
    """Tracing was asked for and cannot begin; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a pass is about, as far as its span tells: `pods` are (name, phase)."""

    labels: dict[str, str]
    annotations: dict[str, str]
    pods: tuple[tuple[str, str], ...] = ()


Find: TypeAlias = Callable[[ObjectKey], Subject | None]
Span: TypeAlias = Callable[[Work[ObjectKey]], AbstractContextManager[object]]
"""Opens the span of one pass of a controller, given the key being worked."""
Spans: TypeAlias = Callable[[str, Find], Span]
"""The spans of a controller by its name; `Find` gives what is known of an object."""


class Trace(Protocol):
    """What the controllers tell of their passes; all of it is for the span of the present task."""

    def span(self, name: str, began_s: float, ended_s: float, **attributes: Value) -> None:
        """A part of the pass took from then to then, in monotonic seconds."""
        ...

    def requests(self, observe: RequestObserver) -> RequestObserver:
        """A request observer that tells `observe`, and the trace."""
        ...

    def context(self) -> str | None:
        """What the annotation of the trace context should say, for an object that has none: the
        span of this pass. None where nothing is traced."""
        ...


class NoTrace:
    """For a manager that does not trace."""

    def span(self, name: str, began_s: float, ended_s: float, **attributes: Value) -> None:
        """Nothing."""

    def requests(self, observe: RequestObserver) -> RequestObserver:
        """`observe`."""
        return observe

    def context(self) -> str | None:
        """None."""
        return None


NO_TRACE: Final = NoTrace()


def no_spans(controller: str, find: Find) -> Span:
    """For a manager that does not trace."""
    del controller, find
    return lambda work: nullcontext()


class Tracing:
    """Spans of this process, exported in batches by a thread of the SDK: at most 2,048 wait for it,
    further ones are dropped. Some 50 us for each span, 5 of them for a warm claim."""

    def __init__(self, exporter: SpanExporter, clock: Clock | None = None) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        resource = Resource.create({"service.name": SERVICE_NAME})
        self._clock = clock or SystemClock()
        self._provider: TracerProvider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE_NAME)
        self._current = trace.get_current_span
        self._propagator = TraceContextTextMapPropagator()
        self._complained: OrderedDict[str, None] = OrderedDict()

    def spans(self, controller: str, find: Find) -> Span:
        """The spans of a controller's passes; controllers without a span name have none.

        `find` gives what is known of the object, before the pass and after it.
        """
        name = SPAN_NAMES.get(controller)
        if name is None:
            return no_spans(controller, find)
        return lambda work: self._pass(name, controller, work, find)

    @contextmanager
    def _pass(
        self, name: str, controller: str, work: Work[ObjectKey], find: Find
    ) -> Generator[None]:
        key, before = work.key, find(work.key)
        parent = self._parent(str(key), before.annotations) if before else None
        attributes: dict[str, Value] = {
            f"{controller}.key": str(key),
            f"{controller}.name": key.name,
            f"{controller}.namespace": key.namespace,
            "warmclaim.lane": work.lane.name.lower(),
        }
        if before is not None and (created_by := before.labels.get(LABEL_CREATED_BY)):
            attributes[LABEL_CREATED_BY] = normalised_created_by(created_by)
        now_s = self._clock.monotonic()
        with self._tracer.start_as_current_span(name, parent, attributes=attributes):
            self.span("queue", now_s - work.waited_s, now_s)
            known = dict(before.pods) if before else {}
            self._pods_seen("ExistingPodStatusObserved", known)
            try:
                yield
            finally:
                after = find(key)
                made = {n: phase for n, phase in after.pods if n not in known} if after else {}
                self._pods_seen("NewPodStatusObserved", made)

    def _pods_seen(self, event: str, pods: dict[str, str]) -> None:
        for name, phase in pods.items():
            self._current().add_event(event, {"pod.Name": name, "pod.Phase": phase})

    def span(self, name: str, began_s: float, ended_s: float, **attributes: Value) -> None:
        """See `Trace`."""
        if not self._current().is_recording():
            return
        ahead_s = self._clock.wall() - self._clock.monotonic()
        span = self._tracer.start_span(
            name, attributes=attributes, start_time=int((began_s + ahead_s) * _NS)
        )
        span.end(int((ended_s + ahead_s) * _NS))

    def context(self) -> str | None:
        """See `Trace`."""
        headers: dict[str, str] = {}
        self._propagator.inject(headers)
        return msgspec.json.encode(headers).decode() if headers else None

    def requests(self, observe: RequestObserver) -> RequestObserver:
        """A request observer that tells `observe`, and makes each request a span of its pass: that
        of a Pod is `reconcilePod`, of a claim for storage `reconcilePVCs`."""

        def observed(record: FinishedRequest) -> None:
            observe(record)
            plural = record.resource.partition(".")[0]
            now_s = self._clock.monotonic()
            self.span(
                _CHILD_NAMES.get(plural) or f"{record.verb} {plural}",
                now_s - record.duration_s,
                now_s,
                verb=record.verb,
                resource=record.resource,
                subresource=record.subresource,
                outcome=record.outcome,
            )

        return observed

    def close(self) -> None:
        """Export what is left; blocks for up to the exporter's own time limit."""
        self._provider.shutdown()

    def _parent(self, key: str, annotations: dict[str, str]) -> Context | None:
        text = annotations.get(ANNOTATION_TRACE_CONTEXT)
        if not text:
            return None
        try:
            if len(text) > CONTEXT_CHARS_MAX:
                raise ValueError(f"more than {CONTEXT_CHARS_MAX} characters")
            headers = msgspec.json.decode(text, type=dict[str, str])
        except (ValueError, msgspec.DecodeError) as error:
            self._complain(key, error)
            return None
        return self._propagator.extract(headers)

    def _complain(self, key: str, error: Exception) -> None:
        """Once for each of the last objects: their passes come again and again."""
        if key in self._complained:
            return
        self._complained[key] = None
        if len(self._complained) > _COMPLAINTS_MAX:
            self._complained.popitem(last=False)
        _log.warning("trace context ignored: %s", error, extra={"key": key})


def otlp_exporter() -> SpanExporter:
    """The OTLP/gRPC exporter, configured by the standard OTEL_EXPORTER_OTLP_* variables.

    It connects later, and again whenever the collector comes back.
    Raises TracingUnavailable where the extra `tracing` is not installed or a variable is wrong.
    """
    try:
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    except ImportError as error:
        raise TracingUnavailable(
            "--enable-tracing needs the OTLP exporter: pip install warmclaim[tracing]"
        ) from error
    try:
        exporter: SpanExporter = otlp.OTLPSpanExporter()
    except Exception as error:
        raise TracingUnavailable(f"--enable-tracing, OTEL_EXPORTER_OTLP_*: {error}") from error
    return exporter
