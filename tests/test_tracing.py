"""Spans: one for each pass of a traced controller, none where tracing is off."""

from __future__ import annotations

import importlib

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from warmclaim.errors import UsageError
from warmclaim.telemetry.tracing import SERVICE_NAME, Tracing, no_spans, otlp_exporter


def test_a_pass_has_a_span_with_the_name_that_dashboards_know() -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing(exporter)
    with tracing.spans("sandboxclaim")("tenant/claim"):
        pass
    tracing.close()
    (span,) = exporter.get_finished_spans()
    assert span.name == "ReconcileSandboxClaim"
    assert span.attributes == {"sandboxclaim.key": "tenant/claim"}
    assert span.resource.attributes["service.name"] == SERVICE_NAME


def test_a_failed_pass_is_marked_as_an_error() -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing(exporter)
    with pytest.raises(ValueError, match="boom"), tracing.spans("sandbox")("tenant/w1"):
        raise ValueError("boom")
    tracing.close()
    (span,) = exporter.get_finished_spans()
    assert not span.status.is_ok
    assert [event.name for event in span.events] == ["exception"]


def test_pools_have_no_span_as_in_the_controller_that_this_one_replaces() -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing(exporter)
    with tracing.spans("sandboxwarmpool")("tenant/pool"), no_spans("sandbox")("tenant/w1"):
        pass
    tracing.close()
    assert exporter.get_finished_spans() == ()


def test_without_the_extra_the_flag_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"pip install warmclaim\[tracing\]"):
        otlp_exporter()
