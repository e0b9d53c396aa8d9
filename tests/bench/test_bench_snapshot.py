"""A snapshot during a burst of claims, beside none and beside gathering it all before it is sent.

`make bench` takes it of 2,000 warm sandboxes; BENCH_SNAPSHOT_SANDBOXES=20000 of the number in the
budget, BENCH_SNAPSHOT_TEXT_BYTES=1000000 of objects with a text of that size. An ordinary test run
takes a few. API server with tenants, and manager, are processes of their own, so that memory and
loop are the manager's. Nothing here asserts a time or a size.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from urllib.request import urlopen

import pytest
from tests.bench.figures import Figures
from tests.bench.programs import Process, program
from tests.bench.snapshot.holds import Held

from warmclaim.api.resources import SANDBOX

pytestmark = pytest.mark.bench

SANDBOXES = int(os.environ.get("BENCH_SNAPSHOT_SANDBOXES") or 2_000)
TEXT_BYTES = int(os.environ.get("BENCH_SNAPSHOT_TEXT_BYTES") or 0)
SMOKE_SANDBOXES, SMOKE_CLAIMS = 60, 10
CLAIMS = int(os.environ.get("BENCH_SNAPSHOT_CLAIMS") or 300)
QPS = 50.0
MIB = 1024 * 1024


@dataclass(frozen=True)
class Taken:
    """A snapshot as its reader saw it."""

    first_s: float
    took_s: float
    zip_bytes: int
    text_bytes: int


def fetched(url: str) -> Taken:
    began_s, first_s, pieces = perf_counter(), 0.0, list[bytes]()
    with urlopen(f"{url}/get-snapshot") as answer:
        while piece := answer.read1(MIB):
            first_s = first_s or perf_counter() - began_s
            pieces.append(piece)
    took_s, data = perf_counter() - began_s, b"".join(pieces)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        text = archive.read("snapshot.json")
    assert json.loads(text)["rawObjects"][str(SANDBOX)]
    return Taken(first_s, took_s, len(data), len(text))


@dataclass(frozen=True)
class Burst:
    """What a burst came to, and what the snapshot beside it took of the manager."""

    p50_ms: float
    p99_ms: float
    above_bytes: int
    held: Held
    taken: Taken | None


def listed_again_and_again(kubeconfig: Path, until: threading.Event) -> None:
    """What the API server alone has to do for snapshots, asked for by another process."""
    words = ("-m", "warmclaim", "export", "--kubeconfig", str(kubeconfig))
    while not until.is_set():
        for kind in ("sandboxes", "pods"):
            subprocess.run([sys.executable, *words, kind], stdout=subprocess.DEVNULL, check=True)


@contextmanager
def lists(kubeconfig: Path | None) -> Generator[None]:
    until = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        if kubeconfig is None:
            yield
            return
        listing = pool.submit(listed_again_and_again, kubeconfig, until)
        try:
            yield
        finally:
            until.set()
            listing.result()


def measured(
    server: Process,
    manager: Process,
    claims: int,
    *,
    snapshot: bool,
    kubeconfig: Path | None = None,
) -> Burst:
    before = int(manager.ask("begin"))
    with ThreadPoolExecutor(1) as pool, lists(kubeconfig):
        taking = pool.submit(fetched, manager.url) if snapshot else None
        waited_ms = json.loads(server.ask(f"burst {claims} {QPS}"))
        taken = taking.result() if taking else None
    assert len(waited_ms) == claims
    ended = json.loads(manager.ask("end"))
    peak = ended.pop("peak_bytes")
    return Burst(
        waited_ms[len(waited_ms) // 2],
        waited_ms[min(len(waited_ms) - 1, len(waited_ms) * 99 // 100)],
        peak - before,
        Held(**ended),
        taken,
    )


def row(way: str, it: Burst) -> str:
    taken = it.taken
    sizes = f"{taken.text_bytes / MIB:10,.1f} | {taken.zip_bytes / MIB:7,.2f}" if taken else " | "
    times = f"{taken.first_s * 1e3:14,.1f} | {taken.took_s:7,.1f}" if taken else " | "
    return (
        f"| {way:11} | {it.p50_ms:7,.1f} | {it.p99_ms:7,.1f} | {it.held.gap_ms:8,.1f}"
        f" | {it.held.gap_cpu_ms:9,.1f} | {it.above_bytes / MIB:10,.1f} | {times} | {sizes} |"
    )


def what_held(way: str, held: Held) -> str:
    """The names behind the figures, so that a longer hold explains itself."""
    told = {"its gap": held.gap_steps, "callbacks": held.steps, "garbage": held.looks}
    lines = [f"{way} held the loop longest, of the processor:"]
    for sort, steps in told.items():
        lines += [f"  {sort:9} {cpu_ms:8,.1f} ms  {name}" for cpu_ms, name in steps]
    return "\n".join(lines)


def kubeconfig_of(url: str, folder: Path) -> Path:
    path = folder / "kubeconfig"
    cluster = {"name": "bench", "cluster": {"server": url}}
    context = {"name": "bench", "context": {"cluster": "bench", "user": "bench"}}
    config = {"clusters": [cluster], "contexts": [context], "current-context": "bench"}
    path.write_text(json.dumps({**config, "users": [{"name": "bench", "user": {}}]}))
    return path


def test_bench_snapshot(request: pytest.FixtureRequest, tmp_path: Path, figures: Figures) -> None:
    is_bench = "bench" in str(request.config.getoption("markexpr"))
    sandboxes, claims = (SANDBOXES, CLAIMS) if is_bench else (SMOKE_SANDBOXES, SMOKE_CLAIMS)
    print(f"\n\nSnapshot of {sandboxes:,} sandboxes and their pods; {claims} claims at {QPS:g}/s")
    print("| snapshot    | P50, ms | P99, ms | hold, ms | CPU's, ms | above, MiB"
          " | first byte, ms | took, s | text, MiB | ZIP, MiB |")  # fmt: skip
    print("|-------------|--------:|--------:|---------:|----------:|-----------:"
          "|---------------:|--------:|----------:|---------:|")  # fmt: skip
    found: dict[str, Burst] = {}
    with program("snapshot.server", str(sandboxes), str(TEXT_BYTES)) as server:
        for way in ("streamed", "whole"):
            with program("snapshot.manager", server.url, way) as manager:
                if way == "streamed":
                    measured(server, manager, claims // 10 or 1, snapshot=False)
                    found["none"] = measured(server, manager, claims, snapshot=False)
                    print(row("none", found["none"]))
                    kubeconfig = kubeconfig_of(server.url, tmp_path)
                    lists_alone = measured(
                        server, manager, claims, snapshot=False, kubeconfig=kubeconfig
                    )
                    print(row("lists alone", lists_alone))
                found[way] = measured(server, manager, claims, snapshot=True)
                print(row(way, found[way]))
    for way, it in found.items():
        figures.add(
            f"snapshot {way}",
            p50_ms=it.p50_ms,
            p99_ms=it.p99_ms,
            hold_ms=it.held.gap_ms,
            cpu_hold_ms=it.held.gap_cpu_ms,
            callback_ms=max((cpu_ms for cpu_ms, _ in it.held.steps), default=0.0),
            above_mib=it.above_bytes / MIB,
        )
    memory = found["streamed"].above_bytes / max(1, found["whole"].above_bytes)
    p99 = found["streamed"].p99_ms / found["none"].p99_ms
    print(what_held("streamed", found["streamed"].held))
    print(f"memory beside gathering it first: {memory:.3f} x; P99 beside no snapshot: {p99:.2f} x")
