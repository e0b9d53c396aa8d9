"""Writes row groups into Parquet files, as many as it takes."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pyarrow as pa
from pyarrow import parquet

from warmclaim.archive.groups import ROWS_MAX
from warmclaim.archive.schema import ORDER, REPEATED, SCHEMA, TIMES

FILE_GROUPS_MAX: Final = 1024
FILE_ROWS_MAX: Final = 2_000_000
"""A writer keeps what the end of a file says of its row groups, and their bloom filters."""
BLOOM_FPP: Final = 0.05
BLOOM_ROWS_MIN: Final = 128
ZSTD_LEVEL: Final = 1
"""Level 3 makes files 4 % smaller and takes half as long again."""


class FileSeries:
    """Row groups in files `0.parquet`, `1.parquet` ... of a folder. Use it as a context.

    Memory: one row group's encoding, and the metadata of FILE_GROUPS_MAX. Raises OSError.
    """

    def __init__(self, folder: Path, *, rows_for_each_node: int) -> None:
        """`rows_for_each_node`: what the bloom filters are made for; with more they are worse."""
        self.paths: list[Path] = []
        self._folder = folder
        self._bloom_rows = min(max(rows_for_each_node, BLOOM_ROWS_MIN), ROWS_MAX)
        self._writer: parquet.ParquetWriter | None = None
        self._groups = self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def add(self, table: pa.Table) -> None:
        """One row group. About 0.9 us for a row."""
        if self._groups >= FILE_GROUPS_MAX or self._rows + table.num_rows > FILE_ROWS_MAX:
            self._end()
        if self._writer is None:
            self.paths.append(self._folder / f"{len(self.paths)}.parquet")
            self._writer = _writer(self.paths[-1], self._bloom_rows)
            self._groups = self._rows = 0
        self._writer.write_table(table, row_group_size=ROWS_MAX)
        self._groups += 1
        self._rows += table.num_rows

    def _end(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


def _writer(path: Path, bloom_rows: int) -> parquet.ParquetWriter:
    return parquet.ParquetWriter(
        str(path),
        SCHEMA,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=list(REPEATED),
        write_statistics=True,
        # Times grow slowly from row to row: their differences take a few bits.
        column_encoding=dict.fromkeys(TIMES, "DELTA_BINARY_PACKED"),
        sorting_columns=[parquet.SortingColumn(SCHEMA.get_field_index(name)) for name, *_ in ORDER],
        bloom_filter_options={"uid": {"ndv": bloom_rows, "fpp": BLOOM_FPP}},
    )
