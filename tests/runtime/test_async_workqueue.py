"""The shell: waiters are served in order, and no wake-up is lost."""

from __future__ import annotations

import asyncio

import pytest

from warmclaim.runtime.async_workqueue import AsyncWorkqueue
from warmclaim.seams import SystemClock
from warmqueue import Backoff, Lane, Workqueue


@pytest.fixture
def queue() -> AsyncWorkqueue[str]:
    core = Workqueue[str](namespace_of=lambda key: key[0], backoff=Backoff(base_s=0.005, cap_s=1))
    return AsyncWorkqueue(core, SystemClock())


async def test_an_added_key_wakes_a_waiting_worker(queue: AsyncWorkqueue[str]) -> None:
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a", lane=Lane.ADOPTION)
    work = await asyncio.wait_for(getting, 1)
    assert (work.key, work.lane) == ("a", Lane.ADOPTION)


async def test_a_delayed_key_comes_by_the_timer_and_not_before(queue: AsyncWorkqueue[str]) -> None:
    clock = SystemClock()
    started = clock.monotonic()
    queue.add("a", after_s=0.03)
    work = await asyncio.wait_for(queue.get(), 1)
    assert work.key == "a"
    assert clock.monotonic() - started >= 0.029


async def test_several_keys_due_at_one_timer_wake_several_workers(
    queue: AsyncWorkqueue[str],
) -> None:
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    for key in ("a", "b", "c"):
        queue.add(key, after_s=0.01)
    done = await asyncio.wait_for(asyncio.gather(*workers), 1)
    assert {work.key for work in done} == {"a", "b", "c"}


async def test_an_earlier_key_moves_the_timer_forward(queue: AsyncWorkqueue[str]) -> None:
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("late", after_s=30)
    queue.add("soon", after_s=0.01)
    assert (await asyncio.wait_for(getting, 1)).key == "soon"


async def test_a_cancelled_waiter_passes_its_wake_up_on(queue: AsyncWorkqueue[str]) -> None:
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")  # wakes the first
    first.cancel()
    assert (await asyncio.wait_for(second, 1)).key == "a"


async def test_a_key_added_while_worked_comes_again_after_done(queue: AsyncWorkqueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    again = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not again.done()
    queue.done("a")
    assert (await asyncio.wait_for(again, 1)).key == "a"


class TestStandby:
    """Without workers only what is there is kept."""

    @staticmethod
    def a_queue(gone: set[str]) -> AsyncWorkqueue[str]:
        core = Workqueue[str](namespace_of=lambda key: key[0], backoff=Backoff(cap_s=1))
        return AsyncWorkqueue(core, SystemClock(), forget_gone=gone.__contains__)

    async def test_a_key_whose_object_goes_is_dropped_and_stays_away(self) -> None:
        gone = set[str]()
        queue = self.a_queue(gone)
        queue.add("a")
        queue.add("b")
        gone.add("a")
        queue.add("a")  # its going is an event of its own
        assert queue.core.known() == ("b",)

    async def test_with_workers_it_gets_its_last_pass(self) -> None:
        queue = self.a_queue({"a"})
        queue.begin()
        queue.add("a")
        assert (await queue.get()).key == "a"

    async def test_what_went_in_a_term_that_was_lost_is_dropped_at_its_end(self) -> None:
        queue = self.a_queue({"a"})
        queue.begin()
        queue.add("a")
        queue.add("b")
        queue.stand_by()
        assert queue.core.known() == ("b",)
