"""Kubernetes Events: told later, in the lowest lane, merged, and dropped rather than waited for.

E1 `record` neither waits nor raises, whatever the API server does.
E2 Memory is bounded: the oldest untold event gives way to a new one, and is counted.
E3 Repeats of an event (same object, reason, action, type and note) become a series on one object:
   the second is told at once, further ones every few minutes with their count.
E4 One request at a time, at most `PER_S_MAX` a second: a burst of claims is not followed by a
   burst of events at once.
E5 A namespace that takes none, because it terminates or for want of the permission, is left alone
   for `SHUT_S`: what is untold there is dropped, and so is what is recorded meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from warmclaim.api.event import EVENT, ObjectReference, reference
from warmclaim.api.meta import Object, ObjectKey
from warmclaim.api.resources import Resource
from warmclaim.errors import (
    AlreadyExistsError,
    ForbiddenError,
    NamespaceTerminatingError,
    NotFoundError,
    NotPermittedError,
    PermanentError,
    WarmclaimError,
)
from warmclaim.kube.client import ApiClient
from warmclaim.kube.lease_record import micro_time
from warmclaim.seams import Channel, Clock, Rng

UNTOLD_MAX: Final = 1_000
SERIES_MAX: Final = 2_000
PER_S_MAX: Final = 20.0
TRIES_MAX: Final = 3
SWEEP_S: Final = 60.0
SERIES_TELL_S: Final = 300.0
"""A series is told of again after this long; it ends when nothing came for as long."""
SHUT_S: Final = 60.0
SHUT_MAX: Final = 1_000

_NOTE_BYTES_MAX = 1_024
_WORD_CHARS_MAX = 128
_NAME_CHARS_MAX = 253
_JITTER = 0.2
_FIRST_RETRY_S = 1.0

EventType: TypeAlias = Literal["Normal", "Warning"]

_log = logging.getLogger(__name__)


class _Identity(NamedTuple):
    """What repeats of an event have in common."""

    reporter: str
    regarding: ObjectReference
    type: str
    reason: str
    action: str
    note: str

    @property
    def namespace(self) -> str:
        """Where the event is: with its object, or where objects of the cluster have theirs."""
        return self.regarding.namespace or "default"


@dataclass(frozen=True, slots=True)
class _Series:
    """One event object and how often it was seen. `told` counts those that the server knows."""

    name: str
    first_wall_s: float
    last_wall_s: float
    last_s: float
    count: int = 1
    told: int = 0
    told_s: float = 0.0
    tries: int = 0


class EventRecorder:
    """Sends what was recorded while `run` runs.

    `instance` says which process it was (its host name). `gate` is awaited before each request, so
    that events can give way to more urgent work. `on_drop` hears of each event that is not told.
    """

    def __init__(
        self,
        client: ApiClient,
        *,
        clock: Clock,
        rng: Rng,
        instance: str,
        gate: Callable[[], Awaitable[None]] | None = None,
        on_drop: Callable[[], None] | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng
        self._instance = instance
        self._gate = gate
        self._on_drop = on_drop
        self._series: OrderedDict[_Identity, _Series] = OrderedDict()
        self._untold: OrderedDict[_Identity, None] = OrderedDict()
        self._has_untold = asyncio.Event()
        self._shut_until_s: OrderedDict[str, float] = OrderedDict()
        self._number = 0

    @property
    def remembered(self) -> int:
        """Series of events that are kept; a series ends when nothing came for a while."""
        return len(self._series)

    def of(self, reporter: str) -> EventReporter:
        """The recorder under a controller's own name, such as "sandboxclaim-controller"."""
        return EventReporter(self, reporter)

    def record(
        self,
        reporter: str,
        regarding: ObjectReference,
        type_: EventType,
        reason: str,
        action: str,
        note: str,
    ) -> None:
        """Have an event told some time, or merged, or dropped. O(1), a few microseconds."""
        # The version changes with each repeat; the object does not.
        identity = _Identity(
            reporter,
            regarding._replace(resource_version=""),
            type_,
            reason[:_WORD_CHARS_MAX],
            action[:_WORD_CHARS_MAX],
            _cut_bytes(note, _NOTE_BYTES_MAX),
        )
        now_s, wall_s = self._clock.monotonic(), self._clock.wall()
        if self._shut_until_s.get(identity.namespace, now_s) > now_s:
            self._drop()
            return
        known = self._series.pop(identity, None)
        if known is not None and now_s - known.last_s > SERIES_TELL_S:
            self._untold.pop(identity, None)
            known = None
        if known is None:
            series = _Series(self._name(regarding.name, wall_s), wall_s, wall_s, now_s)
        else:
            series = replace(known, count=known.count + 1, last_wall_s=wall_s, last_s=now_s)
        self._series[identity] = series
        if series.told < 2:
            self._put_untold(identity)
        if len(self._series) > SERIES_MAX:
            self._forget_oldest_series()

    async def run(self) -> None:
        """Tell what was recorded, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep_for_ever(), name="event series")
            tasks.create_task(self._tell_for_ever(), name="events")

    def _put_untold(self, identity: _Identity) -> None:
        if identity in self._untold:
            return
        if len(self._untold) >= UNTOLD_MAX:
            oldest, _ = self._untold.popitem(last=False)
            self._series.pop(oldest, None)
            self._drop()
        self._untold[identity] = None
        self._has_untold.set()

    def _forget_oldest_series(self) -> None:
        oldest, _ = self._series.popitem(last=False)
        if oldest in self._untold:
            del self._untold[oldest]
            self._drop()

    def _drop(self) -> None:
        if self._on_drop is not None:
            self._on_drop()

    def _name(self, object_name: str, wall_s: float) -> str:
        """`<object>.<hex>`, as other recorders do it; a number keeps those of one moment apart."""
        self._number += 1
        suffix = f".{max(int(wall_s * 1e6), 0) * 1000 + self._number % 1000:x}"
        return object_name[: _NAME_CHARS_MAX - len(suffix)].rstrip("-.") + suffix

    async def _sweep_for_ever(self) -> None:
        while True:
            await self._clock.sleep(SWEEP_S)
            self._sweep()

    def _sweep(self) -> None:
        """Tell again of series that went on, forget those that ended. O(series)."""
        now_s = self._clock.monotonic()
        for namespace in [name for name, until_s in self._shut_until_s.items() if until_s <= now_s]:
            del self._shut_until_s[namespace]
        for identity, series in list(self._series.items()):
            if identity in self._untold:
                continue
            is_over = now_s - series.last_s > SERIES_TELL_S
            if series.count > series.told and (is_over or now_s - series.told_s > SERIES_TELL_S):
                self._put_untold(identity)
            elif is_over:
                del self._series[identity]

    async def _tell_for_ever(self) -> None:
        while True:
            await self._has_untold.wait()
            if self._gate is not None:
                await self._gate()
            if self._untold:
                identity, _ = self._untold.popitem(last=False)
                await self._tell(identity)
            if not self._untold:
                self._has_untold.clear()
            await self._clock.sleep((1 + _JITTER * self._rng.random()) / PER_S_MAX)

    async def _tell(self, identity: _Identity) -> None:
        series = self._series.get(identity)
        if series is None:
            return
        try:
            await self._send(identity, series)
        except (NamespaceTerminatingError, NotPermittedError):
            self._shut(identity.namespace)
        except (ForbiddenError, PermanentError, NotFoundError) as error:
            self._give_up(identity, error)
        except WarmclaimError as error:
            await self._try_later(identity, series, error)
        else:
            now_s = self._clock.monotonic()
            self._update(identity, told=series.count, told_s=now_s, tries=0)

    async def _send(self, identity: _Identity, series: _Series) -> None:
        """One request. Repeating it is harmless: the name is fixed, the count is absolute."""
        namespace = identity.namespace
        if series.told:
            key = ObjectKey(namespace, series.name)
            patch = {"series": _series_body(series)}
            try:
                await self._client.merge_patch(EVENT, key, patch, channel=Channel.REFILL)
            except NotFoundError:  # events live for an hour: begin anew
                self._series.pop(identity, None)
            return
        body = self._body(identity, series, namespace)
        with suppress(AlreadyExistsError):  # ours, from a try whose answer was lost
            await self._client.create(EVENT, namespace, body, channel=Channel.REFILL)

    async def _try_later(self, identity: _Identity, series: _Series, error: WarmclaimError) -> None:
        if series.tries + 1 >= TRIES_MAX:
            self._give_up(identity, error)
            return
        self._update(identity, tries=series.tries + 1)
        self._put_untold(identity)
        await self._clock.sleep(_FIRST_RETRY_S * 2**series.tries)

    def _give_up(self, identity: _Identity, error: WarmclaimError) -> None:
        self._series.pop(identity, None)
        self._untold.pop(identity, None)
        self._drop()
        _log.debug("event not told: %s", error, extra={"reason": identity.reason})

    def _shut(self, namespace: str) -> None:
        """Leave a namespace alone for a while. O(series)."""
        self._shut_until_s[namespace] = self._clock.monotonic() + SHUT_S
        self._shut_until_s.move_to_end(namespace)
        if len(self._shut_until_s) > SHUT_MAX:
            self._shut_until_s.popitem(last=False)
        self._drop()  # the one that was refused, which is no longer among the untold
        for identity in [one for one in self._series if one.namespace == namespace]:
            del self._series[identity]
            if identity in self._untold:
                del self._untold[identity]
                self._drop()
        _log.debug("no events for a while", extra={"namespace": namespace})

    def _update(self, identity: _Identity, **changes: Any) -> None:
        # Repeats may have come, or the series may be gone, while the request was under way.
        if (series := self._series.get(identity)) is not None:
            self._series[identity] = replace(series, **changes)

    def _body(self, identity: _Identity, series: _Series, namespace: str) -> dict[str, Any]:
        about = identity.regarding
        body: dict[str, Any] = {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": series.name, "namespace": namespace},
            "eventTime": micro_time(series.first_wall_s),
            "reportingController": identity.reporter,
            "reportingInstance": f"{identity.reporter}-{self._instance}"[:_WORD_CHARS_MAX],
            "action": identity.action,
            "reason": identity.reason,
            "regarding": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
            "note": identity.note,
            "type": identity.type,
        }
        return body if series.count == 1 else {**body, "series": _series_body(series)}


class EventReporter:
    """An EventRecorder under one controller's name."""

    def __init__(self, recorder: EventRecorder, reporter: str) -> None:
        self._recorder = recorder
        self._reporter = reporter

    def record(
        self, regarding: ObjectReference, type_: EventType, reason: str, action: str, note: str
    ) -> None:
        """See EventRecorder.record."""
        self._recorder.record(self._reporter, regarding, type_, reason, action, note)

    def normal(
        self, resource: Resource[Object], regarding: Object, reason: str, action: str, note: str
    ) -> None:
        """Something went as it should."""
        self.record(reference(resource, regarding), "Normal", reason, action, note)

    def warning(
        self, resource: Resource[Object], regarding: Object, reason: str, action: str, note: str
    ) -> None:
        """Something needs a person's eye."""
        self.record(reference(resource, regarding), "Warning", reason, action, note)


def _series_body(series: _Series) -> dict[str, Any]:
    return {"count": series.count, "lastObservedTime": micro_time(series.last_wall_s)}


def _cut_bytes(text: str, bytes_max: int) -> str:
    """`text` in at most that many bytes of UTF-8, cut between characters."""
    raw = text.encode("utf-8", "replace")
    return raw[:bytes_max].decode("utf-8", "ignore")
