"""Random sequences on two servers, the embedded one and a real one, and where they differ."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.contract.comparison import comparable, first_difference
from tests.contract.fake import NAMESPACE, with_fake
from tests.contract.matching import resolved
from tests.contract.real import RealBackend, RealServer
from tests.contract.runner import Backend, Cleaner, Said
from tests.contract.sequences import WATCHED, Operation, Sequence, marker, sequence
from tests.contract.steps import COLLECTIONS

from warmclaim.seams import Request
from warmclaim.testing.json_values import Json
from warmclaim.testing.probe import EventReader, Probe, Reply

LANES = 3
"""Sequences on the way at once, each in a namespace of its own."""
DIFFERENCES_MAX = 20
EVENT_S_MAX = 10.0
_NOTHING: Json = {
    "metadata": {"resourceVersion": "1", "uid": "00000000-0000-4000-8000-000000000000"}
}


@dataclass(slots=True)
class Result:
    """`differences`: one text per sequence that was answered differently."""

    sequences: int = 0
    operations: int = 0
    took_s: float = 0.0
    differences: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        rate = self.sequences / self.took_s if self.took_s else 0.0
        return (
            f"{self.sequences} random sequences, {self.operations} operations in "
            f"{self.took_s:.1f} s: {rate:.1f} sequences per second, "
            f"{len(self.differences)} unexplained differences"
        )


async def play(order: Sequence, backend: Backend, namespace: str) -> list[Said]:
    """What a server says to a sequence: all answers, then what each watcher saw."""
    game = _Game(order, backend, namespace)
    try:
        return await game.play()
    finally:
        await game.close()


def play_on_fake(order: Sequence) -> list[Said]:
    """The same on an embedded server of its own."""
    return with_fake(lambda backend: play(order, backend, NAMESPACE))


class _Game:
    """One sequence on one server."""

    def __init__(self, order: Sequence, backend: Backend, namespace: str) -> None:
        self._order = order
        self._backend = backend
        self._namespace = namespace
        self._probe = Probe(backend.transport)
        self._first: dict[tuple[str, str], Json] = {}
        self._last: dict[tuple[str, str], Json] = {}
        self._watches: list[EventReader] = []

    async def play(self) -> list[Said]:
        said: list[Said] = []
        selectors: tuple[Json, Json] = ({}, {"labelSelector": WATCHED})
        for kind, selector in zip(self._order.kinds, selectors, strict=True):
            await self._watch(kind, selector)
        for operation in self._order.operations:
            reply = await self._send(operation)
            body = reply.body or {"text": reply.text}
            said.append(Said(str(operation), reply.code, body))
        for kind, reader in zip(self._order.kinds, self._watches, strict=True):
            await self._send(marker(kind))
            said += [
                Said(f"watch of {kind}: {e['type']}", 0, e["object"]) for e in await _all(reader)
            ]
        return said

    async def close(self) -> None:
        for reader in self._watches:
            await reader.close()
        await Cleaner(self._probe).clean(
            COLLECTIONS[kind].format(ns=self._namespace) for kind in self._order.kinds
        )

    async def _watch(self, kind: str, selector: Json) -> None:
        path = COLLECTIONS[kind].format(ns=self._namespace)
        begin = (await self._probe.get(path)).rv
        query = {"watch": "true", "timeoutSeconds": 60, "resourceVersion": begin, **selector}
        pairs = tuple((name, str(value)) for name, value in query.items())
        stream = await self._backend.transport.stream(Request("GET", path, pairs))
        self._watches.append(EventReader(stream))

    async def _send(self, operation: Operation) -> Reply:
        key = operation.kind, operation.name
        saved = {"last": self._last.get(key, _NOTHING), "first": self._first.get(key, _NOTHING)}
        reply = await self._probe.send(
            operation.method,
            operation.path.format(ns=self._namespace),
            resolved(operation.body, saved, self._namespace),
            content_type=operation.content_type,
            query=dict(operation.query),
        )
        self._note(operation, reply)
        return reply

    def _note(self, operation: Operation, reply: Reply) -> None:
        """Takes an object that was shown as the newest of its name."""
        if reply.code >= 400 or not reply.metadata.get("uid") or "dryRun" in operation.query:
            return
        key = operation.kind, str(reply.metadata["name"])
        self._last[key] = reply.body
        self._first.setdefault(key, reply.body)


async def _all(reader: EventReader) -> list[Json]:
    """The events up to the marker's."""
    seen: list[Json] = []
    while not seen or seen[-1]["object"]["metadata"].get("name") != "end":
        event = await reader.next(within_s=EVENT_S_MAX)
        if event is None:
            break
        if event["type"] != "BOOKMARK":
            seen.append(event)
    return seen


class Tournament:
    """Plays sequences on a real server and the embedded one; use it as a context."""

    def __init__(self, server: RealServer) -> None:
        self._backends = [RealBackend(server) for _ in range(LANES)]
        self._namespaces = [f"contract-lane-{number}" for number in range(LANES)]
        self._result = Result()

    async def __aenter__(self) -> Self:
        probe = Probe(self._backends[0].transport)
        for name in self._namespaces:
            made = await probe.post("/api/v1/namespaces", {"metadata": {"name": name}})
            assert made.code in (201, 409), made.text
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        probe = Probe(self._backends[0].transport)
        for name in self._namespaces:
            await probe.delete(f"/api/v1/namespaces/{name}")
        for backend in self._backends:
            await backend.transport.close()

    async def play(self, seeds: Iterable[int]) -> Result:
        """The sequences of `seeds`; ends early at `DIFFERENCES_MAX` differences."""
        clock = asyncio.get_running_loop()
        begun = clock.time()
        left = iter(seeds)
        async with asyncio.TaskGroup() as group:
            for lane in range(LANES):
                group.create_task(self._lane(lane, left))
        self._result.took_s = clock.time() - begun
        return self._result

    async def _lane(self, lane: int, seeds: Iterator[int]) -> None:
        for seed in seeds:
            if len(self._result.differences) >= DIFFERENCES_MAX:
                return
            await self._match(sequence(seed), self._backends[lane], self._namespaces[lane])

    async def _match(self, order: Sequence, backend: RealBackend, namespace: str) -> None:
        real = await play(order, backend, namespace)
        fake = await asyncio.to_thread(play_on_fake, order)
        differs = first_difference(comparable(real, namespace), comparable(fake, NAMESPACE))
        self._result.sequences += 1
        self._result.operations += len(order.operations)
        if differs:
            text = f"seed {order.seed}: real and embedded differ at {differs}"
            self._result.differences.append(text)
