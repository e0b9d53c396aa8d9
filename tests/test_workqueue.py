"""Workqueue, promise by promise; the numbers are those of its module docstring.

W4 to W7, which key is next and when, are in test_workqueue_order.
"""

import pytest
from tests.workqueue_moves import drain, queue_of, take

from warmqueue import Lane, NotWorkedError, QueueFullError, Work


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

    def test_what_was_asked_for_before_a_look_is_served_by_it(self) -> None:
        queue = queue_of("a/1")
        take(queue, 0.0)
        queue.add("a/1", 0.0)
        queue.looked("a/1", 0.0)
        queue.check()
        queue.done("a/1", 0.0)
        assert queue.is_idle

    def test_what_is_asked_for_after_a_look_or_for_later_is_not(self) -> None:
        queue = queue_of("a/1", "a/2")
        take(queue, 0.0)
        queue.looked("a/1", 0.0)
        queue.add("a/1", 0.0)
        queue.done("a/1", 0.0)
        assert take(queue, 0.0).key == "a/2"
        queue.add("a/2", 0.0, after_s=5)
        queue.looked("a/2", 1.0)
        queue.done("a/2", 1.0)
        assert drain(queue, 9.0) == ["a/1", "a/2"]

    def test_a_look_at_a_key_that_is_not_worked_serves_nothing(self) -> None:
        queue = queue_of("a/1")
        queue.looked("a/1", 0.0)
        queue.looked("never/seen", 0.0)
        assert drain(queue, 0.0) == ["a/1"]

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
