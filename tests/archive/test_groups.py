"""Row groups of one node: sorted as one sort would, in bounded pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple
from tests.archive.spools import ROWS, a_row

from warmclaim.archive import groups
from warmclaim.archive.groups import row_groups
from warmclaim.archive.schema import columns_of
from warmclaim.domain.claim_history import ClaimRow

Key = tuple[bytes, bool, int]


def key(pool: str, ready_us: int | None) -> Key:
    return pool.encode(), ready_us is None, ready_us or 0


def blocks(rows: Sequence[ClaimRow], size: int) -> Iterator[pa.RecordBatch]:
    for first in range(0, len(rows), size):
        yield columns_of([astuple(row) for row in rows[first : first + size]])


@settings(deadline=None)
@given(
    rows=st.lists(ROWS, max_size=60),
    rows_max=st.integers(1, 20),
    block=st.integers(1, 9),
    runs_max=st.integers(2, 5),
)
def test_row_groups_are_the_rows_in_order(
    rows: list[ClaimRow],
    rows_max: int,
    block: int,
    runs_max: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    scratch = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "RUNS_MAX", runs_max)
        patch.setattr(groups, "BLOCK_ROWS", block)
        tables = list(row_groups(blocks(rows, 7), scratch, rows_max=rows_max))
    sizes = [table.num_rows for table in tables]
    assert all(size == rows_max for size in sizes[:-1])
    assert sum(sizes) == len(rows)
    assert not sizes or 0 < sizes[-1] <= rows_max
    found = [values for table in tables for values in table.to_pylist()]
    keys = [key(values["pool"], values["ready_us"]) for values in found]
    assert keys == sorted(keys)
    assert sorted(values["uid"] for values in found) == sorted(row.uid for row in rows)
    assert list(scratch.iterdir()) == []


def test_runs_are_dropped_as_they_are_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows a node has: never more files at once than rows of one row group each."""
    monkeypatch.setattr(groups, "RUNS_MAX", 3)
    rows = [a_row(str(number), ready_us=-number) for number in range(100)]
    tables = row_groups(blocks(rows, 10), tmp_path, rows_max=10)
    first = next(tables)
    assert first["ready_us"].to_pylist() == list(range(-99, -89))
    assert len(list(tmp_path.iterdir())) <= 3
    assert sum(table.num_rows for table in tables) == 90
    assert list(tmp_path.iterdir()) == []
