"""The ladder's rungs and the delays, without any I/O."""

from __future__ import annotations

import pytest

from warmclaim.errors import ExpiredError, NotSentError, PermanentError, TransientError
from warmclaim.kube.ladder import (
    Backoff,
    Ladder,
    ListStep,
    ReflectorSettings,
    Verdict,
    WatchStep,
)

GONE = ExpiredError(410, "Expired", "")
AHEAD = TransientError(504, "ResourceVersionTooLarge", "")


def a_ladder(position: int = 50) -> Ladder:
    ladder = Ladder(ReflectorSettings())
    if position:
        assert ladder.listed(ListStep(""), position) is Verdict.ACCEPTED
    return ladder


def test_first_step_is_a_consistent_list_whatever_fails() -> None:
    ladder = a_ladder(0)
    for error in (GONE, AHEAD, NotSentError(""), TransientError(500, "", "")):
        assert ladder.step() == ListStep("")
        ladder.list_failed(error)
    assert ladder.step() == ListStep("")


def test_from_the_cheap_rung_to_the_dear_one() -> None:
    ladder = a_ladder(50)
    assert ladder.step() == WatchStep("50")
    assert ladder.advanced(60)
    ladder.watch_failed(TransientError(500, "", ""), is_in_stream=False)
    assert ladder.step() == WatchStep("60")
    ladder.watch_failed(GONE, is_in_stream=True)
    assert ladder.step() == ListStep("60")
    ladder.list_failed(TransientError(500, "", ""))
    assert ladder.step() == ListStep("60")
    ladder.list_failed(GONE)
    assert ladder.step() == ListStep("")


def test_position_never_goes_back_by_an_event() -> None:
    ladder = a_ladder(50)
    assert not ladder.advanced(50)
    assert not ladder.advanced(7)
    assert ladder.step() == WatchStep("50")


def test_refused_watch_requests_list_again_at_the_third_time() -> None:
    ladder = a_ladder(50)
    for _ in range(2):
        ladder.watch_failed(PermanentError(400, "", ""), is_in_stream=False)
        assert ladder.step() == WatchStep("50")
    ladder.watch_failed(PermanentError(400, "", ""), is_in_stream=False)
    assert ladder.step() == ListStep("50")


def test_older_lists_from_a_cache_are_refused_for_ever() -> None:
    ladder = a_ladder(50)
    for _ in range(10):
        assert ladder.listed(ListStep("50"), 40) is Verdict.REFUSED
    assert ladder.step() == ListStep("")


def test_third_consistent_older_list_is_a_reset() -> None:
    ladder = a_ladder(50)
    verdicts = [ladder.listed(ListStep(""), 40) for _ in range(3)]
    assert verdicts == [Verdict.REFUSED, Verdict.REFUSED, Verdict.RESET]
    assert ladder.step() == WatchStep("40")


def test_good_list_in_between_starts_the_count_of_refusals_again() -> None:
    ladder = a_ladder(50)
    ladder.listed(ListStep(""), 40)
    ladder.listed(ListStep(""), 40)
    assert ladder.listed(ListStep(""), 51) is Verdict.ACCEPTED
    assert ladder.listed(ListStep(""), 40) is Verdict.REFUSED


def test_delays_double_to_a_limit() -> None:
    backoff = Backoff(ReflectorSettings())
    delays = [backoff.after_failure(now, 0.0, None) for now in range(8)]
    assert delays == pytest.approx([0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30])


def test_delays_are_spread_upwards_by_chance() -> None:
    backoff = Backoff(ReflectorSettings(backoff_jitter=0.5))
    assert backoff.after_failure(0, 0.999, None) == pytest.approx(1.2, abs=0.01)


def test_delays_are_forgotten_after_two_minutes_of_health() -> None:
    backoff = Backoff(ReflectorSettings())
    for now in range(6):
        backoff.after_failure(now, 0.0, None)
    assert backoff.after_failure(5 + 119, 0.0, None) == 30
    assert backoff.after_failure(5 + 119 + 121, 0.0, None) == 0.8


def test_wish_of_the_server_is_the_least_but_bounded() -> None:
    backoff = Backoff(ReflectorSettings())
    assert backoff.after_failure(0, 0.0, 5) == 5
    assert backoff.after_failure(0, 0.0, 9999) == 60
    assert backoff.after_failure(0, 0.0, 0.1) == pytest.approx(3.2)


def test_progress_keeps_the_shortest_delay() -> None:
    backoff = Backoff(ReflectorSettings())
    assert [backoff.after_progress(now, 0.0) for now in range(5)] == [0.8] * 5
