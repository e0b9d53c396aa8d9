"""A clock that moves when told, chance that is fixed, and a transport that plays a script."""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from warmclaim.api.meta import ObjectMeta, View
from warmclaim.api.resources import Resource
from warmclaim.seams import ByteStream, Request, Response

JSON = {"content-type": "application/json"}
_SLEEP_S_MIN = 1e-9


class Widget(View, frozen=True, gc=False):
    """The smallest object, with one field to change."""

    metadata: ObjectMeta
    spec: dict[str, str] = msgspec.field(default_factory=dict[str, str])


WIDGET = Resource("example.org", "v1", "widgets", "Widget", Widget)


class FakeClock:
    """Time stands still until `run_for`."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + 1_700_000_000

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        self._count += 1
        future = asyncio.get_running_loop().create_future()
        # Of a rounding error's sleep the time would not move, and the sleeper sleep again for ever.
        until = self.now + max(delay_s, _SLEEP_S_MIN)
        heapq.heappush(self._sleepers, (until, self._count, future))
        await future

    async def run_for(self, seconds: float) -> None:
        """Let the tasks run, each timer at its time."""
        end = self.now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.now, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
                await settle()
        self.now = end
        await settle()


async def settle(rounds: int = 25) -> None:
    """Let every task come to its next wait."""
    for _ in range(rounds):
        await asyncio.sleep(0)


class FakeRng:
    """`random` is always the same."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def random(self) -> float:
        return self.value

    def token(self, length: int) -> str:
        return "x" * length


class FakeStream:
    """Plays pieces: bytes, an error to raise, or "hang" to say nothing any more."""

    def __init__(
        self,
        pieces: Iterable[bytes | Exception | str] = (),
        status: int = 200,
        headers: Mapping[str, str] = JSON,
    ) -> None:
        self.status = status
        self.headers = headers
        self.is_closed = False
        self._pieces: asyncio.Queue[bytes | Exception | str] = asyncio.Queue()
        for piece in pieces:
            self._pieces.put_nowait(piece)

    def say(self, *pieces: bytes | Exception | str) -> None:
        for piece in pieces:
            self._pieces.put_nowait(piece)

    async def read(self) -> bytes:
        piece = await self._pieces.get()
        if isinstance(piece, Exception):
            raise piece
        if isinstance(piece, str):
            await asyncio.Event().wait()
        assert isinstance(piece, bytes)
        return piece

    async def close(self) -> None:
        self.is_closed = True


Answer = Response | Exception | FakeStream | Callable[[Request], Any]


class ScriptedTransport:
    """Answers each request with the next entry of its script; the last one for ever."""

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.requests: list[Request] = []

    def _next(self, request: Request) -> Any:
        self.requests.append(request)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if callable(answer) and not isinstance(answer, FakeStream):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def request(self, request: Request) -> Response:
        await asyncio.sleep(0)
        answer = self._next(request)
        assert isinstance(answer, Response), answer
        return answer

    async def stream(self, request: Request) -> ByteStream:
        await asyncio.sleep(0)
        answer = self._next(request)
        if isinstance(answer, Response):
            return FakeStream([answer.body, b""], answer.status, answer.headers or JSON)
        assert isinstance(answer, FakeStream), answer
        return answer

    async def close(self) -> None:
        pass


def a_widget(
    name: str = "a", rv: int | str = 1, uid: str = "", namespace: str = "ns", **spec: str
) -> dict[str, Any]:
    return {
        "kind": "Widget",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(rv),
        },
        "spec": spec,
    }


def ok(body: object, status: int = 200) -> Response:
    return Response(status, json.dumps(body).encode(), JSON)


def a_list(*items: object, rv: int | str = 10, token: str = "") -> Response:
    metadata = {"resourceVersion": str(rv), "continue": token}
    return ok({"kind": "WidgetList", "metadata": metadata, "items": list(items)})


def refusal(
    code: int,
    reason: str = "",
    message: str = "no",
    headers: Mapping[str, str] | None = None,
    cause: str = "",
) -> Response:
    details = {"causes": [{"reason": cause}]} if cause else {}
    body = {
        "kind": "Status",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }
    return Response(code, json.dumps(body).encode(), {**JSON, **(headers or {})})


def line(type_: str, obj: object) -> bytes:
    return msgspec.json.encode({"type": type_, "object": obj}) + b"\n"


def bookmark(rv: int, *, ends_initial: bool = False) -> bytes:
    annotations = {"k8s.io/initial-events-end": "true"} if ends_initial else {}
    metadata = {"resourceVersion": str(rv), "annotations": annotations}
    return line("BOOKMARK", {"kind": "Widget", "metadata": metadata})


def error_line(code: int, reason: str = "") -> bytes:
    return line("ERROR", {"kind": "Status", "code": code, "reason": reason, "message": "no"})


def widget(name: str = "a", rv: int | str = 1, uid: str = "", **spec: str) -> Widget:
    return msgspec.convert(a_widget(name, rv, uid, **spec), Widget)
