"""The claim history's archive, written row group by row group, beside one sort of the whole table.

`make bench` archives 300,000 claims of 1,000 nodes, one of which has a tenth of them;
BENCH_ARCHIVE_ROWS=10000000 is the size of the budget. An ordinary test run takes a few. Each step
is a process of its own on one core, so that its memory is its own. Nothing here asserts a time or
a size.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.bench.archive.spooling import claims
from tests.bench.figures import Figures
from tests.bench.lists.memory import available_bytes

pytestmark = pytest.mark.bench

ROOT = Path(__file__).resolve().parents[2]
ROWS = int(os.environ.get("BENCH_ARCHIVE_ROWS") or 300_000)
NODES = 1_000
SMOKE_ROWS, SMOKE_NODES = 2_000, 20
# A row in columns takes some 300 bytes; a sort holds them twice, and what it reads once more.
WHOLE_ROW_BYTES = 1_000
MIB = 1024 * 1024


def ran(module: str, *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"tests.bench.archive.{module}", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def a_target(folder: Path, name: str) -> Path:
    target = folder / name
    target.mkdir()
    return target


def chosen(request: pytest.FixtureRequest) -> tuple[int, int]:
    is_bench = "bench" in str(request.config.getoption("markexpr"))
    return (ROWS, NODES) if is_bench else (SMOKE_ROWS, SMOKE_NODES)


def test_bench_archive(request: pytest.FixtureRequest, tmp_path: Path, figures: Figures) -> None:
    rows, nodes = chosen(request)
    spool = tmp_path / "spool"
    ran("spooling", spool, rows, nodes)
    spooled = sum(path.stat().st_size for path in spool.rglob("*.jsonl"))
    print(
        f"\n\nArchive of {rows:,} claims, {nodes:,} nodes, {spooled / rows:,.0f} bytes each spooled"
    )
    print("| way     | beyond pyarrow, MiB | rows/s by CPU | rows/s by clock | bytes/row |"
          " all, ms | node, ms | claim, ms |")  # fmt: skip
    print("|---------|--------------------:|--------------:|----------------:|----------:|"
          "--------:|---------:|----------:|")  # fmt: skip
    ways = ["whole", "by-node"]
    if rows * WHOLE_ROW_BYTES > available_bytes() / 2:
        print("| whole   | needs more memory than there is |")
        ways.remove("whole")
    found = {way: measured(spool, a_target(tmp_path, way), way, rows, nodes) for way in ways}
    shutil.rmtree(spool)
    for way, one in found.items():
        figures.add(f"archive, {way}", **one)
    if len(found) == 2:
        ratios = (f"{found['by-node'][key] / found['whole'][key]:.3f}" for key in found["whole"])
        print(f"| ratio   | {' | '.join(ratios)} |")


def measured(spool: Path, target: Path, way: str, rows: int, nodes: int) -> dict[str, float]:
    took = json.loads(ran("converting", spool, target, way))
    assert took["rows"] == rows
    one = next(claims(1, nodes))
    asked = json.loads(ran("scanning", target, one.uid, one.node))
    figures = {
        "beyond": took["beyond"] / MIB,
        "cpu": rows / took["cpu_seconds"],
        "clock": rows / took["seconds"],
        "bytes": took["bytes"] / rows,
        **asked,
    }
    beyond, cpu, clock, size, *scans = figures.values()
    print(
        f"| {way:7} | {beyond:19,.1f} | {cpu:13,.0f} | {clock:15,.0f} | {size:9,.1f} | "
        + " | ".join(f"{scan:7,.1f}" for scan in scans)
        + " |"
    )
    return figures
