"""Reflector: copies the server's objects of one kind into a sink, for ever.

Why it is not a loop around "watch". A watch is a promise with small print, and each clause below
was found broken in a client that is in use:

* A stream that ends cleanly means nothing: a timeout and a killed server look the same. So an end
  is never an error and never a reason to read everything again; the next watch starts after the
  last version seen.
* A stream that does not end may be dead. The server says something every 60 s (a bookmark), so 70 s
  of silence is a broken connection, whatever the kernel believes.
* The state that a watch without a version begins with comes in no order. Whoever takes a version
  from one of those events and resumes there loses the objects not yet sent, for good. Here a
  version is taken from a whole list, from the bookmark that ends the initial events, and from
  the ordered events after them; from nothing else.
* "410 Gone" comes as an HTTP status, or under HTTP 200 inside the stream, or between two pages of
  a list. The cache stays as it is until a new list is whole.
* A list can be older than what was seen, when it is answered by a server that lags. It is refused:
  a cache that goes back in time makes a controller repeat what it has done. Only when the database
  itself insists (restored from a backup) is the past accepted as the truth.
* A server that closes each stream at once must not be called three thousand times in three
  seconds, and one poison object must not stop the kind.

`ladder.py` decides (pure); this file carries out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from warmclaim.api.meta import Object, ObjectKey
from warmclaim.api.resources import Resource
from warmclaim.errors import (
    ApiError,
    NotPermittedError,
    NotSentError,
    PermanentError,
    StreamError,
    UnknownOutcomeError,
    means_no_service,
)
from warmclaim.kube import answers
from warmclaim.kube.client import ApiClient
from warmclaim.kube.ladder import (
    Backoff,
    Ladder,
    ListStep,
    ReflectorSettings,
    Step,
    Verdict,
    WatchStep,
)
from warmclaim.kube.sink import ReflectorSink, ReflectorStats
from warmclaim.kube.watch_decoder import (
    Bookmark,
    ErrorEvent,
    LineTooLong,
    ObjectEvent,
    Skipped,
    WatchDecoder,
    WatchEvent,
)
from warmclaim.seams import ByteStream, Clock, Rng

T = TypeVar("T", bound=Object)

log = logging.getLogger(__name__)

# At 500 claims a second a piece of a watch brought up to 171 events, 0.1 ms each to take up. Others
# have their turn in between: a piece held the loop for 3.6 ms (P99), and for 1.5 to 2.6 since.
_EVENTS_AT_ONCE: Final = 8

# What a round can end in. Anything else is a bug of ours and ends the reflector.
_EXPECTED = (ApiError, NotSentError, StreamError, UnknownOutcomeError)


class _Nonsense(StreamError):
    """The stream is left early; it is opened again after the last good version."""


class Reflector(Generic[T]):
    """Lists and watches one kind, for ever, through every fault of the server.

    `run` ends only by cancellation, or by an exception that is a bug. `share` gets each listed
    object fresh from the decoder, page by page, and may exchange parts of it for equal ones.
    """

    def __init__(
        self,
        client: ApiClient,
        resource: Resource[T],
        sink: ReflectorSink[T],
        *,
        clock: Clock,
        rng: Rng,
        namespace: str | None = None,
        label_selector: str | None = None,
        settings: ReflectorSettings | None = None,
        share: Callable[[T], T] = lambda obj: obj,
    ) -> None:
        self._client, self._resource, self._sink, self._share = client, resource, sink, share
        self._clock, self._rng = clock, rng
        self._namespace, self._label_selector = namespace, label_selector
        self._settings = settings or ReflectorSettings()
        self._ladder = Ladder(self._settings)
        self._backoff = Backoff(self._settings)
        self._use_watch_list = self._settings.use_watch_list
        self._failed_watch_lists = 0
        self._has_progress = False
        self._listed_at = clock.monotonic()
        self._watchdog: asyncio.Task[None] | None = None
        self.stats = ReflectorStats()
        self.heard_at: float | None = None
        self.is_following = False
        self.last_error = ""

    async def run(self) -> None:
        """Reflect until cancelled."""
        while True:
            delay_s = await self._round()
            # Also without delay: a fake that never waits must not starve the other tasks.
            await self._client.outage.back_off(delay_s)

    def doubt(self) -> None:
        """An object is there that no list or event told of: leave the stream, list anew."""
        self.stats.doubts += 1
        self._ladder.doubted()
        if self._watchdog is not None:
            self._watchdog.cancel()

    async def _round(self) -> float:
        """One list or one watch, to its end; the seconds to wait before the next."""
        step, began = self._ladder.step(), self._clock.monotonic()
        self._has_progress = False
        error: BaseException | None = None
        try:
            if isinstance(step, WatchStep):
                await self._watch(step)
            elif await self._list(step):
                self.last_error = ""
                return 0.0
        except _EXPECTED as failure:
            error = failure
            self._failed(step, failure)
        return self._delay_after(step, began, error)

    def _delay_after(self, step: Step, began: float, error: BaseException | None) -> float:
        now, chance = self._clock.monotonic(), self._rng.random()
        lived_s = now - began
        is_stream = isinstance(step, WatchStep) or self._has_progress
        is_healthy = is_stream and lived_s >= self._settings.healthy_stream_s
        if is_healthy:
            self._backoff.reset()
        must_list = isinstance(self._ladder.step(), ListStep)
        if is_stream and must_list and now - self._listed_at >= self._settings.healthy_stream_s:
            # A restarted server knows no history, so after an outage a 410 is the rule.
            return 0.0
        if error is not None and means_no_service(error) and self._is_of_the_past(began):
            return 0.0
        if isinstance(error, ApiError):
            return self._backoff.after_failure(now, chance, error.retry_after_s)
        if is_healthy:
            return 0.0
        if self._has_progress:
            return self._backoff.after_progress(now, chance)
        return self._backoff.after_failure(now, chance, None)

    def _is_of_the_past(self, began: float) -> bool:
        return self._client.outage.has_ended_since(began)

    def _failed(self, step: Step, error: Exception) -> None:
        if isinstance(step, ListStep):
            self._ladder.list_failed(error)
        elif isinstance(error, ApiError):
            self._ladder.watch_failed(error, is_in_stream=False)
        self.stats.failures += 1
        # An outage fails the same way each second; that is one line. So is a missing permission.
        text = answers.plain(str(error))
        if self._has_progress:
            self.last_error = ""
        is_said = text == self.last_error or isinstance(error, NotPermittedError)
        level = logging.DEBUG if is_said else logging.WARNING
        log.log(level, "%s: %s", self._resource, text)
        self.last_error = text

    async def _list(self, step: ListStep) -> bool:
        """Read everything; True if it was accepted."""
        self.stats.lists += 1
        if self._use_watch_list:
            return await self._watch_list(step)
        items: list[T] = []
        unreadable: list[ObjectKey] = []
        token = ""
        while True:
            page = await self._client.list_page(
                self._resource,
                namespace=self._namespace,
                label_selector=self._label_selector,
                limit=self._settings.page_objects_max,
                continue_token=token,
                resource_version=step.resource_version,
                match="NotOlderThan" if step.resource_version else None,
                timeout_s=self._settings.request_timeout_s,
            )
            self._heard()
            self.stats.skipped_objects += len(page.unreadable)
            items += map(self._share, page.items)
            unreadable += [key for key in page.unreadable if key]
            token = page.continue_token
            if not token:
                return self._take_list(step, items, page.resource_version, unreadable)

    def _take_list(
        self, step: ListStep, items: Sequence[T], version: str, unreadable: Sequence[ObjectKey]
    ) -> bool:
        seen = self._ladder.position
        verdict = self._ladder.listed(step, int(version))
        if verdict is Verdict.REFUSED:
            self.stats.refused_lists += 1
            log.warning(
                "%s: refused a list of version %s, %d was seen", self._resource, version, seen
            )
            return False
        if verdict is Verdict.RESET:
            self.stats.resets += 1
            log.error("%s: versions went back from %d to %s", self._resource, seen, version)
        self._listed_at = self._clock.monotonic()
        is_reset = verdict is Verdict.RESET
        self._sink.replace(items, version, unreadable=unreadable, is_reset=is_reset)
        return True

    async def _watch_list(self, step: ListStep) -> bool:
        """The list as a stream, followed by the changes after it on the same stream."""
        try:
            stream = await self._open(step.resource_version, send_initial_events=True)
        except PermanentError:
            log.info("%s: the server streams no lists; reading pages", self._resource)
            self._use_watch_list = False
            raise
        initial = _InitialState[T](step)
        try:
            await self._follow(stream, initial)
        finally:
            self._failed_watch_lists = 0 if initial.is_whole else self._failed_watch_lists + 1
            # A server that does not know the parameter ignores it, and its lists never end.
            if self._failed_watch_lists >= self._settings.failed_watch_lists_max:
                self._use_watch_list = False
        return False

    async def _watch(self, step: WatchStep) -> None:
        stream = await self._open(step.resource_version, send_initial_events=False)
        await self._follow(stream, None)

    async def _open(self, version: str, *, send_initial_events: bool) -> ByteStream:
        self.stats.watches += 1
        low, high = self._settings.watch_s_min, self._settings.watch_s_max
        stream = await self._client.watch(
            self._resource,
            namespace=self._namespace,
            label_selector=self._label_selector,
            resource_version=version,
            timeout_s=low + (high - low) * self._rng.random(),
            connect_timeout_s=self._settings.request_timeout_s,
            send_initial_events=send_initial_events,
        )
        self._heard()
        return stream

    async def _follow(self, stream: ByteStream, initial: _InitialState[T] | None) -> None:
        """Read the stream to its end, or until it has been silent for too long."""
        reader = asyncio.create_task(self._read(stream, initial))
        watchdog = self._watchdog = asyncio.create_task(self._until_silent())
        self.is_following = initial is None
        try:
            await asyncio.wait((reader, watchdog), return_when=asyncio.FIRST_COMPLETED)
            if reader.done():
                return reader.result()
            if watchdog.cancelled():
                raise StreamError("an object is there that no list or event told of")
        finally:
            self.is_following = False
            self._watchdog = None
            reader.cancel()
            watchdog.cancel()
            await asyncio.gather(reader, watchdog, return_exceptions=True)
            await stream.close()
        self.stats.silent_streams += 1
        self._ladder.fell_silent()
        raise StreamError(f"silent for {self._settings.silence_s_max:.0f} s")

    async def _until_silent(self) -> None:
        """One timer for each stream, not for each read."""
        while True:
            quiet_s = self._clock.monotonic() - (self.heard_at or 0.0)
            if quiet_s >= self._settings.silence_s_max:
                return
            await self._clock.sleep(self._settings.silence_s_max - quiet_s)

    async def _read(self, stream: ByteStream, initial: _InitialState[T] | None) -> None:
        decoder = WatchDecoder(self._resource.view, line_bytes_max=self._settings.line_bytes_max)
        while chunk := await stream.read():
            self._heard()
            for number, event in enumerate(decoder.feed(chunk)):
                if number and number % _EVENTS_AT_ONCE == 0:
                    await self._clock.sleep(0.0)
                if initial is None or initial.is_whole:
                    self._handle(event)
                else:
                    self._gather(event, initial)
        self.stats.torn_lines += decoder.end()

    def _handle(self, event: WatchEvent[T]) -> None:
        """One event of the ordered part of a stream."""
        match event:
            case ObjectEvent(type=type_, object=obj):
                if self._advance(obj.metadata.version):
                    self._report(type_, obj)
            case Bookmark(resource_version=version):
                self._has_progress = True
                self._ladder.advanced(int(version))
                self._sink.bookmark(str(self._ladder.position))
            case Skipped():
                self._skip(event)
            case ErrorEvent(error=error):
                self._ladder.watch_failed(error, is_in_stream=True)
                raise StreamError(f"the server ended the stream: {error}") from error
            case LineTooLong():
                self.stats.long_lines += 1
                self._ladder.relist()
                raise _Nonsense(f"a line of more than {event.limit_bytes} bytes")

    def _report(self, type_: str, obj: T) -> None:
        if type_ == "DELETED":
            metadata = obj.metadata
            self._sink.gone(metadata.key, metadata.uid, metadata.version)
        else:
            self._sink.put(obj)

    def _skip(self, event: Skipped) -> None:
        identity = event.identity
        key, version = (identity.key, identity.version) if identity else (None, None)
        log.warning("%s: skipped %s %s: %s", self._resource, event.type, key, event.problem)
        if identity is None or key is None or version is None:
            self.stats.nonsense_events += 1
            self._ladder.made_no_sense()
            raise _Nonsense(f"an event that makes no sense: {event.problem}")
        # A sound event about an object whose content is odd: the cache keeps what it had of it.
        self.stats.skipped_objects += 1
        if self._advance(version) and event.type == "DELETED":
            self._sink.gone(key, identity.metadata.uid, version)

    def _advance(self, version: int) -> bool:
        self._has_progress = True
        is_new = self._ladder.advanced(version)
        self.stats.repeated_events += not is_new
        return is_new

    def _gather(self, event: WatchEvent[T], initial: _InitialState[T]) -> None:
        """One event of the unordered part: no version is taken from it."""
        match event:
            case ObjectEvent(type=type_, object=obj):
                initial.take(type_, self._share(obj))
            case Bookmark(resource_version=version, ends_initial=True):
                items, unreadable = list(initial.items.values()), initial.unreadable
                if not self._take_list(initial.step, items, version, unreadable):
                    raise _Nonsense(f"initial events of version {version}")
                initial.is_whole = self._has_progress = self.is_following = True
            case Bookmark():
                pass
            case Skipped():
                self.stats.skipped_objects += 1
                log.warning("%s: skipped %s: %s", self._resource, event.key, event.problem)
                initial.unreadable += [event.key] if event.key else []
            case ErrorEvent(error=error):
                raise error
            case LineTooLong():
                self.stats.long_lines += 1
                raise _Nonsense(f"a line of more than {event.limit_bytes} bytes")

    def _heard(self) -> None:
        self.heard_at = self._clock.monotonic()


class _InitialState(Generic[T]):
    """What a streamed list has brought so far."""

    def __init__(self, step: ListStep) -> None:
        self.step = step
        self.items: dict[ObjectKey, T] = {}
        self.unreadable: list[ObjectKey] = []
        self.is_whole = False

    def take(self, type_: str, obj: T) -> None:
        key = obj.metadata.key
        if type_ == "DELETED":
            self.items.pop(key, None)
        else:
            self.items[key] = obj
