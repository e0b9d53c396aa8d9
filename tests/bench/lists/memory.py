"""A process's own memory, as Linux counts it, in bytes."""

from __future__ import annotations

import gc
from pathlib import Path


def reset_peak() -> int:
    """Begin a new peak; the RSS now."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return _field("VmRSS")


def peak_bytes() -> int:
    """The largest RSS since `reset_peak`."""
    return _field("VmHWM")


def rss_bytes() -> int:
    """The RSS now, garbage collected."""
    gc.collect()
    return _field("VmRSS")


def available_bytes() -> int:
    """What the machine could still give."""
    return _field("MemAvailable", "/proc/meminfo")


def _field(name: str, path: str = "/proc/self/status") -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"{name} in {path}")
