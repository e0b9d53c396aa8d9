"""Spans: their names, parents, attributes and events; nothing where tracing is off."""

from __future__ import annotations

import importlib
import json
import logging
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import ANNOTATION_TRACE_CONTEXT, LABEL_CREATED_BY
from warmclaim.kube.exchange import RequestRecord, Verb
from warmclaim.seams import Channel
from warmclaim.telemetry import tracing as tracing_module
from warmclaim.telemetry.tracing import (
    CONTEXT_CHARS_MAX,
    NO_TRACE,
    SERVICE_NAME,
    Subject,
    Tracing,
    TracingUnavailable,
    no_spans,
    otlp_exporter,
)
from warmqueue import Lane, Work

KEY = ObjectKey("tenant", "x")
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = json.dumps({"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"})


def work(waited_s: float = 0.0) -> Work[ObjectKey]:
    return Work(KEY, Lane.ADOPTION, waited_s)


def nothing(_: ObjectKey) -> None:
    return None


def carrying(context: str) -> Subject:
    return Subject({}, {ANNOTATION_TRACE_CONTEXT: context})


class Rig:
    """Tracing into memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracing = Tracing(self._exporter)

    def ended(self) -> dict[str, ReadableSpan]:
        """The spans by name."""
        self.tracing.close()
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.mark.parametrize(
    ("controller", "name"),
    [
        ("sandboxclaim", "ReconcileSandboxClaim"),
        ("sandbox", "ReconcileSandbox"),
        ("sandboxtemplate", "ReconcileSandboxTemplate"),
    ],
)
def test_a_pass_has_a_span_with_the_name_that_dashboards_know(
    rig: Rig, controller: str, name: str
) -> None:
    with rig.tracing.spans(controller, nothing)(work()):
        pass
    span = rig.ended()[name]
    assert span.attributes == {
        f"{controller}.key": "tenant/x",
        f"{controller}.name": "x",
        f"{controller}.namespace": "tenant",
        "warmclaim.lane": "adoption",
    }
    assert span.resource.attributes["service.name"] == SERVICE_NAME


def test_who_made_the_object_is_told_in_words_of_a_closed_set(rig: Rig) -> None:
    for value in ("python-client", "me & my <secret>"):
        subject = Subject({LABEL_CREATED_BY: value}, {})
        with rig.tracing.spans("sandbox", lambda _, s=subject: s)(work()):  # type: ignore[misc]
            pass
    rig.tracing.close()
    found = [
        span.attributes[LABEL_CREATED_BY]
        for span in rig._exporter.get_finished_spans()  # pyright: ignore[reportPrivateUsage]
        if span.name == "ReconcileSandbox" and span.attributes
    ]
    assert found == ["python-client", "unknown"]


def test_the_wait_in_the_queue_is_a_span_that_ends_where_the_pass_begins(rig: Rig) -> None:
    with rig.tracing.spans("sandboxclaim", nothing)(work(waited_s=2.0)):
        pass
    spans = rig.ended()
    queue, whole = spans["queue"], spans["ReconcileSandboxClaim"]
    assert queue.start_time
    assert queue.end_time
    assert whole.start_time
    assert queue.end_time - queue.start_time == pytest.approx(2e9, rel=1e-3)
    assert abs(queue.end_time - whole.start_time) < 1e9
    assert queue.parent
    assert whole.context
    assert queue.parent.span_id == whole.context.span_id


def test_the_span_is_a_child_of_what_the_annotation_says(rig: Rig) -> None:
    with rig.tracing.spans("sandbox", lambda _: carrying(PARENT))(work()):
        handed_on = rig.tracing.context()
    span = rig.ended()["ReconcileSandbox"]
    assert span.parent
    assert span.context
    assert f"{span.parent.trace_id:032x}" == TRACE_ID
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert handed_on is not None
    assert json.loads(handed_on) == {"traceparent": f"00-{TRACE_ID}-{span.context.span_id:016x}-01"}


@pytest.mark.parametrize(
    "context",
    ["{", "[]", '{"traceparent": 1}', "1" * (CONTEXT_CHARS_MAX + 1), "\ud800"],
    ids=["torn", "list", "number", "huge", "surrogate"],
)
def test_a_context_that_is_none_is_logged_once_and_left_out(
    rig: Rig, context: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, tracing_module.__name__)
    for _ in range(3):
        with rig.tracing.spans("sandbox", lambda _: carrying(context))(work()):
            pass
    assert rig.ended()["ReconcileSandbox"].parent is None
    assert [record.message[:22] for record in caplog.records] == ["trace context ignored:"]


def test_a_context_in_good_json_that_is_no_trace_is_left_out(rig: Rig) -> None:
    with rig.tracing.spans("sandbox", lambda _: carrying('{"traceparent": "?"}'))(work()):
        pass
    assert rig.ended()["ReconcileSandbox"].parent is None


def test_pods_are_told_of_as_found_and_as_made(rig: Rig) -> None:
    pods = [("x", "Running")]

    def find(_: ObjectKey) -> Subject:
        return Subject({}, {}, tuple(pods))

    with rig.tracing.spans("sandbox", find)(work()):
        pods.append(("y", "Pending"))
    events = rig.ended()["ReconcileSandbox"].events
    assert [(event.name, dict(event.attributes or {})) for event in events] == [
        ("ExistingPodStatusObserved", {"pod.Name": "x", "pod.Phase": "Running"}),
        ("NewPodStatusObserved", {"pod.Name": "y", "pod.Phase": "Pending"}),
    ]


@pytest.mark.parametrize(
    ("verb", "resource", "name"),
    [
        ("create", "pods", "reconcilePod"),
        ("create", "persistentvolumeclaims", "reconcilePVCs"),
        ("patch", "sandboxes.agents.x-k8s.io", "patch sandboxes"),
    ],
)
def test_a_request_is_a_child_of_its_pass(rig: Rig, verb: Verb, resource: str, name: str) -> None:
    heard: list[object] = []
    observe = rig.tracing.requests(heard.append)
    record = RequestRecord(verb, resource, "", Channel.CLAIMS, "201", 0.5)
    observe(record)
    with rig.tracing.spans("sandbox", nothing)(work()):
        observe(record)
    assert heard == [record, record]
    spans = rig.ended()
    assert set(spans) == {"ReconcileSandbox", "queue", name}, "outside of a pass there is none"
    child, whole = spans[name], spans["ReconcileSandbox"]
    assert child.parent
    assert whole.context
    assert child.parent.span_id == whole.context.span_id
    assert child.start_time
    assert child.end_time
    assert child.end_time - child.start_time == pytest.approx(5e8, rel=1e-3)
    assert child.attributes
    assert child.attributes["outcome"] == "201"


def test_a_failed_pass_is_marked_as_an_error(rig: Rig) -> None:
    with (
        pytest.raises(ValueError, match="boom"),
        rig.tracing.spans("sandbox", nothing)(work()),
    ):
        raise ValueError("boom")
    span = rig.ended()["ReconcileSandbox"]
    assert not span.status.is_ok
    assert [event.name for event in span.events] == ["exception"]


def test_pools_have_no_span_as_in_the_controller_that_this_one_replaces(rig: Rig) -> None:
    with (
        rig.tracing.spans("sandboxwarmpool", nothing)(work()),
        no_spans("sandbox", nothing)(work()),
    ):
        assert rig.tracing.context() is None
    assert rig.ended() == {}


def test_without_tracing_nothing_is_handed_on_and_requests_are_observed_as_before() -> None:
    assert NO_TRACE.context() is None
    assert NO_TRACE.requests(print) is print


def test_without_tracing_nothing_of_it_is_imported() -> None:
    program = (
        "import sys, warmclaim.cli.manage;"
        "sys.exit(any(name.split('.')[0] in ('opentelemetry', 'grpc') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_without_the_extra_the_flag_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(TracingUnavailable, match=r"pip install warmclaim\[tracing\]"):
        otlp_exporter()


def test_a_wrong_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")
    with pytest.raises(TracingUnavailable, match="OTEL_EXPORTER_OTLP"):
        otlp_exporter()
