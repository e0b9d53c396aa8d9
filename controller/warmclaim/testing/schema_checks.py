"""The checks that a schema's keywords stand for, with the words of the real server. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from warmclaim.testing.json_values import Json, is_array, is_object
from warmclaim.testing.patch import same_json

TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


class Problem(NamedTuple):
    """One broken rule. `reason` is the word of a Status cause."""

    field: str
    reason: str
    message: str

    @property
    def cause(self) -> Json:
        return {"reason": self.reason, "message": self.message, "field": self.field}


Transition = Callable[[Any, Any], bool]


class Rule(NamedTuple):
    """One x-kubernetes-validations entry: whether (new, old) passes, and what it says if not."""

    passes: Transition
    message: str


def known_rule(rule: str, message: str) -> Rule:
    """The function for a CEL rule. Only "X is immutable" rules are known: X may not be added,
    changed or removed after creation. Raises ValueError for any other.
    """
    named = re.fullmatch(r"(\w+) is immutable", message)
    if not named or f"oldSelf.{named[1]}" not in rule:
        raise ValueError(f"no function for the CEL rule {rule!r}")
    field = named[1]

    def is_unchanged(new: Any, old: Any) -> bool:
        return same_json(new.get(field), old.get(field))

    return Rule(is_unchanged, message)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if is_object(value):
        return '"object"'
    if is_array(value):
        return '"array"'
    return str(value)


def wrong_type(value: Any, wanted: str, path: str) -> Problem:
    # Booleans are ints to Python: ask for them first.
    order = ("boolean", "object", "array", "string", "integer")
    fits = (word for word in order if isinstance(value, TYPES[word]))
    actual = "null" if value is None else next(fits, "number")
    message = f'Invalid value: "{actual}": {path} in body must be of type {wanted}: "{actual}"'
    return Problem(path, "FieldValueTypeInvalid", message)


Check = Callable[[Any, str], Problem | None]


def checks_of(schema: Json) -> Iterator[Check]:
    of_text = [make(schema[keyword]) for keyword, make in _OF_TEXT.items() if keyword in schema]
    if of_text:
        yield _first(of_text)
    if schema.get("format") in _FORMATS:
        yield _FORMATS[schema["format"]]
    for keyword, make in _MAKERS.items():
        if keyword in schema:
            yield make(schema[keyword])
    if "enum" in schema:
        yield _enum(schema["enum"])


def _first(checks: list[Check]) -> Check:
    """Of the limits of a text only the first that is broken is told."""

    def check(value: Any, path: str) -> Problem | None:
        return next(filter(None, (check(value, path) for check in checks)), None)

    return check


def _date_time(value: Any, path: str) -> Problem | None:
    if not isinstance(value, str):
        return None
    try:
        if _RFC3339.match(value) and datetime.fromisoformat(value.upper()):
            return None
    except ValueError:
        pass
    message = (
        f"Invalid value: {_shown(value)}: {path} in body must be of type date-time: {_shown(value)}"
    )
    return Problem(path, "FieldValueTypeInvalid", message)


def _integer(bits: int) -> Check:
    limit = 1 << bits - 1

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, int | float) or -limit <= value < limit:
            return None
        message = (
            'Invalid value: "": Checked value must be of type integer with format '
            f"int{bits} in {path}"
        )
        return Problem("<nil>", "FieldValueInvalid", message)

    return check


def _enum(allowed: list[Any]) -> Check:
    listed = ", ".join(_shown(word) for word in allowed)

    def check(value: Any, path: str) -> Problem | None:
        if any(same_json(value, word) for word in allowed):
            return None
        message = f"Unsupported value: {_shown(value)}: supported values: {listed}"
        return Problem(path, "FieldValueNotSupported", message)

    return check


def _pattern(pattern: str) -> Check:
    # Schemas have RE2, where `$` is the very end of the text.
    found = re.compile(re.sub(r"(?<!\\)\$(?=$|\))", r"\\Z", pattern))

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, str) or found.search(value):
            return None
        return _invalid(value, path, f"should match '{pattern}'")

    return check


def _bound(said: str, kind: type | tuple[type, ...], breaks: Callable[[Any, Any], bool]) -> Any:
    def make(limit: Any) -> Check:
        def check(value: Any, path: str) -> Problem | None:
            if not isinstance(value, kind) or isinstance(value, bool) or not breaks(value, limit):
                return None
            return _invalid(value, path, said.format(limit))

        return check

    return make


def _too_long(limit: int) -> Check:
    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, str) or len(value) <= limit:
            return None
        return Problem(path, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")

    return check


def _too_many(limit: int) -> Check:
    def check(value: Any, path: str) -> Problem | None:
        if not is_array(value) or len(value) <= limit:
            return None
        message = f"Too many: {len(value)}: must have at most {limit} items"
        return Problem(path, "FieldValueTooMany", message)

    return check


def _invalid(value: Any, path: str, said: str) -> Problem:
    message = f"Invalid value: {_shown(value)}: {path} in body {said}"
    return Problem(path, "FieldValueInvalid", message)


_NUMBER = (int, float)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z", re.IGNORECASE)
_FORMATS: Mapping[str, Check] = {
    "date-time": _date_time,
    "int32": _integer(32),
    "int64": _integer(64),
}
_OF_TEXT: Mapping[str, Callable[[Any], Check]] = {
    "maxLength": _too_long,
    "minLength": _bound("should be at least {} chars long", str, lambda v, x: len(v) < x),
    "pattern": _pattern,
}
_MAKERS: Mapping[str, Callable[[Any], Check]] = {
    "minimum": _bound("should be greater than or equal to {}", _NUMBER, lambda v, x: v < x),
    "maximum": _bound("should be less than or equal to {}", _NUMBER, lambda v, x: v > x),
    "minItems": _bound("should have at least {} items", list, lambda v, x: len(v) < x),
    "maxItems": _too_many,
    "minProperties": _bound("should have at least {} properties", dict, lambda v, x: len(v) < x),
    "maxProperties": _bound("should have at most {} properties", dict, lambda v, x: len(v) > x),
}
