"""WarmQueue, promise by promise; the numbers are those of its module docstring.

P4, the cost, is in tests/cost.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from warmqueue import (
    AlreadyResolvedError,
    Depth,
    Place,
    QueueStatistics,
    SandboxKey,
    Taken,
    WarmEntry,
    WarmQueue,
)

A, B, C, D = (SandboxKey("ns", name) for name in "abcd")


def offer(
    queue: WarmQueue,
    key: SandboxKey,
    node: str | None = "n1",
    *,
    is_ready: bool = True,
    uid: str | None = None,
) -> None:
    queue.offer(key, uid or f"uid-{key.name}", node=node, is_ready=is_ready)
    queue.check()


def hold(queue: WarmQueue, key: SandboxKey, node: str | None = "n1") -> None:
    queue.hold(key, f"uid-{key.name}", node=node)
    queue.check()


def take(queue: WarmQueue) -> Taken:
    taken = queue.take()
    queue.check()
    assert taken is not None, "nothing to take"
    return taken


def offer_and_take(queue: WarmQueue, key: SandboxKey) -> None:
    offer(queue, key)
    take(queue)


def entry_of(queue: WarmQueue, key: SandboxKey) -> WarmEntry:
    entry = queue.entry_of(key)
    assert entry is not None, f"{key} is not known"
    return entry


def drain(queue: WarmQueue) -> list[SandboxKey]:
    """The order in which all that waits would be given."""
    order: list[SandboxKey] = []
    while (taken := queue.take()) is not None:
        queue.check()
        order.append(taken.entry.key)
        taken.settle()
    return order


# How a key gets into each place.
PLACES: dict[Place, Callable[[WarmQueue, SandboxKey], None]] = {
    Place.READY: offer,
    Place.NOT_READY: lambda queue, key: offer(queue, key, is_ready=False),
    Place.HELD: hold,
    Place.IN_FLIGHT: offer_and_take,
}
in_each_place = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.value)


class TestP1OnePlace:
    @in_each_place
    def test_a_key_offered_and_held_again_is_known_once(self, place: Place) -> None:
        queue = WarmQueue()
        PLACES[place](queue, A)
        assert queue.place_of(A) is place
        for _ in range(2):
            offer(queue, A)
            hold(queue, A, "n2")
            offer(queue, A, is_ready=False)
        assert len(queue) == queue.statistics().total == 1
        assert list(queue) == [A]

    def test_an_unknown_key_has_no_place(self) -> None:
        queue = WarmQueue()
        assert queue.place_of(A) is None
        assert queue.entry_of(A) is None
        assert A not in queue
        assert queue.take() is None

    def test_a_new_uid_under_a_known_key_replaces_the_old_one(self) -> None:
        queue = WarmQueue()
        offer(queue, A, uid="old")
        offer(queue, A, "n2", uid="new")
        assert entry_of(queue, A).uid == "new"
        assert drain(queue) == [A]

    def test_statistics_count_each_place(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        offer(queue, B)
        offer(queue, C, is_ready=False)
        hold(queue, D)
        take(queue)
        statistics = queue.statistics()
        assert statistics == QueueStatistics(ready=1, not_ready=1, held=1, in_flight=1)
        assert (statistics.waiting, statistics.unpromised, statistics.total) == (2, 3, 4)

    def test_nodes_counts_what_waits(self) -> None:
        queue = WarmQueue()
        offer(queue, A, "n1")
        offer(queue, B, "n1", is_ready=False)
        offer(queue, C, "n2", is_ready=False)
        hold(queue, D, "n2")
        assert queue.nodes() == {"n1": 2, "n2": 1}
        take(queue)
        assert queue.nodes() == {"n1": 1, "n2": 1}

    def test_depth_is_of_the_tier_that_is_picked_from(self) -> None:
        queue = WarmQueue()
        for key, node, is_ready in ((A, "n1", False), (B, "n1", False), (C, "n2", True)):
            offer(queue, key, node, is_ready=is_ready)
        hold(queue, D, "n2")
        assert queue.depth() == Depth(waiting=3, best_node=1, second_node=0)
        take(queue)
        assert queue.depth() == Depth(waiting=2, best_node=2, second_node=0)


class TestP2OneOwner:
    def test_a_taken_entry_is_not_given_again(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        take(queue)
        assert queue.take() is None

    def test_nothing_offered_or_held_about_it_makes_it_takeable(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        taken = take(queue)
        offer(queue, A, "n2")
        hold(queue, A)
        offer(queue, A, is_ready=False)
        offer(queue, A)
        assert queue.take() is None
        taken.give_back()
        assert take(queue).entry.key == A

    def test_two_takes_give_two_entries(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        offer(queue, B)
        assert {take(queue).entry.key, take(queue).entry.key} == {A, B}


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


class TestP6FactsAtOnce:
    @pytest.mark.parametrize(("before", "after"), [("n1", "n2"), (None, "n2"), ("n1", None)])
    def test_a_queued_entry_moves_to_its_new_node(
        self, before: str | None, after: str | None
    ) -> None:
        queue = WarmQueue()
        offer(queue, A, before)
        arrival = entry_of(queue, A).arrival
        offer(queue, A, after)
        assert queue.nodes() == ({after: 1} if after else {})
        assert entry_of(queue, A) == WarmEntry(A, "uid-a", after, True, arrival)

    def test_the_new_node_of_a_queued_entry_counts_in_the_next_pick(self) -> None:
        queue = WarmQueue()
        offer(queue, A, "n1")
        offer(queue, B, "n2")
        offer(queue, C, "n3")
        offer(queue, C, "n2")
        assert take(queue).entry.key == B

    def test_a_held_entry_is_offered_on_its_new_node(self) -> None:
        queue = WarmQueue()
        hold(queue, A, None)
        hold(queue, A, "n2")
        assert entry_of(queue, A).node == "n2"
        assert queue.nodes() == {}
        offer(queue, A, "n3")
        assert queue.nodes() == {"n3": 1}

    def test_an_entry_in_flight_is_given_back_on_its_new_node(self) -> None:
        queue = WarmQueue()
        offer(queue, A, "n1")
        taken = take(queue)
        offer(queue, A, "n2")
        assert taken.entry.node == "n1", "the pick was made by the facts of then"
        assert entry_of(queue, A).node == "n2"
        assert queue.nodes() == {}
        taken.give_back()
        queue.check()
        assert queue.nodes() == {"n2": 1}

    def test_readiness_changes_the_tier_both_ways(self) -> None:
        queue = WarmQueue()
        offer(queue, A, is_ready=False)
        offer(queue, B)
        offer(queue, A)
        offer(queue, B, is_ready=False)
        assert queue.statistics() == QueueStatistics(ready=1, not_ready=1)
        assert drain(queue) == [A, B]

    def test_an_entry_in_flight_that_is_no_longer_ready_is_given_back_as_such(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        taken = take(queue)
        offer(queue, A, is_ready=False)
        taken.give_back()
        assert queue.place_of(A) is Place.NOT_READY

    def test_an_entry_in_flight_that_lost_its_address_is_held_when_given_back(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        taken = take(queue)
        hold(queue, A)
        assert queue.place_of(A) is Place.IN_FLIGHT
        taken.give_back()
        assert queue.place_of(A) is Place.HELD

    def test_a_held_entry_is_not_taken(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        hold(queue, A)
        assert queue.take() is None


class TestP7LeavingByName:
    @in_each_place
    @pytest.mark.parametrize("node", ["n2", None])
    def test_forget_finds_an_entry_whatever_its_place_and_node(
        self, place: Place, node: str | None
    ) -> None:
        queue = WarmQueue()
        PLACES[place](queue, A)
        if place is Place.HELD:
            hold(queue, A, node)
        else:
            offer(queue, A, node, is_ready=place is not Place.NOT_READY)
        assert queue.place_of(A) is place
        assert queue.forget(A) is True
        queue.check()
        assert len(queue) == 0
        assert queue.nodes() == {}

    def test_forget_of_an_unknown_key_says_so(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        assert queue.forget(B) is False
        assert queue.forget(A) is True
        assert queue.forget(A) is False

    def test_forget_looks_at_the_namespace_too(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        assert queue.forget(SandboxKey("other", A.name)) is False
        assert drain(queue) == [A]

    def test_departures_are_told_after_the_fact_and_a_new_uid_is_none(self) -> None:
        told: list[tuple[SandboxKey, bool]] = []
        queue = WarmQueue(on_departure=lambda key: told.append((key, key in queue)))
        offer(queue, A)
        offer(queue, A, uid="new")
        offer(queue, B)
        take(queue).give_back()
        assert told == []
        take(queue).settle()
        queue.forget(B)
        assert told == [(A, False), (B, False)]


class TestP8OneEnding:
    @pytest.mark.parametrize(
        ("ending", "place"),
        [("settle", None), ("forget", None), ("give_back", Place.READY)],
    )
    def test_each_ending_leads_to_its_place(self, ending: str, place: Place | None) -> None:
        queue = WarmQueue()
        offer(queue, A)
        taken = take(queue)
        assert not taken.is_resolved
        getattr(taken, ending)()
        queue.check()
        assert taken.is_resolved
        assert queue.place_of(A) is place

    @pytest.mark.parametrize("first", ["settle", "give_back", "forget"])
    @pytest.mark.parametrize("second", ["settle", "give_back", "forget", "carry_over", "__enter__"])
    def test_a_second_ending_is_refused_and_changes_nothing(self, first: str, second: str) -> None:
        queue = WarmQueue()
        offer(queue, A)
        taken = take(queue)
        getattr(taken, first)()
        before = queue.statistics()
        with pytest.raises(AlreadyResolvedError, match="ns/a"):
            getattr(taken, second)()
        queue.check()
        assert queue.statistics() == before

    @pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError, KeyboardInterrupt])
    def test_an_error_in_the_block_gives_back_and_goes_on(self, error: type[BaseException]) -> None:
        queue = WarmQueue()
        offer(queue, A)
        with pytest.raises(error), take(queue):
            raise error
        assert queue.place_of(A) is Place.READY

    def test_a_return_out_of_the_block_gives_back(self) -> None:
        queue = WarmQueue()
        offer(queue, A)

        def give_up() -> None:
            with take(queue):
                return

        give_up()
        assert queue.place_of(A) is Place.READY

    def test_an_ending_in_the_block_stands(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        with take(queue) as taken:
            taken.settle()
        assert A not in queue

    def test_carried_over_it_stays_in_flight_for_the_next_pass(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        with take(queue) as taken:
            taken.carry_over()
        queue.check()
        assert not taken.is_resolved
        assert queue.place_of(A) is Place.IN_FLIGHT
        with taken:
            pass
        assert queue.place_of(A) is Place.READY

    def test_carried_over_it_stays_in_flight_on_an_error_too(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        with suppress(asyncio.CancelledError), take(queue) as taken:
            taken.carry_over()
            raise asyncio.CancelledError
        assert queue.place_of(A) is Place.IN_FLIGHT

    def test_carried_over_it_may_still_end_in_the_block(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        with take(queue) as taken:
            taken.carry_over()
            taken.settle()
        assert A not in queue

    @pytest.mark.parametrize("ending", ["settle", "give_back", "forget"])
    def test_an_ending_after_the_entry_was_forgotten_changes_nothing(self, ending: str) -> None:
        queue = WarmQueue()
        offer(queue, A)
        taken = take(queue)
        queue.forget(A)
        getattr(taken, ending)()
        queue.check()
        assert len(queue) == 0

    @pytest.mark.parametrize("ending", ["settle", "give_back", "forget"])
    @pytest.mark.parametrize("uid", ["uid-a", "another"])
    @pytest.mark.parametrize("is_taken_again", [True, False])
    def test_an_ending_does_not_touch_the_one_that_came_after(
        self, ending: str, uid: str, is_taken_again: bool
    ) -> None:
        queue = WarmQueue()
        offer(queue, A)
        old = take(queue)
        queue.forget(A)
        offer(queue, A, uid=uid)
        place = Place.IN_FLIGHT if is_taken_again and take(queue) else Place.READY
        getattr(old, ending)()
        queue.check()
        assert queue.place_of(A) is place

    def test_a_new_uid_in_flight_can_be_taken_at_once(self) -> None:
        queue = WarmQueue()
        offer(queue, A, uid="old")
        old = take(queue)
        offer(queue, A, uid="new")
        new = take(queue)
        old.give_back()
        queue.check()
        assert new.entry.uid == "new"
        assert queue.place_of(A) is Place.IN_FLIGHT

    def test_by_name_a_flight_ends_once(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        take(queue).carry_over()
        assert queue.give_back(A, "uid-a") is True
        assert queue.give_back(A, "uid-a") is False
        take(queue).carry_over()
        assert queue.settle(A, "uid-a") is True
        assert queue.settle(A, "uid-a") is False
        assert A not in queue

    @pytest.mark.parametrize("verb", ["settle", "give_back"])
    @in_each_place
    def test_by_name_another_uid_or_place_changes_nothing(self, verb: str, place: Place) -> None:
        queue = WarmQueue()
        PLACES[place](queue, A)
        assert getattr(queue, verb)(A, "another") is False
        assert getattr(queue, verb)(B, "uid-b") is False
        if place is not Place.IN_FLIGHT:
            assert getattr(queue, verb)(A, "uid-a") is False
        queue.check()
        assert queue.place_of(A) is place

    def test_ended_by_name_in_its_own_block_it_is_left_alone(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        with take(queue) as taken:
            queue.settle(A, taken.entry.uid)
        assert A not in queue

    def test_its_text_says_what_became_of_it(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        taken = take(queue)
        assert repr(taken) == "<Taken ns/a: in flight>"
        taken.give_back()
        assert repr(taken) == "<Taken ns/a: give back>"


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
