"""Workers: how each way a pass can end is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest

from warmclaim.errors import (
    ConflictError,
    InvariantError,
    NamespaceTerminatingError,
    NotSentError,
    PermanentError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from warmclaim.runtime.async_workqueue import AsyncWorkqueue
from warmclaim.runtime.controller import HASTENED_PER_S, PERMANENT_RETRY_S, Controller, EndedPass
from warmclaim.runtime.reconciler import DONE, Result, again
from warmclaim.seams import SystemClock
from warmclaim.testing.virtual_loop import World, run_virtual
from warmqueue import Backoff, Lane, Workqueue


class Recorder:
    """A PassObserver."""

    def __init__(self) -> None:
        self.results: list[str] = []
        self.violations: list[str] = []

    def pass_ended(self, controller: str, ended: EndedPass) -> None:
        assert ended.duration_s >= 0
        assert ended.waited_s >= 0
        assert (ended.result == "error") is (ended.error is not None)
        self.results.append(ended.result)
        if isinstance(ended.error, InvariantError):
            self.violations.append(ended.error.invariant)


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


async def test_a_key_of_a_namespace_that_terminates_is_left_alone_until_an_event() -> None:
    error = NamespaceTerminatingError(403, "Forbidden", "it is being terminated")
    reconciler = Scripted(ConflictError(409, "Conflict", "stale"), error, DONE)
    async with running(reconciler) as (queue, recorder):
        queue.add("a")
        await until(lambda: recorder.results == ["error", "error"])
        await asyncio.sleep(0.05)
        assert reconciler.keys == ["a", "a"]
        assert queue.core.statistics().failing == 0
        queue.add("a")
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


async def test_g12_one_poison_key_does_not_stop_the_others() -> None:
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


UNSERVED = (NotSentError("refused"), UnknownOutcomeError("timed out"), TransientError(503, "", ""))
OF_ITS_OWN = (ConflictError(409, "Conflict", ""), ThrottledError(429, "", ""), ZeroDivisionError())


class Away:
    """A reconciler that fails each key with its error until `is_back`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.errors: dict[str, Exception] = {}
        self.takes_s: dict[str, float] = {}
        self.is_back = False
        self.passes: list[tuple[float, str]] = []

    async def reconcile(self, key: str) -> Result:
        self.passes.append((self.world.clock.monotonic(), key))
        await self.world.clock.sleep(self.takes_s.get(key, 0.0))
        if key in self.errors and not self.is_back:
            raise self.errors[key]
        return DONE

    def began_s(self, key: str, after_s: float) -> float:
        """When the first pass of the key after that moment began."""
        return min(at_s for at_s, worked in self.passes if worked == key and at_s >= after_s)


def on_virtual_time(
    scenario: Callable[[World, Away, Controller[str], list[float]], Awaitable[None]],
) -> None:
    """A controller of two workers; the list holds the moments at which outages ended."""

    async def main(world: World) -> None:
        away, ends = Away(world), list[float]()
        core = Workqueue[str](namespace_of=lambda key: key, backoff=Backoff(base_s=5, cap_s=100))
        controller = Controller(
            "test",
            away,
            AsyncWorkqueue(core, world.clock),
            workers=2,
            clock=world.clock,
            observer=Recorder(),
            has_recovered_since=lambda moment_s: any(end_s > moment_s for end_s in ends),
        )
        task = asyncio.create_task(controller.run())
        await scenario(world, away, controller, ends)
        task.cancel()

    run_virtual(main)


def test_what_failed_for_want_of_a_server_is_hastened_in_line_and_nothing_else() -> None:
    async def scenario(
        world: World, away: Away, controller: Controller[str], _: list[float]
    ) -> None:
        away.errors |= {f"u{n}": error for n, error in enumerate(UNSERVED)}
        away.errors |= {f"o{n}": error for n, error in enumerate(OF_ITS_OWN)}
        for key in away.errors:
            controller.queue.add(key)
        await world.clock.sleep(16)  # after two failures the third is due at 15 + 5 s
        away.is_back = True
        back_s = world.clock.monotonic()
        controller.hasten(0.5)
        await world.clock.sleep(60)
        waits = [away.began_s(f"u{n}", back_s) - back_s for n in range(len(UNSERVED))]
        assert sorted(waits) == pytest.approx([0.5 + n / HASTENED_PER_S for n in range(3)])
        assert all(away.began_s(f"o{n}", back_s) - back_s > 10 for n in range(len(OF_ITS_OWN)))

    on_virtual_time(scenario)


def test_a_key_that_fails_again_after_all_goes_on_with_its_next_step() -> None:
    async def scenario(
        world: World, away: Away, controller: Controller[str], _: list[float]
    ) -> None:
        away.errors["a"] = UNSERVED[0]
        controller.queue.add("a")
        await world.clock.sleep(1)
        controller.hasten()
        await world.clock.sleep(1)
        assert [at_s for at_s, _ in away.passes] == pytest.approx([0, 1])
        await world.clock.sleep(10)
        assert [at_s for at_s, _ in away.passes] == pytest.approx([0, 1, 11])

    on_virtual_time(scenario)


def test_a_key_that_was_served_meanwhile_is_not_worked_again() -> None:
    async def scenario(
        world: World, away: Away, controller: Controller[str], _: list[float]
    ) -> None:
        away.errors["a"] = UNSERVED[0]
        controller.queue.add("a")
        await world.clock.sleep(1)
        away.is_back = True
        controller.queue.add("a")
        await world.clock.sleep(1)
        controller.hasten()
        await world.clock.sleep(100)
        assert len(away.passes) == 2

    on_virtual_time(scenario)


def test_a_pass_that_began_before_the_end_of_the_outage_is_repeated_at_once() -> None:
    async def scenario(
        world: World, away: Away, controller: Controller[str], ends: list[float]
    ) -> None:
        away.errors["a"], away.takes_s["a"] = UNSERVED[1], 3.0
        controller.queue.add("a")
        await world.clock.sleep(2)
        ends.append(world.clock.monotonic())
        controller.hasten()
        await world.clock.sleep(12)
        assert [at_s for at_s, _ in away.passes] == pytest.approx([0, 3]), "once, then its back-off"

    on_virtual_time(scenario)


@pytest.mark.parametrize("is_gone", [True, False])
def test_nothing_is_kept_of_a_gone_object_that_failed_when_leadership_was_lost(
    is_gone: bool,
) -> None:
    async def main(world: World) -> None:
        gone: set[str] = set()
        core: Workqueue[str] = Workqueue(namespace_of=lambda _: "", backoff=Backoff(cap_s=30.0))
        queue = AsyncWorkqueue(core, world.clock, forget_gone=gone.__contains__)
        away = Scripted(NotSentError("connection refused"))
        controller = Controller(
            "test", away, queue, workers=1, clock=world.clock, observer=Recorder()
        )
        term = asyncio.create_task(controller.run())
        queue.add("a", lane=Lane.LIFECYCLE)
        await world.clock.sleep(0.001)
        assert controller.unserved == 1
        gone.update("a" if is_gone else "")
        term.cancel()
        await asyncio.gather(term, return_exceptions=True)
        assert controller.unserved == (0 if is_gone else 1)

    run_virtual(main)
