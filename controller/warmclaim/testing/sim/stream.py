"""Watch streams that end, tear, fall silent, repeat themselves, or come late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from warmclaim.seams import ByteStream, Clock, Response
from warmclaim.testing.api import Answer
from warmclaim.testing.forwarded import ForwardedStream
from warmclaim.testing.sim.answers import of_a_proxy
from warmclaim.testing.sim.case import Fault
from warmclaim.testing.watch import INITIAL_EVENTS_END

LATE_S_MAX: Final = 8.0
PIECES_MAX: Final = 12
_STREAM_GONE: Final = msgspec.json.encode(
    {
        "type": "ERROR",
        "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"},
    }
)


_DEPTH: Final = 5_000
_DEEP: Final = (
    b'{"type":"MODIFIED","object":{"metadata":{"name":"deep","resourceVersion":"1"},"x":%s%s}}\n'
    % (b"[" * _DEPTH, b"]" * _DEPTH)
)
_LONG_BYTES: Final = 16 * 1024 * 1024 + 1
_DRIP_BYTES: Final = 40
_BOOKMARK: Final = b'{"type":"BOOKMARK"'


def refused_stream(fault: Fault) -> ByteStream | None:
    """The answer of a server that opens no stream, or None if it does."""
    if fault.name == "B4.http":
        return _no(410, "Expired")
    if fault.name == "A16.watch":
        return Answer(of_a_proxy(fault.x))
    if fault.name == "B7.watch":
        return _no(*((429, "TooManyRequests"), (503, "ServiceUnavailable"))[int(fault.x * 2)])
    return None


def _no(code: int, reason: str) -> Answer:
    status = {"kind": "Status", "code": code, "reason": reason, "message": "simulated"}
    headers = {"content-type": "application/json"} | ({"retry-after": "1"} if code == 429 else {})
    return Answer(Response(code, msgspec.json.encode(status), headers))


class FaultyStream(ForwardedStream):
    """A watch with one fault, after as many pieces as the fault says.

    When `is_on` says that the faults are over, a stream that has not broken yet is sound; a silent
    one stays silent, as a dead connection does.
    """

    def __init__(
        self, inner: ByteStream, fault: Fault | None, clock: Clock, is_on: Callable[[], bool]
    ) -> None:
        super().__init__(inner)
        self._fault = fault.name if fault else ""
        x = fault.x if fault else 0.0
        self._left = int(x * PIECES_MAX)
        self._late_s = x * LATE_S_MAX
        self._clock = clock
        self._is_on = is_on
        self._is_over = False
        self._last = b""
        self._unsent = b""
        self._closed = asyncio.Event()

    async def read(self) -> bytes:
        """The next piece, or what the fault makes of it."""
        if not self._fault:
            return await self._inner.read()
        if self._is_over:
            return b""
        if self._fault == "A17.watch":
            return await self._dripped()
        piece = await self._inner.read()
        if not self._is_on():
            self._fault = ""
            return piece
        if self._fault == "B9.late":
            if piece:
                await self._clock.sleep(self._late_s)
            return piece
        if self._fault == "B10.again":
            again, self._last = self._last, piece
            return piece + again if piece else piece
        if self._left > 0 or not piece:
            self._left -= 1
            return piece
        return await self._broken(piece)

    async def close(self) -> None:
        """End it; may be called twice."""
        self._closed.set()
        await self._inner.close()

    async def _dripped(self) -> bytes:
        """So many bytes each second; all the rest at once when the faults are over."""
        if not self._unsent:
            self._unsent = await self._inner.read()
        if self._is_on():
            await self._clock.sleep(1.0)
        size = _DRIP_BYTES * (1 + self._left) if self._is_on() else len(self._unsent)
        piece, self._unsent = self._unsent[:size], self._unsent[size:]
        if not self._is_on() and not self._unsent:
            self._fault = ""
        return piece

    async def _broken(self, piece: bytes) -> bytes:
        match self._fault:
            case "B2.torn":
                self._is_over = True
                return piece[: len(piece) // 2]
            case "B3.silence":
                await self._closed.wait()
                return b""
            case "B4.stream":
                self._is_over = True
                return _STREAM_GONE + b"\n"
            case "B19.long":
                self._is_over = True
                return bytes(_LONG_BYTES)
            case "B19.deep":
                self._fault = ""
                return _DEEP + piece
            case "B8.nonsense":
                self._fault = ""
                return b'{"type":"WEIRD","object":{}}\n' + piece
            case _:
                self._is_over = True
                return b""


class MutedStream(ForwardedStream):
    """A watch without bookmarks, but for the one that ends a list. `on_mute`: one was left out."""

    def __init__(self, inner: ByteStream, on_mute: Callable[[], None]) -> None:
        super().__init__(inner)
        self._on_mute = on_mute

    async def read(self) -> bytes:
        """The next piece that is more than a bookmark."""
        while (piece := await self._inner.read()) and _BOOKMARK in piece:
            lines = piece.splitlines(keepends=True)
            kept = b"".join(line for line in lines if not _is_mere_bookmark(line))
            if len(kept) < len(piece):
                self._on_mute()
            if kept:
                return kept
        return piece


def _is_mere_bookmark(line: bytes) -> bool:
    return line.startswith(_BOOKMARK) and INITIAL_EVENTS_END.encode() not in line
