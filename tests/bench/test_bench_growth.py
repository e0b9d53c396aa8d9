"""What a claim costs where the pool is small and where it is large, and a restart there.

`make bench` takes pools of 300 and 10,000; BENCH_GROWTH_POOL=3000 another large one. An ordinary
test run takes a few. To fill the large pool takes a real API server too long, so it is the embedded
one; API server with nodes, and manager with all controllers, are processes of their own, so that
CPU time and memory are the manager's. Nothing here asserts a time or a size.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.request import urlopen

import pytest
from tests.bench.figures import Figures
from tests.bench.programs import ROOT, Process, program
from tests.bench.snapshot.server import POOL

from warmclaim.loadtest.percentiles import nearest_rank
from warmclaim.loadtest.usage import Usage, usage_of

pytestmark = pytest.mark.bench

SMALL, LARGE = 300, int(os.environ.get("BENCH_GROWTH_POOL") or 10_000)
SMOKE_SMALL, SMOKE_LARGE = 3, 6
CLAIMS, SMOKE_CLAIMS = 100, 2
QPS = 50.0
BURSTS = 3
"""Of a claim's figures the medians are kept."""
AFTER_S, SMOKE_AFTER_S = 5.0, 0.2
LOOK_S = 0.1
MIB = 1024 * 1024


@dataclass(frozen=True)
class Grown:
    """A pool of one size."""

    cpu_ms: float
    """Of the manager for one claim, its refill and 5 s more included."""
    p50_ms: float
    p99_ms: float
    rss_bytes: int
    """When the pool was full."""
    restart_s: float
    """From the start of a new process to Ready of a claim that waits for it."""


@contextmanager
def a_manager(server: Process, folder: Path) -> Generator[int]:
    """The manager as users start it, with all controllers; its process id."""
    kubeconfig = folder / "kubeconfig"
    cluster = {"name": "bench", "cluster": {"server": server.url}}
    context = {"name": "bench", "context": {"cluster": "bench", "user": "bench"}}
    config = {"clusters": [cluster], "contexts": [context], "current-context": "bench"}
    kubeconfig.write_text(json.dumps({**config, "users": [{"name": "bench", "user": {}}]}))
    with (
        (folder / "manager.log").open("ab") as log,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "warmclaim", "run", f"--kubeconfig={kubeconfig}"),
                *("--leader-elect=false", "--enable-webhook=false"),
                *("--metrics-bind-address=127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:0"),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield process.pid
        finally:
            process.terminate()


def wait_full(server: Process, members: int) -> None:
    """Until all members are Ready; the test's own time limit ends that."""
    where = f"/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/default/sandboxwarmpools/{POOL}"
    while True:
        with urlopen(server.url + where) as answer:
            status = json.load(answer).get("status", {})
        if (status.get("replicas"), status.get("readyReplicas")) == (members, members):
            return
        time.sleep(LOOK_S)


def used(pid: int) -> Usage:
    usage = usage_of(pid)
    assert usage is not None
    return usage


def grown(members: int, claims: int, after_s: float, folder: Path) -> Grown:
    """Fill a pool, send bursts of claims, restart the manager."""
    folder.mkdir()
    found: list[tuple[float, float, float]] = []
    with program("growth.server", str(members)) as server:
        with a_manager(server, folder) as pid:
            wait_full(server, members)
            time.sleep(after_s)
            rss_bytes = used(pid).rss_bytes
            for _ in range(BURSTS):
                before = used(pid)
                waited_ms = json.loads(server.ask(f"burst {claims} {QPS}"))
                wait_full(server, members)
                time.sleep(after_s)
                cpu_ms = (used(pid).cpu_s - before.cpu_s) / claims * 1e3
                p50_ms, p99_ms = (nearest_rank(waited_ms, percent) for percent in (50, 99))
                found.append((cpu_ms, p50_ms, p99_ms))
        began_s = time.monotonic()
        with a_manager(server, folder):
            assert len(json.loads(server.ask(f"burst 1 {QPS}"))) == 1
            restart_s = time.monotonic() - began_s
    cpu_ms, p50_ms, p99_ms = (median(column) for column in zip(*found, strict=True))
    return Grown(cpu_ms, p50_ms, p99_ms, rss_bytes, restart_s)


@pytest.mark.timeout(1800)
def test_bench_growth(request: pytest.FixtureRequest, tmp_path: Path, figures: Figures) -> None:
    is_bench = "bench" in str(request.config.getoption("markexpr"))
    sizes = (SMALL, LARGE) if is_bench else (SMOKE_SMALL, SMOKE_LARGE)
    claims, after_s = (CLAIMS, AFTER_S) if is_bench else (SMOKE_CLAIMS, SMOKE_AFTER_S)
    print(f"\n\n{claims} claims at {QPS:g}/s on an embedded API server, all controllers")
    print("| pool    | CPU each, ms | P50, ms | P99, ms | RSS, MiB | restart to Ready, s |")
    print("|--------:|-------------:|--------:|--------:|---------:|--------------------:|")
    rows: list[Grown] = []
    for members in sizes:
        it = grown(members, claims, after_s, tmp_path / str(members))
        rows.append(it)
        figures.add(
            f"growth, pool {members:,}",
            cpu_ms=it.cpu_ms,
            p50_ms=it.p50_ms,
            p99_ms=it.p99_ms,
            rss_mib=it.rss_bytes / MIB,
            restart_s=it.restart_s,
        )
        print(
            f"| {members:7,} | {it.cpu_ms:12,.2f} | {it.p50_ms:7,.1f} | {it.p99_ms:7,.1f}"
            f" | {it.rss_bytes / MIB:8,.1f} | {it.restart_s:19,.2f} |"
        )
    small, large = rows
    each_bytes = (large.rss_bytes - small.rss_bytes) / (sizes[1] - sizes[0])
    p99, cpu = large.p99_ms / small.p99_ms, large.cpu_ms / max(small.cpu_ms, 0.01)
    figures.add("growth, large beside small", cpu_ratio=cpu, p99_ratio=p99, each_bytes=each_bytes)
    print(f"CPU {cpu:.2f} x, P99 {p99:.2f} x; each further sandbox {each_bytes:,.0f} bytes of RSS")
