"""What is seen of a controller from outside."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from aiohttp import web
from tests.loadtest.world import eventually

from warmclaim.loadtest.look import Look, parsed
from warmclaim.loadtest.usage import usage_of

OURS = """\
# HELP controller_runtime_reconcile_total Passes by result.
# TYPE controller_runtime_reconcile_total counter
controller_runtime_reconcile_total{controller="sandbox",result="success"} 7.0
controller_runtime_reconcile_total{controller="sandboxclaim",result="success"} 3.0
# TYPE workqueue_depth gauge
workqueue_depth{controller="sandbox",name="sandbox",priority="0"} 2.0
# TYPE controller_runtime_active_workers gauge
controller_runtime_active_workers{controller="sandbox"} 1.0
# TYPE warmclaim_api_requests_total counter
warmclaim_api_requests_total{channel="claims",resource="sandboxes.a.io/status",verb="patch"} 4.0
warmclaim_api_requests_total{channel="refill",resource="sandboxes.a.io/status",verb="patch"} 1.0
# TYPE rest_client_requests_total counter
rest_client_requests_total{code="200",host="h",method="PATCH"} 5.0
"""
ANOTHER = """\
# TYPE rest_client_requests_total counter
rest_client_requests_total{code="200",host="h",method="PATCH"} 5.0
rest_client_requests_total{code="409",host="h",method="PATCH"} 1.0
"""


async def looked(text: str) -> tuple[object, object, object]:
    """Requests, passes and business of a controller with these metrics."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=text)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        async with Look(f"127.0.0.1:{port}") as look:
            return await look.requests(), await look.passes(), await look.busy()
    finally:
        await runner.cleanup()


async def test_our_metrics_tell_requests_passes_and_business() -> None:
    assert await looked(OURS) == (
        {"patch sandboxes/status": 5},
        10.0,
        "2 keys wait, 1 workers",
    )


async def test_of_another_controller_methods_are_better_than_nothing() -> None:
    assert await looked(ANOTHER) == ({"patch": 6}, None, None)


@pytest.mark.parametrize("text", ["<html>", "workqueue_depth{ 1"])
async def test_what_are_no_metrics_tells_nothing(text: str) -> None:
    assert await looked(text) == (None, None, None)


async def test_without_an_endpoint_nothing_is_known() -> None:
    async with Look() as look:
        assert await look.requests() is None
        assert look.usage() is None
        assert await look.busy() is None


def test_sums_leave_out_what_is_not_looked_at() -> None:
    assert parsed('process_cpu_seconds_total{verb="x"} 4\n') == {}


async def test_a_busy_process_is_seen_by_its_cpu_time() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
    try:
        async with Look(pid=process.pid) as look:
            assert "of a core" in str(await look.busy())
    finally:
        process.kill()
        await process.wait()


async def test_usage_counts_children_and_ends_with_the_process() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), stdin=asyncio.subprocess.PIPE
    )
    alone = usage_of(os.getpid())
    assert alone is not None
    assert alone.cpu_s > 0
    await eventually(lambda: _children(process.pid))
    child = usage_of(_children(process.pid)[0])
    parent_and_child = usage_of(process.pid)
    assert child is not None
    assert parent_and_child is not None
    assert parent_and_child.rss_bytes > child.rss_bytes
    await process.communicate(b"\n")
    assert usage_of(process.pid) is None


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
