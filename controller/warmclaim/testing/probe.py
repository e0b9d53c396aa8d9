"""A plain JSON client over any Transport, for tests that look at an API server itself.

    reply = await probe.post("/api/v1/namespaces/default/pods", a_pod())
    assert reply.code == 201
    watch = await probe.watch("/api/v1/pods", resourceVersion="0")
    assert (await watch.next())["type"] == "ADDED"

It refuses nothing and retries nothing: what the server said is what the test sees. The same probe
runs against the embedded server and against a real one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec

from warmclaim.seams import ByteStream, Method, Request, Transport
from warmclaim.testing.json_values import Json, is_object
from warmclaim.testing.patch import JSON_PATCH, MERGE_PATCH


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `body` is {} where it was no JSON object; `text` is it as it came."""

    code: int
    body: Json
    text: str
    headers: dict[str, str]

    @property
    def reason(self) -> str:
        return str(self.body.get("reason", ""))

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))

    @property
    def metadata(self) -> Json:
        found: Json = self.body.get("metadata", {})
        return found

    @property
    def rv(self) -> str:
        return str(self.metadata.get("resourceVersion", ""))

    @property
    def items(self) -> list[Json]:
        found: list[Json] = self.body["items"]
        return found

    @property
    def names(self) -> list[str]:
        return [item["metadata"]["name"] for item in self.items]


class EventReader:
    """The events of one watch, decoded line by line."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self._buffer = b""
        self._events: deque[Json] = deque()

    async def next(self, *, within_s: float | None = 5.0) -> Json | None:
        """The next event, None at a clean end. Raises TimeoutError after `within_s` of silence."""
        async with asyncio.timeout(within_s):
            while not self._events:
                piece = await self.stream.read()
                if not piece:
                    return None
                *lines, self._buffer = (self._buffer + piece).split(b"\n")
                self._events.extend(msgspec.json.decode(line) for line in lines)
            return self._events.popleft()

    async def take(self, number: int) -> list[tuple[str, str]]:
        """The next `number` events as (type, name of the object)."""
        taken: list[tuple[str, str]] = []
        for _ in range(number):
            event = await self.next()
            assert event is not None, f"the watch ended after {taken}"
            taken.append((event["type"], event["object"]["metadata"].get("name", "")))
        return taken

    async def is_silent(self) -> bool:
        """Whether nothing comes for a moment (10 ms)."""
        try:
            await self.next(within_s=0.01)
        except TimeoutError:
            return True
        return False

    async def close(self) -> None:
        await self.stream.close()


class Probe:
    """Sends one request per call. Query arguments are given by name: limit=2, watch="true"."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def get(self, path: str, **query: object) -> Reply:
        return await self.send("GET", path, query=query)

    async def post(self, path: str, body: object, **query: object) -> Reply:
        return await self.send("POST", path, body, query=query)

    async def put(self, path: str, body: object, **query: object) -> Reply:
        return await self.send("PUT", path, body, query=query)

    async def merge_patch(self, path: str, body: object, **query: object) -> Reply:
        return await self.send("PATCH", path, body, content_type=MERGE_PATCH, query=query)

    async def json_patch(self, path: str, *operations: Json, **query: object) -> Reply:
        listed = list(operations)
        return await self.send("PATCH", path, listed, content_type=JSON_PATCH, query=query)

    async def delete(self, path: str, body: object = None, **query: object) -> Reply:
        return await self.send("DELETE", path, body, query=query)

    async def watch(self, path: str, **query: object) -> EventReader:
        request = Request("GET", path, (("watch", "true"), *_pairs(query)))
        return EventReader(await self.transport.stream(request))

    async def send(
        self,
        method: Method,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        query: dict[str, object] | None = None,
    ) -> Reply:
        """Any request; a body of bytes goes as it is."""
        sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
        request = Request(
            method,
            path,
            _pairs(query or {}),
            None if body is None else sent,
            content_type,
        )
        response = await self.transport.request(request)
        return Reply(
            response.status, _decoded(response.body), response.body.decode(), {**response.headers}
        )


def _pairs(query: dict[str, object]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in query.items())


def _decoded(body: bytes) -> Json:
    try:
        value: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return value if is_object(value) else {}
