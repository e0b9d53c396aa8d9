"""A model of an API server with history, for the reflector's state machine.

It keeps etcd's promises about watches (ordered, unique, reliable, resumable, 410 after compaction)
and breaks everything that they do not cover, as the machine tells it.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.kube.fakes import FakeStream, a_list, a_widget, bookmark, error_line, line, refusal

from warmclaim.errors import StreamError, UnknownOutcomeError
from warmclaim.seams import ByteStream, Request, Response

Fault = Literal["500", "429", "html", "reset", "410"]
Cut = Literal["eof", "reset", "torn", "410", "rubbish"]
Form = Literal["plain", "unreadable", "huge"]


@dataclass(frozen=True)
class Event:
    version: int
    type: str
    object: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])


@dataclass
class OpenWatch:
    stream: FakeStream
    sent: int


@dataclass
class Server:
    """`version` is the newest in the database; `seen` what the server itself has heard of, which
    is what watches and lists from its cache tell; `floor` the oldest a watch may start from."""

    version: int = 10
    seen: int = 10
    floor: int = 0
    history: list[Event] = field(default_factory=list[Event])
    faults: list[Fault] = field(default_factory=list[Fault])
    watches: list[OpenWatch] = field(default_factory=list[OpenWatch])
    # The next lists are answered by a server that lies: it is so many versions behind.
    lags: list[int] = field(default_factory=list[int])
    page_objects: int = 2
    asked: int = 0
    created: int = 0
    # The next event arrives damaged at each watch.
    is_garbling: bool = False

    # Writes.

    def write(self, name: str, form: Form = "plain") -> dict[str, Any]:
        """Create or change an object; the object as answered."""
        old = self.state().get(name)
        self.created += old is None
        uid = old["metadata"]["uid"] if old else f"{name}-{self.created}"
        self.version += 1
        blob = {"blob": "x" * 3000} if form == "huge" else {}
        obj = a_widget(name, self.version, uid, **blob)
        if form == "unreadable":
            obj["spec"] = 5
        self.history.append(Event(self.version, "MODIFIED" if old else "ADDED", obj))
        return obj

    def delete(self, name: str) -> str:
        """Delete an object, return its uid, "" if there is none."""
        old = self.state().get(name)
        if old is None:
            return ""
        self.version += 1
        metadata = {**old["metadata"], "resourceVersion": str(self.version)}
        self.history.append(Event(self.version, "DELETED", {**old, "metadata": metadata}))
        return str(metadata["uid"])

    def state(self, version: int | None = None) -> dict[str, dict[str, Any]]:
        """Objects by name as of a version."""
        objects: dict[str, dict[str, Any]] = {}
        for event in self.history:
            if version is not None and event.version > version:
                break
            if event.type == "DELETED":
                objects.pop(event.name, None)
            else:
                objects[event.name] = event.object
        return objects

    def restore(self, version: int) -> None:
        """The database comes back from a backup."""
        self.cut("reset")
        self.version = self.seen = version
        self.history = [event for event in self.history if event.version <= version]
        self.floor = min(self.floor, version)

    # Watches.

    def flush(self) -> None:
        """The server catches up with the database and tells the watches."""
        self.seen = self.version
        self._tell()

    def _tell(self) -> None:
        versions = [event.version for event in self.history]
        for watch in self.watches:
            start, end = (bisect.bisect_right(versions, v) for v in (watch.sent, self.seen))
            for event in self.history[start:end]:
                raw = line(event.type, event.object)
                watch.stream.say(raw.replace(b"name", b"nase") if self.is_garbling else raw)
                self.is_garbling = False
            watch.sent = max(watch.sent, self.seen)

    def bookmark(self) -> None:
        self.flush()
        for watch in self.watches:
            watch.stream.say(bookmark(watch.sent))

    def repeat(self, back: int) -> None:
        """Send some event again, which no server should."""
        if self.history:
            event = self.history[-1 - back % len(self.history)]
            for watch in self.watches:
                if event.version <= watch.sent:
                    watch.stream.say(line(event.type, event.object))

    def cut(self, how: Cut) -> None:
        for watch in self.watches:
            watch.stream.say(*_last_words(how))
        self.watches.clear()

    # Transport.

    async def request(self, request: Request) -> Response:
        query = dict(request.query)
        if fault := self._fault():
            return fault
        if token := query.get("continue"):
            version, offset = map(int, token.split(":"))
            if version < self.floor:
                return refusal(410, "Expired")
        else:
            offset = 0
            wanted = int(query.get("resourceVersion") or 0)
            if wanted > self.seen:
                return refusal(504, "Timeout", cause="ResourceVersionTooLarge")
            version = self._listed_version(is_consistent=not wanted)
        objects = [obj for _, obj in sorted(self.state(version).items())]
        page = objects[offset : offset + self.page_objects]
        rest = offset + self.page_objects
        token = f"{version}:{rest}" if rest < len(objects) else ""
        return a_list(*page, rv=version, token=token)

    def _listed_version(self, *, is_consistent: bool) -> int:
        if self.lags:
            return max(0, self.seen - self.lags.pop(0))
        if is_consistent:
            self.flush()
        return self.seen

    async def stream(self, request: Request) -> ByteStream:
        query = dict(request.query)
        if fault := self._fault():
            return FakeStream([fault.body, b""], fault.status, fault.headers)
        since = int(query.get("resourceVersion") or 0)
        is_list = "sendInitialEvents" in query
        if since > self.version:
            answer = refusal(504, "Timeout", cause="ResourceVersionTooLarge")
            return FakeStream([answer.body, b""], 504)
        if since < self.floor and not is_list:
            return FakeStream([error_line(410, "Expired"), b""])
        stream = FakeStream()
        if is_list:
            # In the order of names, which is not that of versions.
            since = max(self.seen, since) if since else self.version
            for _, obj in sorted(self.state(since).items()):
                stream.say(line("ADDED", obj))
            stream.say(bookmark(since, ends_initial=True))
        self.watches.append(OpenWatch(stream, since))
        self._tell()
        return stream

    async def close(self) -> None:
        pass

    def _fault(self) -> Response | None:
        self.asked += 1
        match self.faults.pop(0) if self.faults else None:
            case "reset":
                raise UnknownOutcomeError("reset")
            case "html":
                return Response(200, b"<html>", {"content-type": "text/html"})
            case "429":
                return Response(429, b"busy", {"retry-after": "1"})
            case "410":
                return refusal(410, "Expired")
            case "500":
                return refusal(500, "InternalError")
            case None:
                return None


def _last_words(how: Cut) -> tuple[bytes | Exception, ...]:
    match how:
        case "eof":
            return (b"",)
        case "reset":
            return (StreamError("reset"),)
        case "torn":
            return (line("ADDED", a_widget("torn", 10**6))[:-1], b"")
        case "410":
            return (error_line(410, "Expired"), b"")
        case "rubbish":
            return (b"rubbish\n", b"")
