"""What stands where in a spool: names of hours, of writers' directories, of nodes' files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from warmclaim.domain.claim_history import ClaimRow

LOCK_FILE: Final = "lock"
COLUMNS_FILE: Final = "columns.json"
COUNTS_FILE: Final = "rows.json"
LINES_SUFFIX: Final = ".jsonl"

NAME_CHARS_MAX: Final = 200
"""File systems take 255 bytes; the rest is for what this room adds."""

_PLAIN = re.compile(rf"[a-z0-9][a-z0-9.-]{{0,{NAME_CHARS_MAX - 1}}}")
_BATCH = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)\.(\d{1,9})\.(open|closed)")
_EPOCH_YEARS: Final = (1970, 9999)


def hour_of(row: ClaimRow) -> str:
    """The hour of a row's end, by the row's own times, as "2026-11-22T16" (UTC)."""
    return hour_at(end_us(row) / 1e6)


def hour_at(wall_s: float) -> str:
    """The hour of a time. One that no calendar has is taken for the nearest that one has."""
    try:
        moment = datetime.fromtimestamp(wall_s, UTC)
    except (OverflowError, ValueError, OSError):
        moment = datetime(_EPOCH_YEARS[wall_s > 0], 1, 1, tzinfo=UTC)
    return f"{moment.year:04}-{moment.month:02}-{moment.day:02}T{moment.hour:02}"


def end_us(row: ClaimRow) -> int:
    """When a claim ended: the first known of deleted, finished, ready, seen, created."""
    for known in (row.deleted_us, row.finished_us, row.ready_us, row.seen_us):
        if known is not None:
            return known
    return row.created_us


def file_name(name: str) -> str:
    """`name` as part of a file name: as it is where it is a plain one, else its digest.

    No two names share a file name, and none leaves the directory: names come from the API.
    """
    if _PLAIN.fullmatch(name):
        return name
    return "=" + sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]


def lines_file(node: str) -> str:
    """The name of a node's file; that of "" holds the claims that no node served."""
    return file_name(node) + LINES_SUFFIX


@dataclass(frozen=True, order=True)
class Batch:
    """One hour of one writer. `serial` tells apart those that were opened one after the other."""

    hour: str
    serial: int
    writer: Path
    is_open: bool

    @property
    def folder(self) -> Path:
        return self.writer / f"{self.hour}.{self.serial}.{'open' if self.is_open else 'closed'}"

    @property
    def closed(self) -> Batch:
        """The same, when nothing writes to it any more."""
        return Batch(self.hour, self.serial, self.writer, is_open=False)

    @property
    def day(self) -> date:
        return date.fromisoformat(self.hour[:10])

    @property
    def name(self) -> str:
        """The same, open or closed, and no other batch's in any spool."""
        return f"{self.writer.name}/{self.hour}.{self.serial}"


def writers(spool: Path) -> Iterator[Path]:
    """The directories of all writers, living or not. Raises OSError."""
    for entry in _entries(spool):
        if entry.is_dir(follow_symlinks=False) and Path(entry.path, LOCK_FILE).is_file():
            yield Path(entry.path)


def batches(writer: Path) -> Iterator[Batch]:
    """The hours of a writer; what has another name is not ours. Raises OSError."""
    for entry in _entries(writer):
        found = _BATCH.fullmatch(entry.name)
        if found and _is_a_date(found[1]) and entry.is_dir(follow_symlinks=False):
            yield Batch(found[1], int(found[2]), writer, is_open=found[3] == "open")


def files(folder: Path) -> Iterator[Path]:
    """The files of lines in an hour's directory, in no order. Raises OSError."""
    for entry in _entries(folder):
        if entry.name.endswith(LINES_SUFFIX) and entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


def _is_a_date(hour: str) -> bool:
    try:
        date.fromisoformat(hour[:10])
    except ValueError:
        return False
    return True


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """As a stream: a directory may hold more than fits. One that is gone has none."""
    try:
        found = os.scandir(folder)
    except FileNotFoundError:
        return
    with found:
        yield from found
