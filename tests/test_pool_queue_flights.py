"""WarmQueue: a flight ends once, in exactly one way (P8)."""

import asyncio
from contextlib import suppress

import pytest
from tests.pool_queue_moves import (
    PLACES,
    A,
    B,
    entry_of,
    hold,
    in_each_place,
    offer,
    take,
)

from warmqueue import (
    AlreadyResolvedError,
    Place,
    WarmQueue,
)


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
    @pytest.mark.parametrize("is_held", [True, False])
    def test_what_came_back_in_flight_stays_however_that_ends(
        self, ending: str, is_held: bool
    ) -> None:
        queue = WarmQueue()
        offer(queue, A)
        taken, arrival = take(queue), entry_of(queue, A).arrival
        queue.forget(A)
        hold(queue, A) if is_held else offer(queue, A)
        getattr(taken, ending)()
        queue.check()
        assert queue.place_of(A) is (Place.HELD if is_held else Place.READY)
        assert entry_of(queue, A).arrival == arrival

    def test_what_came_back_and_went_again_in_flight_leaves(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        taken = take(queue)
        queue.forget(A)
        offer(queue, A)
        assert queue.forget(A) is True
        taken.give_back()
        queue.check()
        assert A not in queue

    def test_what_was_told_in_one_flight_does_not_count_for_the_next(self) -> None:
        queue = WarmQueue()
        offer(queue, A)
        taken = take(queue)
        queue.forget(A)
        offer(queue, A)
        taken.forget()
        take(queue).settle()
        assert A not in queue

    @pytest.mark.parametrize("ending", ["settle", "give_back", "forget"])
    @pytest.mark.parametrize("is_forgotten", [True, False])
    @pytest.mark.parametrize("is_taken_again", [True, False])
    def test_an_ending_does_not_touch_another_uid_that_came_after(
        self, ending: str, is_forgotten: bool, is_taken_again: bool
    ) -> None:
        queue = WarmQueue()
        offer(queue, A)
        old = take(queue)
        if is_forgotten:
            queue.forget(A)
        offer(queue, A, uid="another")
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
