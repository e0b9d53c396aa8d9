"""What stands between the elements of a snapshot, so that it is JSON wherever it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

_CLOSERS: Final = {b"{": b"}", b"[": b"]"}


class SnapshotText:
    """Gives the bytes that come before each element; the element itself is the caller's to write,
    as one JSON object without a line break.

    Each call ends what can no longer go on: the list before a new list, the section before a new
    section. `end` closes whatever is open, so that what broke off is JSON all the same.
    """

    def __init__(self) -> None:
        self._open: list[bytes] = []
        self._has_members: list[bool] = []
        self._section = ""

    def begin(self) -> bytes:
        """The first bytes of all."""
        return self._opened(b"{")

    def value(self, name: str) -> bytes:
        """A section that is one element follows."""
        return self._closed_to(1) + self._named(name)

    def list(self, name: str) -> bytes:
        """A section that is a list begins."""
        return self._closed_to(1) + self._named(name) + self._opened(b"[")

    def group(self, section: str, name: str, head: Mapping[str, object], list_name: str) -> bytes:
        """A named group of a section begins with the members of `head`, then its first list."""
        text = b""
        if self._section != section:
            text = self._closed_to(1) + self._named(section) + self._opened(b"{")
            self._section = section
        text += self._closed_to(2) + self._named(name) + self._opened(b"{")
        members = msgspec.json.encode(head)[1:-1]
        return text + members + (b"," if members else b"") + self._inner_list(list_name)

    def next_list(self, list_name: str) -> bytes:
        """The group goes on with another list."""
        return self._closed_to(3) + b"," + self._inner_list(list_name)

    def element(self) -> bytes:
        """An element of the list that is open follows."""
        return self._comma()

    def end_group(self, tail: Mapping[str, object]) -> bytes:
        """The list that is open was the group's last; members of `tail` come after it."""
        members = msgspec.json.encode(tail)[1:-1]
        text = self._closed_to(3) + (b"," if members else b"") + members
        return text + self._close_one(line=b"")

    def end(self) -> bytes:
        """The last bytes of all."""
        return self._closed_to(0) + b"\n"

    def _inner_list(self, name: str) -> bytes:
        return msgspec.json.encode(name) + b":" + self._opened(b"[")

    def _named(self, name: str) -> bytes:
        return self._comma() + msgspec.json.encode(name) + b":"

    def _comma(self) -> bytes:
        comma = b",\n" if self._has_members[-1] else b"\n"
        self._has_members[-1] = True
        return comma

    def _opened(self, bracket: bytes) -> bytes:
        self._open.append(bracket)
        self._has_members.append(False)
        return bracket

    def _closed_to(self, depth: int) -> bytes:
        text = b""
        while len(self._open) > depth:
            # A group ends on the line of its last list.
            text += self._close_one(line=b"" if len(self._open) == 3 else b"\n")
        if depth < 2:
            self._section = ""
        return text

    def _close_one(self, *, line: bytes) -> bytes:
        self._has_members.pop()
        return line + _CLOSERS[self._open.pop()]
