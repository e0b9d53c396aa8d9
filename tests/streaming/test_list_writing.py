"""A list written in pieces is the list written at once, and costs no more than one buffer."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.streaming.lists import CORPUS, items_of, lists

from warmclaim.streaming.json_list import FLUSH_BYTES, ListEncoder, ListWriter, gzipped
from warmclaim.streaming.json_list.writing import BufferPool

Value = dict[str, object]


def whole(value: Value) -> bytes:
    return msgspec.json.encode(value)


def a_list(*items: object) -> Value:
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(items)}


class TestP1TheSameBytes:
    @pytest.mark.parametrize("value", CORPUS.values(), ids=CORPUS.keys())
    @pytest.mark.parametrize("flush_bytes", [1, 7, 64, FLUSH_BYTES])
    def test_of_the_corpus(self, value: Value, flush_bytes: int) -> None:
        assert b"".join(ListEncoder(flush_bytes=flush_bytes).pieces(value)) == whole(value)

    @given(value=lists(), flush_bytes=st.integers(1, 200))
    def test_of_any_list(self, value: Value, flush_bytes: int) -> None:
        assert b"".join(ListEncoder(flush_bytes=flush_bytes).pieces(value)) == whole(value)

    @given(value=lists())
    def test_of_items_that_are_json_already_and_come_one_by_one(self, value: Value) -> None:
        raw = (msgspec.Raw(msgspec.json.encode(item)) for item in items_of(value))
        assert b"".join(ListEncoder(flush_bytes=16).pieces({**value, "items": raw})) == whole(value)

    @given(value=lists(), flush_bytes=st.integers(1, 200))
    def test_of_any_list_compressed(self, value: Value, flush_bytes: int) -> None:
        pieces = ListEncoder(flush_bytes=flush_bytes).pieces(value)
        assert zlib.decompress(b"".join(gzipped(pieces)), wbits=31) == whole(value)

    @pytest.mark.parametrize(
        "value",
        [
            {"kind": "APIResourceList", "resources": [{"name": "pods"}]},
            {"kind": "PodList", "items": None},
            {"kind": "PodList", "items": {"a": 1}},
            {"kind": "PodList", "items": "text"},
            {},
        ],
        ids=["other list", "null", "object", "text", "empty"],
    )
    def test_of_what_is_no_plain_list_is_written_at_once_and_counted(self, value: Value) -> None:
        lists = ListEncoder(flush_bytes=4)
        assert list(lists.pieces(value)) == [whole(value)]
        assert (lists.streamed, lists.whole) == (0, 1)
        list(lists.pieces(a_list(1)))
        assert (lists.streamed, lists.whole) == (1, 1)


class TestP2FullPieces:
    @given(value=lists(), flush_bytes=st.integers(1, 200))
    def test_only_the_last_one_is_shorter_and_none_is_empty(
        self, value: Value, flush_bytes: int
    ) -> None:
        *full, last = ListEncoder(flush_bytes=flush_bytes).pieces(value)
        assert {len(piece) for piece in full} <= {flush_bytes}
        assert 0 < len(last) <= flush_bytes

    @pytest.mark.parametrize("more", [-1, 0, 1])
    def test_a_list_that_fits_exactly_is_one_piece(self, more: int) -> None:
        value = a_list({"name": "a"})
        pieces = ListEncoder(flush_bytes=len(whole(value)) + more).pieces(value)
        next(pieces)
        assert pieces.has_more is (more < 0)
        assert len(list(pieces)) == (1 if more < 0 else 0)
        assert not pieces.has_more

    def test_a_buffer_without_room_is_refused(self) -> None:
        with pytest.raises(ValueError, match="0 bytes"):
            BufferPool(0)


class TestP3BackPressure:
    def test_an_item_is_encoded_when_the_piece_with_it_is_asked_for(self) -> None:
        asked: list[int] = []

        def items() -> Iterator[object]:
            for number in range(100):
                asked.append(number)
                yield "x" * 98  # 101 bytes with quotes and comma

        pieces = ListEncoder(flush_bytes=1010).pieces({"items": items()})
        for number in range(1, 6):
            next(pieces)
            assert len(asked) <= 10 * number + 1
        pieces.close()
        assert len(asked) <= 51

    def test_the_memory_of_a_list_under_way_does_not_grow_with_it(self) -> None:
        item = msgspec.Raw(whole({"spec": "x" * 50_000}))

        def peak_bytes(number: int) -> int:
            value: Value = {"items": (item for _ in range(number))}
            tracemalloc.start()
            for _ in ListEncoder().pieces(value):
                pass
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return peak

        peak_bytes(1)
        assert peak_bytes(2_000) <= peak_bytes(20) + 10_000
        assert peak_bytes(2_000) < 4 * FLUSH_BYTES


class TestP5TheBufferReturns:
    def test_after_the_last_piece_and_is_used_again(self) -> None:
        lists = ListEncoder(flush_bytes=8)
        for _ in lists.pieces(a_list(1, 2)):
            assert lists.buffers.lent_count == 1
        assert lists.buffers.lent_count == 0
        with lists.buffers.lent() as first:
            pass
        with lists.buffers.lent() as second:
            assert second is first

    def test_of_a_list_that_is_left_in_the_middle(self) -> None:
        lists = ListEncoder(flush_bytes=8)
        pieces = lists.pieces(a_list(1, 2))
        next(pieces)
        pieces.close()
        assert lists.buffers.lent_count == 0

    @pytest.mark.parametrize(
        "bad", [object(), {"a": float}, {(1,): 2}], ids=["object", "type", "key"]
    )
    def test_of_an_item_without_json_and_the_list_does_not_end_as_if_whole(
        self, bad: object
    ) -> None:
        lists = ListEncoder(flush_bytes=4)
        sent: list[bytes] = []
        with pytest.raises(TypeError):
            sent.extend(lists.pieces(a_list("good", bad)))
        assert lists.buffers.lent_count == 0
        assert b"".join(sent).count(b"]") == 0

    def test_and_at_most_so_many_wait_as_the_pool_may_keep(self) -> None:
        pool = BufferPool(8, kept_max=1)
        with pool.lent() as first, pool.lent() as second:
            assert first is not second
            assert pool.lent_count == 2
        with pool.lent() as third, pool.lent() as fourth:
            assert (third is first) != (third is second)
            assert fourth is not first
            assert fourth is not second

    def test_while_a_piece_that_was_handed_out_stays_as_it_is(self) -> None:
        lists = ListEncoder(flush_bytes=16)
        kept = list(lists.pieces(a_list("a" * 40)))
        before = list(kept)
        list(lists.pieces(a_list("b" * 40)))
        assert kept == before
        assert b"".join(kept) == whole(a_list("a" * 40))


class TestListWriter:
    @given(value=lists(), flush_bytes=st.integers(1, 50), at=st.integers(0, 5))
    def test_writes_members_before_and_after_items_that_come_one_by_one(
        self, value: Value, flush_bytes: int, at: int
    ) -> None:
        items = items_of(value)
        members = [(name, member) for name, member in value.items() if name != "items"]
        before, after = dict(members[:at]), dict(members[at:])
        writer = ListWriter(bytearray(flush_bytes))
        pieces = [*writer.begin(before)]
        for item in items:
            pieces += writer.add(item)
        pieces += writer.end(after)
        pieces += writer.rest()
        assert b"".join(pieces) == whole({**before, "items": items, **after})
