"""The loop whose clock jumps: time, order, deadlocks, lost errors."""

from __future__ import annotations

import asyncio

import pytest

from warmclaim.testing.virtual_loop import (
    START_WALL_S,
    DeadlockError,
    SeededRng,
    World,
    run_virtual,
)


def test_a_day_of_sleep_takes_no_time_and_lands_on_the_second() -> None:
    async def scenario(world: World) -> tuple[float, float]:
        for _ in range(24 * 60):
            await world.clock.sleep(60)
        return world.clock.monotonic(), world.clock.wall()

    assert run_virtual(scenario) == (86_400.0, START_WALL_S + 86_400)


def test_timeouts_of_asyncio_run_on_virtual_time() -> None:
    async def scenario(world: World) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return world.clock.monotonic()

    assert run_virtual(scenario) == 30.0


def test_a_deadlock_is_an_error_at_once_and_names_who_waits_where() -> None:
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    async def scenario(world: World) -> None:
        await asyncio.create_task(wait_for_ever(), name="the-stuck-one")

    with pytest.raises(DeadlockError, match=r"the-stuck-one waits at .* in Event\.wait"):
        run_virtual(scenario)


def _trace(seed: int, *, shuffled: bool) -> list[tuple[int, float]]:
    async def scenario(world: World) -> list[tuple[int, float]]:
        trace: list[tuple[int, float]] = []

        async def walk(number: int) -> None:
            for _ in range(3):
                await world.clock.sleep(round(world.rng.random(), 1))
                trace.append((number, world.clock.monotonic()))

        await asyncio.gather(*(walk(number) for number in range(20)))
        return trace

    return run_virtual(scenario, seed=seed, shuffled=shuffled)


@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "shuffled"])
def test_the_same_seed_gives_the_same_run_and_another_seed_another(shuffled: bool) -> None:
    assert _trace(1, shuffled=shuffled) == _trace(1, shuffled=shuffled)
    assert _trace(1, shuffled=shuffled) != _trace(2, shuffled=shuffled)


def test_shuffling_changes_who_goes_first_among_those_ready_at_once() -> None:
    async def scenario(world: World) -> list[int]:
        order: list[int] = []

        async def step(number: int) -> None:
            order.append(number)

        await asyncio.gather(*(step(number) for number in range(10)))
        return order

    assert run_virtual(scenario) == list(range(10))
    shuffled = run_virtual(scenario, seed=3, shuffled=True)
    assert shuffled != list(range(10))
    assert sorted(shuffled) == list(range(10))


def test_an_error_that_no_one_awaited_fails_the_run() -> None:
    async def scenario(world: World) -> None:
        world.loop.call_later(1, int, "no number")
        await world.clock.sleep(2)

    with pytest.raises(ExceptionGroup) as raised:
        run_virtual(scenario)
    assert raised.group_contains(ValueError)


def test_an_error_of_the_scenario_comes_out_as_it_is() -> None:
    async def scenario(world: World) -> None:
        await world.clock.sleep(1)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run_virtual(scenario)


def test_tasks_left_behind_are_cancelled() -> None:
    ended: list[str] = []

    async def scenario(world: World) -> None:
        async def forgotten() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("forgotten")

        world.loop.create_task(forgotten())
        await world.clock.sleep(1)

    run_virtual(scenario)
    assert ended == ["forgotten"]


def test_the_rng_draws_tokens_of_lower_case_letters_and_digits() -> None:
    token = SeededRng(5).token(200)
    assert len(token) == 200
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyz0123456789")
    assert token == SeededRng(5).token(200)
    assert all(0 <= SeededRng(n).random() < 1 for n in range(100))


def test_the_last_rounding_error_of_a_wait_still_moves_the_clock() -> None:
    async def scenario(world: World) -> float:
        await world.clock.sleep(162.75)
        began = world.clock.monotonic()
        await world.clock.sleep(1e-15)
        return world.clock.monotonic() - began

    assert run_virtual(scenario) > 0
