"""HTTP/1.1 as API clients speak it: reads requests, words answers. Over asyncio streams.

Why not a framework: a burst on aiohttp.web takes a quarter more CPU (docs/decisions/0002).
Not here, since no API client needs it: trailers, HEAD, compressed requests, upgrades, HTTP/1.0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from warmclaim.testing.refusals import bad_request, too_large_body
from warmclaim.testing.writing import BODY_MAX_BYTES

HEAD_MAX_BYTES = 65_536

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One request as it came. `headers` have lower-case names; `body` is None without one."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def keeps_connection(self) -> bool:
        return self.headers.get("connection", "").lower() != "close"

    @property
    def accepts_gzip(self) -> bool:
        for part in self.headers.get("accept-encoding", "").lower().split(","):
            coding, _, weight = part.partition(";")
            if coding.strip() in ("gzip", "*"):
                return weight.replace(" ", "").strip("0.") != "q="
        return False


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> WireRequest | None:
    """The next request of a connection, None at its end.

    Raises Refusal (400, 413) for what it cannot read; the connection is of no use after that.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except asyncio.LimitOverrunError as error:
        raise bad_request("the head of the request is too large") from error
    method, target, headers = _parsed_head(head)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(_CONTINUE)
    try:
        body = await _read_body(reader, headers)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return WireRequest(method, target, headers, body)


def head_of(status: int, headers: Mapping[str, str], *, length: int | None) -> bytes:
    """The head of an answer; `length` None announces chunks."""
    lines = [b"HTTP/1.1 %d %s" % (status, _REASONS.get(status, b"Unknown"))]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in headers.items()]
    lines.append(
        b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
    )
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunk(piece: bytes) -> bytes:
    """One chunk; of nothing, the last one."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def chunk_parts(piece: bytes) -> tuple[bytes, bytes, bytes]:
    """One chunk that is large enough to be worth not copying."""
    return b"%x\r\n" % len(piece), piece, b"\r\n"


def _parsed_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[2] != "HTTP/1.1" or not words[1].startswith("/"):
        raise bad_request("not an HTTP/1.1 request line")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise bad_request("a malformed header line")
        headers[name.lower()] = value.strip()
    return words[0], words[1], headers


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes | None:
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"].lower() != "chunked" or "content-length" in headers:
            raise bad_request("a transfer encoding other than chunked")
        return await _read_chunks(reader)
    length = headers.get("content-length", "")
    if not length:
        return None
    size = _size(length, 10)
    return await reader.readexactly(size) if size else None


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        size = _size(line.partition(b";")[0].strip().decode("latin-1"), 16)
        if len(body) + size > BODY_MAX_BYTES:
            raise too_large_body()
        piece = await reader.readexactly(size + 2)
        if not size:
            return bytes(body)
        body += piece[:-2]


def _size(text: str, base: int) -> int:
    # int() alone would also take signs, spaces and underscores.
    if not text.isalnum():
        raise bad_request("not a length")
    try:
        size = int(text, base)
    except ValueError as error:
        raise bad_request("not a length") from error
    if size > BODY_MAX_BYTES:
        raise too_large_body()
    return size
