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
        self.skipped = skipped
        self._folders = (str(batch.folder), str(batch.closed.folder))
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
        file = LinesFile(self, name)
        for block in file.blocks():
            yield file.rows(block)
        file.check()

    def columns(self) -> list[str]:
        """What the values of its lines are. Raises OSError, BrokenSpoolError."""
        self._columns = self._columns or _columns(self.batch)
        return self._columns

    def opened(self, name: str) -> BinaryIO | None:
        """A file of it; None where there is none. Raises OSError."""
        for folder in self._folders:
            with suppress(FileNotFoundError):
                # Not by Path: there may be a file for every few rows.
                return open(f"{folder}/{name}", "rb", buffering=0)  # noqa: PTH123
        return None


class LinesFile:
    """One file of an hour: its blocks of lines, and what could be read of them."""

    def __init__(self, hour: HourReader, name: str) -> None:
        self._hour = hour
        self._name = name
        self._reader = LineReader(())
        self._has_rows = False

    def blocks(self) -> Iterator[bytes]:
        """Whole lines, some 1,000 at a time, and how; none where there is no such file.

        Raises OSError, BrokenSpoolError.
        """
        file = self._hour.opened(self._name)
        if file is None:
            return
        with file:
            self._reader = LineReader(self._hour.columns())
            yield from _blocks(file, self._hour.skipped)

    @property
    def is_current(self) -> bool:
        """Whether this version wrote it."""
        return self._reader.is_current

    def rows(self, block: bytes) -> Sequence[Values]:
        """The rows of a block of it."""
        rows = self._reader.read(block)
        self._has_rows = self._has_rows or bool(rows)
        return rows

    def check(self) -> None:
        """Count what was no row. Raises BrokenSpoolError where there are lines, and no row."""
        unreadable = self._reader.unreadable
        self._hour.skipped.unreadable_lines += unreadable
        if unreadable and not self._has_rows:
            raise self.broken("has not one line that can be read")

    def broken(self, problem: str) -> BrokenSpoolError:
        """What to raise for such a file."""
        hour = self._hour.batch
        return BrokenSpoolError(f"{hour.folder / self._name} {problem}", hour)


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
