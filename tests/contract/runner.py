"""Runs contract cases on a server, whichever it is, and keeps what it said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from tests.contract.differences import causes_of
from tests.contract.matching import difference, resolved
from tests.contract.steps import COLLECTIONS, Act, Call, Case, Ends, Event, Sees, Step, Watch

from warmclaim.seams import Request, Transport
from warmclaim.testing.json_values import Json, is_object
from warmclaim.testing.probe import EventReader, Probe, Reply

EVENT_S_MAX = 10.0
POLL_S = 0.02
CLEANING_TURNS_MAX = 100
OF_THE_CLUSTER = frozenset({"kube-root-ca.crt"})


class Backend(Protocol):
    """A server under test. `act` does what a step Act names; see there."""

    @property
    def transport(self) -> Transport: ...
    async def act(self, what: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Said:
    """One answer or event, as it came: for the comparison of two servers."""

    about: str
    code: int
    body: Json
    ordered: bool = True


class Cleaner:
    """Empties collections, whatever finalizers are in the way."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    async def clean(self, collections: Iterable[str]) -> None:
        """Deletes all objects in them. Raises AssertionError where something will not go."""
        for collection in collections:
            for _ in range(CLEANING_TURNS_MAX):
                if not await self._delete_all(collection):
                    break
                await asyncio.sleep(POLL_S)
            else:
                raise AssertionError(f"{collection} cannot be emptied")

    async def _delete_all(self, collection: str) -> int:
        found = await self._probe.get(collection)
        items = found.items if found.code == 200 else []
        items = [item for item in items if item["metadata"]["name"] not in OF_THE_CLUSTER]
        for item in items:
            path = f"{collection}/{item['metadata']['name']}"
            if item["metadata"].get("finalizers"):
                await self._probe.merge_patch(path, {"metadata": {"finalizers": None}})
            await self._probe.delete(path, {"gracePeriodSeconds": 0})
        return len(items)


class Run:
    """One case on one server. `said` is what the server answered, step by step."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        self.said: list[Said] = []
        self._backend = backend
        self._probe = Probe(backend.transport)
        self._namespace = namespace
        self._saved: dict[str, Json] = {}
        self._watches: dict[str, EventReader] = {}
        self._touched: dict[str, None] = {}

    async def play(self, case: Case) -> None:
        """Takes the steps. Raises AssertionError, with the step, at the first that fails."""
        try:
            for number, step in enumerate(case.steps, 1):
                try:
                    await self._take(step)
                except AssertionError as error:
                    said = f"{case.name}\nstep {number}, {_title(step)}:\n{error}"
                    raise AssertionError(said) from None
        finally:
            for reader in self._watches.values():
                await reader.close()

    async def clean(self) -> None:
        """Deletes what the case left, so that the namespace can serve the next one."""
        await Cleaner(self._probe).clean(self._touched)

    async def _take(self, step: Step) -> None:
        match step:
            case Call():
                await self._call(step)
            case Watch():
                await self._open(step)
            case Sees():
                await self._see(step)
            case Ends():
                event = await _event(self._watches[step.watch])
                assert event is None, f"instead of the end: {event}"
            case Act():
                await self._backend.act(step.what)

    # ----------------------------------------------------------------- requests

    async def _call(self, call: Call) -> None:
        clock = asyncio.get_running_loop()
        begun = clock.time()
        path = self._path(call.path)
        while True:
            reply = await self._send(call, path)
            wrong = self._wrong(call, reply)
            if not wrong or clock.time() >= begun + call.within_s:
                break
            await asyncio.sleep(POLL_S)
        self.said.append(Said(f"{call.method} {call.path}", reply.code, _spoken(reply)))
        assert not wrong, f"{wrong}\nanswer: {reply.code} {reply.text[:2000]}"
        took_s = clock.time() - begun
        # Timers of two processes and rounding: a tenth of a second is no promise.
        assert took_s >= call.takes_s - 0.1, f"answered after {took_s:.2f} s"
        if call.save:
            self._saved[call.save] = reply.body

    async def _send(self, call: Call, path: str) -> Reply:
        query = {name: self._resolved(value) for name, value in call.query.items()}
        body = self._resolved(call.body)
        return await self._probe.send(
            call.method, path, body, content_type=call.content_type, query=query
        )

    def _wrong(self, call: Call, reply: Reply) -> str:
        """What is not as expected, "" if all is."""
        # The reason of a success is a member of an Event or a condition like any other.
        reason = reply.reason if reply.code >= 400 else ""
        if (reply.code, reason) != (call.code, call.reason):
            return f"expected {call.code} {call.reason}, not {reply.code} {reply.reason}"
        if wrong := difference(self._resolved(call.has), reply.body):
            return wrong
        for path in call.lacks:
            if _at(reply.body, path) is not None:
                return f"{path} is there: {_at(reply.body, path)}"
        return self._wrong_part(call, reply)

    def _wrong_part(self, call: Call, reply: Reply) -> str:
        if call.causes is not None and causes_of(reply.body) != sorted(call.causes):
            return f"causes: {causes_of(reply.body)}"
        if call.names is not None and reply.names != self._resolved([*call.names]):
            return f"names: {reply.names}"
        if call.text and call.text not in reply.text:
            return f"{call.text!r} is not in the answer"
        for name, value in call.headers.items():
            if not reply.headers.get(name, "").startswith(value):
                return f"header {name}: {reply.headers.get(name)!r}"
        return self._wrong_version(call.rv, reply.rv)

    def _wrong_version(self, relation: str, version: str) -> str:
        if not relation:
            return ""
        name = relation.lstrip("<>=")
        sign, other = relation[: -len(name)], int(self._saved[name]["metadata"]["resourceVersion"])
        mine = int(version)
        holds = {"=": mine == other, ">": mine > other, ">=": mine >= other}[sign]
        return "" if holds else f"resourceVersion {mine} is not {relation} ({other})"

    # ------------------------------------------------------------------ watches

    async def _open(self, watch: Watch) -> None:
        path = self._path(watch.path)
        query = {"watch": "true", "timeoutSeconds": 60, **watch.query}
        pairs = tuple((name, str(self._resolved(value))) for name, value in query.items())
        stream = await self._backend.transport.stream(Request("GET", path, pairs))
        self._watches[watch.name] = EventReader(stream)
        assert stream.status == 200, f"{stream.status}: {await stream.read()!r}"

    async def _see(self, step: Sees) -> None:
        reader = self._watches[step.watch]
        seen = [await self._next(reader, wanted) for wanted in step.events]
        self.said += [
            Said(f"event {one['type']}", 0, one["object"], not step.any_order) for one in seen
        ]
        wanted = list(step.events)
        if step.any_order:
            seen.sort(key=_event_name)
            wanted.sort(key=lambda event: str(self._resolved(event.name)))
        for event, expected in zip(seen, wanted, strict=True):
            wrong = self._wrong_event(expected, event)
            assert not wrong, f"{wrong}\nseen: {_in_short(seen)}"
        live = [int(e["object"]["metadata"]["resourceVersion"]) for e in seen if _is_live(e)]
        assert step.any_order or live == sorted(live), f"versions do not rise: {live}"

    async def _next(self, reader: EventReader, wanted: Event) -> Json:
        """The next event; a bookmark comes when the server likes, so one is skipped unless
        wanted."""
        while True:
            event = await _event(reader)
            assert event is not None, f"the watch ended before {wanted}"
            metadata = event["object"]["metadata"]
            if (
                event["type"] != "BOOKMARK"
                or wanted.type == "BOOKMARK"
                or metadata.get("annotations")
            ):
                return event

    def _wrong_event(self, expected: Event, event: Json) -> str:
        name = self._resolved(expected.name)
        if event["type"] != expected.type or (name and _event_name(event) != name):
            return f"expected {expected.type} {name}"
        if wrong := difference(self._resolved(expected.has), event["object"]):
            return wrong
        version = event["object"]["metadata"].get("resourceVersion", "")
        return self._wrong_version(expected.rv, version)

    # ------------------------------------------------------------------- values

    def _path(self, short: str) -> str:
        """The whole path; the collection is remembered, to be emptied at the end."""
        if short.startswith("/"):
            return str(self._resolved(short))
        kind, _, rest = short.partition("/")
        collection = COLLECTIONS[kind].format(ns=self._namespace)
        self._touched[collection] = None
        return f"{collection}/{self._resolved(rest)}" if rest else collection

    def _resolved(self, value: Any) -> Any:
        return resolved(value, self._saved, self._namespace)


async def _event(reader: EventReader) -> Json | None:
    try:
        return await reader.next(within_s=EVENT_S_MAX)
    except TimeoutError:
        raise AssertionError(f"nothing came within {EVENT_S_MAX:g} s") from None


def _title(step: Step) -> str:
    match step:
        case Call():
            return f"{step.method} {step.path}"
        case Watch():
            return f"watch of {step.path}"
        case Sees() | Ends():
            return f"{type(step).__name__.lower()} of {step.watch}"
        case Act():
            return step.what


def _spoken(reply: Reply) -> Json:
    return reply.body or {"text": reply.text}


def _event_name(event: Json) -> str:
    return str(event["object"]["metadata"].get("name", ""))


def _is_live(event: Json) -> bool:
    return bool(event["type"] != "ERROR")


def _in_short(events: list[Json]) -> list[str]:
    return [f"{event['type']} {_event_name(event)}" for event in events]


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if is_object(value) else None
    return value
