"""Informer: keeps a store current and tells its subscribers of each change.

Two sources feed the store: the watch, and the answers to this process's own requests (`observe`),
which are often earlier. What is newer wins, by resourceVersion; the watch's later copy of an own
write is then no news and causes no second pass.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from warmclaim.api.meta import Object, ObjectKey
from warmclaim.api.resources import Resource
from warmclaim.kube.answers import plain
from warmclaim.kube.client import ApiClient
from warmclaim.kube.ladder import ReflectorSettings
from warmclaim.kube.recent import RecentUids
from warmclaim.kube.reflector import Reflector
from warmclaim.kube.sharing import Sharer
from warmclaim.kube.sink import ReflectorStats
from warmclaim.kube.store import IndexFunction, Store
from warmclaim.seams import Clock, Rng

T = TypeVar("T", bound=Object)

log = logging.getLogger(__name__)

# Uids learned to be gone before the watch said so; each is forgotten when it does.
_GONE_UIDS_MAX: Final = 10_000

# Uids of which the watch has said so, for answers that come later than it. No answer is so late,
# save where somebody sets such time limits; it costs a list then.
ENDED_S_MAX: Final = 600.0
_ENDED_UIDS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """`old` None: came. `new` None: is gone. An object with the name of another but not its uid
    makes two changes. `is_initial`: was there when the informer started. `is_own`: the answer to
    a request of this process, whose sender goes on by itself."""

    old: T | None
    new: T | None
    is_initial: bool = False
    is_own: bool = False


class Informer(Generic[T]):
    """The cache of one kind, never of one object or one claim.

    `store` is complete once `is_synced`; from then on it lags behind the server by the watch's
    delay, `staleness_s` at most. Subscribers are called synchronously and in order. An exception
    in one is logged and counted, and the others still hear of the change: one poison object
    never stops a kind (`do_handlers_raise` is for tests).
    """

    def __init__(
        self,
        client: ApiClient,
        resource: Resource[T],
        *,
        clock: Clock,
        rng: Rng,
        indexes: Mapping[str, IndexFunction[T]] | None = None,
        namespace: str | None = None,
        label_selector: str | None = None,
        settings: ReflectorSettings | None = None,
        do_handlers_raise: bool = False,
    ) -> None:
        self.resource = resource
        self.store: Store[T] = Store(indexes)
        self.handler_errors = 0
        self._clock = clock
        self._handlers: list[Callable[[Change[T]], None]] = []
        self._do_handlers_raise = do_handlers_raise
        self._synced = asyncio.Event()
        self._gone_uids: dict[str, None] = {}
        # Told by a list or the watch.
        self._ended_uids = RecentUids(clock, s_max=ENDED_S_MAX, uids_max=_ENDED_UIDS_MAX)
        # The store holds all changes up to here, besides newer ones that were observed.
        self._position = 0
        self._sharer = Sharer()
        self._reflector = Reflector(
            client,
            resource,
            self,
            clock=clock,
            rng=rng,
            namespace=namespace,
            label_selector=label_selector,
            settings=settings,
            share=self._sharer.share,
        )

    @property
    def is_synced(self) -> bool:
        """Was the whole state read once, and every subscriber told?"""
        return self._synced.is_set()

    @property
    def stats(self) -> ReflectorStats:
        return self._reflector.stats

    @property
    def skipped(self) -> int:
        """Objects and events that could not be read, so far."""
        return self.stats.skipped_objects + self.stats.nonsense_events + self.stats.long_lines

    @property
    def last_error(self) -> str:
        """Why the last list or watch failed, in one line; "" after one that did not."""
        return self._reflector.last_error

    @property
    def position(self) -> int:
        """The resourceVersion up to which the store is complete; 0 before it is synced."""
        return self._position

    @property
    def ended_uids(self) -> int:
        """Objects that are remembered to have ended: those of the last `ENDED_S_MAX` seconds."""
        return len(self._ended_uids)

    def staleness_s(self) -> float:
        """Seconds since the last word from the server; infinite before the first.

        A quiet but healthy watch says something at least every 60 s.
        """
        heard_at = self._reflector.heard_at
        return float("inf") if heard_at is None else self._clock.monotonic() - heard_at

    def unwatched_s(self) -> float:
        """Seconds for which changes may have been missed: 0 while a watch is open, however quiet
        the cluster is; infinite before the first."""
        return 0.0 if self._reflector.is_following else self.staleness_s()

    def subscribe(self, handler: Callable[[Change[T]], None]) -> None:
        """Have `handler` called for every change from now on. It must not await or block.

        What is in the store already is delivered at once, so the order of start does not matter.
        """
        self._handlers.append(handler)
        for obj in sorted(self.store.values(), key=_by_age):
            self._call(handler, Change(None, obj, is_initial=True))

    async def run(self) -> None:
        """List and watch until cancelled; an exception out of here is a bug."""
        await self._reflector.run()

    async def wait_synced(self) -> None:
        """Return once `is_synced`."""
        await self._synced.wait()

    def observe(self, obj: T) -> None:
        """Take in the answer to an own write or an authoritative read.

        Ignored where the watch has seen as much already, and before the first list, which brings
        it anyway. `obj` must match the informer's namespace and selector.

        An object that should have been told of by now, and neither was nor was told to have
        ended, is taken in and everything is listed anew: either the watch has lost an event, or
        the object came and went between two lists. Until the list says which, it counts: whoever
        has just created something must not create it again.
        """
        metadata = obj.metadata
        cached = self.store.get(metadata.key)
        if not self.is_synced or metadata.uid in self._gone_uids:
            return
        is_cached = cached is not None and cached.metadata.uid == metadata.uid
        is_news = is_cached or metadata.version > self._position
        if not is_news and metadata.uid not in self._ended_uids:
            self._reflector.doubt()
            is_news = True
        if is_news:
            self._take(obj, is_own=True)

    def observe_absent(self, key: ObjectKey, uid: str) -> None:
        """An authoritative answer said that this very object does not exist.

        One that has the name by now but another uid is left alone: the watch may have told of it
        while the answer was on its way. No late event brings the uid back.
        """
        cached = self.store.get(key)
        if cached is not None and cached.metadata.uid == uid:
            self._drop(key)
        self._note_gone(uid)

    def observe_deletion(self, key: ObjectKey, uid: str, left: T | None) -> None:
        """Take in the answer to an own delete: `left` is the object, which stays for a while, None
        says that it is gone. A watch may be silent for minutes, and until it speaks the object
        would look as if it lived."""
        if left is None:
            self.observe_absent(key, uid)
        else:
            self.observe(left)

    # ReflectorSink: called by the reflector only.

    def replace(
        self,
        items: Sequence[T],
        resource_version: str,
        *,
        unreadable: Sequence[ObjectKey],
        is_reset: bool,
    ) -> None:
        """Make the store what the list says, then tell of each difference, oldest object first.

        Kept all the same: objects observed at versions newer than the list, and the last readable
        state of those that are there but cannot be read. Not over a reset: versions of before it
        would outlive whatever comes after it.
        """
        version = int(resource_version)
        keep: set[ObjectKey] = set()
        if is_reset:
            self._gone_uids.clear()
        else:
            keep.update(unreadable)
            keep.update(o.metadata.key for o in self.store.values() if o.metadata.version > version)
            items = [o for o in items if o.metadata.uid not in self._gone_uids]
        listed = {obj.metadata.key: obj for obj in items}
        changes: list[Change[T]] = []
        cached_keys = self.store.keys()
        for key in cached_keys:
            if key not in listed and key not in keep:
                changes.append(Change(self._removed(key), None))
        is_initial = not self.is_synced
        for key, obj in sorted(listed.items(), key=lambda entry: _by_age(entry[1])):
            if key not in keep:
                changes += self._put(obj, is_initial=is_initial)
        self._position = version
        self._deliver(changes)
        self._synced.set()

    def put(self, obj: T) -> None:
        """An event: the object came or changed."""
        self._position = max(self._position, obj.metadata.version)
        if obj.metadata.uid not in self._gone_uids:
            self._take(obj)

    def gone(self, key: ObjectKey, uid: str, version: int) -> None:
        """An event: the object was deleted."""
        self._position = max(self._position, version)
        self._gone_uids.pop(uid, None)
        self._ended_uids.note(uid)
        cached = self.store.get(key)
        if cached is None:
            return
        # Whatever else was cached under the name and is older must have gone before it.
        if cached.metadata.uid == uid or cached.metadata.version < version:
            self._drop(key)

    def bookmark(self, resource_version: str) -> None:
        """An event: nothing else happened up to that version."""
        self._position = max(self._position, int(resource_version))

    # The store and the subscribers.

    def _take(self, obj: T, *, is_own: bool = False) -> None:
        """Enter an object, unless the cached one is as new."""
        cached = self.store.get(obj.metadata.key)
        if cached is not None and cached.metadata.version >= obj.metadata.version:
            return
        if not is_own:
            # After the return: every other event is the copy of an own write, and dropped.
            obj = self._sharer.share(obj)
        if cached is not None and cached.metadata.uid != obj.metadata.uid:
            # Subscribers of the end see a store without it, those of the beginning one with it.
            self._drop(obj.metadata.key)
        self._deliver(self._put(obj, is_initial=False, is_own=is_own))

    def _put(self, obj: T, *, is_initial: bool, is_own: bool = False) -> list[Change[T]]:
        cached = self.store.get(obj.metadata.key)
        if cached is None:
            self.store.put(obj)
            return [Change(None, obj, is_initial, is_own)]
        if cached.metadata.uid != obj.metadata.uid:
            self._removed(obj.metadata.key)
            self.store.put(obj)
            return [Change(cached, None), Change(None, obj)]
        if cached == obj:
            return []
        self.store.put(obj)
        return [Change(cached, obj, is_own=is_own)]

    def _drop(self, key: ObjectKey) -> None:
        self._deliver([Change(self._removed(key), None)])

    def _removed(self, key: ObjectKey) -> T | None:
        removed = self.store.remove(key)
        if removed is not None:
            self._ended_uids.note(removed.metadata.uid)
        return removed

    def _note_gone(self, uid: str) -> None:
        """Remember one more; the oldest is forgotten."""
        self._gone_uids[uid] = None
        if len(self._gone_uids) > _GONE_UIDS_MAX:
            del self._gone_uids[next(iter(self._gone_uids))]

    def _deliver(self, changes: Sequence[Change[T]]) -> None:
        for change in changes:
            for handler in self._handlers:
                self._call(handler, change)

    def _call(self, handler: Callable[[Change[T]], None], change: Change[T]) -> None:
        try:
            handler(change)
        except Exception as error:
            if self._do_handlers_raise:
                raise
            self.handler_errors += 1
            subject = change.new or change.old
            key = subject.metadata.key if subject else None
            log.error("%s %s: a subscriber failed: %s", self.resource, key, plain(repr(error)))


def _by_age(obj: Object) -> tuple[str, str, str]:
    metadata = obj.metadata
    return metadata.creation_timestamp, metadata.namespace, metadata.name
