"""A large LIST written and read item by item, beside doing it at once with the same libraries.

`make bench` lists 1,000 sandboxes of 100 kB; `make bench OBJECTS=10000` the gigabyte of the
budget. An ordinary test run takes a few. Server, and decoding reader, are processes of their own,
so that their memory is theirs. Nothing here asserts a time or a size.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from time import perf_counter, sleep

import pytest
from tests.bench.figures import Figures
from tests.bench.lists.memory import available_bytes
from tests.bench.programs import ROOT, Process, program

from warmclaim.api.resources import SANDBOX

pytestmark = pytest.mark.bench

OBJECTS = int(os.environ.get("BENCH_LIST_OBJECTS") or 1_000)
SMOKE_OBJECTS = 20
ITEM_BYTES = 100_000
READERS = (1, 8)
# A list encoded at once is held as such, as the answer with its head, and in the socket's buffer.
WHOLE_COPIES = 3
MIB = 1024 * 1024


@dataclass(frozen=True)
class Listed:
    """What one way of listing took."""

    peak_bytes: int
    bytes_per_s: float
    first_byte_s: float
    others_wait_s: float


def connected(url: str, path: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    one = socket.create_connection((host, int(port)))
    one.sendall(f"GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
    return one


def read_out(url: str) -> tuple[float, int]:
    """Read a list and drop it; seconds to its first byte, and its size."""
    began, size, room = perf_counter(), 0, bytearray(MIB)
    with connected(url, SANDBOX.collection()) as one:
        first_s = 0.0
        while got := one.recv_into(room):
            first_s = first_s or perf_counter() - began
            size += got
    return first_s, size


def longest_wait_s(url: str, until: threading.Event) -> float:
    """The longest that a request for next to nothing took meanwhile."""
    longest = 0.0
    while not until.is_set():
        began = perf_counter()
        with connected(url, "/livez") as one:
            while one.recv(1_000):
                pass
        longest = max(longest, perf_counter() - began)
        sleep(0.01)
    return longest


def listed(server: Process, readers: int) -> Listed:
    is_over = threading.Event()
    before = int(server.ask("begin"))
    with ThreadPoolExecutor(readers + 1) as pool:
        others = pool.submit(longest_wait_s, server.url, is_over)
        began = perf_counter()
        found = list(pool.map(read_out, [server.url] * readers))
        took_s = perf_counter() - began
        is_over.set()
        others_s = others.result()
    total = sum(size for _, size in found)
    first_s = median(first for first, _ in found)
    return Listed(int(server.ask("peak")) - before, total / took_s, first_s, others_s)


def row(readers: int, way: str, it: Listed, ratio: str) -> str:
    return (
        f"| {readers:7} | {way:8} | {it.peak_bytes / MIB:20,.1f} | {it.bytes_per_s / MIB:13,.0f}"
        f" | {it.first_byte_s * 1e3:14,.1f} | {it.others_wait_s * 1e3:15,.1f} | {ratio} |"
    )


def add(figures: Figures, readers: int, way: str, it: Listed) -> None:
    figures.add(
        f"list written {way}, {readers} readers",
        peak_mib=it.peak_bytes / MIB,
        mib_per_s=it.bytes_per_s / MIB,
        first_byte_ms=it.first_byte_s * 1e3,
        others_wait_ms=it.others_wait_s * 1e3,
    )


def chosen(request: pytest.FixtureRequest) -> int:
    marks: object = request.config.getoption("markexpr")
    return OBJECTS if "bench" in str(marks) else SMOKE_OBJECTS


def test_bench_list_written(request: pytest.FixtureRequest, figures: Figures) -> None:
    objects = chosen(request)
    print(f"\n\nLIST of {objects:,} objects of {ITEM_BYTES:,} bytes")
    print("| readers | way      | above the store, MiB | MiB/s in all  | first byte, ms |"
          " others wait, ms | memory, speed beside whole |")  # fmt: skip
    print("|--------:|----------|---------------------:|--------------:|---------------:|"
          "----------------:|---------------------------:|")  # fmt: skip
    for readers in READERS:
        with program("lists.server", str(objects), str(ITEM_BYTES), "streamed") as server:
            streamed = listed(server, readers)
        add(figures, readers, "streamed", streamed)
        need = objects * ITEM_BYTES * (WHOLE_COPIES * readers + 2)
        if need > available_bytes() / 2:
            print(row(readers, "streamed", streamed, "whole needs more memory than there is"))
            continue
        with program("lists.server", str(objects), str(ITEM_BYTES), "whole") as server:
            whole = listed(server, readers)
        add(figures, readers, "whole", whole)
        memory = streamed.peak_bytes / max(1, whole.peak_bytes)
        speed = streamed.bytes_per_s / whole.bytes_per_s
        print(row(readers, "whole", whole, "1, 1"))
        print(row(readers, "streamed", streamed, f"{memory:.4f} x, {speed:.2f} x"))


def test_bench_list_read(request: pytest.FixtureRequest, figures: Figures) -> None:
    objects = chosen(request)
    print(f"\n\nReading {objects:,} objects of {ITEM_BYTES:,} bytes into views")
    print("| way        | kept, MiB | peak beyond it, MiB | MiB/s | memory beside whole |")
    print("|------------|----------:|--------------------:|------:|--------------------:|")
    beyond: dict[str, float] = {}
    with program("lists.server", str(objects), str(ITEM_BYTES), "streamed") as server:
        for way in ("whole", "pages", "watch-list"):
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench.lists.reader", server.url, way],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                capture_output=True,
                text=True,
                check=True,
            )
            found = json.loads(done.stdout)
            assert found["objects"] == objects
            beyond[way] = found["beyond"]
            figures.add(
                f"list read, {way}",
                kept_mib=found["kept"] / MIB,
                beyond_mib=found["beyond"] / MIB,
                mib_per_s=objects * ITEM_BYTES / MIB / found["seconds"],
            )
            print(
                f"| {way:10} | {found['kept'] / MIB:9,.1f} | {found['beyond'] / MIB:19,.1f}"
                f" | {objects * ITEM_BYTES / MIB / found['seconds']:5,.0f}"
                f" | {beyond[way] / max(1, beyond['whole']):17.3f} x |"
            )
