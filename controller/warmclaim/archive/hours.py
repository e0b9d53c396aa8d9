"""What may be done with a spool's hours by the one that holds its archive lock."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from warmclaim.archive import disk
from warmclaim.archive.layout import COLUMNS_FILE, COUNTS_FILE, LOCK_FILE, batches, files
from warmclaim.errors import UsageError

ARCHIVE_LOCK: Final = "archive.lock"
JOURNAL: Final = "archive.journal"


class Journal(msgspec.Struct, forbid_unknown_fields=True):
    """What a run has made and not yet finished handing over."""

    target: str
    files: dict[str, str]
    """Names in the work folder, and under the target."""
    batches: list[str]
    """Directories of the hours that the files replace, below the spool."""


def read_journal(spool: Path) -> Journal | None:
    """What an interrupted run left to be done. Raises OSError, UsageError where it is none."""
    path = spool / JOURNAL
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        raise UsageError(
            f"{path} is no journal of an archive run; see what it is, then move it away"
        ) from None


def close_dead(writer: Path) -> None:
    """A writer whose lock can be had is dead: its hours are closed, and it goes once empty.

    Raises OSError.
    """
    try:
        lock = disk.Lock(writer / LOCK_FILE)
    except (BlockingIOError, FileNotFoundError):
        return
    try:
        found = list(batches(writer))
        for batch in found:
            if batch.is_open:
                disk.rename(batch.folder, batch.closed.folder)
        if not found:
            disk.remove(writer / LOCK_FILE)
            disk.remove_folder(writer)
    finally:
        lock.release()


def delete_hour(folder: Path) -> None:
    """An hour's own files, then its directory; what is not ours stays, and so does that.

    What its lines mean goes last: an hour with lines always has it. Raises OSError.
    """
    for path in files(folder):
        disk.remove(path)
    for name in (COUNTS_FILE, COUNTS_FILE + ".part", COLUMNS_FILE, COLUMNS_FILE + ".part"):
        disk.remove(folder / name)
    disk.remove_folder(folder)
