"""RefillPace: when a pool may create members again, and how many at once."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmclaim.domain.refill_pace import (
    REFUSED_FOR_GOOD_S,
    REFUSED_S_MAX,
    REFUSED_S_MIN,
    PaceLimits,
    RefillPace,
)

DELAY_S = 10.0


def a_pace(*, delay_s: float = 0.0, per_s_max: float = 0.0, together_max: int = 300) -> RefillPace:
    return RefillPace(PaceLimits(delay_s, per_s_max, together_max), now_s=0.0)


# Each row: looks of (second, members that stay, replicas), and the pause after the last one.
@pytest.mark.parametrize(
    ("looks", "pause_s"),
    [
        pytest.param([(0, 0, 5)], 0, id="a new pool"),
        pytest.param([(0, 3, 5)], 0, id="first seen with some missing"),
        pytest.param([(0, 3, 5), (1, 2, 5)], 0, id="a loss before it was full"),
        pytest.param([(0, 5, 5)], 0, id="full"),
        pytest.param([(0, 5, 5), (1, 4, 5)], 10, id="a loss"),
        pytest.param([(0, 5, 5), (1, 4, 5), (4, 4, 5)], 7, id="the pause goes by"),
        pytest.param([(0, 5, 5), (1, 4, 5), (4, 2, 5)], 7, id="another loss prolongs nothing"),
        pytest.param([(0, 5, 5), (1, 4, 5), (11, 1, 5)], 0, id="it is over in spite of losses"),
        pytest.param([(0, 5, 5), (1, 4, 5), (11, 1, 5), (12, 0, 5)], 0, id="a loss while filling"),
        pytest.param(
            [(0, 5, 5), (1, 4, 5), (11, 4, 5), (12, 5, 5), (13, 4, 5)], 10, id="full in between"
        ),
        pytest.param([(0, 5, 5), (1, 4, 5), (2, 5, 5)], 0, id="full again by others"),
        pytest.param([(0, 5, 5), (1, 5, 9)], 0, id="made larger"),
        pytest.param([(0, 5, 5), (1, 5, 9), (2, 4, 9)], 0, id="a loss on the way to a larger size"),
        pytest.param([(0, 5, 5), (1, 4, 3)], 0, id="made smaller by more than it lost"),
        pytest.param([(0, 7, 5), (1, 5, 5), (2, 4, 5)], 10, id="a surplus that went is no loss"),
    ],
)
def test_the_delay_after_a_loss(looks: list[tuple[float, int, int]], pause_s: float) -> None:
    pace = a_pace(delay_s=DELAY_S)
    for now_s, active, replicas in looks:
        pace.see(active, replicas, now_s)
    assert pace.pause_s(looks[-1][0]) == pause_s


def test_without_a_delay_a_loss_is_made_up_for_at_once() -> None:
    pace = a_pace()
    pace.see(5, 5, 0.0)
    pace.see(4, 5, 1.0)
    assert pace.pause_s(1.0) == 0.0


@given(
    st.lists(st.tuples(st.floats(0.1, 9.0), st.integers(0, 5)), min_size=1, max_size=60),
    st.floats(1.0, 30.0),
)
def test_losses_without_end_never_keep_a_pool_from_being_filled(
    looks: list[tuple[float, int]], delay_s: float
) -> None:
    """However it is drained, it waits for no longer than the delay after it was full last."""
    pace = a_pace(delay_s=delay_s)
    now_s = full_s = 0.0
    pace.see(5, 5, now_s)
    for step_s, active in looks:
        now_s += step_s
        pace.see(active, 5, now_s)
        if active >= 5:
            full_s = now_s
        left_s = pace.pause_s(now_s)
        assert left_s <= delay_s + 1e-9
        if now_s - full_s > delay_s + 9.0:  # the first look after it may have come so late
            assert left_s == 0.0


@pytest.mark.parametrize(
    ("per_s_max", "at_s", "wanted", "granted"),
    [
        (0.0, 0.0, 1000, 1000),  # no limit
        (5.0, 0.0, 10, 5),  # begins full
        (0.5, 0.0, 10, 1),  # holds one at least
        (5.0, 0.0, 3, 3),
        (5.0, 100.0, 10, 5),  # and holds no more, however long it waits
        (1e308, 0.0, 1000, 1000),
        (1e308, 1e6, 1000, 1000),
        (5e-324, 1e6, 10, 1),
    ],
)
def test_a_limit_by_rate_grants_what_it_holds(
    per_s_max: float, at_s: float, wanted: int, granted: int
) -> None:
    pace = a_pace(per_s_max=per_s_max, together_max=1000)
    for _ in range(10):
        pace.went_well()
    assert pace.take(wanted, at_s) == granted


def test_what_was_granted_comes_back_by_and_by() -> None:
    pace = a_pace(per_s_max=0.5)
    assert (pace.pause_s(0.0), pace.take(1, 0.0)) == (0.0, 1)
    assert pace.pause_s(0.0) == pytest.approx(2.0)
    assert pace.pause_s(1.5) == pytest.approx(0.5)
    assert (pace.pause_s(2.0), pace.take(1, 2.0)) == (0.0, 1)


def test_what_was_not_used_is_given_back_but_nothing_else() -> None:
    pace = a_pace(per_s_max=2.0)
    pace.went_well()
    assert pace.take(2, 0.0) == 2
    pace.give_back(1)
    assert pace.take(2, 0.0) == 1
    pace.give_back(9)
    assert pace.take(9, 0.0) == 2


@given(
    st.floats(0.01, 50.0),
    st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(0, 40)), max_size=60),
)
def test_no_more_is_granted_than_the_rate_allows_and_a_pause_is_long_enough(
    per_s_max: float, asked: list[tuple[float, int]]
) -> None:
    pace = a_pace(per_s_max=per_s_max)
    for _ in range(9):
        pace.went_well()
    now_s, total = 0.0, 0
    for step_s, wanted in asked:
        now_s += step_s
        total += pace.take(wanted, now_s)
        assert total <= math.floor(max(1.0, per_s_max) + now_s * per_s_max + 1e-6)
        now_s += pace.pause_s(now_s)
        assert pace.pause_s(now_s) == 0.0
    assert pace.take(1, now_s) == 1


def test_a_slow_start() -> None:
    pace = a_pace(together_max=6)
    sizes: list[int] = []
    for _ in range(5):
        sizes.append(pace.take(100, 0.0))
        pace.went_well()
    pace.failed()
    assert [*sizes, pace.take(100, 0.0)] == [1, 2, 4, 6, 6, 1]


def test_refusals_slow_it_down_until_something_is_created() -> None:
    pace = a_pace()
    now_s, pauses_s = 0.0, list[float]()
    for _ in range(10):
        pace.refused(now_s)
        pauses_s.append(pace.pause_s(now_s))
        now_s += pauses_s[-1]
        assert pace.pause_s(now_s) == 0.0
    assert pauses_s[:4] == [REFUSED_S_MIN * 2**n for n in range(4)]
    assert pauses_s[-1] == REFUSED_S_MAX
    pace.went_well()
    pace.refused(now_s)
    assert pace.pause_s(now_s) == REFUSED_S_MIN


def test_what_can_never_succeed_is_tried_rarely() -> None:
    pace = a_pace()
    pace.refused(0.0, is_for_good=True)
    assert pace.pause_s(0.0) == REFUSED_FOR_GOOD_S


def test_what_is_another_thing_is_tried_at_once() -> None:
    pace = a_pace()
    pace.refused(0.0)
    pace.forgive(0.1)
    assert pace.pause_s(0.1) == 0.0
