"""What a CRD's openAPIV3Schema does to an object: prune, default, validate. Pure.

    spec = Structure.compiled({"type": "object", "properties": {"n": {"type": "integer"}}})
    spec.admitted({"n": 1, "x": 2})     # -> {"n": 1}
    spec.problems({"n": "one"})         # -> [Problem at ".n"]

All functions leave their input alone and share what they did not change; a part that is the same
dict as in the old object is skipped, so an update costs what it touches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from warmclaim.testing.json_values import Json, is_array, is_object
from warmclaim.testing.patch import same_json
from warmclaim.testing.schema_checks import (
    TYPES,
    Check,
    Problem,
    Rule,
    checks_of,
    known_rule,
    wrong_type,
)

_NONE: Any = object()
_ROOT_FIELDS = ("apiVersion", "kind", "metadata")


class Structure:
    """One compiled node of a structural schema."""

    __slots__ = (
        "additional",
        "checks",
        "default",
        "defaulted",
        "is_leaf",
        "is_plain",
        "is_root",
        "items",
        "nullable",
        "open",
        "properties",
        "required",
        "rules",
        "types",
        "word",
    )

    def __init__(self) -> None:
        self.word = ""
        self.types: tuple[type, ...] = ()
        self.nullable = False
        self.open = False
        self.is_root = False
        self.is_leaf = False
        self.is_plain = False
        self.properties: dict[str, Structure] = {}
        self.defaulted: tuple[str, ...] = ()
        self.additional: Structure | None = None
        self.items: Structure | None = None
        self.required: tuple[str, ...] = ()
        self.default: Any = _NONE
        self.checks: tuple[Check, ...] = ()
        self.rules: tuple[Rule, ...] = ()

    @classmethod
    def compiled(cls, schema: Json, *, is_root: bool = False) -> Structure:
        """The schema in the form that the checks run on. `is_root`: the schema of a whole object.

        Raises ValueError for a CEL rule that is not in the table `known_rule`.
        Cost: O(size of the schema), some 10 ms for one with a whole PodSpec.
        """
        node = cls()
        node.is_root = is_root or schema.get("x-kubernetes-embedded-resource") is True
        node.open = schema.get("x-kubernetes-preserve-unknown-fields") is True
        node.nullable = schema.get("nullable") is True
        node.word = "" if schema.get("x-kubernetes-int-or-string") else schema.get("type", "")
        node.types = TYPES.get(node.word, ())
        if schema.get("x-kubernetes-int-or-string"):
            node.types = (int, str)
        node.properties = {
            name: cls.compiled(inner)
            for name, inner in schema.get("properties", {}).items()
            # A whole object's own head has rules of its own, whatever the schema says of it.
            if not (node.is_root and name in _ROOT_FIELDS)
        }
        node.defaulted = tuple(n for n, s in node.properties.items() if s.default is not _NONE)
        extra = schema.get("additionalProperties")
        node.additional = cls.compiled(extra) if is_object(extra) else None
        node.open = node.open or extra is True
        node.items = cls.compiled(schema["items"]) if "items" in schema else None
        node.is_leaf = node.items is None and node.word != "object" and not node.properties
        node.required = tuple(schema.get("required", ()))
        node.default = schema.get("default", _NONE)
        node.checks = tuple(checks_of(schema))
        node.rules = tuple(
            known_rule(r["rule"], r.get("message", ""))
            for r in schema.get("x-kubernetes-validations", ())
        )
        node.is_plain = node.is_leaf and not node.checks and not node.rules
        return node

    def admitted(self, value: Any, old: Any = None) -> Any:
        """`value` without unknown fields and with defaults; `value` itself if nothing changes.

        Parts that are the very parts of `old` are taken as they are.
        """
        if value is old:
            return value
        if is_object(value) and (self.word == "object" or self.properties):
            return self._admitted_object(value, old if is_object(old) else {})
        if is_array(value) and self.items is not None:
            before = old if is_array(old) else []
            admitted = [
                self.items.admitted(item, before[i] if i < len(before) else None)
                for i, item in enumerate(value)
            ]
            return admitted if _any_differs(value, admitted) else value
        return value

    def problems(self, value: Any, old: Any = None, path: str = "") -> list[Problem]:
        """The broken rules, by name of the field; none for parts that are as they were in `old`."""
        return [] if self._surely_fits(value, old) else list(self._problems(value, old, path))

    def _surely_fits(self, value: Any, old: Any) -> bool:
        """The quick look that nearly every object passes: `_problems` without the words for what
        is wrong. False means no more than "look closely"."""
        if value is old and old is not None:
            return True
        if self.types and type(value) not in self.types:
            return False
        for check in self.checks:
            if check(value, "") is not None:
                return False
        if self.rules and old is not None:
            return False
        if is_object(value):
            return self._surely_fits_as_object(value, old if is_object(old) else {})
        if is_array(value) and self.items is not None:
            return all(self.items._surely_fits(item, None) for item in value)
        return True

    def _surely_fits_as_object(self, value: Json, old: Json) -> bool:
        for name in self.required:
            if name not in value:
                return False
        for name, member in value.items():
            inner = self.properties.get(name, self.additional)
            if inner is None or (inner.is_plain and type(member) in inner.types):
                continue
            if not inner._surely_fits(member, old.get(name)):
                return False
        return True

    def _admitted_object(self, value: Json, old: Json) -> Json:
        result: Json = {}
        changed = False
        for name, member in value.items():
            inner = self.properties.get(name, self.additional)
            if inner is None:
                if self.open or (self.is_root and name in _ROOT_FIELDS):
                    result[name] = member
                else:
                    changed = True
                continue
            if member is None and not inner.nullable:
                changed = True
                continue
            if inner.is_leaf:
                result[name] = member
                continue
            result[name] = new = inner.admitted(member, old.get(name))
            changed = changed or new is not member
        for name in self.defaulted:
            if name not in result:
                inner = self.properties[name]
                result[name] = inner.admitted(inner.default)
                changed = True
        return result if changed else value

    def _problems(self, value: Any, old: Any, path: str) -> Iterator[Problem]:
        # No old value and an old null look alike; neither excuses a null.
        is_old = old is not None and same_json(value, old)
        if is_old or (value is None and self.nullable):
            return
        if self.types and not _is_a(value, self.types):
            yield wrong_type(value, self.word or "integer or string", path)
            return
        yield from filter(None, (check(value, path) for check in self.checks))
        if is_object(value):
            yield from self._problems_of_object(value, old if is_object(old) else {}, path)
        elif is_array(value) and self.items is not None:
            before = old if is_array(old) else []
            for i, item in enumerate(value):
                was = before[i] if i < len(before) else None
                yield from self.items._problems(item, was, f"{path}[{i}]")
        for rule in self.rules if old is not None else ():
            if not rule.passes(value, old):
                yield Problem(path, "FieldValueInvalid", f"Invalid value: {rule.message}")

    def _problems_of_object(self, value: Json, old: Json, path: str) -> Iterator[Problem]:
        for name, member in sorted(value.items()):
            inner = self.properties.get(name, self.additional)
            if inner is not None:
                yield from inner._problems(member, old.get(name), _join(path, name))
        for name in sorted(self.required):
            if name not in value:
                yield Problem(_join(path, name), "FieldValueRequired", "Required value")


def _any_differs(before: list[Any], after: list[Any]) -> bool:
    return any(a is not b for a, b in zip(before, after, strict=True))


def _is_a(value: Any, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in types
    if isinstance(value, float) and value.is_integer() and int in types:
        return True
    return isinstance(value, types)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
