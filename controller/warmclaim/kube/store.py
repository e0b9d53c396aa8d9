"""Store: the cached objects of one kind, by key and by named indexes.

Everybody reads it; only its informer writes it. All of it happens on one event loop, between two
awaits nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, ValuesView
from typing import Generic, TypeAlias, TypeVar

from warmclaim.api.meta import Object, ObjectKey

T = TypeVar("T", bound=Object)

# A value that indexes one object maps to its key; a dict (ordered, unlike a set) is made for the
# second. Most values of an index by owner have one object: that saves 230 bytes for each.
_Bucket: TypeAlias = ObjectKey | dict[ObjectKey, None]
IndexFunction: TypeAlias = Callable[[T], Iterable[str]]


class Store(Generic[T]):
    """Objects by key. `indexes` names functions that give the values an object is found under.

    An object with no value for an index is not in it. An index function that raises counts as
    giving none, so that one odd object cannot keep the others from being cached; `index_errors`
    says how often that was.
    """

    def __init__(self, indexes: Mapping[str, IndexFunction[T]] | None = None) -> None:
        self._objects: dict[ObjectKey, T] = {}
        self._functions = dict(indexes or {})
        self._indexes: dict[str, dict[str, _Bucket]] = {name: {} for name in self._functions}
        self.index_errors = 0

    def get(self, key: ObjectKey) -> T | None:
        """O(1)."""
        return self._objects.get(key)

    def by_index(self, index: str, value: str) -> tuple[T, ...]:
        """The objects under a value, oldest entry first; O(hits). KeyError: no such index."""
        bucket = self._indexes[index].get(value)
        if bucket is None:
            return ()
        if isinstance(bucket, dict):
            return tuple([self._objects[key] for key in bucket])
        return (self._objects[bucket],)

    def count(self, index: str, value: str) -> int:
        """How many objects stand under a value; O(1)."""
        bucket = self._indexes[index].get(value)
        if bucket is None:
            return 0
        return len(bucket) if isinstance(bucket, dict) else 1

    def keys(self) -> tuple[ObjectKey, ...]:
        """All keys, copied: O(objects)."""
        return tuple(self._objects)

    def values(self) -> ValuesView[T]:
        """A live view: walk it without an await in between, or copy it."""
        return self._objects.values()

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, key: object) -> bool:
        return key in self._objects

    def put(self, obj: T) -> None:
        """Insert, or replace what has the same key."""
        key = obj.metadata.key
        old = self._objects.get(key)
        if old is not None:
            self._reindex(key, old, obj)
        else:
            for index, function in self._functions.items():
                for value in self._values(function, obj):
                    _enter(self._indexes[index], value, key)
        self._objects[key] = obj

    def remove(self, key: ObjectKey) -> T | None:
        """Drop and return the object under the key."""
        old = self._objects.pop(key, None)
        if old is not None:
            for index, function in self._functions.items():
                for value in self._values(function, old):
                    _leave(self._indexes[index], value, key)
        return old

    def check(self) -> None:
        """Assert that each index holds exactly what its function gives; O(objects)."""
        for index, function in self._functions.items():
            expected: dict[str, set[ObjectKey]] = {}
            for key, obj in self._objects.items():
                assert obj.metadata.key == key
                for value in self._values(function, obj):
                    expected.setdefault(value, set()).add(key)
            buckets = self._indexes[index].items()
            assert {value: set(_members(bucket)) for value, bucket in buckets} == expected

    def _reindex(self, key: ObjectKey, old: T, new: T) -> None:
        # Most changes move no index value; then the buckets keep their order.
        for index, function in self._functions.items():
            before, after = self._values(function, old), self._values(function, new)
            if before == after:
                continue
            for value in before:
                if value not in after:
                    _leave(self._indexes[index], value, key)
            for value in after:
                if value not in before:
                    _enter(self._indexes[index], value, key)

    def _values(self, function: IndexFunction[T], obj: T) -> tuple[str, ...]:
        try:
            return tuple(function(obj))
        except Exception:
            self.index_errors += 1
            return ()


def _members(bucket: _Bucket) -> tuple[ObjectKey, ...]:
    return tuple(bucket) if isinstance(bucket, dict) else (bucket,)


def _enter(index: dict[str, _Bucket], value: str, key: ObjectKey) -> None:
    bucket = index.get(value)
    if bucket is None:
        index[value] = key
    elif isinstance(bucket, dict):
        bucket[key] = None
    elif bucket != key:
        index[value] = {bucket: None, key: None}


def _leave(index: dict[str, _Bucket], value: str, key: ObjectKey) -> None:
    bucket = index.get(value)
    if bucket == key:
        del index[value]
    elif isinstance(bucket, dict):
        bucket.pop(key, None)
        if not bucket:
            del index[value]
