"""Bytes of a watch stream to events: no I/O, no clock, no logging.

One event is one line of JSON. Pieces arrive cut anywhere; a line is judged only when its newline
has come, since a line cut off by the end of a stream can still be valid JSON of less. An object
that cannot be read becomes a `Skipped` event: one tenant's odd object must not end the stream
that everybody's objects come through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeAlias, TypeVar

import msgspec

from warmclaim.api.meta import Object, ObjectKey
from warmclaim.errors import ApiError
from warmclaim.kube.answers import (
    DECODE_ERRORS,
    Identity,
    Status,
    decoder_for,
    error_for,
    identity_of,
    is_sound,
    plain,
    version_number,
)

T = TypeVar("T", bound=Object)

LINE_BYTES_MAX: Final = 16 * 1024 * 1024
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"

ObjectEventType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]
_OBJECT_EVENTS: Final = ("ADDED", "MODIFIED", "DELETED")


class ObjectEvent(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """An object came, changed or went. It has a name and a numeric resourceVersion; that of a
    DELETED is the version of the deletion."""

    type: ObjectEventType
    object: T


@dataclass(frozen=True, slots=True)
class Bookmark:
    """No object changed up to `resource_version`. `ends_initial`: the initial state is whole."""

    resource_version: str
    ends_initial: bool


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """The server ends the stream and says why; a 410 comes this way, under HTTP 200."""

    error: ApiError


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that could not be used. `identity` is what could be read of its object; with one the
    line was a sound event about an unreadable object, without one it was nonsense."""

    type: str
    problem: str
    identity: Identity | None = None

    @property
    def key(self) -> ObjectKey | None:
        return self.identity.key if self.identity else None


@dataclass(frozen=True, slots=True)
class LineTooLong:
    """A line passed the limit and is dropped up to its newline; which object it was about is
    unknown, so only a new list helps."""

    limit_bytes: int


WatchEvent: TypeAlias = ObjectEvent[T] | Bookmark | ErrorEvent | Skipped | LineTooLong


class _Line(msgspec.Struct):
    type: str = ""
    object: msgspec.Raw = msgspec.Raw(b"null")


class _BookmarkMetadata(msgspec.Struct, rename="camel"):
    resource_version: str
    annotations: dict[str, str] | None = None


class _BookmarkObject(msgspec.Struct):
    metadata: _BookmarkMetadata


class WatchDecoder(Generic[T]):
    """Decodes one stream of events about objects of one view.

    Memory: the unfinished line, at most `line_bytes_max`.
    """

    def __init__(self, view: type[T], *, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._decoder: msgspec.json.Decoder[ObjectEvent[T]] = decoder_for(ObjectEvent[view])  # type: ignore[valid-type]
        self._line_bytes_max = line_bytes_max
        self._parts: list[bytes] = []
        self._size = 0
        self._is_dropping = False

    def feed(self, chunk: bytes) -> list[WatchEvent[T]]:
        """The events that `chunk` completes, in order."""
        events: list[WatchEvent[T]] = []
        head, newline, rest = chunk.partition(b"\n")
        self._keep(head, events)
        if not newline:
            return events
        self._finish(events)
        *lines, tail = rest.split(b"\n")
        for line in lines:
            self._keep(line, events)
            self._finish(events)
        self._keep(tail, events)
        return events

    def end(self) -> bool:
        """The stream is over. True if its last line was torn: that line is dropped."""
        is_torn = self._is_dropping or any(part.strip() for part in self._parts)
        self._parts, self._size, self._is_dropping = [], 0, False
        return is_torn

    def _keep(self, part: bytes, events: list[WatchEvent[T]]) -> None:
        if not part or self._is_dropping:
            return
        self._parts.append(part)
        self._size += len(part)
        if self._size > self._line_bytes_max:
            self._parts, self._size, self._is_dropping = [], 0, True
            events.append(LineTooLong(self._line_bytes_max))

    def _finish(self, events: list[WatchEvent[T]]) -> None:
        line = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        was_dropping = self._is_dropping
        self._parts, self._size, self._is_dropping = [], 0, False
        if not was_dropping and line.strip():
            events.append(self._event(line))

    def _event(self, line: bytes) -> WatchEvent[T]:
        # One pass straight into the view. The slow path costs one raised error per BOOKMARK, and
        # those come once a minute.
        try:
            event = self._decoder.decode(line)
        except DECODE_ERRORS as error:
            return _other_event(line, error)
        if is_sound(event.object.metadata):
            return event
        return _unreadable(event.type, "object without name or resourceVersion", line)


def _other_event(line: bytes, error: BaseException) -> WatchEvent[T]:
    """A line that is no readable object event: bookmark, error, or one to skip."""
    try:
        parsed = decoder_for(_Line).decode(line)
    except DECODE_ERRORS as worse:
        return Skipped("", plain(f"no event: {worse}"))
    if parsed.type == "BOOKMARK":
        return _bookmark(parsed.object)
    if parsed.type == "ERROR":
        return _error(parsed.object)
    if parsed.type not in _OBJECT_EVENTS:
        return Skipped(plain(parsed.type), "unknown type of event")
    return _unreadable(parsed.type, plain(str(error)), line)


def _unreadable(type_: str, problem: str, line: bytes) -> Skipped:
    """An event about an object that cannot be used; with its identity, if it has one at all."""
    identity = identity_of(decoder_for(_Line).decode(line).object)
    if identity is not None and (identity.key is None or identity.version is None):
        identity = None
    return Skipped(type_, problem, identity)


def _bookmark(raw: msgspec.Raw) -> Bookmark | Skipped:
    try:
        metadata = decoder_for(_BookmarkObject).decode(raw).metadata
    except DECODE_ERRORS as error:
        return Skipped("BOOKMARK", plain(str(error)))
    if version_number(metadata.resource_version) is None:
        return Skipped("BOOKMARK", "bookmark without resourceVersion")
    annotations = metadata.annotations or {}
    return Bookmark(metadata.resource_version, annotations.get(INITIAL_EVENTS_END) == "true")


def _error(raw: msgspec.Raw) -> ErrorEvent | Skipped:
    try:
        status = decoder_for(Status).decode(raw)
    except DECODE_ERRORS as error:
        return Skipped("ERROR", plain(str(error)))
    return ErrorEvent(error_for(status, verb="watch"))
