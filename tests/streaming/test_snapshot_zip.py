"""The ZIP around a snapshot, read by the standard library's reader."""

from __future__ import annotations

import io
import os
import zipfile

import pytest

from warmclaim.streaming.snapshot import MEMBER_NAME, ZipText


def zipped(pieces: list[bytes]) -> bytes:
    archive = ZipText()
    parts = [archive.begin(), *(archive.add(piece) for piece in pieces), archive.end()]
    return b"".join(parts)


def unzipped(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [MEMBER_NAME]
        return archive.read(MEMBER_NAME)


@pytest.mark.parametrize(
    "pieces",
    [[], [b""], [b"a"], [b"a", b"", b"b"], [b"x" * 100_000] * 30, [os.urandom(70_000)] * 3],
    ids=["none", "empty", "one", "empty between", "alike", "random"],
)
def test_any_pieces_are_a_zip_with_one_member(pieces: list[bytes]) -> None:
    assert unzipped(zipped(pieces)) == b"".join(pieces)


def test_each_piece_is_taken_when_it_is_pushed() -> None:
    archive = ZipText()
    assert archive.begin().startswith(b"PK\x03\x04")
    given = [archive.add(os.urandom(64 * 1024)) for _ in range(20)]
    assert sum(map(len, given)) > 19 * 64 * 1024
    assert max(map(len, given)) < 192 * 1024


def test_without_its_end_it_is_no_zip() -> None:
    archive = ZipText()
    data = archive.begin() + archive.add(b"a" * 1_000)
    with pytest.raises(zipfile.BadZipFile):
        unzipped(data)
