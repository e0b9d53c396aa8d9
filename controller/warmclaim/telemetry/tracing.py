"""OpenTelemetry spans around passes, as the API's own controller names them.

Off by default: without `--enable-tracing` nothing of OpenTelemetry is imported (0.2 s of start-up)
and a pass pays for one attribute look-up.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeAlias

from warmclaim.errors import UsageError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

SERVICE_NAME = "agent-sandbox-controller"
SPAN_NAMES = {"sandboxclaim": "ReconcileSandboxClaim", "sandbox": "ReconcileSandbox"}

Span: TypeAlias = Callable[[str], AbstractContextManager[object]]
"""Opens the span of one pass of a controller, given the key being worked."""


def no_spans(controller: str) -> Span:
    """For a manager that does not trace."""
    del controller
    return lambda key: nullcontext()


class Tracing:
    """Spans of this process, exported in batches by a thread of the SDK."""

    def __init__(self, exporter: SpanExporter) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create({"service.name": SERVICE_NAME})
        self._provider: TracerProvider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE_NAME)

    def spans(self, controller: str) -> Span:
        """The spans of a controller's passes; controllers without a span name have none."""
        name = SPAN_NAMES.get(controller)
        if name is None:
            return no_spans(controller)
        attribute = f"{controller}.key"
        start = self._tracer.start_as_current_span
        return lambda key: start(name, attributes={attribute: key})

    def close(self) -> None:
        """Export what is left; blocks for up to the exporter's own time limit."""
        self._provider.shutdown()


def otlp_exporter() -> SpanExporter:
    """The OTLP/gRPC exporter, configured by the standard OTEL_EXPORTER_OTLP_* variables.

    Raises UsageError where the extra `tracing` is not installed.
    """
    try:
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    except ImportError as error:
        raise UsageError(
            "--enable-tracing needs the OTLP exporter: pip install warmclaim[tracing]"
        ) from error
    exporter: SpanExporter = otlp.OTLPSpanExporter()
    return exporter
