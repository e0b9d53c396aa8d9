"""One claim's trace from `warmclaim run`, a process of its own, at a real OTLP receiver."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_run_process import ALONE, started
from tests.otlp_receiver import receiving

from warmclaim.api.names import ANNOTATION_TRACE_CONTEXT
from warmclaim.api.resources import CLAIM
from warmclaim.telemetry.tracing import SERVICE_NAME
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template
from warmclaim.testing.http_front import serve

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONTEXT = json.dumps({"traceparent": f"00-{TRACE}-{SPAN}-01"})
STAGES = ("queue", "pick", "reserve", "publish")
WRITES = ("patch sandboxes", "patch sandboxclaims")


async def served(server: FakeApiServer) -> None:
    """Wait until the claim names its sandbox."""
    async with asyncio.timeout(20):
        while True:
            found = server.cluster.store.get(str(CLAIM), "default/c")
            if found and found.object.get("status", {}).get("sandbox"):
                return
            await asyncio.sleep(0.01)


async def exported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], set[str]]:
    """The spans that came when a manager served one claim and ended, and whose they are."""
    server = FakeApiServer()
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.port}")
        server.cluster.put(a_template("python"))
        server.cluster.put(a_pool("pool", template="python", replicas=1))
        server.cluster.put(a_sandbox("w1", pool="pool", node="n1"))
        flags = (*ALONE, "--enable-webhook=false", "--controllers=claim", "--enable-tracing")
        async with serve(server) as front:
            kubeconfig = front.write_kubeconfig(folder / "kubeconfig")
            async with started(*flags, kubeconfig=kubeconfig) as program:
                await program.logs("leading")
                merge = {"metadata": {"annotations": {ANNOTATION_TRACE_CONTEXT: CONTEXT}}}
                server.cluster.put(a_claim("c", pool="pool", merge=merge))
                await served(server)
                program.process.terminate()
                assert await program.ended() == 0
        return receiver.spans, receiver.services


async def test_a_claims_trace_goes_from_the_client_to_its_publication(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans, services = await exported(tmp_path, monkeypatch)
    assert services == {SERVICE_NAME}
    mine = [span for span in spans if span.trace_id.hex() == TRACE]
    (publish,) = [span for span in mine if span.name == "publish"]
    (whole,) = [span for span in mine if span.span_id == publish.parent_span_id]
    assert (whole.name, whole.parent_span_id.hex()) == ("ReconcileSandboxClaim", SPAN)
    parts = {span.name: span for span in mine if span.parent_span_id == whole.span_id}
    assert {*STAGES, *WRITES} <= parts.keys()

    # That each stage begins where the one before ends is shown on virtual time
    # (tests/controllers/test_traces.py): here each span reads two clocks anew.
    starts = [parts[name].start_time_unix_nano for name in STAGES[1:]]
    assert starts == sorted(starts)
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano for span in mine)
