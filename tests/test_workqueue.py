"""Workqueue, promise by promise; the numbers are those of its module docstring."""

import pytest

from warmqueue import Backoff, Lane, NotWorkedError, QueueFullError, Work, Workqueue
from warmqueue.rotation import Rotation, Ticket


def queue_of(
    *keys: str,
    lane: Lane = Lane.STATUS,
    length_max: int | None = None,
    starved_s_max: float | None = None,
) -> Workqueue[str]:
    """Keys are `namespace/name`; these are added at moment 0."""
    queue = Workqueue[str](
        namespace_of=lambda key: key.partition("/")[0],
        backoff=Backoff(base_s=1, cap_s=10),
        length_max=length_max,
        starved_s_max=starved_s_max,
    )
    for key in keys:
        queue.add(key, 0.0, lane=lane)
    return queue


def take(queue: Workqueue[str], now: float) -> Work[str]:
    work = queue.next(now)
    queue.check()
    assert work is not None, "nothing is due"
    return work


def drain(queue: Workqueue[str], now: float) -> list[str]:
    """All that is due, in order, each done before the next."""
    order: list[str] = []
    while (work := queue.next(now)) is not None:
        queue.check()
        order.append(work.key)
        queue.done(work.key, now)
        assert len(order) < 1000, "the queue feeds itself"
    return order


class TestW1Once:
    def test_a_key_added_often_is_given_once(self) -> None:
        queue = queue_of("a/1", "a/2", "a/1", "a/1")
        assert len(queue) == 2
        assert drain(queue, 0.0) == ["a/1", "a/2"]

    def test_in_another_lane_or_for_later_it_is_still_one_key(self) -> None:
        queue = queue_of("a/1")
        queue.add("a/1", 0.0, lane=Lane.ADOPTION)
        queue.add("a/1", 0.0, lane=Lane.HOUSEKEEPING, after_s=5)
        assert drain(queue, 9.0) == ["a/1"]
        assert queue.is_idle

    def test_done_it_can_be_added_again(self) -> None:
        queue = queue_of("a/1")
        assert drain(queue, 0.0) == ["a/1"]
        queue.add("a/1", 1.0)
        assert drain(queue, 1.0) == ["a/1"]


class TestW2NeverTwiceAtOnce:
    def test_a_worked_key_is_not_given_again_before_done(self) -> None:
        queue = queue_of("a/1")
        take(queue, 0.0)
        queue.add("a/1", 0.0, lane=Lane.ADOPTION)
        assert queue.next(0.0) is None
        assert queue.due_at() is None
        queue.done("a/1", 1.0)
        assert take(queue, 1.0).key == "a/1"

    def test_a_key_is_known_to_be_worked_until_done(self) -> None:
        queue = queue_of("a/1")
        assert not queue.is_worked("a/1")
        take(queue, 0.0)
        assert queue.is_worked("a/1")
        queue.add("a/1", 0.0)
        assert queue.is_worked("a/1")
        queue.done("a/1", 0.0)
        assert not queue.is_worked("a/1")
        assert not queue.is_worked("a/2")

    def test_other_keys_go_on_meanwhile(self) -> None:
        queue = queue_of("a/1", "a/2")
        assert [take(queue, 0.0).key, take(queue, 0.0).key] == ["a/1", "a/2"]
        assert queue.statistics().worked == 2

    @pytest.mark.parametrize("key", ["a/1", "never/seen"])
    def test_done_of_a_key_not_worked_is_refused(self, key: str) -> None:
        queue = queue_of("a/1")
        with pytest.raises(NotWorkedError, match=key):
            queue.done(key, 0.0)
        queue.check()
        assert drain(queue, 0.0) == ["a/1"]


class TestW3NothingLost:
    def test_added_while_worked_it_runs_once_more(self) -> None:
        queue = queue_of("a/1")
        take(queue, 0.0)
        for _ in range(3):
            queue.add("a/1", 0.5)
        queue.done("a/1", 1.0)
        assert drain(queue, 1.0) == ["a/1"]
        assert queue.is_idle

    def test_added_while_worked_it_keeps_lane_and_moment_of_the_adds(self) -> None:
        queue = queue_of("a/1")
        take(queue, 0.0)
        queue.add("a/1", 1.0, lane=Lane.HOUSEKEEPING, after_s=4)
        queue.add("a/1", 1.0, lane=Lane.LIFECYCLE, after_s=9)
        queue.done("a/1", 2.0)
        assert queue.due_at() == 5.0
        assert queue.next(4.9) is None
        assert take(queue, 5.5) == Work("a/1", Lane.LIFECYCLE, 0.5)

    def test_a_retry_while_worked_waits_after_done(self) -> None:
        queue = queue_of("a/1")
        take(queue, 0.0)
        assert queue.retry("a/1", 0.0, lane=Lane.STATUS) == 1
        queue.done("a/1", 0.25)
        assert queue.next(0.9) is None
        assert take(queue, 1.0).waited_s == 0

    def test_an_event_during_a_failing_run_does_not_wait_for_the_back_off(self) -> None:
        queue = queue_of("a/1")
        take(queue, 0.0)
        queue.add("a/1", 0.5)
        queue.retry("a/1", 1.0, lane=Lane.STATUS)
        queue.done("a/1", 1.0)
        assert take(queue, 1.0).key == "a/1"


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

    def test_a_flood_of_one_namespace_delays_another_by_one_key_per_turn(self) -> None:
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
        assert rotation.first() is None
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


class TestW8BackOff:
    def test_each_retry_waits_longer_until_forget(self) -> None:
        queue = queue_of("a/1")
        delays: list[float] = []
        now = 0.0
        for _ in range(6):
            take(queue, now)
            delays.append(queue.retry("a/1", now, lane=Lane.STATUS))
            queue.done("a/1", now)
            now += delays[-1]
        assert delays == [1, 2, 4, 8, 10, 10]
        take(queue, now)
        queue.forget("a/1")
        assert queue.retry("a/1", now, lane=Lane.STATUS) == 1

    def test_a_failing_key_delays_no_other(self) -> None:
        queue = queue_of("a/1", "a/2")
        take(queue, 0.0)
        queue.retry("a/1", 0.0, lane=Lane.STATUS)
        queue.done("a/1", 0.0)
        assert drain(queue, 0.5) == ["a/2"]
        assert queue.statistics().failing == 1

    def test_an_event_for_a_backing_off_key_runs_it_at_once(self) -> None:
        queue = queue_of("a/1")
        take(queue, 0.0)
        queue.retry("a/1", 0.0, lane=Lane.STATUS)
        queue.done("a/1", 0.0)
        queue.add("a/1", 0.25)
        assert drain(queue, 0.25) == ["a/1"]

    def test_retry_says_the_lane_and_takes_jitter(self) -> None:
        queue = queue_of()
        assert queue.retry("a/1", 0.0, lane=Lane.REFILL, jitter=0.5) == 0.75
        assert take(queue, 0.75).lane is Lane.REFILL

    def test_forget_leaves_a_queued_key_queued(self) -> None:
        queue = queue_of("a/1")
        queue.forget("a/1")
        assert drain(queue, 0.0) == ["a/1"]


class TestW9Bounded:
    def test_a_further_key_is_refused_and_nothing_changes(self) -> None:
        queue = queue_of("a/1", "a/2", length_max=2)
        with pytest.raises(QueueFullError, match="b/1"):
            queue.add("b/1", 0.0, lane=Lane.ADOPTION)
        with pytest.raises(QueueFullError, match="b/1"):
            queue.retry("b/1", 0.0, lane=Lane.ADOPTION)
        queue.check()
        assert "b/1" not in queue
        assert queue.statistics().failing == 0
        assert drain(queue, 9.0) == ["a/1", "a/2"]

    def test_a_known_key_is_never_refused(self) -> None:
        queue = queue_of("a/1", "a/2", length_max=2)
        queue.add("a/1", 0.0, lane=Lane.ADOPTION)
        take(queue, 0.0)
        queue.add("a/1", 0.0)
        queue.retry("a/1", 0.0, lane=Lane.STATUS)
        queue.done("a/1", 0.0)
        assert len(queue) == 2

    def test_what_is_discarded_leaves_no_residue(self) -> None:
        queue = queue_of("a/1", "a/2")
        queue.add("a/3", 0.0, after_s=5.0)
        take(queue, 0.0)
        queue.retry("a/1", 0.0, lane=Lane.ADOPTION)
        queue.done("a/1", 0.0)
        assert all(queue.discard(key) for key in ("a/1", "a/2", "a/3", "unknown"))
        queue.check()
        assert queue.is_idle
        assert queue.due_at() is None
        assert queue.statistics().failing == 0

    def test_what_is_being_worked_is_not_discarded(self) -> None:
        queue = queue_of("a/1", "a/2")
        take(queue, 0.0)
        queue.add("a/1", 0.0)
        assert not queue.discard("a/1")
        assert queue.known() == ("a/1", "a/2")
        queue.done("a/1", 0.0)
        assert sorted(drain(queue, 0.0)) == ["a/1", "a/2"]

    def test_there_is_room_again_after_done(self) -> None:
        queue = queue_of("a/1", length_max=1)
        take(queue, 0.0)
        with pytest.raises(QueueFullError):
            queue.add("a/2", 0.0)
        queue.done("a/1", 0.0)
        queue.add("a/2", 0.0)
        assert drain(queue, 0.0) == ["a/2"]

    def test_a_delayed_key_added_sooner_again_and_again_leaves_no_residue(self) -> None:
        queue = queue_of()
        for i in range(1000):
            queue.add("a/1", 0.0, after_s=2000 - i)
        queue.check()
        assert queue.statistics().delayed == len(queue) == 1

    def test_emptied_it_holds_nothing(self) -> None:
        queue = queue_of("a/1", "b/1")
        drain(queue, 0.0)
        assert queue.is_idle
        assert "a/1" not in queue
        statistics = queue.statistics()
        assert statistics.waiting == dict.fromkeys(Lane, 0)
        assert (statistics.delayed, statistics.worked, statistics.failing) == (0, 0, 0)
