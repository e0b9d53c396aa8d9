"""What etcd is to an API server: objects with a history, and one counter for all of them.

Pure and synchronous. Objects are plain dicts that nobody may change once they are committed: a new
version shares what it did not change with the old one, and each version is encoded at most once.

    store = ObjectStore(history_max=10_000)
    store.put("pods", "default/a", {"metadata": {"name": "a"}})    # -> Commit(rv=2, ADDED)
    store.events_after("pods", rv=1)                               # -> [that commit]
    store.scan("pods", prefix="default/", at=2)                    # the list as it was at 2

Keys are "namespace/name", or "name" for what is in no namespace: the order of a list is the byte
order of these, as it is in etcd ("a-b/x" comes before "a/x").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TypeAlias

import msgspec
from sortedcontainers import SortedDict

from warmclaim.testing.json_values import Json

FIRST_RV = 1
OBJECT_MAX_BYTES = 1_572_864


class Verb(StrEnum):
    """What a commit did to its object; the word that a watch event carries."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


class CompactedError(Exception):
    """History before this point is gone. `oldest` is the first version still readable."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"resource version {asked} is older than {oldest}")
        self.asked = asked
        self.oldest = oldest


class TooLargeError(Exception):
    """The object is larger than the store takes."""


class Commit:
    """One change of one object, and the object as it was after it; `encoded` is it as JSON.

    For DELETED, `object` is the last state with the version of the deletion. `before` is the
    state before, None for ADDED. Neither may be changed.
    """

    __slots__ = ("before", "encoded", "key", "object", "resource", "rv", "verb")

    def __init__(
        self, rv: int, resource: str, key: str, verb: Verb, before: Json | None, after: Json
    ) -> None:
        self.rv = rv
        self.resource = resource
        self.key = key
        self.verb = verb
        self.before = before
        self.object = after
        self.encoded = msgspec.json.encode(after)

    @property
    def is_live(self) -> bool:
        return self.verb is not Verb.DELETED

    def __repr__(self) -> str:
        return f"Commit({self.rv} {self.verb} {self.resource} {self.key})"


class _Table:
    """All versions of the objects of one resource that the history still reaches."""

    __slots__ = ("chains", "floor", "log", "lost")

    def __init__(self) -> None:
        self.chains: SortedDict[str, list[Commit]] = SortedDict()
        self.log: deque[Commit] = deque()
        self.floor = 0  # a watch may start from here or later
        self.lost = 0  # the newest event of this resource that is no longer in the log


Observer: TypeAlias = Callable[[Commit], None]


class ObjectStore:
    """Objects by resource and key, all their versions within the history, one counter.

    `history_max` bounds the events kept (all resources together); older ones are compacted away,
    and reads of a version before them raise CompactedError. `object_bytes_max` bounds one object
    and may be lowered. `observers` are called at the end of
    every commit, in order, before the writer goes on; what one of them raises reaches the writer.
    """

    def __init__(self, *, history_max: int = 10_000) -> None:
        self.rv = FIRST_RV
        self.object_bytes_max = OBJECT_MAX_BYTES
        self.compacted_rv = 0
        self.observers: list[Observer] = []
        self._history_max = history_max
        self._history: deque[Commit] = deque()
        self._tables: dict[str, _Table] = {}

    def get(self, resource: str, key: str, *, at: int | None = None) -> Commit | None:
        """The object's newest version, or the one that was newest at `at`; None if there was none.

        Raises CompactedError where `at` is before the history. Cost: O(1), with `at` O(versions).
        """
        self._require(at)
        table = self._tables.get(resource)
        chain = table.chains.get(key) if table else None
        return _newest(chain, at) if chain else None

    def scan(
        self, resource: str, *, prefix: str = "", after: str = "", at: int | None = None
    ) -> Iterator[Commit]:
        """Objects whose key begins with `prefix` and is greater than `after`, in key order.

        Raises CompactedError where `at` is before the history. Cost: O(objects in the range);
        the store must not be changed while it runs.
        """
        self._require(at)
        table = self._tables.get(resource)
        if table is None:
            return
        start = max(prefix, after)
        for key in table.chains.irange(start, inclusive=(start != after, True)):
            if not key.startswith(prefix):
                return
            if (commit := _newest(table.chains[key], at)) is not None:
                yield commit

    def put(self, resource: str, key: str, value: Json) -> Commit:
        """Creates or replaces an object and returns the commit; sets metadata.resourceVersion.

        Takes `value` over: the caller must not change it, or anything in it, afterwards. Raises
        TooLargeError beyond `object_bytes_max` of JSON, and changes nothing then.
        """
        chain = self._table(resource).chains.get(key, [])
        verb = Verb.ADDED if _newest(chain, None) is None else Verb.MODIFIED
        return self._append(resource, key, chain, verb, value)

    def delete(self, resource: str, key: str) -> Commit:
        """Removes an object. Raises KeyError if there is no such object."""
        chain = self._table(resource).chains.get(key, [])
        last = _newest(chain, None)
        if last is None:
            raise KeyError(f"{resource} {key}")
        return self._append(resource, key, chain, Verb.DELETED, last.object)

    def events_after(self, resource: str, rv: int) -> list[Commit]:
        """The commits of one resource later than `rv`, in order.

        Raises CompactedError if one of them is gone. Cost: O(number returned).
        """
        table = self._table(resource)
        if rv < table.lost:
            raise CompactedError(rv, self.compacted_rv + 1)
        found: list[Commit] = []
        for commit in reversed(table.log):
            if commit.rv <= rv:
                break
            found.append(commit)
        found.reverse()
        return found

    def require_watchable(self, resource: str, rv: int) -> None:
        """Raises CompactedError if a new watch from `rv` may miss an event."""
        floor = self._table(resource).floor
        if rv < floor:
            raise CompactedError(rv, floor)

    def count(self, resource: str) -> int:
        """Number of objects of one resource. Cost: O(objects)."""
        return sum(1 for _ in self.scan(resource))

    def history_bytes(self) -> int:
        """Size of all versions kept, as JSON. Cost: O(versions kept)."""
        return sum(
            len(commit.encoded)
            for table in self._tables.values()
            for chain in table.chains.values()
            for commit in chain
        )

    def compact(self, rv: int | None = None) -> None:
        """Forgets all history up to and including `rv` (None: all of it)."""
        rv = self.rv if rv is None else rv
        while self._history and self._history[0].rv <= rv:
            self._forget_oldest()
        self.compacted_rv = max(self.compacted_rv, rv)
        for table in self._tables.values():
            table.floor = max(table.floor, rv)

    def check(self) -> None:
        """Asserts the store's own invariants; for tests. Cost: O(everything kept)."""
        assert [c.rv for c in self._history] == sorted({c.rv for c in self._history})
        assert len(self._history) <= self._history_max
        assert sum(len(table.log) for table in self._tables.values()) == len(self._history)
        for table in self._tables.values():
            for key, chain in table.chains.items():
                assert chain, key
                assert [c.rv for c in chain] == sorted({c.rv for c in chain}), key
                assert all(c.rv > self.compacted_rv for c in chain[1:]), key
                for commit in chain:
                    unchanged = msgspec.json.encode(commit.object) == commit.encoded
                    assert unchanged, f"{commit} was changed after it was committed"

    def _table(self, resource: str) -> _Table:
        table = self._tables.get(resource)
        if table is None:
            table = self._tables[resource] = _Table()
            table.floor = self.compacted_rv
        return table

    def _require(self, at: int | None) -> None:
        if at is not None and at < self.compacted_rv:
            raise CompactedError(at, self.compacted_rv)

    def _append(
        self, resource: str, key: str, chain: list[Commit], verb: Verb, value: Json
    ) -> Commit:
        before = chain[-1].object if chain and chain[-1].is_live else None
        metadata = {**value["metadata"], "resourceVersion": str(self.rv + 1)}
        value = {**value, "metadata": metadata}
        commit = Commit(self.rv + 1, resource, key, verb, before, value)
        if len(commit.encoded) > self.object_bytes_max:
            raise TooLargeError(f"{resource} {key}: {len(commit.encoded)} bytes")
        self.rv = commit.rv
        if not chain:
            self._tables[resource].chains[key] = chain
        chain.append(commit)
        self._tables[resource].log.append(commit)
        self._history.append(commit)
        if len(self._history) > self._history_max:
            self._forget_oldest()
        for observe in tuple(self.observers):
            observe(commit)
        return commit

    def _forget_oldest(self) -> None:
        oldest = self._history.popleft()
        table = self._tables[oldest.resource]
        table.log.popleft()
        table.lost = table.floor = self.compacted_rv = oldest.rv
        chain = table.chains[oldest.key]
        while len(chain) > 1 and chain[1].rv <= oldest.rv:
            del chain[0]
        if not chain[0].is_live and chain[0].rv <= oldest.rv:
            del chain[0]
        if not chain:
            del table.chains[oldest.key]


def _newest(chain: list[Commit], at: int | None) -> Commit | None:
    for commit in reversed(chain):
        if at is None or commit.rv <= at:
            return commit if commit.is_live else None
    return None
