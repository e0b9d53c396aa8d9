"""The differences between the two servers that are on purpose, and how to look past them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from warmclaim.testing.json_values import Json, is_array, is_object

FILE = Path(__file__).with_name("differences.toml")
DIFFERENCES_MAX = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry of differences.toml; see there."""

    id: str
    reason: str
    kinds: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    first: str = ""

    def is_of(self, kind: str) -> bool:
        return "*" in self.kinds or kind in self.kinds


@cache
def explained() -> tuple[Difference, ...]:
    """All entries. Raises TypeError for one with an unknown or a missing word."""
    entries: list[dict[str, Any]] = tomllib.loads(FILE.read_text(encoding="utf-8"))["difference"]
    return tuple(
        Difference(**{name: _as_given(value) for name, value in e.items()}) for e in entries
    )


def causes_of(status: Json) -> list[tuple[str, str]]:
    """(reason, field) of the causes of a Status, each once and in order of the alphabet."""
    dropped = {field for difference in explained() for field in difference.causes}
    details: Json = status.get("details") or {}
    found: list[Json] = details.get("causes") or []
    told = {(str(c.get("reason", "")), str(c.get("field", ""))) for c in found}
    kept = sorted(cause for cause in told if cause[1] not in dropped)
    for first in (difference.first for difference in explained() if difference.first):
        kept = [cause for cause in kept if cause[1].startswith(first)] or kept
    return kept


def without_explained(body: Json) -> Json:
    """`body`, or the items of a list, without the parts that may differ."""
    kind = str(body.get("kind", ""))
    paths = [path for d in explained() if d.is_of(kind) for path in d.drop]
    kept = _without(body, [path.split(".") for path in paths])
    if is_array(items := kept.get("items")):
        item_kind = kind.removesuffix("List")
        # Items of a built-in kind do not name it.
        kept["items"] = [
            {name: part for name, part in without_explained({"kind": item_kind, **i}).items()}
            for i in items
        ]
    return kept


def _without(value: Json, paths: Iterable[list[str]]) -> Json:
    kept = dict(value)
    for path in paths:
        name, rest = path[0], path[1:]
        if not rest:
            kept.pop(name, None)
        elif is_object(inner := kept.get(name)):
            kept[name] = _without(inner, [rest])
        elif is_array(inner):
            kept[name] = [_without(item, [rest]) for item in inner if is_object(item)]
    return kept


def _as_given(value: Any) -> Any:
    return tuple(value) if is_array(value) else value
