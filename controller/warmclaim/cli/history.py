"""`warmclaim history`: questions to the claim history in SQL, and the answers on stdout."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from warmclaim.archive.extra import need
from warmclaim.archive.questions import CLAIMS, CLAIMS_MEANING, QUESTIONS
from warmclaim.cli import FAILED, OK, PROGRAM
from warmclaim.cli.history_command import Form
from warmclaim.errors import UsageError

if TYPE_CHECKING:
    from warmclaim.archive.history import Answer, History

TABLE_ROWS_MAX: Final = 1_000
_PIPED_COLUMNS: Final = 1_000
"""As wide as a table needs: whoever reads a pipe has no edge to fold it at."""


def history(sql: str, *, spool: Path | None, archive: str, form: Form) -> int:
    """Answer one question, the name of a view or a SELECT; without one, list the views.

    Returns the exit code. Raises UsageError.
    """
    if not sql.strip():
        _write(_Listing(), form)
        return OK
    if spool is None and not archive:
        raise UsageError("say where the history is: --spool DIR, --archive DIR|URL, or both")
    for package in ("duckdb", "pyarrow"):
        need(package, f"{PROGRAM} history")
    names = {CLAIMS, *(question.name for question in QUESTIONS)}
    try:
        with _busy("reading the spool"):
            found = _opened(spool, archive)
        with found:
            with _busy("looking for the answer"):
                answer = found.ask(f"FROM {sql.strip()}" if sql.strip() in names else sql)
            return _written(answer, form)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise UsageError(f"{error.strerror or error}{where}") from None


def _opened(spool: Path | None, archive: str) -> History:
    from warmclaim.archive.history import History
    from warmclaim.archive.target import open_target, shown

    if archive and "://" not in archive and not Path(archive).is_dir():
        raise UsageError(f"archive {archive}: there is no such directory")
    found = History(spool, open_target(archive) if archive else None)
    skipped = found.skipped.unreadable_lines
    if skipped:
        print(f"{PROGRAM}: {skipped} lines of the spool cannot be read", file=sys.stderr)
    if not found.spooled and not found.archived_files:
        places = [shown(str(place)) for place in (spool, archive) if place]
        raise UsageError(f"no claim has ended yet in {' or '.join(places)}")
    return found


def _busy(what: str) -> AbstractContextManager[object]:
    """A sign of life on stderr, where that is a terminal."""
    return Console(stderr=True).status(what) if sys.stderr.isatty() else nullcontext()


class _Listing:
    """What can be asked, in the form of an answer."""

    columns: Final = ["view", "tells"]

    def rows(self) -> Iterator[Sequence[Any]]:
        yield CLAIMS, CLAIMS_MEANING
        for question in QUESTIONS:
            yield question.name, question.meaning


def _written(answer: Answer, form: Form) -> int:
    try:
        _write(answer, form)
        sys.stdout.flush()
    except OSError as error:
        # Of stdout: at its end Python would try it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"{PROGRAM}: cannot write to stdout: {error.strerror}", file=sys.stderr)
        return FAILED
    return OK


def _write(answer: Answer | _Listing, form: Form) -> None:
    match form:
        case Form.TABLE:
            rows = answer.rows()
            shown = list(islice(rows, TABLE_ROWS_MAX))
            width = None if sys.stdout.isatty() else _PIPED_COLUMNS
            Console(width=width).print(table(answer.columns, shown))
            if next(rows, None) is not None:
                said = f"the first {TABLE_ROWS_MAX} rows; -o csv and -o json write all"
                print(f"{PROGRAM}: {said}", file=sys.stderr)
        case Form.JSON:
            between = "[\n"
            for row in answer.rows():
                named = dict(zip(answer.columns, row, strict=True))
                sys.stdout.write(between + msgspec.json.encode(named, enc_hook=str).decode())
                between = ",\n"
            sys.stdout.write("[]\n" if between == "[\n" else "\n]\n")
        case Form.CSV:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(answer.columns)
            for row in answer.rows():
                writer.writerow([_text(value) for value in row])


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """An answer for people; numbers stand to the right."""
    made = Table(box=None, pad_edge=False, header_style="cyan")
    for number, column in enumerate(columns):
        are_numbers = all(isinstance(row[number], int | float | None) for row in rows)
        made.add_column(Text(column), justify="right" if are_numbers else "left")
    for row in rows:
        made.add_row(*(Text(_text(value)) for value in row))
    return made


def _text(value: Any) -> str:
    """A cell: nothing for NULL, times to the millisecond."""
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat(" ", "milliseconds")
        case date():
            return value.isoformat()
        case dict() | list():
            return json.dumps(value, default=str)
        case _:
            return str(value)
