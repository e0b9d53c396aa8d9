"""WarmQueue: which entry is next, and which place it keeps (P3, P5, P9)."""

import asyncio
from contextlib import suppress

import pytest
from tests.pool_queue_moves import (
    A,
    B,
    C,
    D,
    drain,
    entry_of,
    hold,
    offer,
    offer_and_take,
    take,
)

from warmqueue import (
    Place,
    QueueStatistics,
    SandboxKey,
    WarmQueue,
)


class TestP3ThePick:
    def test_the_node_with_most_entries_waiting_gives(self) -> None:
        queue = WarmQueue()
        offer(queue, A, "n1")
        offer(queue, B, "n2")
        offer(queue, C, "n2")
        assert drain(queue) == [B, A, C]

    def test_of_equal_nodes_the_one_with_the_oldest_entry_gives(self) -> None:
        queue = WarmQueue()
        offer(queue, A, "zone-z")
        offer(queue, B, "zone-a")
        assert drain(queue) == [A, B]

    def test_entries_in_flight_or_held_do_not_count_for_their_node(self) -> None:
        queue = WarmQueue()
        offer(queue, A, "n1")
        offer(queue, B, "n1")
        assert take(queue).entry.key == A
        hold(queue, C, "n1")
        offer(queue, D, "n2")
        assert drain(queue) == [B, D]

    def test_entries_without_a_node_come_last_and_oldest_first(self) -> None:
        queue = WarmQueue()
        offer(queue, A, None)
        offer(queue, B, None)
        offer(queue, C, "n1")
        assert drain(queue) == [C, A, B]

    def test_an_empty_node_name_is_no_node(self) -> None:
        queue = WarmQueue()
        offer(queue, A, "")
        offer(queue, B, "n1")
        assert entry_of(queue, A).node is None
        assert drain(queue) == [B, A]

    def test_ready_goes_before_not_ready_even_without_a_node(self) -> None:
        queue = WarmQueue()
        offer(queue, A, "n1", is_ready=False)
        offer(queue, B, "n1", is_ready=False)
        offer(queue, C, None)
        assert drain(queue) == [C, A, B]

    def test_not_ready_entries_do_not_make_their_node_fuller_for_ready_ones(self) -> None:
        queue = WarmQueue()
        offer(queue, A, "n1")
        offer(queue, B, "n2")
        offer(queue, C, "n2", is_ready=False)
        assert drain(queue) == [A, B, C]

    def test_not_ready_entries_follow_the_same_rule_among_themselves(self) -> None:
        queue = WarmQueue()
        offer(queue, A, "n1", is_ready=False)
        offer(queue, B, "n2", is_ready=False)
        offer(queue, C, "n2", is_ready=False)
        assert drain(queue) == [B, A, C]

    def test_a_batch_is_taken_evenly_from_its_nodes(self) -> None:
        queue = WarmQueue()
        for i in range(30):
            offer(queue, SandboxKey("ns", f"s{i}"), f"n{i % 3}")
        for _ in range(12):
            take(queue)
        assert queue.nodes() == {"n0": 6, "n1": 6, "n2": 6}


class TestP5PlaceInLine:
    def test_the_line_is_by_first_offer_on_a_node(self) -> None:
        queue = WarmQueue()
        for key in (C, A, D, B):
            offer(queue, key)
        assert drain(queue) == [C, A, D, B]

    def test_given_back_it_is_next_again(self) -> None:
        queue = WarmQueue()
        for key in (A, B, C):
            offer(queue, key)
        take(queue).give_back()
        assert drain(queue) == [A, B, C]

    @pytest.mark.parametrize("is_ready", [True, False])
    def test_offered_and_held_again_it_keeps_its_place(self, is_ready: bool) -> None:
        queue = WarmQueue()
        offer(queue, A, is_ready=is_ready)
        offer(queue, B)
        hold(queue, A)
        offer(queue, A)
        assert drain(queue) == [A, B]

    def test_held_first_it_keeps_the_place_of_then(self) -> None:
        queue = WarmQueue()
        hold(queue, A)
        offer(queue, B)
        offer(queue, A)
        assert drain(queue) == [A, B]

    def test_a_new_uid_joins_at_the_end(self) -> None:
        queue = WarmQueue()
        offer(queue, A, uid="old")
        offer(queue, B)
        offer(queue, A, uid="new")
        assert drain(queue) == [B, A]

    def test_forgotten_or_settled_and_offered_again_it_joins_at_the_end(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        offer(queue, B)
        queue.forget(A)
        offer(queue, A)
        take(queue).settle()
        offer(queue, B)
        assert drain(queue) == [A, B]

    @pytest.mark.parametrize(
        "ending", ["settle", "give_back", "forget", "carry_over", "leave", "error", "cancel"]
    )
    def test_a_not_ready_entry_skipped_for_a_later_ready_one_is_queued_at_its_place(
        self, ending: str
    ) -> None:
        """Whatever becomes of the ready one. A skipped candidate was once lost on early returns."""
        queue = WarmQueue()
        offer(queue, A, is_ready=False)
        offer(queue, B, is_ready=False)
        offer(queue, C)
        skipped = entry_of(queue, A)
        errors = {"error": RuntimeError, "cancel": asyncio.CancelledError}
        with suppress(*errors.values()), take(queue) as taken:
            assert taken.entry.key == C
            if ending in errors:
                raise errors[ending]
            if ending != "leave":
                getattr(taken, ending)()
        queue.check()
        assert queue.place_of(A) is Place.NOT_READY
        assert entry_of(queue, A) == skipped
        queue.forget(C)
        assert drain(queue) == [A, B]


class TestP9OutOfTurn:
    def test_an_entry_is_taken_by_name_before_its_turn(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        offer(queue, B)
        taken = queue.take_named(B)
        queue.check()
        assert taken is not None
        assert taken.entry.key == B
        assert take(queue).entry.key == A
        assert queue.take() is None

    def test_a_held_entry_is_taken_by_name_and_held_again_when_given_back(self) -> None:
        queue = WarmQueue()
        hold(queue, A)
        taken = queue.take_named(A)
        assert taken is not None
        assert queue.statistics() == QueueStatistics(in_flight=1)
        taken.give_back()
        queue.check()
        assert queue.place_of(A) is Place.HELD

    def test_one_in_flight_or_unknown_is_not_taken_by_name(self) -> None:
        queue = WarmQueue()
        offer_and_take(queue, A)
        assert queue.take_named(A) is None
        assert queue.take_named(B) is None
        assert queue.statistics() == QueueStatistics(in_flight=1)
