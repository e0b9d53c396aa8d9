"""What this process holds in memory, as far as can be told without stopping it."""

from __future__ import annotations

import gc
import resource
import sys
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

LINES_MAX: Final = 50
_STATM: Final = Path("/proc/self/statm")


class MemoryReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """`kept` counts what is remembered of objects, by what remembers it. `lines` are the places
    that hold most, bytes by file and line, where tracemalloc is on (PYTHONTRACEMALLOC=1)."""

    rss_bytes: int | None
    rss_bytes_max: int
    kept: dict[str, int]
    gc_objects_young: tuple[int, int, int]
    gc_collections: list[int]
    gc_uncollectable: int
    traced_bytes: int | None = None
    lines: dict[str, int] = {}


def memory_report(kept: Mapping[str, int]) -> MemoryReport:
    """As it is now. A millisecond; with tracemalloc on, seconds: call it in a thread."""
    statistics = gc.get_stats()
    is_traced = tracemalloc.is_tracing()
    return MemoryReport(
        rss_bytes=_rss_bytes(),
        rss_bytes_max=_most_rss_bytes(),
        kept=dict(kept),
        gc_objects_young=gc.get_count(),
        gc_collections=[generation["collections"] for generation in statistics],
        gc_uncollectable=sum(generation["uncollectable"] for generation in statistics),
        traced_bytes=tracemalloc.get_traced_memory()[0] if is_traced else None,
        lines=_lines() if is_traced else {},
    )


def _rss_bytes() -> int | None:
    """None where the system does not say."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except OSError:
        return None


def _most_rss_bytes() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _lines() -> dict[str, int]:
    found = tracemalloc.take_snapshot().statistics("lineno")[:LINES_MAX]
    return {
        f"{'/'.join(one.traceback[0].filename.split('/')[-2:])}:{one.traceback[0].lineno}": one.size
        for one in found
    }
