"""A claim's way as a collector sees it: a manager with real OTLP export, on virtual time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.controllers.app_world import NAMESPACE, AppWorld, running
from tests.otlp_receiver import Receiver, receiving

from warmclaim.api.names import ANNOTATION_TRACE_CONTEXT
from warmclaim.api.resources import POD
from warmclaim.settings import ClaimSettings
from warmclaim.telemetry.tracing import SERVICE_NAME, Tracing, otlp_exporter
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.http_front import serve
from warmclaim.testing.virtual_loop import World, run_virtual

FOUR = frozenset({"claim", "pool", "sandbox", "template"})
CLIENT_TRACE, CLIENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONTEXT = json.dumps({"traceparent": f"00-{CLIENT_TRACE}-{CLIENT_SPAN}-01"})


class Seen:
    """What one run left: the spans, and the annotations of claim and sandbox."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.claims: dict[str, dict[str, str]] = {}
        self.sandboxes: dict[str, dict[str, str]] = {}
        self.pods: list[dict[str, str]] = []
        self.services: set[str] = set()

    def of_claim(self, name: str, claim: str) -> list[Any]:
        """The claim's passes that gave it its sandbox, or their parts, by span name."""
        whole = [s for s in self.spans if values(s).get("sandboxclaim.name") == claim]
        served = {
            bytes(s.parent_span_id) for s in self.spans if s.name in ("publish", "create sandboxes")
        }
        ids = {bytes(s.span_id) for s in whole if bytes(s.span_id) in served}
        if name == "ReconcileSandboxClaim":
            return [s for s in whole if bytes(s.span_id) in ids]
        return [s for s in self.spans if s.name == name and bytes(s.parent_span_id) in ids]


def values(span: Any) -> dict[str, Any]:
    """A span's attributes that are texts."""
    return {attribute.key: attribute.value.string_value for attribute in span.attributes}


def played(receiver: Receiver) -> Seen:
    """Three claims on a manager with all controllers: one from a client that traces, one from a
    client that does not, one that starts cold."""
    seen = Seen()

    async def main(world: World) -> None:
        tracing = Tracing(otlp_exporter(), world.clock)
        app_world = AppWorld(world, trace=tracing, controllers=FOUR)
        app_world.put(a_template("python"), a_pool("pool", template="python", replicas=2))
        app_world.put(a_pool("empty", template="python", replicas=0))
        nodes = FakeNodes(app_world.server.cluster, count=2, ready_delay_s=(0.5, 0.5))
        async with nodes, running(app_world.app):
            await app_world.run_for(20)
            merge = {"metadata": {"annotations": {ANNOTATION_TRACE_CONTEXT: CONTEXT}}}
            app_world.put(a_claim("traced", pool="pool", merge=merge))
            app_world.put(a_claim("plain", pool="pool"), a_claim("cold", pool="empty"))
            for name in ("traced", "plain", "cold"):
                await app_world.served(name)
            await app_world.run_for(20)
            for name in ("traced", "plain", "cold"):
                claim = await app_world.claim(name)
                sandbox = await app_world.sandbox(claim.published)
                seen.claims[name] = claim.metadata.annotations
                seen.sandboxes[name] = sandbox.metadata.annotations
            pods = (await app_world.hand.list_page(POD)).items
            seen.pods = [pod.metadata.annotations for pod in pods]
        tracing.close()

    run_virtual(main)
    seen.spans, seen.services = receiver.spans, receiver.services
    return seen


@pytest.fixture(scope="module")
def seen() -> Seen:
    with receiving() as receiver, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.port}")
        return played(receiver)


def test_the_service_has_the_name_that_dashboards_know(seen: Seen) -> None:
    assert seen.services == {SERVICE_NAME}


def test_passes_have_the_known_names_and_pools_have_none(seen: Seen) -> None:
    found = {span.name for span in seen.spans if span.name.startswith("Reconcile")}
    assert found == {"ReconcileSandboxClaim", "ReconcileSandbox", "ReconcileSandboxTemplate"}


def test_a_claim_is_traced_through_queue_pick_reservation_and_publication(seen: Seen) -> None:
    (whole,) = seen.of_claim("ReconcileSandboxClaim", "traced")
    parts = [seen.of_claim(name, "traced") for name in ("queue", "pick", "reserve", "publish")]
    assert [len(part) for part in parts] == [1, 1, 1, 1]
    pick, reserve, publish = (part[0] for part in parts[1:])
    assert pick.end_time_unix_nano == reserve.start_time_unix_nano
    assert reserve.end_time_unix_nano == publish.start_time_unix_nano
    assert values(pick)["sandbox"] == values(publish)["sandbox"] != ""
    assert values(pick)["node"].startswith("node-")
    assert values(whole)["sandboxclaim.namespace"] == NAMESPACE
    assert {span.trace_id.hex() for part in parts for span in part} == {CLIENT_TRACE}


def test_the_pass_is_a_child_of_the_clients_span(seen: Seen) -> None:
    (whole,) = seen.of_claim("ReconcileSandboxClaim", "traced")
    assert whole.trace_id.hex() == CLIENT_TRACE
    assert whole.parent_span_id.hex() == CLIENT_SPAN


def test_the_context_of_the_claim_is_handed_on_to_its_sandbox(seen: Seen) -> None:
    assert seen.claims["traced"][ANNOTATION_TRACE_CONTEXT] == CONTEXT
    assert seen.sandboxes["traced"][ANNOTATION_TRACE_CONTEXT] == CONTEXT


@pytest.mark.parametrize("claim", ["plain", "cold"])
def test_without_one_both_get_that_of_the_pass_that_served_the_claim(
    seen: Seen, claim: str
) -> None:
    (whole,) = seen.of_claim("ReconcileSandboxClaim", claim)
    context = seen.sandboxes[claim][ANNOTATION_TRACE_CONTEXT]
    parts = json.loads(context)["traceparent"].split("-")
    assert parts[:3] == ["00", whole.trace_id.hex(), whole.span_id.hex()]
    assert seen.claims[claim][ANNOTATION_TRACE_CONTEXT] == context


@pytest.mark.parametrize("claim", ["traced", "cold"])
def test_the_sandboxs_own_passes_join_the_trace(seen: Seen, claim: str) -> None:
    (whole,) = seen.of_claim("ReconcileSandboxClaim", claim)
    joined = [
        s for s in seen.spans if s.name == "ReconcileSandbox" and s.trace_id == whole.trace_id
    ]
    assert joined
    assert {values(span)["sandbox.namespace"] for span in joined} == {NAMESPACE}


def test_a_pod_that_is_made_has_its_span_and_its_event(seen: Seen) -> None:
    (whole,) = seen.of_claim("ReconcileSandboxClaim", "cold")
    made = [s for s in seen.spans if s.name == "reconcilePod" and s.trace_id == whole.trace_id]
    assert [values(span)["outcome"] for span in made if values(span)["verb"] == "create"] == ["201"]
    events = [
        (event.name, {a.key: a.value.string_value for a in event.attributes})
        for span in seen.spans
        if span.name == "ReconcileSandbox" and span.trace_id == whole.trace_id
        for event in span.events
    ]
    assert ("NewPodStatusObserved", {"pod.Name": "cold", "pod.Phase": "Pending"}) in events
    assert ("ExistingPodStatusObserved", {"pod.Name": "cold", "pod.Phase": "Running"}) in events


def test_pods_never_carry_a_context(seen: Seen) -> None:
    assert len(seen.pods) == 5
    assert all(ANNOTATION_TRACE_CONTEXT not in annotations for annotations in seen.pods)


def test_a_traced_claim_costs_two_writes_and_no_read_as_any_other() -> None:
    settings = ClaimSettings(events_disabled=True, observability_disabled=True)

    async def main(world: World) -> None:
        tracing = Tracing(InMemorySpanExporter(), world.clock)
        app_world = AppWorld(world, trace=tracing, claims=settings)
        app_world.put(a_template("python"), a_pool("pool"), a_sandbox("w1", pool="pool"))
        async with running(app_world.app):
            await app_world.run_for(0.1)
            app_world.put(a_claim("c", pool="pool"))
            await app_world.served("c")
            await app_world.run_for(60)
            writes = ["patch sandboxes 200", "patch sandboxclaims/status 200"]
            assert (app_world.writes(), app_world.reads()) == (writes, 0)
            sandbox = await app_world.sandbox("w1")
            assert ANNOTATION_TRACE_CONTEXT in sandbox.metadata.annotations
        tracing.close()

    run_virtual(main)


def test_tracing_that_cannot_begin_ends_the_start_with_1(tmp_path: Path) -> None:
    kubeconfig = serve(FakeApiServer(), port=1).write_kubeconfig(tmp_path / "kubeconfig")
    flags = ("--enable-tracing", "--leader-elect=false", "--enable-webhook=false",
             "--metrics-bind-address=0", "--health-probe-bind-address=0")  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "warmclaim", "run", f"--kubeconfig={kubeconfig}", *flags],
        capture_output=True,
        env={"OTEL_EXPORTER_OTLP_TIMEOUT": "soon", "HOME": str(tmp_path)},
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert b"--enable-tracing, OTEL_EXPORTER_OTLP_*" in ended.stderr
