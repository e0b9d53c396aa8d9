"""Every step that changes something on the disk, so that a test can end the process at each."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

COPY_BYTES: Final = 1 << 20


def make_folder(path: Path) -> None:
    """Make a directory, and those above it. One that is there already is fine. Raises OSError."""
    path.mkdir(parents=True, exist_ok=True)


def rename(old: Path, new: Path) -> None:
    """Give a file or a directory another name, at once, and for good. Raises OSError."""
    old.replace(new)
    sync_folder(new.parent)


def remove(path: Path) -> None:
    """Delete a file. One that is gone already is fine. Raises OSError."""
    path.unlink(missing_ok=True)


def remove_folder(path: Path) -> bool:
    """Delete a directory if nothing is in it; whether it is gone."""
    with suppress(OSError):
        path.rmdir()
    return not path.exists()


def append(path: Path, data: bytes) -> int:
    """Append to a file, made where it is not; how many bytes of `data` it took before it failed.

    Raises OSError where it took none. About 30 us: no handle is kept, there may be thousands.
    """
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        taken = 0
        while taken < len(data):
            try:
                taken += os.write(handle, data[taken:])
            except OSError:
                if not taken:
                    raise
                break
        return taken
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file: afterwards it is there, whole and safe, or as it was. Raises OSError."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    rename(part, path)


def copy(source: Path, path: Path) -> None:
    """Write a copy and bring it to the disk. Raises OSError."""
    with source.open("rb") as read, path.open("wb") as written:
        shutil.copyfileobj(read, written, COPY_BYTES)
        written.flush()
        os.fsync(written.fileno())


def sync(path: Path) -> None:
    """Bring a file's content to the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Bring a directory's names to the disk, where its file system can do that."""
    with suppress(OSError):
        sync(path)


class Lock:
    """A lock on a file, held by one process on all machines that share it; gone when that is.

    `flock`, so also on NFS from version 4 on. It excludes others in the same process too.
    """

    def __init__(self, path: Path) -> None:
        """Raises BlockingIOError where another holds it, else OSError."""
        self.path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise

    def release(self) -> None:
        """Let go; the file stays."""
        os.close(self._handle)
