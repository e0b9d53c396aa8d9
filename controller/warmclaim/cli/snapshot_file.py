"""A snapshot in a file: read to its end, or refused with what is wrong with it."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from warmclaim.errors import BrokenSnapshotError, UsageError
from warmclaim.streaming.snapshot import FORMAT_VERSION, MEMBER_NAME, Line, Sort, lines

# RuntimeError and NotImplementedError: encrypted, or packed in a way that Python does not know.
_NOT_READABLE: Final = (EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)


class _Metadata(msgspec.Struct, rename="camel"):
    format_version: int
    program: str


def read_snapshot(path: Path, *, name: str = "") -> Iterator[Line]:
    """Its elements, the metadata first; memory of one. Raises UsageError, wherever it finds that
    the file is no whole snapshot of a format that is known; `name` is what to call it then."""
    called = name or str(path)
    try:
        with zipfile.ZipFile(path) as archive, archive.open(MEMBER_NAME) as text:
            found = lines(text)
            _require_known(next(found, None), called)
            text.seek(0)
            yield from lines(text)
    except OSError as error:
        raise UsageError(f"{called} cannot be read: {error.strerror or error}") from None
    except KeyError:
        raise UsageError(f"{called} is no snapshot: a ZIP without {MEMBER_NAME}") from None
    except BrokenSnapshotError as error:
        raise UsageError(f"{called} is no whole snapshot: {error}") from None
    except _NOT_READABLE as error:
        raise UsageError(f"{called} is no snapshot, or one that was cut: {error}") from None


def _require_known(first: Line | None, called: str) -> None:
    if first is None or (first.sort, first.section) != (Sort.VALUE, "metadata"):
        raise UsageError(f"{called} is no snapshot: it does not begin with its metadata")
    try:
        metadata = msgspec.json.decode(first.json, type=_Metadata)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{called} is no snapshot: {error}") from None
    if metadata.format_version != FORMAT_VERSION:
        raise UsageError(
            f"{called} is a snapshot of format {metadata.format_version}, this program reads"
            f" {FORMAT_VERSION}: use the version of warmclaim that took it"
        )
