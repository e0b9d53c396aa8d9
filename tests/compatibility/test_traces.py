"""Trace contexts, where no other test shows the API's rule."""

from __future__ import annotations

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.controllers.app_world import NAMESPACE, AppWorld, running
from tests.sandbox_objects import sandbox_body

from warmclaim.api.resources import SANDBOX
from warmclaim.telemetry.tracing import Tracing
from warmclaim.testing.virtual_loop import World, run_virtual

CONTEXT = "opentelemetry.io/trace-context"


def test_a_sandbox_that_somebody_makes_directly_gets_no_context() -> None:
    exporter = InMemorySpanExporter()

    async def main(world: World) -> None:
        tracing = Tracing(exporter, world.clock)
        app_world = AppWorld(world, trace=tracing, controllers=frozenset({"sandbox"}))
        async with running(app_world.app):
            await app_world.hand.create(SANDBOX, NAMESPACE, sandbox_body())
            await app_world.run_for(5)
        assert CONTEXT not in (await app_world.sandbox("sb")).metadata.annotations
        tracing.close()

    run_virtual(main)
    assert "ReconcileSandbox" in {span.name for span in exporter.get_finished_spans()}
