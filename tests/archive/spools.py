"""Rows, and spools filled with them, for tests of the archive."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from warmclaim.archive.spool_files import SpoolFiles
from warmclaim.archive.spool_reader import Skipped, spooled
from warmclaim.domain.claim_history import ClaimEnd, ClaimRow

HOUR_US = 3600 * 1_000_000
NOON_US = 1_790_337_600 * 1_000_000
"""2026-09-25T12:00 UTC."""


def a_row(uid: str = "u", *, node: str = "n1", end_us: int = NOON_US, **values: Any) -> ClaimRow:
    row = ClaimRow(
        uid=uid,
        namespace="team",
        name=f"claim-{uid}",
        pool="python",
        outcome=ClaimEnd.SERVED,
        node=node,
        created_us=end_us - 60_000_000,
        deleted_us=end_us,
    )
    return replace(row, **values)


_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
_WHOLE = st.integers(-(2**63), 2**63 - 1)
_COUNT = st.integers(0, 2**31)

ROWS = st.builds(
    ClaimRow,
    uid=_TEXT,
    namespace=_TEXT,
    name=_TEXT,
    pool=st.sampled_from(["a", "b", "ä", "", "\n"]),
    outcome=st.sampled_from(ClaimEnd),
    reason=_TEXT,
    template=_TEXT,
    sandbox=_TEXT,
    node=st.sampled_from(["n1", "n2", "", "..", "../../etc/passwd", "N1", "x" * 300, "=", "\x00"]),
    launch_type=_TEXT,
    created_us=_WHOLE,
    seen_us=st.none() | _WHOLE,
    picked_us=st.none() | _WHOLE,
    reserved_us=st.none() | _WHOLE,
    published_us=st.none() | _WHOLE,
    ready_us=st.none() | st.integers(0, 5) | _WHOLE,
    finished_us=st.none() | _WHOLE,
    deleted_us=st.none() | _WHOLE | st.integers(NOON_US, NOON_US + 2 * HOUR_US),
    attempts=_COUNT,
    conflicts=_COUNT,
    candidates_refused=st.dictionaries(_TEXT, _COUNT, max_size=2),
    pool_waiting=_COUNT,
    best_node_waiting=_COUNT,
    second_node_waiting=_COUNT,
    controller_version=_TEXT,
)


class HandClock:
    """A clock that is set by hand."""

    def __init__(self, wall_s: float = NOON_US / 1e6) -> None:
        self.now_s, self.wall_s = 0.0, wall_s

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return self.wall_s

    async def sleep(self, delay_s: float) -> None:
        raise NotImplementedError

    def go(self, delay_s: float) -> None:
        self.now_s += delay_s
        self.wall_s += delay_s


_TOKENS = count()


def a_writer(spool: Path, clock: HandClock | None = None, identity: str = "pod-1") -> SpoolFiles:
    return SpoolFiles(
        spool, identity=identity, token=lambda: f"t{next(_TOKENS)}", clock=clock or HandClock()
    )


def fill(spool: Path, rows: Iterable[ClaimRow]) -> None:
    """Spool rows as a writer that ended well."""
    writer, all_rows = a_writer(spool), list(rows)
    assert writer.write(all_rows) == (len(all_rows), None)
    writer.close()


def read_back(spool: Path) -> list[ClaimRow]:
    """What a spool holds, in no order; nothing of it unreadable."""
    skipped = Skipped()
    rows = list(spooled(spool, skipped))
    assert skipped == Skipped()
    return rows


def uids(rows: Iterable[ClaimRow]) -> list[str]:
    return sorted(row.uid for row in rows)
