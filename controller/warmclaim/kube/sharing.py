"""One copy of what many cached objects have in common.

Decoding makes a new string for every value, and the objects of a pool differ in little: their
conditions, labels and owners are the same words again. A sandbox with its pod takes 6.3 KiB as
decoded and 2.4 KiB shared, store and indexes included, for 15 us an object (measured with 10,000
of each, CPython 3.11). What is shared must not be changed; views are not.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec.structs import force_setattr

T = TypeVar("T")

# Two generations of this size at most: 1 MiB at most for each kind, filled only by what differs.
# Sixteen times as many would save 1 % of the objects' memory. The second bound is for
# tenants who write texts of 1 MB, and another one each time.
_ENTRIES_MAX: Final = 512
_CHARS_MAX: Final = 256 * 1024
# No two objects share these; remembering them would only push out what is shared.
_UNIQUE_FIELDS: Final = frozenset(("name", "uid", "resource_version"))

# Which fields of a struct to look at, and whether equal ones are kept once as a whole.
_Plan = tuple[tuple[str, ...], bool]
_plans: dict[type, _Plan | None] = {}


class Sharer:
    """Replaces equal immutable parts by one of them. Bounded: what is not met again for a while is
    forgotten, and then merely stored twice."""

    def __init__(self, entries_max: int = _ENTRIES_MAX, chars_max: int = _CHARS_MAX) -> None:
        self._entries_max = entries_max
        self._chars_max = chars_max
        self._chars = 0
        self._recent: dict[Any, Any] = {}
        self._older: dict[Any, Any] = {}

    def share(self, obj: T) -> T:
        """`obj`, a view fresh from the decoder, with its parts exchanged in place. O(fields)."""
        plan = _plan_of(type(obj))
        if plan is not None:
            self._descend(obj, plan[0])
        return obj

    def _descend(self, struct: Any, names: tuple[str, ...]) -> None:
        for name in names:
            value = getattr(struct, name)
            if value:
                shared = self._shared(value)
                if shared is not value:
                    force_setattr(struct, name, shared)

    def _shared(self, value: Any) -> Any:
        """The one copy of `value`. A hit on a whole part ends the descent into it."""
        kind: type[Any] = value.__class__
        if kind is str:
            return self._recent.get(value) or self._remembered(value, value)
        if kind is dict:
            return self._shared_dict(value)
        if kind is tuple:
            return self._shared_tuple(value)
        plan = _plan_of(kind)
        if plan is None:
            return value
        names, is_shared_whole = plan
        if not is_shared_whole:
            self._descend(value, names)
            return value
        known = self._recent.get(value)
        if known is None:
            self._descend(value, names)
            known = self._remembered(value, value)
        return known

    def _shared_tuple(self, value: tuple[Any, ...]) -> Any:
        try:
            known = self._recent.get(value)
        except TypeError:  # it holds something that does not hash
            return value
        if known is not None:
            return known
        parts = tuple([self._shared(part) for part in value])
        return self._remembered(parts, parts)

    def _shared_dict(self, value: dict[Any, Any]) -> Any:
        key = (dict, *value.items())  # a tuple of the same pairs is something else
        try:
            known = self._recent.get(key)
        except TypeError:
            return value
        if known is None:
            parts = {self._shared(name): self._shared(part) for name, part in value.items()}
            known = self._remembered(key, parts)
        return known

    def _remembered(self, key: Any, new: Any) -> Any:
        known = self._older.get(key, new)
        chars = _chars_of(new)
        if len(self._recent) >= self._entries_max or self._chars + chars > self._chars_max:
            self._recent, self._older, self._chars = {}, self._recent, 0
        self._recent[key] = known
        self._chars += chars
        return known


def _chars_of(value: Any) -> int:
    """Length of the texts that `value` is or directly holds; what is deeper was counted there."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_chars_of_text, cast("dict[object, object]", value).values()))
    if isinstance(value, tuple):
        return sum(map(_chars_of_text, cast("tuple[object, ...]", value)))
    return sum(_chars_of_text(getattr(value, name)) for name in value.__struct_fields__)


def _chars_of_text(value: object) -> int:
    return len(value) if isinstance(value, str) else 0


def _plan_of(kind: type) -> _Plan | None:
    try:
        return _plans[kind]
    except KeyError:
        plan = _plans[kind] = _new_plan(kind)
        return plan


def _new_plan(kind: type) -> _Plan | None:
    if not issubclass(kind, msgspec.Struct):
        return None
    fields = msgspec.structs.fields(kind)
    is_metadata = any(field.name == "resource_version" for field in fields)
    names = tuple(
        field.name
        for field in fields
        if field.type not in (int, bool, float)
        and not (is_metadata and field.name in _UNIQUE_FIELDS)
    )
    # Structs of words only: conditions, references. Larger ones are never equal as a whole.
    plain = (str, int, bool, float)
    is_shared_whole = kind.__struct_config__.frozen and all(
        field.type in plain or field.type in (str | None, bool | None) for field in fields
    )
    return names, is_shared_whole
