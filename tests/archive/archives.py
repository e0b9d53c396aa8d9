"""Reads an archive back, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from warmclaim.archive.schema import REFUSED
from warmclaim.domain.claim_history import ClaimEnd, ClaimRow


def archived_files(target: Path) -> list[Path]:
    return sorted(target.rglob("*.parquet"))


def archived(target: Path) -> list[ClaimRow]:
    """Every row of an archive, file by file, in its order."""
    return [
        _row(values)
        for path in archived_files(target)
        for values in parquet.ParquetFile(str(path)).read().to_pylist()
    ]


def groups(path: Path) -> list[list[ClaimRow]]:
    """The rows of each row group of a file."""
    with parquet.ParquetFile(str(path)) as file:
        numbers = range(file.metadata.num_row_groups)
        return [[_row(one) for one in file.read_row_group(i).to_pylist()] for i in numbers]


def rows_in(batch: pa.RecordBatch) -> list[ClaimRow]:
    """The rows that columns stand for."""
    return [_row(values) for values in batch.to_pylist()]


def _row(values: dict[str, Any]) -> ClaimRow:
    refused, outcome = dict(values.pop(REFUSED)), ClaimEnd(values.pop("outcome"))
    return ClaimRow(**values, outcome=outcome, candidates_refused=refused)
