"""A list read in pieces is the list read at once, or an error: never a part of it."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.streaming.lists import CORPUS, Value, items_of, lists, objects

from warmclaim.errors import BrokenListError
from warmclaim.streaming.json_list import ListDecoder, reading
from warmclaim.streaming.json_list.reading import ENVELOPE_BYTES_MAX

# msgspec's and the standard library's, with spaces and with lines: all that servers send.
WRITERS: dict[str, Callable[[Value], bytes]] = {
    "compact": msgspec.json.encode,
    "spaced": lambda value: json.dumps(value).encode(),
    "indented": lambda value: msgspec.json.format(msgspec.json.encode(value), indent=2),
}


def read(pieces: Iterable[bytes]) -> tuple[list[bytes], object]:
    """All items and the envelope."""
    decoder = ListDecoder()
    items = [item for piece in pieces for item in decoder.feed(piece)]
    items += decoder.end()
    return items, msgspec.json.decode(decoder.envelope)


def cut(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def is_readable(value: Value) -> bool:
    items = value.get("items")
    return isinstance(items, list) and all(
        isinstance(item, dict) for item in cast("list[object]", items)
    )


def a_pod(name: str = "a", **more: object) -> Value:
    return {"metadata": {"name": name, "resourceVersion": "7"}, **more}


def a_list(*items: object) -> Value:
    return {"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": list(items)}


READABLE = {name: value for name, value in CORPUS.items() if is_readable(value)}


class TestP1TheSameItems:
    @pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
    @pytest.mark.parametrize("size", [1, 2, 3, 17, 4_096, 1_000_000])
    @pytest.mark.parametrize("value", READABLE.values(), ids=READABLE.keys())
    def test_of_the_corpus_whatever_the_pieces(
        self, value: Value, size: int, write: Callable[[Value], bytes]
    ) -> None:
        body = write(value)
        items, envelope = read(cut(body, size if len(body) < 100_000 else max(size, 4_096)))
        assert [msgspec.json.decode(item) for item in items] == items_of(value)
        assert envelope == {**value, "items": []}

    @given(value=lists(items=objects), size=st.integers(1, 60), name=st.sampled_from([*WRITERS]))
    def test_of_any_list(self, value: Value, size: int, name: str) -> None:
        items, envelope = read(cut(WRITERS[name](value), size))
        assert [msgspec.json.decode(item) for item in items] == json.loads(
            json.dumps(items_of(value))
        )
        assert envelope == json.loads(json.dumps({**value, "items": []}))

    @given(value=lists(items=objects), cuts=st.lists(st.integers(0, 200), max_size=4))
    def test_byte_for_byte_wherever_it_is_cut(self, value: Value, cuts: list[int]) -> None:
        body = msgspec.json.encode(value)
        ends = [*sorted(min(at, len(body)) for at in cuts), len(body)]
        items, _ = read(body[start:end] for start, end in zip([0, *ends], ends, strict=False))
        assert items == [msgspec.json.encode(item) for item in items_of(value)]

    def test_null_items_are_none(self) -> None:
        assert read([b'{"kind":"PodList","items":null}']) == (
            [],
            {"kind": "PodList", "items": None},
        )

    def test_items_come_as_soon_as_the_next_one_has_begun(self) -> None:
        body = msgspec.json.encode(a_list(a_pod("a"), a_pod("b"), a_pod("c")))
        decoder = ListDecoder()
        assert decoder.feed(body[: body.index(b'"b"')]) == [msgspec.json.encode(a_pod("a"))]

    @pytest.mark.parametrize(
        "owner",
        [
            [a_pod("x"), a_pod("y"), a_pod("z")],
            {"text": '"},{"metadata":{"name":"'},
            {"text": '\\"},{\\"metadata\\":{'},
            {"text": "{{{{[[["},
        ],
        ids=["like items", "like an end", "escaped", "braces"],
    )
    def test_of_objects_that_look_like_several(self, owner: object) -> None:
        pods = [a_pod(str(number), owner=owner) for number in range(5)]
        for size in (1, 50, 10_000):
            items, _ = read(cut(msgspec.json.encode(a_list(*pods)), size))
            assert [msgspec.json.decode(item) for item in items] == pods

    def test_of_an_object_deeper_than_any_decoder_goes(self) -> None:
        deep = b'{"metadata":{"name":"a"},"x":%s%s}' % (b"[" * 5_000, b"]" * 5_000)
        plain = msgspec.json.encode(a_pod("b"))
        items, _ = read([b'{"items":[%s,%s,%s]}' % (plain, deep, plain)])
        assert items == [plain, deep, plain]


class TestP2NeverAPartOfIt:
    @pytest.mark.parametrize("name", ["page", "members in order of names", "items alone"])
    def test_cut_anywhere_it_is_an_error(self, name: str) -> None:
        body = msgspec.json.encode(CORPUS[name])
        for end in range(len(body)):
            with pytest.raises(BrokenListError):
                read([body[:end]])

    @given(value=lists(items=objects), share=st.floats(0, 1, exclude_max=True))
    def test_any_list_cut_anywhere_is_an_error(self, value: Value, share: float) -> None:
        body = msgspec.json.encode(value)
        with pytest.raises(BrokenListError):
            read(cut(body[: int(share * len(body))], 20))

    @pytest.mark.parametrize(
        "element",
        [
            "null",
            "7",
            '"text"',
            "[]",
            "true",
            "tru",
            "{]",
            '{"a":}',
            '{"a" 1}',
            "{,}",
            "}",
            ",",
            "",
        ],
    )
    @pytest.mark.parametrize("at", [0, 1, 2])
    def test_an_element_that_is_no_object(self, element: str, at: int) -> None:
        elements = [json.dumps(a_pod("a")), json.dumps(a_pod("b"))]
        elements.insert(at, element)
        body = f'{{"kind":"PodList","items":[{",".join(elements)}]}}'.encode()
        for size in (1, 1_000):
            with pytest.raises(BrokenListError):
                read(cut(body, size))

    @pytest.mark.parametrize("between", [b"", b",,", b";", b":", b"]", b"},", b',"a":'])
    def test_items_that_are_not_separated_by_one_comma(self, between: bytes) -> None:
        pod = msgspec.json.encode(a_pod())
        with pytest.raises(BrokenListError):
            read([b'{"items":[%s%s%s]}' % (pod, between, pod)])

    def test_an_error_where_an_item_should_be_is_said_in_its_words(self) -> None:
        error = {"kind": "Status", "apiVersion": "v1", "message": "etcd is gone", "code": 500}
        with pytest.raises(BrokenListError, match="in place of item 1: etcd is gone"):
            read([msgspec.json.encode(a_list(a_pod(), error))])
        another = {"kind": "Status", "apiVersion": "example.org/v1", "type": "Status"}
        assert len(read([msgspec.json.encode(a_list(a_pod(kind="Status"), another))])[0]) == 2

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>",
            b"[]",
            b'{"kind":"Status","code":500}',
            b'{"kind":"Pod","metadata":{"items":[{}]}}',
            b'{"items":7}',
            b'{"items":{"a":{}}}',
            b'{"items":[]}x',
            b'{"items":[]]}',
            b'{"items":[{}],"metadata":{}',
            b'{"items":[{}],"metadata":}',
            b'{"items":[{}],"items":[{"a":1}]}',
            b'{"\\u0069tems":[{"a":1}]}',
            b'{"kind":"items","metadata":["items"]}',
        ],
    )
    def test_what_is_no_list(self, body: bytes) -> None:
        for size in (1, 1_000):
            with pytest.raises(BrokenListError):
                read(cut(body, size))

    def test_more_around_the_items_than_any_server_writes(self) -> None:
        filler = b"x" * 2 * ENVELOPE_BYTES_MAX
        for body in (b'{"a":"%s","items":[]}' % filler, b'{"items":[],"a":"%s"}' % filler):
            with pytest.raises(BrokenListError, match="around the items"):
                read(cut(body, 10_000))

    def test_an_item_beyond_the_limit(self) -> None:
        decoder = ListDecoder(item_bytes_max=1_000_000)
        decoder.feed(b'{"items":[{"a":"')
        for _ in range(9):
            decoder.feed(b"x" * 100_000)
        with pytest.raises(BrokenListError, match="item 0 has more than"):
            decoder.feed(b"x" * 100_000)


class TestP3WhatIsKept:
    @pytest.mark.parametrize("item_bytes", [2_000, 90_000, 400_000])
    def test_does_not_grow_with_the_list(self, item_bytes: int) -> None:
        item = msgspec.json.encode(a_pod(filler="x" * item_bytes))

        def peak_bytes(number: int) -> int:
            decoder = ListDecoder()
            decoder.feed(b'{"items":[')
            tracemalloc.start()
            for _ in range(number):
                for piece in cut(item + b",", 65_536):
                    decoder.feed(piece)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return peak

        few, many = peak_bytes(20), peak_bytes(200)
        assert many <= few + 10_000
        assert many <= 3 * item_bytes + 1_000_000


class TestP4TheCost:
    def test_of_counting_is_linear_where_every_guess_is_wrong(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parsed_bytes = 0

        class Counting:
            def decode(self, item: bytes) -> None:
                nonlocal parsed_bytes
                parsed_bytes += len(item)
                msgspec.json.decode(item)

        monkeypatch.setattr("warmclaim.streaming.json_list.reading._raw", Counting())
        like_items = [a_pod(str(number)) for number in range(1_000)]
        body = msgspec.json.encode(a_list(*[a_pod(owner=like_items) for _ in range(20)]))
        items, _ = read(cut(body, 5_000))
        assert len(items) == 20
        assert parsed_bytes <= 2 * len(body)

    @pytest.mark.parametrize(
        "owner",
        [[{"a": number} for number in range(100_000)], "x" * 1_000_000, '{"\\' * 300_000],
        ids=["braces", "a text", "escapes"],
    )
    def test_a_large_item_is_counted_once_however_many_pieces_it_comes_in(
        self, monkeypatch: pytest.MonkeyPatch, owner: object
    ) -> None:
        read_bytes = 0

        class Counting:
            def __init__(self, pattern: re.Pattern[bytes]) -> None:
                self._pattern = pattern

            def match(self, text: bytearray, at: int) -> re.Match[bytes] | None:
                nonlocal read_bytes
                found = self._pattern.match(text, at)
                read_bytes += found.end() - at if found else 0
                return found

        for name in ("_OUTSIDE", "_INSIDE"):
            monkeypatch.setattr(reading, name, Counting(getattr(reading, name)))
        item = a_pod(owner=owner)
        items, _ = read(cut(msgspec.json.encode(a_list(item)), 5_000))
        assert items == [msgspec.json.encode(item)]
        assert read_bytes == len(items[0])

    @pytest.mark.parametrize("size", range(1, 8))
    def test_counting_goes_on_wherever_an_item_was_cut(
        self, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        monkeypatch.setattr(reading, "_GUESS_BYTES_MAX", 0)
        texts = ['"', "\\", '\\"', "{", '"}', '{"a":"\\\\"}', "é\n"]
        nothing: dict[str, object] = {}
        listed = [a_pod(text, owner={text: [text, nothing]}) for text in texts]
        items, _ = read(cut(msgspec.json.encode(a_list(*listed)), size))
        assert items == [msgspec.json.encode(item) for item in listed]
