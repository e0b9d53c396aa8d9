"""The hand-over: spool hours go only when their rows are safe in the archive.

    work/*.parquet      made, synced                          the spool is untouched
    archive.journal     which files, which hours they replace from here on the rest is repeated
    target              each file put, whole or not at all    until it is done: every step may
    hours               deleted                               be done twice
    archive.journal     deleted

Killed before the journal stands, the next run begins anew with what the spool has; after it, the
next run ends what this one began. A file's name comes from the hours in it, so one that is put
twice is the same file.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from warmclaim.archive import disk
from warmclaim.archive.hours import (
    ARCHIVE_LOCK,
    JOURNAL,
    Journal,
    close_dead,
    delete_hour,
    read_journal,
)
from warmclaim.archive.layout import Batch, batches, writers
from warmclaim.archive.target import Target
from warmclaim.errors import UsageError

WORK: Final = "work"


class BusyError(UsageError):
    """Another run works on this spool."""


class Handover:
    """The one run that may convert and delete in a spool. Blocks; use it as a context.

    Raises UsageError where the spool is not there or not ours, and BusyError; its methods OSError.
    """

    def __init__(self, spool: Path, target: Target) -> None:
        if not spool.is_dir():
            raise UsageError(f"spool {spool}: there is no such directory")
        self.work = spool / WORK
        self._spool = spool
        self._target = target
        try:
            self._lock = disk.Lock(spool / ARCHIVE_LOCK)
        except BlockingIOError:
            raise BusyError(f"spool {spool}: another run is archiving it") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def recover(self) -> None:
        """End what an earlier run began, drop what it left, close the hours of dead writers."""
        journal = self._journal()
        if journal is not None:
            self._finish(journal)
        self.clear_work()
        for writer in list(writers(self._spool)):
            close_dead(writer)

    def clear_work(self) -> None:
        """An empty work folder."""
        disk.make_folder(self.work)
        for entry in self.work.iterdir():
            disk.remove(entry)

    def closed(self) -> list[Batch]:
        """The hours that may be converted, oldest first: some 200 bytes each."""
        return sorted(
            batch
            for writer in writers(self._spool)
            for batch in batches(writer)
            if not batch.is_open
        )

    def hand_over(self, made: dict[str, str], replaced: list[Batch]) -> None:
        """Put files of the work folder under their names, then delete the hours they replace."""
        folders = [str(batch.folder.relative_to(self._spool)) for batch in replaced]
        journal = Journal(str(self._target), made, folders)
        for name in made:
            disk.sync(self.work / name)
        disk.write_whole(self._spool / JOURNAL, msgspec.json.encode(journal))
        try:
            self._finish(journal)
        except OSError:
            self._take_back(journal)
            raise

    def _journal(self) -> Journal | None:
        journal = read_journal(self._spool)
        if journal is not None and journal.target != str(self._target):
            raise UsageError(
                f"spool {self._spool}: a run to {journal.target} was interrupted;"
                " let it end first, with the same --to;"
                f" if that is gone for good, delete {self._spool / JOURNAL}"
            )
        return journal

    def _finish(self, journal: Journal) -> None:
        for name, final in journal.files.items():
            self._target.put(self.work / name, final)
        for folder in journal.batches:
            delete_hour(self._spool / folder)
        disk.remove(self._spool / JOURNAL)
        disk.sync_folder(self._spool)

    def _take_back(self, journal: Journal) -> None:
        """Where the target surely took nothing, the next run is free to go elsewhere."""
        with suppress(OSError):
            if not any(map(self._target.has, journal.files.values())):
                disk.remove(self._spool / JOURNAL)
