"""Reads a spool, open hours too, while others write to it. Memory: one block of lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from warmclaim.archive.layout import COLUMNS_FILE, COUNTS_FILE, Batch, batches, files, writers
from warmclaim.archive.lines import LINE_BYTES_MAX, LineReader, Values, row_of
from warmclaim.domain.claim_history import ClaimRow
from warmclaim.errors import UsageError

BLOCK_BYTES: Final = 256 * 1024
"""Some 1,000 lines."""


class BrokenSpoolError(UsageError):
    """A directory that looks like an hour of a spool holds what is none; nothing was done to it."""

    def __init__(self, message: str, batch: Batch) -> None:
        super().__init__(message)
        self.batch = batch


@dataclass
class Skipped:
    """What a reading left out."""

    unreadable_lines: int = 0
    """Lines that are no row."""
    torn_lines: int = 0
    """Last lines without an end: their writer was killed, or is writing them."""


def spooled(spool: Path, skipped: Skipped) -> Iterator[ClaimRow]:
    """Every row of a spool, in no order; what it skips is counted in `skipped`.

    While hours are handed over a row may be in the archive too: its uid tells.
    Raises UsageError where the directory cannot be read, or holds a file that is none of a spool.
    """
    try:
        for writer in writers(_existing(spool)):
            for batch in batches(writer):
                hour = HourReader(batch, skipped)
                for name in hour.names():
                    for values in hour.rows(name):
                        yield from map(row_of, values)
    except OSError as error:
        raise UsageError(f"spool {spool}: {error.strerror}: {error.filename}") from None


class HourReader:
    """Reads one hour's files. One that is closed or archived meanwhile is read under its new name,
    or is gone. Memory: one block of lines."""

    def __init__(self, batch: Batch, skipped: Skipped) -> None:
        self.batch = batch
        self._folders = (str(batch.folder), str(batch.closed.folder))
        self._skipped = skipped
        self._columns: list[str] | None = None

    def names(self) -> Iterator[str]:
        """Its files, in no order. Raises OSError."""
        for folder in (self.batch.folder, self.batch.closed.folder):
            if folder.is_dir():
                yield from (path.name for path in files(folder))
                return

    def rows(self, name: str) -> Iterator[Sequence[Values]]:
        """The rows of a file, some 1,000 at a time; none where there is no such file.

        Raises OSError, and BrokenSpoolError where there are whole lines and none of them is a row.
        """
        file = self._opened(name)
        if file is None:
            return
        with file:
            self._columns = self._columns or _columns(self.batch)
            reader, found = LineReader(self._columns), 0
            for block in _blocks(file, self._skipped):
                rows = reader.read(block)
                found += len(rows)
                yield rows
        self._skipped.unreadable_lines += reader.unreadable
        if reader.unreadable and not found:
            where = self.batch.folder / name
            raise BrokenSpoolError(f"{where}: not one line of it can be read", self.batch)

    def _opened(self, name: str) -> BinaryIO | None:
        for folder in self._folders:
            with suppress(FileNotFoundError):
                # Not by Path: there may be a file for every few rows.
                return open(f"{folder}/{name}", "rb", buffering=0)  # noqa: PTH123
        return None


def counted_rows(batch: Batch) -> dict[str, int] | None:
    """How many rows its writer put into each file; None where it had no time to say."""
    try:
        return msgspec.json.decode((batch.folder / COUNTS_FILE).read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return None


def _existing(spool: Path) -> Path:
    if not spool.is_dir():
        raise UsageError(f"spool {spool}: there is no such directory")
    return spool


def _columns(batch: Batch) -> list[str]:
    for path in (batch.folder / COLUMNS_FILE, batch.closed.folder / COLUMNS_FILE):
        with suppress(FileNotFoundError):
            try:
                return msgspec.json.decode(path.read_bytes(), type=list[str])
            except msgspec.DecodeError:
                raise BrokenSpoolError(f"{path} does not name columns", batch) from None
    raise BrokenSpoolError(f"{batch.folder} has no {COLUMNS_FILE}", batch)


def _blocks(file: BinaryIO, skipped: Skipped) -> Iterator[bytes]:
    """Whole lines, BLOCK_BYTES at a time. A line without an end is left out and counted."""
    rest = b""
    while piece := file.read(BLOCK_BYTES):
        whole, end, rest = (rest + piece).rpartition(b"\n")
        if end:
            yield whole
        if len(rest) > LINE_BYTES_MAX:
            # Longer than any row: handed on as a line that cannot be read.
            yield rest
            rest = b""
    skipped.torn_lines += bool(rest)
