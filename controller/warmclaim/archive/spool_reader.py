"""Reads a spool, open hours too, while others write to it. Memory: one block of lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
                for file in files(batch.folder):
                    for values in file_rows(batch, file, skipped):
                        yield from map(row_of, values)
    except OSError as error:
        raise UsageError(f"spool {spool}: {error.strerror}: {error.filename}") from None


def file_rows(batch: Batch, file: Path, skipped: Skipped) -> Iterator[Sequence[Values]]:
    """The rows of a file, some 1,000 at a time. One that was closed or archived meanwhile is read
    under its new name, or is gone.

    Raises OSError, and BrokenSpoolError where there are whole lines and none of them is a row.
    """
    path = _where(batch, file)
    if path is None or (columns := _columns(batch, path.with_name(COLUMNS_FILE))) is None:
        return
    reader, found = LineReader(columns), 0
    try:
        for block in _blocks(path, skipped):
            rows = reader.read(block)
            found += len(rows)
            yield rows
    except FileNotFoundError:
        return
    skipped.unreadable_lines += reader.unreadable
    if reader.unreadable and not found:
        raise BrokenSpoolError(f"{path} is no spool file: not one line of it can be read", batch)


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


def _where(batch: Batch, file: Path) -> Path | None:
    for folder in (batch.folder, batch.closed.folder):
        if (path := folder / file.name).exists():
            return path
    return None


def _columns(batch: Batch, path: Path) -> list[str] | None:
    """None where the hour went away meanwhile."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[str])
    except FileNotFoundError:
        if path.parent.is_dir():
            raise BrokenSpoolError(f"{path.parent} has no {path.name}", batch) from None
        return None
    except msgspec.DecodeError:
        raise BrokenSpoolError(f"{path} does not name the columns of a row", batch) from None


def _blocks(path: Path, skipped: Skipped) -> Iterator[bytes]:
    """Whole lines, BLOCK_BYTES at a time. A line without an end is left out and counted."""
    rest = b""
    with path.open("rb", buffering=0) as file:
        while piece := file.read(BLOCK_BYTES):
            whole, end, begun = (rest + piece).rpartition(b"\n")
            if end:
                yield whole + end
            rest = begun
            if len(rest) > LINE_BYTES_MAX:
                # Longer than any row: handed on as a line that cannot be read.
                yield rest
                rest = b""
    skipped.torn_lines += bool(rest)
