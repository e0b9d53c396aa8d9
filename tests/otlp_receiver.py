"""A collector of traces on loopback: OTLP over gRPC, as in production, kept in memory."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

_METHOD = "opentelemetry.proto.collector.trace.v1.TraceService"


class Receiver:
    """What came; `port` is where it listens."""

    def __init__(self) -> None:
        self.port = 0
        self._requests: list[Any] = []

    def export(self, request: Any, _: Any) -> Any:
        """For gRPC."""
        self._requests.append(request)
        messages: Any = importlib.import_module(
            "opentelemetry.proto.collector.trace.v1.trace_service_pb2"
        )
        return messages.ExportTraceServiceResponse()

    @property
    def services(self) -> set[str]:
        """Who sent them, by their own words."""
        return {
            attribute.value.string_value
            for request in self._requests
            for part in request.resource_spans
            for attribute in part.resource.attributes
            if attribute.key == "service.name"
        }

    @property
    def spans(self) -> list[Any]:
        """In the order in which they came."""
        return [
            span
            for request in self._requests
            for part in request.resource_spans
            for scope in part.scope_spans
            for span in scope.spans
        ]


@contextmanager
def receiving() -> Generator[Receiver]:
    """A receiver that listens inside the block."""
    # grpc has no types; it is only met here.
    grpc: Any = importlib.import_module("grpc")
    messages: Any = importlib.import_module(
        "opentelemetry.proto.collector.trace.v1.trace_service_pb2"
    )
    receiver = Receiver()
    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.unary_unary_rpc_method_handler(
        receiver.export,
        request_deserializer=messages.ExportTraceServiceRequest.FromString,
        response_serializer=messages.ExportTraceServiceResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(_METHOD, {"Export": handler}),)
    )
    receiver.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield receiver
    finally:
        server.stop(0).wait()
