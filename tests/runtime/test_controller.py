"""Workers: how each way a pass can end is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest

from warmclaim.errors import (
    ConflictError,
    InvariantError,
    NotSentError,
    PermanentError,
    ThrottledError,
)
from warmclaim.runtime.async_workqueue import AsyncWorkqueue
from warmclaim.runtime.controller import PERMANENT_RETRY_S, Controller
from warmclaim.runtime.reconciler import DONE, Result, again
from warmclaim.seams import SystemClock
from warmqueue import Backoff, Lane, Workqueue


class Recorder:
    """A PassObserver."""

    def __init__(self) -> None:
        self.results: list[str] = []
        self.violations: list[str] = []

    def pass_ended(self, controller: str, result: str, duration_s: float, waited_s: float) -> None:
        assert duration_s >= 0
        assert waited_s >= 0
        self.results.append(result)

    def invariant_violated(self, invariant: str) -> None:
        self.violations.append(invariant)


class Scripted:
    """A reconciler that answers, or raises, one thing after another."""

    def __init__(self, *answers: Result | Exception) -> None:
        self.answers = list(answers)
        self.keys: list[str] = []

    async def reconcile(self, key: str) -> Result:
        self.keys.append(key)
        answer = self.answers.pop(0) if self.answers else DONE
        if isinstance(answer, Exception):
            raise answer
        return answer


@asynccontextmanager
async def running(
    reconciler: Scripted, workers: int = 1
) -> AsyncGenerator[tuple[AsyncWorkqueue[str], Recorder]]:
    core = Workqueue[str](namespace_of=lambda key: key, backoff=Backoff(base_s=0.005, cap_s=1))
    queue, recorder = AsyncWorkqueue(core, SystemClock()), Recorder()
    controller = Controller(
        "test", reconciler, queue, workers=workers, clock=SystemClock(), observer=recorder
    )
    task = asyncio.create_task(controller.run())
    yield queue, recorder
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(2):
        while not condition():  # noqa: ASYNC110 - the condition is a plain function
            await asyncio.sleep(0.001)


async def test_a_pass_that_is_done_is_not_repeated() -> None:
    reconciler = Scripted(DONE)
    async with running(reconciler) as (queue, recorder):
        queue.add("a")
        await until(lambda: recorder.results == ["success"])
        await asyncio.sleep(0.02)
        assert reconciler.keys == ["a"]


async def test_a_pass_that_asks_for_another_gets_it_after_its_delay() -> None:
    reconciler = Scripted(again(0.01), DONE)
    async with running(reconciler) as (queue, recorder):
        queue.add("a")
        await until(lambda: recorder.results == ["requeue_after", "success"])


@pytest.mark.parametrize(
    "error",
    [ConflictError(409, "Conflict", "stale"), NotSentError("refused"), ZeroDivisionError("bug")],
    ids=lambda error: type(error).__name__,
)
async def test_a_failed_pass_is_tried_again_with_back_off(error: Exception) -> None:
    reconciler = Scripted(error, error, DONE)
    async with running(reconciler) as (queue, recorder):
        queue.add("a", lane=Lane.ADOPTION)
        await until(lambda: recorder.results == ["error", "error", "success"])


async def test_retry_after_is_honoured() -> None:
    error = ThrottledError(429, "TooManyRequests", "slow down", retry_after_s=0.05)
    reconciler = Scripted(error)
    async with running(reconciler) as (queue, recorder):
        queue.add("a")
        await until(lambda: recorder.results == ["error"])
        await asyncio.sleep(0.02)
        assert recorder.results == ["error"]  # the back-off alone would have been 5 ms
        await until(lambda: recorder.results == ["error", "success"])


@pytest.mark.parametrize(
    "error",
    [PermanentError(422, "Invalid", "never"), InvariantError("S3", "would break")],
    ids=lambda error: type(error).__name__,
)
async def test_what_can_never_succeed_is_tried_once_a_minute(error: Exception) -> None:
    reconciler = Scripted(error)
    async with running(reconciler) as (queue, recorder):
        queue.add("a")
        await until(lambda: recorder.results == ["error"])
        due_at = queue.core.due_at()
        assert due_at is not None
        assert due_at - SystemClock().monotonic() == pytest.approx(PERMANENT_RETRY_S, abs=1)
        assert recorder.violations == (["S3"] if isinstance(error, InvariantError) else [])


async def test_a_lane_is_idle_since_its_last_key_was_worked() -> None:
    core = Workqueue[str](namespace_of=lambda key: key, backoff=Backoff(base_s=0.005, cap_s=1))
    queue, recorder = AsyncWorkqueue(core, SystemClock()), Recorder()
    controller = Controller(
        "test", Scripted(), queue, workers=1, clock=SystemClock(), observer=recorder
    )
    assert controller.idle_s(Lane.ADOPTION) == float("inf")
    task = asyncio.create_task(controller.run())
    queue.add("a", lane=Lane.ADOPTION)
    await until(lambda: recorder.results == ["success"])
    assert 0 <= controller.idle_s(Lane.ADOPTION) < 1
    assert controller.idle_s(Lane.REFILL) == float("inf")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_one_poison_key_does_not_stop_the_others() -> None:
    reconciler = Scripted(RuntimeError("poison"), DONE, DONE)
    async with running(reconciler) as (queue, recorder):
        queue.add("poison")
        queue.add("good")
        await until(lambda: recorder.results.count("success") == 2)
        assert set(reconciler.keys) == {"poison", "good"}


def _has(keys: list[str], count: int) -> bool:
    return len(keys) == count


async def test_a_pass_that_was_cancelled_is_worked_again_in_the_next_term() -> None:
    core = Workqueue[str](namespace_of=lambda key: key, backoff=Backoff(base_s=0.005, cap_s=1))
    queue, keys = AsyncWorkqueue(core, SystemClock()), list[str]()

    class Stuck:
        async def reconcile(self, key: str) -> Result:
            keys.append(key)
            if len(keys) == 1:
                await asyncio.Event().wait()
            return DONE

    controller = Controller(
        "test", Stuck(), queue, workers=1, clock=SystemClock(), observer=Recorder()
    )
    queue.add("a")
    for term in (1, 2):
        task = asyncio.create_task(controller.run())
        await until(partial(_has, keys, term))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert keys == ["a", "a"]
