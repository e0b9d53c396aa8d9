"""The three seams to the outside: Transport, Clock, Rng.

Everything that the program learns from the network, the time or chance comes through one of
these, so a simulation replaces three objects and runs the production code unchanged.
The lint rule TID251 (banned-api) keeps it so; its exceptions are listed in pyproject.toml.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Channel(StrEnum):
    """Which connections a request uses, so that refill never queues in front of a claim.

    LEASE has one of its own: a lease renewal that waits behind a burst loses the leadership. So has
    REVIEW: strangers decide how many of those there are.
    """

    CLAIMS = "claims"
    REFILL = "refill"
    WATCH = "watch"
    LEASE = "lease"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to the API server.

    `path` starts with "/" and is already escaped; `timeout_s` bounds the whole exchange for
    `Transport.request` and the time to the response head for `Transport.stream`.

    `on_piece` takes the body of a 2xx answer as it comes, so that nobody holds it whole; the body
    of the Response is then what is left to take: nothing, or all where it was there at once.
    """

    method: Method
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = "application/json"
    channel: Channel = Channel.CLAIMS
    timeout_s: float = 10.0
    on_piece: Callable[[bytes], None] | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer, whatever its status. Header names are lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class ByteStream(Protocol):
    """An answer that goes on: a watch, or a list read piece by piece.

    `read` returns the next piece as it came, b"" at a clean end, and raises StreamError when the
    connection broke. Pieces respect no line borders. `close` may be called twice.
    """

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    async def read(self) -> bytes: ...
    async def close(self) -> None: ...


class Transport(Protocol):
    """Sends requests. It never retries a write and never follows a redirect.

    Raises NotSentError when surely nothing was sent, UnknownOutcomeError for every other failure
    of an exchange (timeout, reset, an answer cut short).
    """

    async def request(self, request: Request) -> Response: ...
    async def stream(self, request: Request) -> ByteStream: ...
    async def close(self) -> None: ...


class Clock(Protocol):
    """Time. `monotonic` never goes back and decides everything inside the process (leases, waits,
    back-off); `wall` (seconds since 1970) is only for what other programs read."""

    def monotonic(self) -> float: ...
    def wall(self) -> float: ...
    async def sleep(self, delay_s: float) -> None: ...


class Rng(Protocol):
    """Chance: `random` in [0, 1), and `token` of lower-case letters and digits."""

    def random(self) -> float: ...
    def token(self, length: int) -> str: ...


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


class SystemRng:
    """The machine's entropy."""

    _alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"

    def __init__(self) -> None:
        self._source = random.SystemRandom()

    def random(self) -> float:
        return self._source.random()

    def token(self, length: int) -> str:
        return "".join(self._source.choice(self._alphabet) for _ in range(length))
