"""What etcd remembers of the API server's objects, read from etcd itself.

etcd's JSON gateway is asked, so a reader needs nothing but HTTP. The API server is not in between:
what it leaves out, delays or gets wrong hides nothing from such a reader.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
import msgspec

_RECONNECT_S = 0.03
_CONNECT_S_MAX = 5.0
_READ_S_MAX = 30.0


class Span(NamedTuple):
    """Keys from `first` on, up to and without `end`."""

    first: str
    end: str


OBJECTS = Span("/registry/agents.x-k8s.io/", "/registry/extensions.agents.x-k8s.io0")
"""All kinds of the API under test. One span over both of their groups, since a watch tells the
order of what it covers and two watches do not; what lies between them is passed over."""


def leases(namespace: str) -> Span:
    """The Leases of a namespace."""
    return Span(f"/registry/leases/{namespace}/", f"/registry/leases/{namespace}0")


class Change(NamedTuple):
    """One commit: the new value of a key, None when it was deleted. `at_s` is when it was read, in
    monotonic seconds."""

    revision: int
    key: str
    value: bytes | None
    at_s: float = 0.0


class HistoryLostError(Exception):
    """etcd no longer has the revisions that were asked for, or refuses to tell them."""


class Etcd:
    """A reader of one etcd; use it as a context. It goes on when etcd is restarted."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S_MAX)
        self._session = aiohttp.ClientSession(self._url, timeout=timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def follow(self, span: Span, first_revision: int) -> AsyncGenerator[Change]:
        """Every change from `first_revision` on, in the order of revisions, without end.

        A broken connection is made again and goes on after the last change: the API server
        changes one key for each revision, so no revision is ever delivered in part.

        Raises:
            HistoryLostError: the first revision wanted was compacted.
        """
        following = first_revision
        while True:
            try:
                async for change in self._watch(span, following):
                    yield change
                    following = change.revision + 1
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(_RECONNECT_S)

    async def versions(self, span: Span) -> dict[str, int]:
        """The revision of the last change of each key that exists now.

        Raises aiohttp.ClientError, TimeoutError within 30 s.
        """
        answer = await self._range({**_bounds(span), "keys_only": True})
        return {kv.key.decode(): kv.mod_revision for kv in answer.kvs}

    async def revision(self) -> int:
        """The newest revision. Raises as `versions` does."""
        nothing = Span("/registry/0", "/registry/1")
        answer = await self._range({**_bounds(nothing), "count_only": True})
        return answer.header.revision

    async def put(self, key: str, value: bytes) -> None:
        """Write a key, for tests that make a history up. Raises as `versions` does."""
        body = {"key": _encoded(key), "value": base64.b64encode(value).decode()}
        await self._post("/v3/kv/put", body)

    async def compact(self, revision: int) -> None:
        """Forget what was before a revision, likewise. Raises as `versions` does."""
        await self._post("/v3/kv/compaction", {"revision": revision})

    async def _range(self, body: Mapping[str, object]) -> _Range:
        return _RANGES.decode(await self._post("/v3/kv/range", body))

    async def _post(self, path: str, body: Mapping[str, object]) -> bytes:
        async with asyncio.timeout(_READ_S_MAX):
            async with self._open().post(path, json=body, raise_for_status=True) as response:
                return await response.read()

    async def _watch(self, span: Span, first_revision: int) -> AsyncGenerator[Change]:
        asked = {**_bounds(span), "start_revision": first_revision, "fragment": True}
        async with self._open().post("/v3/watch", json={"create_request": asked}) as response:
            response.raise_for_status()
            rest = b""
            async for piece in response.content.iter_any():
                at_s = time.monotonic()
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    for change in _changes(line, at_s):
                        yield change

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("etcd is read outside its context")
        return self._session


# Bytes are base64 and numbers of 64 bits are texts, as protobuf's JSON form has them.
class _KeyValue(msgspec.Struct, frozen=True, gc=False):
    key: bytes
    mod_revision: int = 0
    value: bytes = b""


class _Event(msgspec.Struct, frozen=True, gc=False):
    kv: _KeyValue
    type: str = "PUT"


class _Header(msgspec.Struct, frozen=True, gc=False):
    revision: int = 0


class _Watched(msgspec.Struct, frozen=True, gc=False):
    events: list[_Event] = []
    canceled: bool = False
    cancel_reason: str = ""
    compact_revision: int = 0


class _Line(msgspec.Struct, frozen=True, gc=False):
    result: _Watched | None = None
    error: msgspec.Raw | None = None


class _Range(msgspec.Struct, frozen=True, gc=False):
    header: _Header = _Header()
    kvs: list[_KeyValue] = []


_LINES = msgspec.json.Decoder(_Line, strict=False)
_RANGES = msgspec.json.Decoder(_Range, strict=False)


def _changes(line: bytes, at_s: float) -> list[Change]:
    decoded = _LINES.decode(line)
    watched = decoded.result
    if watched is None:
        # etcd says so when it shuts down; the next connection tells whether there is more to it.
        raise aiohttp.ClientPayloadError(str(decoded.error and bytes(decoded.error)))
    if watched.canceled:
        why = watched.cancel_reason or f"compacted up to {watched.compact_revision}"
        raise HistoryLostError(f"etcd ended the watch: {why}")
    return [
        Change(
            event.kv.mod_revision,
            event.kv.key.decode(),
            None if event.type == "DELETE" else event.kv.value,
            at_s,
        )
        for event in watched.events
    ]


def _bounds(span: Span) -> dict[str, object]:
    return {"key": _encoded(span.first), "range_end": _encoded(span.end)}


def _encoded(key: str) -> str:
    return base64.b64encode(key.encode()).decode()
