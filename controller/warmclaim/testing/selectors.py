"""Label and field selectors, as in the query of a list or watch. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from warmclaim.testing import refusals
from warmclaim.testing.json_values import Json, is_object
from warmclaim.testing.resources import Kind, selectable_fields

Matches: TypeAlias = Callable[[Json], bool]
_LabelTest: TypeAlias = Callable[[Mapping[str, str]], bool]

_SET = re.compile(r"(?P<key>\S+)\s+(?P<how>in|notin)\s*\((?P<words>[^()]*)\)\Z")
_EQUAL = re.compile(r"(?P<key>[^=!\s]+)\s*(?P<how>==|=|!=)\s*(?P<word>[^=!\s]*)\Z")
_ORDER = re.compile(r"(?P<key>[^=!<>\s]+)\s*(?P<how>[<>])\s*(?P<word>[+-]?\d+)\Z")
_INTEGER = re.compile(r"[+-]?\d+\Z")
_EXISTS = re.compile(r"(?P<not>!?)\s*(?P<key>[^=!<>\s]+)\Z")


def selector(kind: Kind, labels: str, fields: str) -> Matches | None:
    """The test of both selectors, None where both are empty. Refuses (400) what it cannot read."""
    tests: list[Matches] = []
    if labels:
        of_labels = label_selector(labels)
        tests.append(lambda value: of_labels(value["metadata"].get("labels") or {}))
    if fields:
        tests.extend(_field_tests(kind, fields))
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda value: all(test(value) for test in tests)


@lru_cache(maxsize=1024)
def label_selector(text: str) -> _LabelTest:
    """The test of a label selector ("a=b,c in (d,e),!f"). Refuses (400) what it cannot read."""
    tests = [_label_test(part.strip()) for part in _split(text)]
    if len(tests) == 1:
        return tests[0]
    return lambda labels: all(test(labels) for test in tests)


def _split(text: str) -> list[str]:
    """Requirements by commas, but not by those in parentheses."""
    return re.split(r",(?![^()]*\))", text)


def _label_test(text: str) -> _LabelTest:
    if found := _SET.match(text):
        words = frozenset(word.strip() for word in found["words"].split(","))
        return _in(found["key"], words, found["how"] == "notin")
    if found := _EQUAL.match(text):
        return _in(found["key"], frozenset({found["word"]}), found["how"] == "!=")
    if found := _ORDER.match(text):
        return _beyond(found["key"], int(found["word"]), found["how"] == "<")
    if found := _EXISTS.match(text):
        key, is_not = found["key"], bool(found["not"])
        return lambda labels: (key in labels) != is_not
    raise refusals.bad_request(
        f'unable to parse requirement: found "{text}", expected: a label selector'
    )


def _in(key: str, words: frozenset[str], is_not: bool) -> _LabelTest:
    # A label that is absent differs from any value.
    if is_not:
        return lambda labels: labels.get(key) not in words
    return lambda labels: labels.get(key) in words


def _beyond(key: str, limit: int, is_below: bool) -> _LabelTest:
    """Whether the label is a number, and above (or below) `limit`."""

    def test(labels: Mapping[str, str]) -> bool:
        text = labels.get(key, "")
        if not _INTEGER.match(text):
            return False
        return int(text) < limit if is_below else int(text) > limit

    return test


def _field_tests(kind: Kind, text: str) -> list[Matches]:
    known = selectable_fields(kind)
    tests: list[Matches] = []
    for part in text.split(","):
        found = _EQUAL.match(part.strip())
        if not found:
            raise refusals.bad_request(
                f'invalid field selector: "{part}"; can\'t understand "{part}"'
            )
        if found["key"] not in known:
            raise refusals.bad_request(f"field label not supported: {found['key']}")
        tests.append(_field_is(known[found["key"]], found["word"], found["how"] == "!="))
    return tests


def _field_is(path: Sequence[str], word: str, is_not: bool) -> Matches:
    def test(value: Json) -> bool:
        found: Any = value
        for name in path:
            found = found.get(name) if is_object(found) else None
        return (str(found or "") == word) != is_not

    return test
