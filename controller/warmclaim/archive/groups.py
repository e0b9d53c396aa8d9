"""The rows of one node, sorted, as row groups.

What fits one run is sorted as it is. More is sorted in runs, which go to files and are merged:
never more than one row group and one block of each run is in memory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from warmclaim.archive import disk
from warmclaim.archive.schema import ORDER, SCHEMA

ROWS_MAX: Final = 65_536
"""Of a row group."""
RUN_SHARE: Final = 2
"""A run has this part of a row group: while it is sorted its rows are in memory twice."""
RUNS_MAX: Final = 64
"""Merged at once; where there are more, the first are merged into one."""
BLOCK_ROWS: Final = ROWS_MAX // RUNS_MAX

_Key = tuple[bytes, bool, int]
"""A row's place in the order, as Arrow has it: texts by their bytes, those never ready last."""


def row_groups(
    rows: Iterable[pa.RecordBatch], scratch: Path, *, rows_max: int = ROWS_MAX
) -> Iterator[pa.Table]:
    """Sorted tables of at most `rows_max` rows, in order. `scratch` takes the runs' files.

    The caller drops a table before it takes the next. Raises OSError.
    """
    sorted_runs = _runs(rows, max(1, rows_max // RUN_SHARE))
    first = next(sorted_runs, None)
    if first is None:
        return
    second = next(sorted_runs, None)
    if second is None:
        yield first
        return
    runs = _Runs(scratch)
    pending = chain((first, second), sorted_runs)
    del first, second
    for table in pending:
        runs.keep([table])
        del table
    while len(runs.files) > RUNS_MAX:
        oldest = runs.files[:RUNS_MAX]
        runs.keep(_merged(oldest))
        runs.drop(oldest)
    yield from _cut(_merged(runs.files), rows_max)
    runs.drop(list(runs.files))


def in_order(table: pa.Table) -> pa.Table:
    """The table's rows as a row group has them. About 1 us each."""
    places = pc.sort_indices(table, sort_keys=ORDER)
    return table.take(places)


def _runs(rows: Iterable[pa.RecordBatch], run_rows: int) -> Iterator[pa.Table]:
    return map(in_order, _cut(map(_table, rows), run_rows))


def _table(block: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([block])


def _cut(tables: Iterable[pa.Table], rows_max: int) -> Iterator[pa.Table]:
    """The same rows in tables of `rows_max`, the last one smaller."""
    held: list[pa.Table] = []
    rows = 0
    for table in tables:
        rest = table
        while rows + rest.num_rows >= rows_max:
            held.append(rest.slice(0, rows_max - rows))
            rest = rest.slice(rows_max - rows)
            rows = 0
            yield _joined(held)
        if rest.num_rows:
            held.append(rest)
            rows += rest.num_rows
    if held:
        yield _joined(held)


def _joined(held: list[pa.Table]) -> pa.Table:
    """One table of those in `held`, which is emptied: nobody keeps what is passed on."""
    whole = pa.concat_tables(held)
    held.clear()
    return whole


class _Runs:
    """Sorted rows in files of their own."""

    def __init__(self, scratch: Path) -> None:
        self.files: list[Path] = []
        self._scratch = scratch
        self._number = count()

    def keep(self, tables: Iterable[pa.Table]) -> None:
        path = self._scratch / f"run-{next(self._number)}.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as stream:
            for table in tables:
                stream.write_table(table, max_chunksize=BLOCK_ROWS)
        self.files.append(path)

    def drop(self, files: Iterable[Path]) -> None:
        for path in files:
            self.files.remove(path)
            disk.remove(path)


class _Head:
    """The next rows of a run."""

    def __init__(self, path: Path) -> None:
        self._stream = pa.ipc.open_stream(pa.OSFile(str(path), "rb"))
        self.rows = SCHEMA.empty_table()
        self._load()

    def taken(self, rows: int) -> pa.Table:
        """The first rows, which leave it."""
        first, self.rows = self.rows.slice(0, rows), self.rows.slice(rows)
        if not self.rows.num_rows:
            self._load()
        return first

    def rows_until(self, key: _Key) -> int:
        """How many of the loaded rows come no later than `key`; they are sorted. Some 10 us."""
        return bisect_right(range(self.rows.num_rows), key, key=self._key)

    def _load(self) -> None:
        self.rows = self._next()
        if self.rows.num_rows:
            self.last_key = self._key(self.rows.num_rows - 1)

    def _key(self, row: int) -> _Key:
        pool, ready_us = self.rows["pool"][row].as_py(), self.rows["ready_us"][row].as_py()
        return pool.encode(), ready_us is None, ready_us or 0

    def _next(self) -> pa.Table:
        try:
            return _table(self._stream.read_next_batch())
        except StopIteration:
            return SCHEMA.empty_table()


def _merged(files: Sequence[Path]) -> Iterator[pa.Table]:
    """The rows of sorted runs, sorted, in pieces.

    Up to the earliest of the loaded blocks' last keys nothing can come that is not loaded yet: so
    much of every block is sorted together and passed on. Each step uses up one block at least.
    """
    heads = [_Head(path) for path in files]
    while heads := [head for head in heads if head.rows.num_rows]:
        until = min(head.last_key for head in heads)
        ready = [head.taken(rows) for head in heads if (rows := head.rows_until(until))]
        yield in_order(pa.concat_tables(ready))
