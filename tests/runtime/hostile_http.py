"""Hostile HTTP requests, made from a seed: what a scanner, a fuzzer or a broken client sends."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

_METHODS = (
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"CONNECT",
    b"TRACE",
    b"get",
    b"",
)
_PATHS = (
    b"/metrics", b"/debug/claims/n/c", b"/get-snapshot", b"/debug/profile?seconds=1", b"/livez",
    b"/", b"*", b"//metrics", b"/metrics/", b"/%2e%2e/%2e%2e/etc/passwd", b"/metrics%00", b"/\xff",
    b"http://elsewhere.test/metrics", b"/metrics#x", b"/debug/claims/../../metrics",
    b"/" + b"a" * 3000,
)  # fmt: skip
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.1 ", b"ICAP/1.0", b"")
_TOKENS = tuple(b"token-%d" % number for number in range(20))


class Hostile(NamedTuple):
    """Pieces to send, one after the other, and whether the sender leaves without listening."""

    pieces: list[bytes]
    leaves: bool


def hostile_requests(seed: int, count: int) -> Iterator[Hostile]:
    """As many as asked for; the same for the same seed."""
    rng = random.Random(seed)
    for _ in range(count):
        yield Hostile(_cut(rng, rng.choice(_SHAPES)(rng)), rng.random() < 0.2)


def _headed(rng: random.Random, *headers: bytes, body: bytes = b"") -> bytes:
    line = b" ".join((rng.choice(_METHODS), rng.choice(_PATHS), rng.choice(_VERSIONS)))
    lines = [line, b"Host: x", *headers]
    rng.shuffle(lines[1:])
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _plain(rng: random.Random) -> bytes:
    return _headed(rng, b"Authorization: Bearer " + rng.choice(_TOKENS))


def _odd_authorization(rng: random.Random) -> bytes:
    odd = (
        b"", b" ", b" a b", b" " + b"a" * 11_000, b" \x00", b" " + _noise(rng, 40),
        b" t\r\nAuthorization: Bearer t", b"=t", b" =t",
    )  # fmt: skip
    return _headed(rng, b"Authorization: Bearer" + rng.choice(odd))


def _bomb(rng: random.Random) -> bytes:
    number, size = rng.choice(((1, 60_000), (3_000, 4), (70, 10), (40, 1_000)))
    return _headed(rng, *(b"X-%d: %s" % (n, b"b" * size) for n in range(number)))


def _body(rng: random.Random) -> bytes:
    head = rng.choice((
        b"Content-Length: 5", b"Content-Length: 99999999", b"Content-Length: -1",
        b"Content-Length: 1\r\nContent-Length: 2", b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"Transfer-Encoding: xchunked",
        b"Expect: 100-continue\r\nContent-Length: 5",
        b"Content-Encoding: gzip\r\nContent-Length: 9",
    ))  # fmt: skip
    return _headed(rng, head, body=_noise(rng, rng.choice((0, 5, 2_000, 100_000))))


def _pipelined(rng: random.Random) -> bytes:
    return b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * rng.choice((2, 50, 3_000))


def _upgrade(rng: random.Random) -> bytes:
    to = rng.choice((b"websocket", b"h2c", b"TLS/1.0"))
    return _headed(rng, b"Connection: Upgrade", b"Upgrade: " + to, body=_noise(rng, 200))


def _other_protocol(rng: random.Random) -> bytes:
    return rng.choice((
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _noise(rng, 30), b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"SSH-2.0-x\r\n", b"\r\n" * 500, b"\x00" * 1_000, b"EHLO x\r\n",
    ))  # fmt: skip


def _cut_off(rng: random.Random) -> bytes:
    whole = _plain(rng)
    return whole[: rng.randrange(len(whole))]


def _bent(rng: random.Random) -> bytes:
    """A request with some of its bytes changed."""
    data = bytearray(_plain(rng))
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def _noise(rng: random.Random, size: int) -> bytes:
    return rng.randbytes(size)


def _cut(rng: random.Random, data: bytes) -> list[bytes]:
    at = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 1, 4))))
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True) if data[a:b]]


_SHAPES: tuple[Callable[[random.Random], bytes], ...] = (
    _plain, _odd_authorization, _bomb, _body, _pipelined, _upgrade, _other_protocol, _cut_off,
    _bent, lambda rng: _noise(rng, rng.choice((1, 100, 20_000))),
)  # fmt: skip
