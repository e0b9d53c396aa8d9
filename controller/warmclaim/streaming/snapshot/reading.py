"""Reads a snapshot's text line by line: a line is an element, or tells where elements belong."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple, Protocol

import msgspec

from warmclaim.errors import BrokenSnapshotError

LINE_BYTES_MAX: Final = 8 * 1024 * 1024
"""More than any object that an API server stores, with all that stands around it."""

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Sort(Enum):
    """What a line tells."""

    VALUE = "a section that is one element"
    HEAD = "what stands before the lists of a group"
    ITEM = "an element of a list"
    TAIL = "what stands after them"


class Line(NamedTuple):
    """`json` is an object. `group` and `list` are "" where there is none."""

    sort: Sort
    section: str
    group: str
    list: str
    json: bytes


class Text(Protocol):
    """The text of a snapshot, a binary file mostly."""

    def readline(self, limit: int, /) -> bytes: ...


def lines(text: Text) -> Iterator[Line]:
    """Every element in its order; one line in memory.

    Raises BrokenSnapshotError where it is no snapshot, one that was formatted anew, or one that
    ends too early; what came before is then not the whole. Passes on what `text` raises.
    """
    return _Reader(text).lines()


class _Reader:
    def __init__(self, text: Text) -> None:
        self._text = text
        self._number = 0
        self._section = self._group = self._list = ""

    def lines(self) -> Iterator[Line]:
        if self._next() != b"{":
            raise self._broken("no snapshot begins like this")
        while (line := self._next()) != b"}" or self._section:
            if self._list:
                found = self._in_list(line)
            elif self._section:
                found = self._in_section(line)
            else:
                found = self._outside(line)
            if found is not None:
                yield found
        if self._text.readline(1):
            raise self._broken("something follows the end")

    def _next(self) -> bytes:
        line = self._text.readline(LINE_BYTES_MAX)
        self._number += 1
        if not line.endswith(b"\n"):
            is_long = len(line) >= LINE_BYTES_MAX
            raise self._broken("a line is too long" if is_long else "it is cut")
        return line[:-2] if line.endswith(b",\n") else line[:-1]

    def _outside(self, line: bytes) -> Line | None:
        if line.endswith((b":[", b":{")):
            name, _ = self._only(b"{" + line + (b"]}" if line.endswith(b"[") else b"}}"))
            self._section, self._list = name, name if line.endswith(b"[") else ""
            return None
        name, value = self._only(b"{" + line + b"}")
        return Line(Sort.VALUE, name, "", "", value)

    def _in_section(self, line: bytes) -> Line | None:
        if line == b"}":
            self._section = ""
            return None
        self._group, head = self._only(b"{" + line + b"]}}")
        self._list = list(self._members(head))[-1]
        return Line(Sort.HEAD, self._section, self._group, "", head)

    def _in_list(self, line: bytes) -> Line | None:
        if line.startswith(b"{"):
            return Line(Sort.ITEM, self._section, self._group, self._list, line)
        if not line.startswith(b"]"):
            raise self._broken("a line that is no element")
        if not self._group:
            self._section = self._list = ""
            return None
        if line.endswith(b"["):
            self._list = list(self._members(b'{"":[' + line + b"]}"))[-1]
            return None
        tail = b'{"":[' + line
        self._members(tail)
        ended, self._group, self._list = self._group, "", ""
        return Line(Sort.TAIL, self._section, ended, "", tail)

    def _only(self, text: bytes) -> tuple[str, bytes]:
        members = self._members(text)
        if len(members) != 1:
            raise self._broken("it was formatted anew, or is no snapshot")
        ((name, value),) = members.items()
        return name, bytes(value)

    def _members(self, text: bytes) -> dict[str, msgspec.Raw]:
        try:
            return _members.decode(text)
        except (msgspec.MsgspecError, RecursionError):
            raise self._broken("it was formatted anew, or is no snapshot") from None

    def _broken(self, why: str) -> BrokenSnapshotError:
        return BrokenSnapshotError(f"{why} (line {self._number})")
