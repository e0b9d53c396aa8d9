"""Expectations against values: references filled in, and the first part that does not fit. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.contract.steps import ANY

from warmclaim.testing.json_values import Json, is_array, is_object

_REFERENCE = re.compile(r"\$([a-z]\w*)\.([\w.-]+)")
_SHORT = {
    "rv": "metadata.resourceVersion",
    "uid": "metadata.uid",
    "name": "metadata.name",
    "continue": "metadata.continue",
}


def resolved(value: Any, saved: Mapping[str, Json], namespace: str) -> Any:
    """`value` with "$name.part" and "{ns}" filled in, at any depth.

    Text that is one reference and nothing else becomes the value itself, of whatever type. Raises
    KeyError for a name that nothing was saved under, or a part that it does not have.
    """
    if isinstance(value, str):
        return _resolved_text(value, saved, namespace)
    if is_object(value):
        return {
            resolved(name, saved, namespace): resolved(member, saved, namespace)
            for name, member in value.items()
        }
    if is_array(value):
        return [resolved(item, saved, namespace) for item in value]
    return value


def difference(expected: Any, actual: Any, path: str = "") -> str:
    """Where `actual` does not have what `expected` has; "" where it does.

    Objects may have more members than expected; arrays may not.
    """
    if expected is ANY:
        return "" if actual is not None else f"{path} is missing"
    if is_object(expected) and is_object(actual):
        for name, value in expected.items():
            if wrong := difference(value, actual.get(name), f"{path}.{name}"):
                return wrong
        return ""
    if is_array(expected) and is_array(actual) and len(expected) == len(actual):
        for index, value in enumerate(expected):
            if wrong := difference(value, actual[index], f"{path}[{index}]"):
                return wrong
        return ""
    same = type(expected) is type(actual) and expected == actual
    return "" if same else f"{path}: expected {expected!r}, found {actual!r}"


def _resolved_text(text: str, saved: Mapping[str, Json], namespace: str) -> Any:
    whole = _REFERENCE.fullmatch(text)
    if whole:
        return _part(saved[whole[1]], whole[2])
    filled = _REFERENCE.sub(lambda m: str(_part(saved[m[1]], m[2])), text)
    return filled.replace("{ns}", namespace)


def _part(value: Any, path: str) -> Any:
    for name in _SHORT.get(path, path).split("."):
        value = value[int(name)] if is_array(value) else value[name]
    return value
