"""The ZIP around a text that is written while it is made: zipstream-ng, turned around.

The library draws the bytes to compress from an iterator; here they are pushed, since what they come
from is awaited. It takes one piece and gives one piece (`tests/streaming` holds it to that).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from zipfile import ZIP_DEFLATED

from zipstream import ZipStream  # pyright: ignore[reportMissingTypeStubs]

MEMBER_NAME: Final = "snapshot.json"

_LEVEL: Final = 1
"""Objects of a kind are much alike: 1 MB becomes 20 kB at any level, at this one in 1 ms."""


class ZipText:
    """A ZIP with one member. A piece that is pushed is compressed at once: 30 ms for each MiB that
    does not compress, so pieces should be small. Holds zlib's window, 300 kB."""

    def __init__(self, name: str = MEMBER_NAME) -> None:
        self._pushed = _Pushed()
        self._zip: Any = ZipStream(compress_type=ZIP_DEFLATED, compress_level=_LEVEL)
        self._zip.add(self._pushed, name)
        self._given: Iterator[bytes] = self._zip.file()

    def begin(self) -> bytes:
        """The head of the member."""
        return next(self._given)

    def add(self, piece: bytes) -> bytes:
        """What is to be sent now, often nothing yet."""
        self._pushed.piece = piece
        return next(self._given)

    def end(self) -> bytes:
        """The rest: whoever reads it knows that the ZIP is whole."""
        self._pushed.is_over = True
        return b"".join(self._given) + b"".join(self._zip.footer())


class _Pushed:
    """The iterator that the library draws from."""

    def __init__(self) -> None:
        self.piece: bytes | None = None
        self.is_over = False

    def __iter__(self) -> _Pushed:
        return self

    def __next__(self) -> bytes:
        piece, self.piece = self.piece, None
        if piece is not None:
            return piece
        if self.is_over:
            raise StopIteration
        raise RuntimeError("the ZIP asks for more than was pushed")
