"""Bytes to events, however they are cut. H and B numbers name faults."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kube.fakes import Widget, a_widget, bookmark, error_line, line

from warmclaim.api.meta import ObjectKey
from warmclaim.errors import ExpiredError, TransientError
from warmclaim.kube.pages import PageReader
from warmclaim.kube.watch_decoder import (
    Bookmark,
    ErrorEvent,
    LineTooLong,
    ObjectEvent,
    Skipped,
    WatchDecoder,
    WatchEvent,
)


def decode(*chunks: bytes, line_bytes_max: int = 100_000) -> list[WatchEvent[Widget]]:
    decoder = WatchDecoder(Widget, line_bytes_max=line_bytes_max)
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def short(events: Iterable[WatchEvent[Widget]]) -> list[str]:
    words: list[str] = []
    for event in events:
        match event:
            case ObjectEvent(type=type_, object=obj):
                words.append(f"{type_} {obj.metadata.name}")
            case Bookmark(resource_version=version):
                words.append(f"BOOKMARK {version}")
            case _:
                words.append(type(event).__name__)
    return words


def test_events_come_in_order_with_their_objects() -> None:
    events = decode(line("ADDED", a_widget("a", 1)) + line("DELETED", a_widget("b", 2, x="y")))
    assert short(events) == ["ADDED a", "DELETED b"]
    assert isinstance(events[1], ObjectEvent)
    assert events[1].object.spec == {"x": "y"}


def test_event_is_given_only_when_its_newline_has_come() -> None:
    whole = line("ADDED", a_widget("a", 1))
    decoder = WatchDecoder(Widget)
    assert decoder.feed(whole[:10]) == []
    assert decoder.feed(whole[10:-1]) == []
    assert short(decoder.feed(whole[-1:])) == ["ADDED a"]
    assert decoder.end() is False


def test_h4_line_cut_at_the_end_of_the_stream_is_dropped_even_if_it_is_whole_json() -> None:
    decoder = WatchDecoder(Widget)
    assert decoder.feed(line("ADDED", a_widget("a", 1))[:-1]) == []
    assert decoder.end() is True
    assert short(decoder.feed(line("ADDED", a_widget("b", 2)))) == ["ADDED b"]


def test_blank_lines_are_nothing() -> None:
    decoder = WatchDecoder(Widget)
    assert decoder.feed(b"\n\r\n  \n" + line("ADDED", a_widget()) + b"\n ") != []
    assert decoder.end() is False


def test_bookmark_and_the_end_of_the_initial_events() -> None:
    assert decode(bookmark(7), bookmark(8, ends_initial=True)) == [
        Bookmark("7", False),
        Bookmark("8", True),
    ]


def test_h11_410_in_the_stream_is_a_typed_error() -> None:
    (event,) = decode(error_line(410, "Expired"))
    assert isinstance(event, ErrorEvent)
    assert isinstance(event.error, ExpiredError)


def test_other_error_in_the_stream_is_a_typed_error() -> None:
    (event,) = decode(error_line(500, "InternalError"))
    assert isinstance(event, ErrorEvent)
    assert isinstance(event.error, TransientError)


def test_unreadable_object_is_skipped_with_its_identity() -> None:
    bad = a_widget("a", 5) | {"spec": 4}
    (event,) = decode(line("MODIFIED", bad))
    assert isinstance(event, Skipped)
    assert (event.type, event.key) == ("MODIFIED", ObjectKey("ns", "a"))
    assert event.identity is not None
    assert (event.identity.version, event.identity.metadata.uid) == (5, "uid-a")


@pytest.mark.parametrize(
    "text",
    [
        b"null",
        b"[]",
        b"{}",
        b"garbage",
        b"\xff\xfe",
        b'{"type":"ADDED"}',
        b'{"type":"ADDED","object":null}',
        b'{"type":"ADDED","object":{"metadata":{"name":""}}}',
        b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}',
        b'{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"x"}}}',
        b'{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"\xd9\xa3"}}}',
        b'{"type":"ADDED","object":{"metadata":{"name":"a\\ud800","resourceVersion":"1"}}}',
        b'{"type":"RENAMED","object":{"metadata":{"name":"a","resourceVersion":"1"}}}',
        b'{"type":"BOOKMARK","object":{"metadata":{}}}',
        b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"x"}}}',
        b'{"type":"ERROR","object":[]}',
        b'{"type":5,"object":{}}',
        b'{"type":"ADDED","object":' + b"[" * 100_000,
        b'{"type":"ADDED","object":{"x":' + b"[" * 40_000 + b"]" * 40_000 + b"}}",
    ],
    ids=lambda text: text[:60].decode(errors="replace"),
)
def test_b8_line_that_makes_no_sense_is_skipped_without_identity_and_the_next_is_read(
    text: bytes,
) -> None:
    event, after = decode(text + b"\n" + line("ADDED", a_widget()), line_bytes_max=10**6)
    assert isinstance(event, Skipped)
    assert event.identity is None or event.key is None
    assert len(event.problem) <= 256
    assert short([after]) == ["ADDED a"]


def test_h7_line_beyond_the_limit_is_told_once_and_skipped_to_its_end() -> None:
    decoder = WatchDecoder(Widget, line_bytes_max=1000)
    events: list[WatchEvent[Widget]] = []
    for _ in range(50):
        events += decoder.feed(b"x" * 300)
    assert events == [LineTooLong(1000)]
    assert short(decoder.feed(b"x\n" + line("ADDED", a_widget()))) == ["ADDED a"]


def test_h7_line_beyond_the_limit_in_one_piece() -> None:
    assert short(decode(b"x" * 2000 + b"\n" + line("ADDED", a_widget()), line_bytes_max=1000)) == [
        "LineTooLong",
        "ADDED a",
    ]


def test_b19_object_of_1_5_mb_is_read() -> None:
    big = a_widget("big", 1, blob="x" * 1_500_000)
    raw = line("ADDED", big)
    pieces = [raw[i : i + 65_536] for i in range(0, len(raw), 65_536)]
    assert short(decode(*pieces, line_bytes_max=16 * 1024 * 1024)) == ["ADDED big"]


STREAM = (
    line("ADDED", a_widget("a", 1))
    + bookmark(2)
    + b"\n"
    + b"rubbish\n"
    + line("MODIFIED", a_widget("ä€𝄞", 3))  # names of 2, 3 and 4 bytes, to be cut inside
    + line("MODIFIED", a_widget("b", 4) | {"spec": 1})
    + b"y" * 3000
    + b"\n"
    + line("DELETED", a_widget("a", 5))
    + error_line(410)
    + b'{"type":"ADDED"'
)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_cuts_at_any_border_change_nothing(cuts: list[int]) -> None:
    whole = decode(STREAM, line_bytes_max=2000)
    borders = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[i:j] for i, j in pairwise(borders)]
    decoder = WatchDecoder(Widget, line_bytes_max=2000)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    assert short(events) == short(whole)
    assert decoder.end() is True


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200)))
def test_no_bytes_raise(chunks: list[bytes]) -> None:
    decoder = WatchDecoder(Widget, line_bytes_max=150)
    for chunk in chunks:
        decoder.feed(chunk)
    decoder.end()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["metadata", "name", "resourceVersion", "object", "type", "code"]),
            inner,
        )
    ),
    max_leaves=8,
)
TYPES = st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "X", ""])


@settings(deadline=None)
@given(TYPES, JSON_VALUES)
def test_no_json_raises(type_: str, value: object) -> None:
    raw = json.dumps({"type": type_, "object": value}).encode() + b"\n"
    assert len(decode(raw)) == 1


@pytest.mark.parametrize("name", ["../../x", "Upper", "n" * 254, "\x1b[2J", "a/b"])
def test_a_name_that_no_object_can_have_makes_it_unreadable_and_no_more(name: str) -> None:
    """No API server stores it, and it must never become part of a request's path."""
    events = decode(line("ADDED", a_widget(name, 7)) + line("ADDED", a_widget("a", 8)))
    assert short(events) == ["Skipped", "ADDED a"]
    assert isinstance(events[0], Skipped)
    assert events[0].key is not None
    assert events[0].key.name == name


def test_a_list_leaves_such_a_name_out_and_keeps_the_rest() -> None:
    items = [a_widget("Upper", 7), a_widget("a", 8)]
    reader = PageReader(Widget)
    reader.feed(json.dumps({"metadata": {"resourceVersion": "9"}, "items": items}).encode())
    page = reader.end()
    assert [item.metadata.name for item in page.items] == ["a"]
    assert page.unreadable == (None,)
