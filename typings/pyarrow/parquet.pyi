from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from pyarrow import Schema, Table
from pyarrow.fs import FileSystem

class SortingColumn:
    column_index: int
    def __init__(
        self, column_index: int, descending: bool = False, nulls_first: bool = False
    ) -> None: ...

class Statistics:
    min: Any
    max: Any
    null_count: int

class ColumnChunkMetaData:
    path_in_schema: str
    compression: str
    encodings: tuple[str, ...]
    statistics: Statistics | None

class RowGroupMetaData:
    num_rows: int
    num_columns: int
    sorting_columns: tuple[SortingColumn, ...]
    def column(self, index: int) -> ColumnChunkMetaData: ...

class FileMetaData:
    num_rows: int
    num_row_groups: int
    def row_group(self, index: int) -> RowGroupMetaData: ...

class ParquetWriter:
    def __init__(
        self,
        where: str,
        schema: Schema,
        *,
        compression: str,
        compression_level: int,
        use_dictionary: Sequence[str] | bool,
        write_statistics: bool,
        column_encoding: Mapping[str, str],
        sorting_columns: Sequence[SortingColumn],
        bloom_filter_options: Mapping[str, Mapping[str, float]],
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def write_table(self, table: Table, row_group_size: int | None = None) -> None: ...
    def close(self) -> None: ...

class ParquetFile:
    metadata: FileMetaData
    schema_arrow: Schema
    def __init__(self, source: str, filesystem: FileSystem | None = None) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def read_row_group(self, i: int, columns: Sequence[str] | None = None) -> Table: ...
    def iter_batches(self) -> Iterator[Any]: ...
    def read(self, columns: Sequence[str] | None = None) -> Table: ...

def read_table(
    source: str, columns: Sequence[str] | None = None, filesystem: FileSystem | None = None
) -> Table: ...
def write_table(
    table: Table, where: str, *, compression: str, compression_level: int, row_group_size: int
) -> None: ...
