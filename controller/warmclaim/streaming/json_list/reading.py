"""Reads a list in JSON, given in pieces cut anywhere, item by item.

    decoder = ListDecoder()
    async for piece in answer:
        for item in decoder.feed(piece):
            ...
    for item in decoder.end():
        ...
    decoder.envelope                    # {"kind":"PodList",...,"items":[]}: all but the items

1. The items come in their order, byte for byte as they were sent; each is a JSON object.
2. What is no whole list raises BrokenListError, at the latest from `end`: one that is cut anywhere,
   an element that is no object, an error where an item should be, an answer without items. The
   items given before count for nothing then.
3. Kept are head and tail, the unfinished item and the piece; never the list.
4. The cost is linear in the size, whatever a tenant writes into its objects.

Where an item ends is guessed first: where the next one seems to begin, up to its metadata, as this
one did. No JSON object is the beginning of another one, so a guess that parses is right, and nearly
all do. Only for what is left are braces counted: the last item, odd spacing, objects that look like
several. Counting takes 30 us for each kB, the guess 2; at 10,000 sandboxes with their pods that is
a second of a start. It goes on as pieces come, in the middle of a text too: a piece of 64 kB holds
up others for 2 ms at most.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from warmclaim.errors import BrokenListError

ITEM_BYTES_MAX: Final = 16 * 1024 * 1024  # a server stores no object of more than 1.5 MB
ENVELOPE_BYTES_MAX: Final = 256 * 1024
_GUESS_BYTES_MAX: Final = 128 * 1024
_STATUS_BYTES_MAX: Final = 16 * 1024

_SPACE = rb"[ \t\r\n]*+"
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\]]', re.DOTALL)
_ITEMS: Final = re.compile(rb'"items"' + _SPACE + rb":" + _SPACE + rb"\[")
_FIRST: Final = re.compile(_SPACE + rb"(?:(\{)|\])")
_NEXT: Final = re.compile(_SPACE + rb"(?:," + _SPACE + rb"(\{)|\])")
_NOTHING_YET: Final = re.compile(_SPACE + rb",?" + _SPACE)
# How items of one kind all begin. A few bytes would not do: managed fields name the version, too.
_ALIKE: Final = re.compile(rb'\{[^{}]{0,256}?"metadata":\{')
# Up to a brace that is in no string, or to the begin of a string that has not come whole; and in
# such a string up to its end. Both match at a place, and nothing is read twice.
_OUTSIDE: Final = re.compile(
    rb'[^"{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}]*+)*+(["{}])?', re.DOTALL
)
_INSIDE: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+(")?', re.DOTALL)


class _Envelope(msgspec.Struct):
    items: list[msgspec.Raw] | None


class _Kind(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""
    message: str = ""


_raw: Final = msgspec.json.Decoder(msgspec.Raw)
_envelope: Final = msgspec.json.Decoder(_Envelope)
_kind: Final = msgspec.json.Decoder(_Kind)


class ListDecoder:
    """Decodes one list. After an error it is of no more use."""

    def __init__(self, *, item_bytes_max: int = ITEM_BYTES_MAX) -> None:
        self.envelope = b""
        self._item_bytes_max = item_bytes_max
        self._buffer = bytearray()
        self._head: bytes | None = None
        self._has_ended = False
        self._count = 0
        self._may_guess = True
        self._searched_bytes = 0
        self._count_from_bytes = _GUESS_BYTES_MAX
        self._counted_bytes = self._depth = 0
        self._is_in_string = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The items that `piece` completes; some wait for what comes after them."""
        self._buffer += piece
        return self._found(is_over=False)

    def end(self) -> list[bytes]:
        """The list is over: its last items."""
        items = self._found(is_over=True)
        if self._head is not None and not self._has_ended:
            raise BrokenListError(f"the list is cut after {self._count} items")
        self.envelope = (self._head or b"") + bytes(self._buffer)
        try:
            listed = _envelope.decode(self.envelope).items
        except (msgspec.MsgspecError, RecursionError) as error:
            raise BrokenListError(f"no list, or one that is cut: {error}") from error
        if listed:
            raise BrokenListError("the items of the list stand where no reader looks for them")
        return items

    def _found(self, *, is_over: bool) -> list[bytes]:
        items: list[bytes] = []
        if self._head is None:
            self._enter()
        at = 0
        while self._head is not None and not self._has_ended:
            start = self._start_of_item(at)
            if start is None:
                break
            item = self._item(start, is_over)
            if item is None:
                break
            at = start + len(item)
            self._count += 1
            items.append(item)
        del self._buffer[:at]
        if (self._head is None or self._has_ended) and len(self._buffer) > ENVELOPE_BYTES_MAX:
            raise BrokenListError(f"more than {ENVELOPE_BYTES_MAX} bytes around the items")
        return items

    def _enter(self) -> None:
        """Goes to the first item, if its list begins in what has come."""
        end = _end_of_head(self._buffer)
        if end:
            self._head = bytes(self._buffer[:end])
            del self._buffer[:end]

    def _start_of_item(self, at: int) -> int | None:
        """Where the item after `at` begins; None if that has not come yet, or there is no more."""
        begins = (_NEXT if self._count else _FIRST).match(self._buffer, at)
        if begins is None:
            if _NOTHING_YET.fullmatch(self._buffer, at):
                return None
            raise BrokenListError(f"item {self._count} of the list is no object")
        if begins.group(1):
            return begins.start(1)
        self._has_ended = True
        return None

    def _item(self, start: int, is_over: bool) -> bytes | None:
        """The item that begins at `start`, None if it has not come whole."""
        item = self._guessed(start) if self._may_guess else None
        size = len(self._buffer) - start
        if item is None:
            if size < self._count_from_bytes and not is_over:
                return None
            item = self._counted(start)
        if item is None:
            if size > self._item_bytes_max:
                raise BrokenListError(f"item {self._count} has more than {size} bytes")
            self._may_guess = False
            return None
        self._may_guess, self._count_from_bytes = True, _GUESS_BYTES_MAX
        self._searched_bytes = self._counted_bytes = self._depth = 0
        self._is_in_string = False
        if len(item) <= _STATUS_BYTES_MAX and b'"Status"' in item:
            self._require_no_status(item)
        return item

    def _guessed(self, start: int) -> bytes | None:
        alike = _ALIKE.match(self._buffer, start)
        if alike is None:
            return None
        border = b"}," + alike.group()
        end = self._buffer.find(border, start + self._searched_bytes) + 1
        if not end:
            self._searched_bytes = max(0, len(self._buffer) - start - len(border))
            return None
        item = self._copied(start, end)
        try:
            _raw.decode(item)
        except (msgspec.MsgspecError, RecursionError):
            self._may_guess, self._count_from_bytes = False, 0
            return None
        return item

    def _counted(self, start: int) -> bytes | None:
        """Counts on from where it came to when less of the item was there, in a string or not."""
        self._count_from_bytes = 0
        at = start + self._counted_bytes
        while found := (_INSIDE if self._is_in_string else _OUTSIDE).match(self._buffer, at):
            at, border = found.end(), found.group(1)
            if border is None:
                break
            if border == b'"':
                self._is_in_string = not self._is_in_string
                continue
            self._depth += 1 if border == b"{" else -1
            if not self._depth:
                return self._proved(self._copied(start, at))
        self._counted_bytes = at - start
        return None

    def _copied(self, start: int, end: int) -> bytes:
        with memoryview(self._buffer) as whole, whole[start:end] as part:
            return bytes(part)  # one copy, where a slice of the buffer would be another

    def _proved(self, item: bytes) -> bytes:
        try:
            _raw.decode(item)
        except RecursionError:
            pass  # deeper than msgspec goes, not than an API server does; its braces are in order
        except msgspec.MsgspecError as error:
            raise BrokenListError(f"item {self._count} of the list: {error}") from error
        return item

    def _require_no_status(self, item: bytes) -> None:
        """A server that fails in the middle may write its error where an item should stand."""
        try:
            found = _kind.decode(item)
        except (msgspec.MsgspecError, RecursionError):
            return
        if (found.kind, found.api_version) == ("Status", "v1"):
            raise BrokenListError(f"an error in place of item {self._count}: {found.message}")


def _end_of_head(buffer: bytearray) -> int:
    """Where the items begin, 0 if they do not yet: their name stands in the outermost object."""
    depth = 0
    for token in _TOKEN.finditer(buffer):
        word = token.group()
        if word in b"{[":
            depth += 1
        elif word in b"}]":
            depth -= 1
        elif word == b'"':
            return 0  # a string that has not come whole
        elif depth == 1 and (opening := _ITEMS.match(buffer, token.start())):
            return opening.end()
    return 0
