"""A watch that keeps events from its reader: one of them, or two that follow each other.

No API server does that. It is what a controller would see if an event were lost on its way
through a cache, a proxy or itself: the state between is missed, later events of the same object
come, and if there are none only a new list tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from warmclaim.seams import ByteStream
from warmclaim.testing.forwarded import ForwardedStream
from warmclaim.testing.sim.case import Fault

HIDDEN: Final = {"B12.none": 0, "B12.one": 1, "B12.two": 2}
"""Faults of a watch, and how many events each hides, from the `x`-th on. The first hides none: its
events are counted."""

_BOOKMARK: Final = b'{"type":"BOOKMARK"'


class Curtain(ForwardedStream):
    """Goes before a stream of whole lines. `on_event(is_hidden)` is told of each event; what
    `is_on` says holds at the moment when it comes."""

    def __init__(
        self,
        inner: ByteStream,
        fault: Fault,
        on_event: Callable[[bool], None],
        is_on: Callable[[], bool],
    ) -> None:
        super().__init__(inner)
        first = int(fault.x)
        self._hidden = range(first, first + HIDDEN[fault.name])
        self._next = 0
        self._on_event = on_event
        self._is_on = is_on

    async def read(self) -> bytes:
        """The next piece of which something is left."""
        while piece := await self._inner.read():
            lines = piece.splitlines(keepends=True)
            if kept := b"".join(line for line in lines if self._is_shown(line)):
                return kept
        return b""

    def _is_shown(self, line: bytes) -> bool:
        if line.startswith(_BOOKMARK) or not self._is_on():
            return True
        is_hidden = self._next in self._hidden
        self._next += 1
        self._on_event(is_hidden)
        return not is_hidden
