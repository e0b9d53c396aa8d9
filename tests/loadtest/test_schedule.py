"""Schedules are open loops: fixed before the first claim, whatever the answers are."""

from __future__ import annotations

import asyncio
import itertools
import statistics

import pytest

from warmclaim.loadtest.schedule import Due, even, poisson, send


def test_an_even_schedule_takes_the_pools_in_turn() -> None:
    assert even(["a", "b", "c"], ["p", "q"], 10) == (
        Due("a", "p", 0.0),
        Due("b", "q", 0.1),
        Due("c", "p", 0.2),
    )
    assert [due.offset_s for due in even(["a", "b"], ["p"], None)] == [0.0, 0.0]


def test_a_poisson_schedule_has_its_rate_its_scatter_and_its_seed() -> None:
    dues = poisson("x", ["p", "q"], rate_per_s=100, duration_s=100, seed=3)
    gaps_s = [after.offset_s - before.offset_s for before, after in itertools.pairwise(dues)]
    # Of an exponential distribution mean and standard deviation are the same.
    assert statistics.mean(gaps_s) == pytest.approx(0.01, rel=0.05)
    assert statistics.stdev(gaps_s) == pytest.approx(0.01, rel=0.05)
    assert dues[-1].offset_s < 100
    assert {due.pool for due in dues} == {"p", "q"}
    assert len({due.name for due in dues}) == len(dues)
    assert dues == poisson("x", ["p", "q"], rate_per_s=100, duration_s=100, seed=3)
    assert dues != poisson("x", ["p", "q"], rate_per_s=100, duration_s=100, seed=4)
    assert len(poisson("x", ["p"], rate_per_s=0.001, duration_s=0.001, seed=1)) == 1


async def test_nobody_waits_for_an_answer() -> None:
    begun: list[str] = []
    all_begun = asyncio.Event()

    async def create(due: Due) -> None:
        begun.append(due.name)
        if len(begun) == 3:
            all_begun.set()
        await all_begun.wait()

    sent = await send(even(["a", "b", "c"], ["p"], 1000), create)
    assert list(sent.at_s) == begun == ["a", "b", "c"]


async def test_an_error_ends_the_load() -> None:
    async def create(due: Due) -> None:
        raise ConnectionError(due.name)

    with pytest.raises(ExceptionGroup):
        await send(even(["a", "b"], ["p"], None), create)
