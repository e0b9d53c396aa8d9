"""The text of a snapshot: JSON wherever it ends, and read by lines as it was written."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmclaim.errors import BrokenSnapshotError
from warmclaim.streaming.snapshot import Line, SnapshotText, Sort, lines, reading

Object: TypeAlias = dict[str, Any]


class Group(NamedTuple):
    name: str
    head: Object
    lists: dict[str, list[Object]]
    tail: Object


class Section(NamedTuple):
    """One of the three."""

    value: Object | None = None
    items: list[Object] | None = None
    groups: list[Group] | None = None


NAMES = st.text(min_size=1, max_size=6)
NUMBERS = st.integers(-(2**63), 2**63)
OBJECTS = st.dictionaries(NAMES, st.text(max_size=9) | st.none() | NUMBERS, max_size=3)
LISTS = st.lists(OBJECTS, max_size=3)
GROUPS = st.lists(
    st.builds(
        Group,
        NAMES,
        st.dictionaries(NAMES.map("h{}".format), NUMBERS | OBJECTS, max_size=2),
        st.dictionaries(NAMES.map("l{}".format), LISTS, min_size=1, max_size=3),
        st.dictionaries(NAMES.map("t{}".format), NUMBERS, max_size=2),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda group: group.name,
)
SECTIONS = (
    OBJECTS.map(lambda value: Section(value=value))
    | LISTS.map(lambda items: Section(items=items))
    | GROUPS.map(lambda groups: Section(groups=groups))
)
SNAPSHOTS = st.dictionaries(NAMES, SECTIONS, max_size=5)
Snapshot: TypeAlias = dict[str, Section]

SAMPLE: Snapshot = {
    "metadata": Section(value={"formatVersion": 1}),
    "queues": Section(
        groups=[
            Group("a/b", {"ready": 1}, {"entries": [{"x": "]},{"}, {}], "decisions": []}, {}),
            Group("a/c", {}, {"entries": [{"y": [1, {"z": "\n"}]}]}, {"count": 1}),
        ]
    ),
    "discovery": Section(items=[{"path": "/"}, {"path": "/apis"}]),
    "errors": Section(items=[]),
}


def encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


def pieces_of(snapshot: Snapshot) -> list[bytes]:
    """What is written, and where a failure may stop it."""
    text = SnapshotText()
    found = [text.begin()]
    for name, section in snapshot.items():
        if section.value is not None:
            found.append(text.value(name) + encoded(section.value))
        if section.items is not None:
            found.append(text.list(name))
            found += [text.element() + encoded(item) for item in section.items]
        for group in section.groups or ():
            first, *others = group.lists
            found.append(text.group(name, group.name, group.head, first))
            found += [text.element() + encoded(item) for item in group.lists[first]]
            for other in others:
                found.append(text.next_list(other))
                found += [text.element() + encoded(item) for item in group.lists[other]]
            found.append(text.end_group(group.tail))
    return [*found, text.end()]


Told: TypeAlias = tuple[Sort, str, str, str, Any]


def told_by(snapshot: Snapshot) -> list[Told]:
    found: list[Told] = []
    for name, section in snapshot.items():
        if section.value is not None:
            found.append((Sort.VALUE, name, "", "", section.value))
        found += [(Sort.ITEM, name, "", name, item) for item in section.items or ()]
        for group in section.groups or ():
            found.append((Sort.HEAD, name, group.name, "", group.head))
            for of, items in group.lists.items():
                found += [(Sort.ITEM, name, group.name, of, item) for item in items]
            found.append((Sort.TAIL, name, group.name, "", group.tail))
    return found


def told(line: Line) -> Told:
    value = json.loads(line.json)
    if line.sort in (Sort.HEAD, Sort.TAIL):
        value = {name: of for name, of in value.items() if not isinstance(of, list)}
    return line.sort, line.section, line.group, line.list, value


def whole(snapshot: Snapshot) -> Any:
    """The same as one value."""

    def one(section: Section) -> Any:
        if section.groups is None:
            return section.value if section.items is None else section.items
        return {group.name: {**group.head, **group.lists, **group.tail} for group in section.groups}

    return {name: one(section) for name, section in snapshot.items()}


@given(SNAPSHOTS)
def test_what_is_written_is_json_and_is_read_again(snapshot: Snapshot) -> None:
    text = b"".join(pieces_of(snapshot))
    assert json.loads(text) == whole(snapshot)
    assert [told(line) for line in lines(io.BytesIO(text))] == told_by(snapshot)


def test_wherever_it_is_given_up_it_is_json_and_is_read() -> None:
    for count in range(1, 12):
        written = broken_off(SnapshotText(), count)
        assert json.loads(written)["errors"] == [{"a": 1}]
        *_, last = lines(io.BytesIO(written))
        assert told(last) == (Sort.ITEM, "errors", "", "errors", {"a": 1})


def broken_off(text: SnapshotText, count: int) -> bytes:
    """The sample up to its `count`-th step, then errors and the end."""
    entry = encoded({"a": 1})
    steps: tuple[Callable[[], bytes], ...] = (
        text.begin,
        lambda: text.value("metadata") + entry,
        lambda: text.group("queues", "g", {"h": 1}, "entries"),
        lambda: text.element() + entry,
        lambda: text.next_list("decisions"),
        lambda: text.element() + entry,
        lambda: text.end_group({}),
        lambda: text.group("queues", "i", {}, "entries"),
        lambda: text.element() + entry,
        lambda: text.list("discovery"),
        lambda: text.element() + entry,
    )
    written = b"".join(step() for step in steps[:count])
    return written + text.list("errors") + text.element() + entry + text.end()


def test_each_element_stands_on_a_line_of_its_own() -> None:
    text = b"".join(pieces_of(SAMPLE)).splitlines()
    assert b'{"path":"/"},' in text
    assert b'{"path":"/apis"}' in text
    assert b'"a/b":{"ready":1,"entries":[' in text


def test_cut_anywhere_it_is_no_snapshot() -> None:
    text = b"".join(pieces_of(SAMPLE))
    for end in range(len(text)):
        with pytest.raises(BrokenSnapshotError):
            list(lines(io.BytesIO(text[:end])))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"[]\n",
        b"{}\n",
        b'{"metadata":{}}\n',
        b"PK\x03\x04",
        b'{\n  "metadata": {\n    "formatVersion": 1\n  }\n}\n',
        b'{\n"a":{},"b":{}\n}\n',
        b'{\n"a":[\n17\n]\n}\n',
        b'{\n"a":[\n],"b":[\n]\n}\n',
        b'{\n"a":{\n"g":{}\n}\n}\n',
        b'{\n"a":\xff\n}\n',
        b'{\n"a":' + b"[" * 3_000 + b"\n}\n",
        b"{\n}\nmore\n",
    ],
)
def test_what_is_no_snapshot_is_refused_with_its_line(text: bytes) -> None:
    with pytest.raises(BrokenSnapshotError, match=r"\(line \d+\)$"):
        list(lines(io.BytesIO(text)))


def test_a_line_beyond_the_limit_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LINE_BYTES_MAX", 64)
    with pytest.raises(BrokenSnapshotError, match="too long"):
        list(lines(io.BytesIO(b'{\n"a":{"b":"' + b"x" * 64 + b'"}\n}\n')))
