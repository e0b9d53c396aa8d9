"""What bounds a spool that nothing archives: its oldest closed hours go."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from warmclaim.archive import disk
from warmclaim.archive.hours import ARCHIVE_LOCK, close_dead, delete_hour, read_journal
from warmclaim.archive.layout import Batch, batches, files, writers
from warmclaim.archive.spool_reader import counted_rows
from warmclaim.errors import UsageError
from warmclaim.telemetry.logs import fields

COUNT_BYTES: Final = 1 << 20

_log = logging.getLogger(__name__)


def hours_to_drop(
    closed_bytes: Mapping[Batch, int], open_bytes: int, bytes_max: int
) -> list[Batch]:
    """The oldest closed hours, no more than it takes for the rest and the open ones to fit."""
    over = open_bytes + sum(closed_bytes.values()) - bytes_max
    dropped: list[Batch] = []
    for batch in sorted(closed_bytes):
        if over <= 0:
            break
        dropped.append(batch)
        over -= closed_bytes[batch]
    return dropped


class SpoolBound:
    """Keeps all that lies in a spool, of whatever writer, to `bytes_max`; 0 is no bound.

    Hours that are written, and those that an archiver works on or has not finished with, are left.
    Blocks, belongs to one thread. Memory: some 300 bytes for each closed hour.
    """

    def __init__(self, spool: Path, bytes_max: int) -> None:
        self._spool = spool
        self._bytes_max = bytes_max
        self._closed_bytes: dict[Batch, int] = {}
        self._has_told = False

    def keep(self) -> int:
        """Drop what is too much; how many rows that were. Never raises OSError.

        Costs a look at each hour's directory, and at each file of those that are open or new.
        """
        if not self._bytes_max:
            return 0
        try:
            return self._locked_drop() if self._held_bytes() > self._bytes_max else 0
        except BlockingIOError:
            return 0  # an archiver is at it
        except (OSError, UsageError) as error:
            self._tell(error)
            return 0

    def _locked_drop(self) -> int:
        lock = disk.Lock(self._spool / ARCHIVE_LOCK)
        try:
            return self._dropped()
        finally:
            lock.release()

    def _dropped(self) -> int:
        for writer in list(writers(self._spool)):
            with suppress(OSError):
                close_dead(writer)
        open_bytes = self._held_bytes() - sum(self._closed_bytes.values())
        return sum(map(self._drop, hours_to_drop(self._closed_bytes, open_bytes, self._bytes_max)))

    def _drop(self, batch: Batch) -> int:
        try:
            rows, size_bytes = _rows_in(batch), self._closed_bytes[batch]
            delete_hour(batch.folder)
        except OSError as error:
            self._tell(error)
            return 0
        _log.warning(
            "claim history: the spool is full, its oldest hour was dropped",
            extra=fields(hour=batch.name, rows=rows, size_bytes=size_bytes),
        )
        return rows

    def _held_bytes(self) -> int:
        """All that is there. Closed hours never change, so each is looked at once."""
        journal = read_journal(self._spool)
        kept = frozenset(journal.batches if journal else ())
        before, closed, held_bytes = self._closed_bytes, dict[Batch, int](), 0
        for writer in writers(self._spool):
            for batch in self._batches(writer):
                size_bytes = before.get(batch) or self._size_bytes(batch)
                if size_bytes is None:
                    continue
                if batch.is_open or str(batch.folder.relative_to(self._spool)) in kept:
                    held_bytes += size_bytes
                else:
                    closed[batch] = size_bytes
        self._closed_bytes = closed
        return held_bytes + sum(closed.values())

    def _batches(self, writer: Path) -> list[Batch]:
        try:
            return list(batches(writer))
        except OSError as error:
            self._tell(error)
            return []

    def _size_bytes(self, batch: Batch) -> int | None:
        """None for one that cannot be looked at, or is gone meanwhile."""
        try:
            return sum(path.stat().st_size for path in files(batch.folder))
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell(error)
            return None

    def _tell(self, error: Exception) -> None:
        """Once: it is tried again and again."""
        if not self._has_told:
            _log.warning("claim history: the size of the spool is not kept: %s", error)
        self._has_told = True


def _rows_in(batch: Batch) -> int:
    """As its writer counted them; where that died, the lines. Raises OSError."""
    counted = counted_rows(batch)
    return sum(map(_lines_in, files(batch.folder)) if counted is None else counted.values())


def _lines_in(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(COUNT_BYTES), b""))
