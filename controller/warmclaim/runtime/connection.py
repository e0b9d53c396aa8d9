"""The bounds of one connection: its head's size, and its time. aiohttp speaks HTTP behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from aiohttp import web

HEAD_BYTES_MAX: Final = 16 * 1024
EXCESS_BYTES_MAX: Final = 64 * 1024
"""What may come after the head of the only request before the connection is cut. It is dropped:
aiohttp would parse and keep any number of further requests."""

_END: Final = b"\r\n\r\n"
_HTTP_2: Final = b"PRI * HTTP/2"
_NO_HTTP_2: Final = (
    b"HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)


class BoundedConnection(asyncio.Protocol):
    """Passes on to `inner` what is within the bounds. `on_end` is called once, at the end.

    The time for a head begins here, before TLS. With `takes_more` what follows the first head is
    passed on, too: a body, further requests.
    """

    def __init__(
        self,
        inner: web.RequestHandler,
        *,
        on_end: Callable[[], object],
        head_s_max: float,
        takes_more: bool,
    ) -> None:
        self._inner = inner
        self._on_end = on_end
        self._takes_more = takes_more
        self._transport: asyncio.Transport | None = None
        self._tail = b""
        self._bytes = 0
        self._has_head = False
        self._is_refused = False
        self._limit = asyncio.get_running_loop().call_later(head_s_max, self._late)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is one; with TLS, after the handshake."""
        # uvloop's are transports in all but their class.
        self._transport = cast("asyncio.Transport", transport)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is over. aiohttp hears of it after it has begun with the request that came before:
        one that it has not begun with it would fail at, with a stack in the log."""
        asyncio.get_running_loop().call_soon(self._lost, exc)

    def _lost(self, exc: BaseException | None) -> None:
        self.abandon()
        if self._transport is not None:
            self._inner.connection_lost(exc)

    def abandon(self) -> None:
        """It is over, or never began: its place is free."""
        self._limit.cancel()
        self._on_end()

    def data_received(self, data: bytes) -> None:
        """Pass on what belongs to a head within its bound, and where more is taken the rest."""
        if self._is_refused:
            return
        if not self._has_head:
            data = self._of_head(data)
        elif not self._takes_more:
            self._drop(len(data))
            return
        if data:
            self._inner.data_received(data)

    def eof_received(self) -> None:
        """The client sends no more: the connection is closed."""
        self._inner.eof_received()

    def pause_writing(self) -> None:
        """The client reads slowly."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._inner.resume_writing()

    def request_began(self) -> None:
        """Whoever answers now takes the time that it needs."""
        self._limit.cancel()

    def request_ended(self, answer_s_max: float) -> None:
        """The answer is made; it must be taken within that time, if anybody still is there."""
        if self._transport is None or self._transport.is_closing():
            return  # a timer would keep all that belongs to the connection until then
        self._limit = asyncio.get_running_loop().call_later(answer_s_max, self._late)

    def _of_head(self, data: bytes) -> bytes:
        """What of `data` is passed on. The end of a head may be cut anywhere."""
        joined = self._tail + data
        if not self._bytes and data.startswith(_HTTP_2):  # to aiohttp it is a method like another
            self._refuse(_NO_HTTP_2)
            return b""
        end = joined.find(_END)
        fresh = len(data) if end < 0 else end + len(_END) - len(self._tail)
        self._bytes += fresh
        self._tail = joined[-(len(_END) - 1) :]
        if self._bytes > HEAD_BYTES_MAX:
            self._refuse(_TOO_LARGE)
            return b""
        if end < 0:
            return data
        self._has_head, self._bytes = True, 0
        if self._takes_more:
            return data
        self._drop(len(data) - fresh)
        return data[:fresh]

    def _drop(self, size: int) -> None:
        self._bytes += size
        if self._bytes > EXCESS_BYTES_MAX and self._transport is not None:
            self._transport.abort()

    def _refuse(self, answer: bytes) -> None:
        self._is_refused = True
        if self._transport is not None:
            self._transport.write(answer)
            self._transport.close()

    def _late(self) -> None:
        if self._transport is not None:
            self._transport.abort()
