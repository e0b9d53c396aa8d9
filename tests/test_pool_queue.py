"""WarmQueue, promise by promise: what it knows of an entry; the numbers are those of its module
docstring.

P3, P5 and P9, who is next, are in test_pool_queue_pick; P8, how a flight ends, in
test_pool_queue_flights; P4, the cost, in tests/cost.
"""

import pytest
from tests.pool_queue_moves import (
    PLACES,
    A,
    B,
    C,
    D,
    drain,
    entry_of,
    hold,
    in_each_place,
    offer,
    take,
)

from warmqueue import (
    Depth,
    Place,
    QueueStatistics,
    SandboxKey,
    WarmEntry,
    WarmQueue,
)


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

    def test_forgotten_and_offered_in_flight_it_is_not_given_a_second_time(self) -> None:
        """Its reservation is under way: a second one would race the first."""
        queue = WarmQueue()
        offer(queue, A)
        taken = take(queue)
        queue.forget(A)
        offer(queue, A)
        queue.check()
        assert queue.place_of(A) is Place.IN_FLIGHT
        assert (queue.take(), queue.take_named(A)) == (None, None)
        taken.give_back()
        assert take(queue).entry.key == A


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
        assert len(queue) == (1 if place is Place.IN_FLIGHT else 0)
        assert queue.nodes() == {}

    @pytest.mark.parametrize("ending", ["settle", "give_back", "forget"])
    def test_forgotten_in_flight_it_leaves_when_that_ends(self, ending: str) -> None:
        told: list[SandboxKey] = []
        queue = WarmQueue(on_departure=told.append)
        offer(queue, A)
        taken = take(queue)
        assert (queue.forget(A), queue.forget(A)) == (True, False)
        queue.check()
        assert queue.place_of(A) is Place.IN_FLIGHT
        assert told == []
        getattr(taken, ending)()
        queue.check()
        assert A not in queue
        assert told == [A]

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
