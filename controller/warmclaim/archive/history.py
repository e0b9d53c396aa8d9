"""The claim history as a database that can only be asked: archive and spool as one table.

DuckDB does the asking, and opens no file: the archive comes to it through `pyarrow.fs`, so that any
target can be asked, and the SQL of the user has access to nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeAlias

import duckdb
import pyarrow as pa
from msgspec.structs import astuple
from pyarrow import dataset, parquet

from warmclaim.archive.layout import hour_of
from warmclaim.archive.questions import CLAIMS, CLAIMS_SQL, QUESTIONS
from warmclaim.archive.schema import SCHEMA, columns_of
from warmclaim.archive.spool_reader import Skipped, spooled
from warmclaim.archive.target import Target
from warmclaim.domain.claim_history import ClaimRow
from warmclaim.errors import UsageError

MEMORY_BYTES_MAX: Final = 2 * 2**30
"""Of the database: what is spooled, and what a question has to hold at once."""
ROWS_EACH: Final = 4_096
"""So many rows of the spool are taken in, and of an answer given out, at once."""
_ERROR_CHARS_MAX: Final = 400

_DAY: Final = "date"
_DAY_FIELD: Final = pa.field(_DAY, pa.date32())
_SCHEMA: Final = pa.schema([*SCHEMA, _DAY_FIELD])
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "temp_directory": "",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}


class History(AbstractContextManager["History"]):
    """Answers questions in SQL. Use it as a context; nothing that is asked can change anything.

    The spool is read when it is made, some 6 us for a row; the archive as it then was, when asked.
    """

    def __init__(
        self,
        spool: Path | None,
        target: Target | None,
        *,
        memory_bytes_max: int = MEMORY_BYTES_MAX,
    ) -> None:
        """Raises UsageError where the spool or the archive cannot be read, and OSError."""
        self.skipped = Skipped()
        self.spooled = 0
        limit = {"memory_limit": f"{memory_bytes_max}B"}
        self._database = duckdb.connect(":memory:", config=_CONFIG | limit)
        days = self._take_in(spool)
        # Now: what is archived while the spool is read is then in both, and not in neither.
        files = _files(target)
        self.archived_files = len(files)
        self._target, self._files = target, files
        self._database.register("archived", _table(target, files))
        self._drop_archived([file for file in files if file[0] in days])
        self._database.execute("SET enable_external_access = false")
        self._database.execute(f"CREATE VIEW {CLAIMS} AS {CLAIMS_SQL}")
        for question in QUESTIONS:
            self._database.execute(f"CREATE VIEW {question.name} AS {question.sql}")
        self._database.execute("SET lock_configuration = true")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def ask(self, sql: str) -> Answer:
        """Begin to answer one SELECT. Raises UsageError for what is none, or cannot be answered."""
        try:
            statements = self._database.extract_statements(sql)
            if len(statements) != 1 or statements[0].type not in _ASKS:
                raise UsageError("the history answers one SELECT at a time, and changes nothing")
            return Answer(self._database.execute(statements[0]), self._why)
        except duckdb.Error as error:
            raise UsageError(self._why(error)) from None

    def _why(self, error: duckdb.Error) -> str:
        """What went wrong, in one line. Looks at every file's end where one could not be read."""
        if "registered as '" not in str(error) or self._target is None:
            return _plain(error)
        for _, path in self._files:
            try:
                with parquet.ParquetFile(path, filesystem=self._target.filesystem):
                    pass
            except (OSError, pa.ArrowException) as broken:
                return f"{path} cannot be read: {' '.join(str(broken).split())[:_ERROR_CHARS_MAX]}"
        return _plain(error)

    def _take_in(self, spool: Path | None) -> set[date]:
        """The days that it holds rows of."""
        self._database.register("incoming", _SCHEMA.empty_table())
        self._database.execute("CREATE TABLE spooled AS SELECT * FROM incoming")
        days: set[date] = set()
        rows = iter(()) if spool is None else spooled(spool, self.skipped)
        while some := list(islice(rows, ROWS_EACH)):
            ends = [date.fromisoformat(hour_of(row)[:10]) for row in some]
            self._database.register("incoming", _batch(some, ends))
            self._database.execute("INSERT INTO spooled SELECT * FROM incoming")
            self.spooled += len(some)
            days.update(ends)
        self._database.unregister("incoming")
        return days

    def _drop_archived(self, files: Sequence[_File]) -> None:
        """What lies in the archive already, in files of the same days, is not to count twice."""
        self._database.register("handed_over", _table(self._target, files))
        try:
            self._database.execute("DELETE FROM spooled WHERE uid IN (SELECT uid FROM handed_over)")
        except duckdb.Error as error:
            raise UsageError(self._why(error)) from None
        self._database.unregister("handed_over")


class Answer:
    """The rows of an answer, to be read once."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, why: Callable[[duckdb.Error], str]
    ) -> None:
        self._cursor = cursor
        self._why = why
        self.columns: list[str] = [column[0] for column in cursor.description or ()]

    def rows(self) -> Iterator[Sequence[Any]]:
        """Each row. Raises UsageError where the answer cannot be brought to its end."""
        try:
            while some := self._cursor.fetchmany(ROWS_EACH):
                yield from some
        except duckdb.Error as error:
            raise UsageError(self._why(error)) from None


_ASKS: Final = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
_Rows: TypeAlias = dataset.Dataset | pa.Table
_File: TypeAlias = tuple[date, str]


def _files(target: Target | None) -> list[_File]:
    """Each archived file with its day."""
    if target is None:
        return []
    return [(day, target.path(file)) for day in target.days() for file in target.files(day)]


def _table(target: Target | None, files: Sequence[_File]) -> _Rows:
    if target is None or not files:
        return _SCHEMA.empty_table()
    return dataset.FileSystemDataset.from_paths(
        [path for _, path in files],
        schema=_SCHEMA,
        format=dataset.ParquetFileFormat(),
        filesystem=target.filesystem,
        partitions=[dataset.field(_DAY) == pa.scalar(day) for day, _ in files],
    )


def _batch(rows: Sequence[ClaimRow], days: Sequence[date]) -> pa.Table:
    table = pa.Table.from_batches([columns_of([astuple(row) for row in rows])])
    return table.append_column(_DAY_FIELD, pa.array(days, pa.date32()))


def _plain(error: duckdb.Error) -> str:
    """What DuckDB says, in one line, without where in the text it is and where in itself."""
    said = str(error).partition("\nLINE ")[0].partition(", due to the following")[0]
    return " ".join(said.split())[:_ERROR_CHARS_MAX]
