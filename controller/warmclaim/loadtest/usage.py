"""What a process and its children use, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """CPU time since the start in seconds, resident memory now in bytes; children included."""

    cpu_s: float
    rss_bytes: int


def usage_of(pid: int) -> Usage | None:
    """What the process has used by now; None where it has ended or there is no /proc.

    A child that has ended counts with what its parent has waited for.
    """
    found = [_one(each) for each in _tree(pid)]
    if not found or found[0] is None:
        return None
    alive = [one for one in found if one is not None]
    return Usage(sum(one.cpu_s for one in alive), sum(one.rss_bytes for one in alive))


def _tree(pid: int) -> Iterator[int]:
    """The process, then its children and theirs."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _tree(int(child))


def _one(pid: int) -> Usage | None:
    folder = Path("/proc") / str(pid)
    try:
        # The second field is the program's name in brackets and may hold spaces.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        pages = int((folder / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return None
    # User and system time, its own and that of children that have ended.
    return Usage(sum(map(int, fields[11:15])) / _TICKS_PER_S, pages * _PAGE_BYTES)
