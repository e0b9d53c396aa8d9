"""Workqueue: which key is next, and when (W4 to W7)."""

import pytest
from tests.workqueue_moves import drain, queue_of, take

from warmqueue import Lane, Work
from warmqueue.rotation import Rotation, Ticket


class TestW4TheSoonerAndTheMoreUrgent:
    def test_added_sooner_a_delayed_key_moves_up(self) -> None:
        queue = queue_of()
        queue.add("a/1", 0.0, after_s=10)
        queue.add("a/1", 0.0, after_s=3)
        assert queue.due_at() == 3
        queue.add("a/1", 1.0)
        assert queue.due_at() == 1
        assert drain(queue, 1.0) == ["a/1"]
        assert queue.next(10.0) is None

    def test_added_for_later_it_does_not_move_back(self) -> None:
        queue = queue_of("a/1")
        queue.add("a/1", 0.0, after_s=10)
        assert drain(queue, 0.0) == ["a/1"]
        assert queue.is_idle

    def test_added_in_a_more_urgent_lane_it_goes_there_with_its_place(self) -> None:
        queue = queue_of("a/1")
        queue.add("a/2", 1.0, lane=Lane.ADOPTION)
        queue.add("a/1", 2.0, lane=Lane.ADOPTION)
        assert queue.depth(Lane.STATUS) == 0
        assert take(queue, 3.0) == Work("a/1", Lane.ADOPTION, 3.0)

    def test_added_in_a_less_urgent_lane_it_stays(self) -> None:
        queue = queue_of("a/1", lane=Lane.ADOPTION)
        queue.add("a/1", 0.0, lane=Lane.REFILL)
        assert take(queue, 0.0).lane is Lane.ADOPTION

    def test_a_delayed_key_takes_the_more_urgent_lane_along(self) -> None:
        queue = queue_of()
        queue.add("a/1", 0.0, lane=Lane.REFILL, after_s=2)
        queue.add("a/1", 0.0, lane=Lane.ADOPTION, after_s=5)
        assert take(queue, 2.0).lane is Lane.ADOPTION

    def test_added_again_it_keeps_its_place_in_line(self) -> None:
        queue = queue_of("a/1", "a/2", "a/3")
        queue.add("a/1", 5.0)
        assert drain(queue, 5.0) == ["a/1", "a/2", "a/3"]

    def test_the_wait_is_counted_from_the_first_add(self) -> None:
        queue = queue_of("a/1")
        queue.add("a/1", 5.0)
        assert take(queue, 6.0).waited_s == 6


class TestW5Lanes:
    def test_more_urgent_lanes_go_first(self) -> None:
        queue = queue_of()
        for lane in sorted(Lane, reverse=True):
            queue.add(f"a/{lane.name}", 0.0, lane=lane)
        assert drain(queue, 0.0) == [
            "a/ADOPTION",
            "a/LIFECYCLE",
            "a/STATUS",
            "a/REFILL",
            "a/HOUSEKEEPING",
        ]

    def test_a_key_not_due_does_not_hold_back_a_less_urgent_one(self) -> None:
        queue = queue_of("a/1", lane=Lane.HOUSEKEEPING)
        queue.add("a/2", 0.0, lane=Lane.ADOPTION, after_s=1)
        assert drain(queue, 0.5) == ["a/1"]

    def test_without_a_bound_a_lane_waits_for_as_long_as_it_takes(self) -> None:
        queue = queue_of("a/low", lane=Lane.REFILL)
        for now in range(1000):
            queue.add("a/high", now, lane=Lane.ADOPTION)
            work = take(queue, now)
            assert work.key == "a/high"
            queue.done(work.key, now)

    def test_with_a_bound_a_starved_lane_gets_one_key_per_bound(self) -> None:
        queue = queue_of("a/low-1", "a/low-2", lane=Lane.REFILL, starved_s_max=10)
        given: dict[str, float] = {}
        for tenth in range(300):
            now = tenth / 10
            queue.add("a/high", now, lane=Lane.ADOPTION)
            work = take(queue, now)
            given.setdefault(work.key, now)
            queue.done(work.key, now)
        assert given == {"a/high": 0, "a/low-1": 10, "a/low-2": 20}

    def test_a_lane_that_was_empty_is_not_starved_at_once(self) -> None:
        queue = queue_of(starved_s_max=10)
        queue.add("a/high", 95.0, lane=Lane.ADOPTION)
        assert drain(queue, 95.0) == ["a/high"]
        queue.add("a/high", 100.0, lane=Lane.ADOPTION)
        queue.add("a/low", 100.0, lane=Lane.REFILL)
        assert drain(queue, 100.0) == ["a/high", "a/low"]

    def test_depth_counts_the_due_keys_of_a_lane(self) -> None:
        queue = queue_of("a/1", "a/2")
        queue.add("a/3", 0.0, after_s=1)
        queue.add("a/4", 0.0, lane=Lane.REFILL)
        assert (queue.depth(Lane.STATUS), queue.depth(Lane.REFILL)) == (2, 1)
        take(queue, 1.0)
        assert (queue.depth(Lane.STATUS), queue.depth(Lane.ADOPTION)) == (2, 0)


class TestW6Fair:
    def test_inside_a_namespace_the_longest_due_goes_first(self) -> None:
        queue = queue_of("a/3", "a/1", "a/2")
        assert drain(queue, 0.0) == ["a/3", "a/1", "a/2"]

    def test_a_delayed_key_stands_where_its_moment_puts_it(self) -> None:
        queue = queue_of()
        queue.add("a/delayed", 0.0, after_s=5)
        queue.add("a/before", 4.0)
        queue.add("a/after", 6.0)
        assert drain(queue, 6.0) == ["a/before", "a/delayed", "a/after"]

    def test_g13_a_flood_of_one_namespace_delays_another_by_one_key_per_turn(self) -> None:
        queue = queue_of(*(f"flood/{i}" for i in range(500)))
        for name in ("1", "2"):
            queue.add(f"calm/{name}", 0.0)
        assert drain(queue, 0.0)[:5] == ["flood/0", "calm/1", "flood/1", "calm/2", "flood/2"]

    def test_a_namespace_with_work_left_goes_to_the_end_of_the_turns(self) -> None:
        queue = queue_of("a/1", "a/2", "b/1", "c/1", "b/2")
        assert drain(queue, 0.0) == ["a/1", "b/1", "c/1", "a/2", "b/2"]

    def test_turns_are_kept_per_lane(self) -> None:
        queue = queue_of("a/1", "b/1")
        queue.add("a/2", 0.0, lane=Lane.ADOPTION)
        assert drain(queue, 0.0) == ["a/2", "a/1", "b/1"]

    def test_a_delayed_key_takes_its_turn_from_when_it_is_due_not_from_the_next_call(self) -> None:
        queue = queue_of()
        queue.add("b/1", 0.0, after_s=1)
        queue.add("a/1", 2.0)
        assert drain(queue, 2.0) == ["b/1", "a/1"]

    def test_a_key_added_while_worked_takes_its_turn_from_done(self) -> None:
        queue = queue_of("a/1")
        take(queue, 0.0)
        queue.add("a/1", 0.5)
        queue.add("b/1", 0.5, after_s=1)
        queue.done("a/1", 2.0)
        assert drain(queue, 2.0) == ["b/1", "a/1"]

    def test_a_rotation_refuses_a_ticket_given_twice(self) -> None:
        rotation = Rotation[str]()
        with pytest.raises(KeyError):
            rotation.first()
        rotation.add("a", Ticket(0.0, 1), "x")
        with pytest.raises(AssertionError, match="twice"):
            rotation.add("a", Ticket(0.0, 1), "y")
        rotation.check()
        assert rotation.remove("a", Ticket(0.0, 1)) == "x"
        with pytest.raises(KeyError):
            rotation.pop()


class TestW7NotEarly:
    def test_a_key_is_not_given_before_it_is_due(self) -> None:
        queue = queue_of()
        queue.add("a/1", 10.0, after_s=2.5)
        assert queue.due_at() == 12.5
        assert queue.next(12.4) is None
        assert take(queue, 13.0) == Work("a/1", Lane.STATUS, 0.5)

    def test_due_at_is_the_earliest_of_the_delayed(self) -> None:
        queue = queue_of()
        for after_s in (3, 1, 2):
            queue.add(f"a/{after_s}", 0.0, after_s=after_s)
        assert queue.due_at() == 1

    def test_due_at_is_past_when_something_waits(self) -> None:
        queue = queue_of()
        queue.add("a/1", 7.0, lane=Lane.HOUSEKEEPING)
        queue.add("a/2", 7.0, after_s=1)
        assert queue.due_at() == 7.0

    def test_due_at_is_none_with_nothing_queued(self) -> None:
        assert queue_of().due_at() is None

    @pytest.mark.parametrize("after_s", [0.0, -3.0])
    def test_no_delay_and_less_than_none_are_at_once(self, after_s: float) -> None:
        queue = queue_of()
        queue.add("a/1", 5.0, after_s=after_s)
        assert take(queue, 5.0).waited_s == 0
