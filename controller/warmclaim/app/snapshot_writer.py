"""Carries the elements of a snapshot to its reader: redacted, compressed, a little at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from warmclaim.runtime.diagnostics import Outlet
from warmclaim.seams import Clock
from warmclaim.streaming.snapshot import SnapshotText, ZipText, redacted

PIECE_BYTES: Final = 32 * 1024
"""What is compressed in one go, 1 ms where it does not compress."""

HOLD_S_MAX: Final = 0.001
"""The loop is let go after so much work, though the last step of it may take as long again."""

BUSY_SHARE: Final = 3
"""While claims are being served, a snapshot rests so many times as long as it worked."""


class SnapshotWriter:
    """Writes one snapshot. Memory: one element, one piece, and what zlib and the socket hold.

    Every call may raise ReaderLeftError; then there is nobody to write for.
    """

    def __init__(
        self,
        outlet: Outlet,
        clock: Clock,
        is_serving_claims: Callable[[], bool],
        *,
        is_redacted: bool,
    ) -> None:
        self._outlet = outlet
        self._clock = clock
        self._is_serving_claims = is_serving_claims
        self._is_redacted = is_redacted
        self._text = SnapshotText()
        self._zip = ZipText()
        self._piece = bytearray()
        self._since_s = clock.monotonic()

    async def begin(self) -> None:
        """The first bytes leave at once."""
        await self._outlet.send(self._zip.begin())
        self._piece += self._text.begin()

    async def value(self, name: str, value: object) -> None:
        """A section that is one element."""
        await self._element(self._text.value(name), msgspec.json.encode(value))

    def list(self, name: str) -> None:
        """A section that is a list begins."""
        self._piece += self._text.list(name)

    def group(self, section: str, name: str, head: Mapping[str, object], list_name: str) -> None:
        """A group of a section begins, and its first list."""
        self._piece += self._text.group(section, name, head, list_name)

    def next_list(self, list_name: str) -> None:
        """The group goes on with another list."""
        self._piece += self._text.next_list(list_name)

    async def item(self, item: bytes) -> None:
        """An element of the list that is open: a JSON object."""
        # A line break in it would look like the end of an element.
        line = msgspec.json.format(item, indent=-1) if b"\n" in item else item
        await self._element(self._text.element(), line)

    def end_group(self, tail: Mapping[str, object]) -> None:
        """The group was whole, or not: `tail` says it."""
        self._piece += self._text.end_group(tail)

    async def end(self) -> None:
        """Close whatever is open, and the ZIP."""
        self._piece += self._text.end()
        await self._compress(0)
        await self._outlet.send(self._zip.end())

    async def rest(self) -> None:
        """Let others have the loop, if it was held for long enough."""
        worked_s = self._clock.monotonic() - self._since_s
        if worked_s < HOLD_S_MAX:
            return
        # What was awaited meanwhile counts as work: it would only make the rest too long.
        share = BUSY_SHARE if self._is_serving_claims() else 0
        await self._clock.sleep(share * min(worked_s, 4 * HOLD_S_MAX))
        self._since_s = self._clock.monotonic()

    async def _element(self, before: bytes, element: bytes) -> None:
        await self.rest()  # what it took to read the element was work, too
        self._outlet.require_reader()
        self._piece += before
        for part in redacted(element) if self._is_redacted else (element,):
            for start in range(0, len(part), PIECE_BYTES):
                self._piece += part[start : start + PIECE_BYTES]
                await self._compress(PIECE_BYTES)
            await self.rest()

    async def _compress(self, bytes_least: int) -> None:
        if len(self._piece) < bytes_least:
            return
        given = self._zip.add(bytes(self._piece))
        self._piece.clear()
        if given:
            await self._outlet.send(given)
        await self.rest()
