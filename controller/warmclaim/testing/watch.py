"""Watch streams: what of the store's history one watcher is to see, as lines of JSON.

A watcher pulls: it keeps the version it has come to and reads the history after it. So a slow one
costs no memory, only its place in the history; if that is compacted away it is told 410.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from warmclaim.seams import Clock
from warmclaim.testing import refusals
from warmclaim.testing.alarm import Alarm
from warmclaim.testing.json_values import Json
from warmclaim.testing.resources import POD, Kind
from warmclaim.testing.selectors import Matches
from warmclaim.testing.store import Commit, CompactedError, ObjectStore, Verb

BOOKMARK_INTERVAL_S = 60.0
BOOKMARK_BEFORE_END_S = 2.0
PIECE_BYTES = 65_536
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

Wake = Callable[[], None]


class WatchCache:
    """How much of the store one API server has seen; this one sees every commit at once.

    Lists with a resourceVersion, gets with one, and all watches are served as of `rv`. One that
    lags (`lag`) overrides `rv` and calls `advanced` when it catches up.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._wakes: dict[str, dict[int, Wake]] = {}
        self._next_id = 0
        store.observers.append(self._on_commit)

    @property
    def rv(self) -> int:
        return self.store.rv

    def subscribe(self, resource: str, wake: Wake) -> Callable[[], None]:
        """Calls `wake` after changes of `resource` ("" for any), until the returned function is
        called."""
        self._next_id += 1
        number = self._next_id
        self._wakes.setdefault(resource, {})[number] = wake

        def unsubscribe() -> None:
            self._wakes[resource].pop(number, None)

        return unsubscribe

    def advanced(self, resource: str) -> None:
        """Wakes those who wait for changes of `resource`."""
        for name in (resource, ""):
            for wake in tuple(self._wakes.get(name, {}).values()):
                wake()

    @property
    def watcher_count(self) -> int:
        return sum(len(wakes) for wakes in self._wakes.values())

    def _on_commit(self, commit: Commit) -> None:
        self.advanced(commit.resource)


@dataclass(frozen=True, slots=True)
class WatchScope:
    """Which objects of which kind, in which version."""

    kind: Kind
    version: str
    prefix: str = ""
    matches: Matches | None = None

    def line(self, commit: Commit) -> bytes | None:
        """The event of a commit for this watcher, None if it is none of its objects."""
        if self.prefix and not commit.key.startswith(self.prefix):
            return None
        if self.matches is None:
            return self.encoded(commit.verb, commit)
        is_in, was_in = self.matches(commit.object), self._was_in(commit)
        if commit.verb is Verb.DELETED:
            return self.encoded(Verb.DELETED, commit) if was_in else None
        if is_in:
            return self.encoded(Verb.MODIFIED if was_in else Verb.ADDED, commit)
        return self._left(commit) if was_in else None

    def encoded(self, type_: str, commit: Commit) -> bytes:
        """One line. The object in it was encoded once, at its commit, for all watchers."""
        return event_line(type_, self.kind.encoded(commit, self.version))

    def _was_in(self, commit: Commit) -> bool:
        return commit.before is not None and (self.matches is None or self.matches(commit.before))

    def _left(self, commit: Commit) -> bytes:
        """An object that no longer matches is DELETED, as it last matched, at the new version."""
        assert commit.before is not None
        metadata = {**commit.before["metadata"], "resourceVersion": str(commit.rv)}
        value = self.kind.converted({**commit.before, "metadata": metadata}, self.version)
        return event_line(Verb.DELETED, msgspec.json.encode(value))


def event_line(type_: str, body: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (type_.encode(), body)


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """How a watch begins and ends.

    `initial` are the commits sent first, as ADDED; `ends_initial` adds the bookmark after them
    that ends a watch-list; `after_rv` is where the live part begins; `error` an ERROR event that
    is all there is.
    """

    after_rv: int
    timeout_s: float
    initial: Iterable[Commit] = ()
    ends_initial: bool = False
    bookmarks: bool = False
    error: Json | None = None


class Watch:
    """One watch, as a ByteStream of whole lines. It must be closed; `on_close` is told so."""

    def __init__(
        self,
        cache: WatchCache,
        clock: Clock,
        scope: WatchScope,
        plan: WatchPlan,
        on_close: Callable[[Watch], None] | None = None,
    ) -> None:
        self._on_close = on_close
        self._cache = cache
        self._clock = clock
        self._scope = scope
        self._rv = plan.after_rv
        self._alarm = Alarm(clock)
        self._ends_at = clock.monotonic() + plan.timeout_s
        self._bookmark_at = self._next_bookmark() if plan.bookmarks else None
        # Not made before they are sent: a start over 10,000 objects holds one piece of lines.
        self._first = self._first_lines(plan)
        self._lines: deque[bytes] = deque()
        self._is_done = plan.error is not None
        self._unsubscribe = cache.subscribe(scope.kind.resource, self._alarm.ring)

    @property
    def resource(self) -> str:
        return self._scope.kind.resource

    @property
    def status(self) -> int:
        return 200

    @property
    def headers(self) -> Mapping[str, str]:
        return {"content-type": "application/json"}

    async def read(self) -> bytes:
        """The next whole lines, 64 KiB and at most one line more; b"" at the end."""
        if piece := _piece(self._first):
            return piece
        while not self._lines and not self._is_done:
            self._look()
            if self._lines or self._is_done:
                break
            moments = (self._ends_at, self._bookmark_at)
            await self._alarm.wait(min(m for m in moments if m is not None))
        return _piece(_drained(self._lines))

    async def close(self) -> None:
        self.end()

    def end(self) -> None:
        """Ends the stream cleanly, as a restart of the server or a timeout does."""
        self._is_done = True
        self._unsubscribe()
        self._alarm.close()
        self._alarm.ring()
        if self._on_close is not None:
            self._on_close(self)

    def _first_lines(self, plan: WatchPlan) -> Iterator[bytes]:
        if plan.error is not None:
            yield event_line("ERROR", msgspec.json.encode(plan.error))
        for commit in plan.initial:
            yield self._scope.encoded(Verb.ADDED, commit)
        if plan.ends_initial:
            yield self._bookmark({"annotations": {INITIAL_EVENTS_END: "true"}})

    def _look(self) -> None:
        """Takes what is new, and what the time brings, into the lines to send."""
        try:
            commits = self._cache.store.events_after(self._scope.kind.resource, self._rv)
        except CompactedError as error:
            gone = refusals.too_old(error.asked, error.oldest)
            self._lines.append(event_line("ERROR", msgspec.json.encode(gone.status_object)))
            self._is_done = True
            return
        horizon = self._cache.rv
        for commit in commits:
            if commit.rv > horizon:
                break
            if (line := self._scope.line(commit)) is not None:
                self._lines.append(line)
        # A server that has not come as far as this watch began has nothing to say in it.
        is_behind = horizon < self._rv
        self._rv = max(self._rv, horizon)
        now = self._clock.monotonic()
        if self._bookmark_at is not None and now >= self._bookmark_at:
            self._bookmark_at = self._next_bookmark()
            if not is_behind:
                self._lines.append(self._bookmark({}))
        self._is_done = now >= self._ends_at

    def _next_bookmark(self) -> float | None:
        """In a minute, or shortly before the end; None after that one."""
        now = self._clock.monotonic()
        last = self._ends_at - BOOKMARK_BEFORE_END_S
        return min(now + BOOKMARK_INTERVAL_S, last) if last > now else None

    def _bookmark(self, more: Json) -> bytes:
        kind, version = self._scope.kind, self._scope.version
        metadata = {"resourceVersion": str(self._rv), **more}
        value: Json = {"kind": kind.kind, "apiVersion": kind.api_version(version)}
        value["metadata"] = metadata
        if kind is POD:
            # An empty Pod, as the server's own encoder writes it.
            value |= {"spec": {"containers": None}, "status": {}}
        return event_line("BOOKMARK", msgspec.json.encode(value))


def _drained(lines: deque[bytes]) -> Iterator[bytes]:
    while lines:
        yield lines.popleft()


def _piece(lines: Iterator[bytes]) -> bytes:
    """The next lines, up to PIECE_BYTES or a little more; b"" where there are none."""
    taken: list[bytes] = []
    size = 0
    for line in lines:
        taken.append(line)
        size += len(line)
        if size >= PIECE_BYTES:
            break
    return b"".join(taken)
