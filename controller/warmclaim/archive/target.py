"""Where an archive is: a local directory, or a bucket by URL. Every file is whole or absent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import fs

from warmclaim.archive import disk
from warmclaim.errors import UsageError

_DAY = re.compile(r"date=(\d{4}-\d\d-\d\d)")
STORES: Final = ("s3", "gcs", "abfs")
"""They show an object when its upload is complete, and have no rename; others have (HDFS)."""

_FILE = re.compile(r"claims-\d{4}-\d\d-\d\dT\d\d-[0-9a-f]{16}-\d+\.parquet")


@dataclass(frozen=True)
class ArchivedFile:
    """One file of an archive. `name` is its path below the target."""

    name: str
    size_bytes: int


class Target:
    """An archive. Memory: one day's file names."""

    def __init__(self, filesystem: fs.FileSystem, base: str) -> None:
        self._fs = filesystem
        self._base = base.rstrip("/")
        self._is_local = isinstance(filesystem, fs.LocalFileSystem)

    def __str__(self) -> str:
        """What it is, without credentials."""
        return self._base if self._is_local else f"{self._fs.type_name}:{self._base}"

    @property
    def filesystem(self) -> fs.FileSystem:
        """For readers."""
        return self._fs

    def path(self, file: ArchivedFile) -> str:
        """Where in the file system a file is."""
        return self._at(file.name)

    def put(self, work: Path, name: str) -> None:
        """Have the content of `work` under `name`: whole and safe, or not at all. May be repeated.

        Raises OSError.
        """
        folder, _, last = name.rpartition("/")
        hidden = f"{folder}/.{last}.part"
        if self._is_local:
            disk.make_folder(Path(self._at(folder)))
            disk.copy(work, Path(self._at(hidden)))
            disk.rename(Path(self._at(hidden)), Path(self._at(name)))
        elif self._fs.type_name in STORES:
            self._upload(work, name)
        else:
            self._fs.create_dir(self._at(folder), recursive=True)
            self._upload(work, hidden)
            self._fs.move(self._at(hidden), self._at(name))

    def has(self, name: str) -> bool:
        """Whether there is a file of that name. Raises OSError."""
        return self._fs.get_file_info(self._at(name)).type is fs.FileType.File

    def days(self) -> list[date]:
        """The days that have a directory, oldest first. Raises OSError."""
        found: list[date] = []
        for info in self._entries(""):
            if info.type is fs.FileType.Directory and (match := _DAY.fullmatch(info.base_name)):
                with suppress(ValueError):
                    found.append(date.fromisoformat(match[1]))
        return sorted(found)

    def files(self, day: date) -> list[ArchivedFile]:
        """The files of a day that an archive run wrote, oldest hour first. Raises OSError."""
        folder = f"date={day}"
        return [
            ArchivedFile(f"{folder}/{info.base_name}", info.size or 0)
            for info in sorted(self._entries(folder), key=lambda info: info.base_name)
            if info.type is fs.FileType.File and _FILE.fullmatch(info.base_name)
        ]

    def remove(self, file: ArchivedFile) -> None:
        """Delete a file. One that is gone is fine. Raises OSError."""
        with suppress(FileNotFoundError):
            self._fs.delete_file(self._at(file.name))

    def remove_empty(self, day: date) -> None:
        """Delete a day's directory where nothing is in it; stores have none."""
        if self._is_local:
            disk.remove_folder(Path(self._at(f"date={day}")))

    def _upload(self, work: Path, name: str) -> None:
        fs.copy_files(
            str(work),
            self._at(name),
            source_filesystem=fs.LocalFileSystem(),
            destination_filesystem=self._fs,
            chunk_size=disk.COPY_BYTES,
            use_threads=False,
        )
        size = self._fs.get_file_info(self._at(name)).size
        if size != work.stat().st_size:
            raise OSError(f"{self}/{name}: {size} bytes arrived of {work.stat().st_size}")

    def _entries(self, folder: str) -> Iterator[fs.FileInfo]:
        where = self._at(folder) if folder else self._base
        yield from self._fs.get_file_info(fs.FileSelector(where, allow_not_found=True))

    def _at(self, name: str) -> str:
        return f"{self._base}/{name}"


def open_target(text: str) -> Target:
    """A directory, or a URL such as s3://bucket/prefix, gs://, hdfs://.

    Raises UsageError where it is none, is not there, or refuses.
    """
    try:
        if "://" in text:
            filesystem, base = fs.FileSystem.from_uri(text)
        else:
            filesystem, base = fs.LocalFileSystem(), str(Path(text).absolute())
        # Stores have no directories: there the bucket is what must be there.
        root = base if isinstance(filesystem, fs.LocalFileSystem) else base.split("/")[0] or "/"
        info = filesystem.get_file_info(root)
    except (OSError, ValueError, NotImplementedError, pa.ArrowException) as error:
        raise UsageError(f"target {shown(text)}: {error}") from None
    if info.type is not fs.FileType.Directory:
        problem = "is no directory" if info.type is fs.FileType.File else "is not there"
        raise UsageError(f"target {shown(text)}: {root} {problem}; make it first")
    return Target(filesystem, base)


def shown(text: str) -> str:
    """A URL as it may be told: without the credentials that it may hold."""
    return re.sub(r"(?<=://)[^/@]*@", "", text)
