"""Workers share the loop: keys without work are many at the begin of a term."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from tests.runtime.test_controller import Recorder, Scripted, until

from warmclaim.runtime.async_workqueue import AsyncWorkqueue
from warmclaim.runtime.controller import HOLD_S_MAX, Controller
from warmclaim.runtime.reconciler import Result
from warmqueue import Backoff, Workqueue

PASS_S = HOLD_S_MAX / 8
KEYS = 400


class PassClock:
    """Time passes by passes, `PASS_S` each."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        assert delay_s == 0.0
        await asyncio.sleep(delay_s)


class Nothing(Scripted):
    """There is nothing to do for any key, which takes its time."""

    def __init__(self, clock: PassClock) -> None:
        super().__init__()
        self._clock = clock

    async def reconcile(self, key: str) -> Result:
        self._clock.now_s += PASS_S
        return await super().reconcile(key)


async def test_others_have_their_turn_between_keys_that_need_nothing() -> None:
    clock = PassClock()
    nothing = Nothing(clock)
    core = Workqueue[str](namespace_of=lambda key: key, backoff=Backoff(base_s=1, cap_s=1))
    queue = AsyncWorkqueue(core, clock)
    controller = Controller("test", nothing, queue, workers=1, clock=clock, observer=Recorder())
    for number in range(KEYS):
        queue.add(str(number))
    turns: list[int] = []

    async def other() -> None:
        while len(nothing.keys) < KEYS:
            await asyncio.sleep(0)
            turns.append(len(nothing.keys))

    work, others = asyncio.create_task(controller.run()), asyncio.create_task(other())
    await until(lambda: len(nothing.keys) == KEYS)
    await others
    work.cancel()
    steps = [after - before for before, after in pairwise(turns)]
    assert max(steps) <= HOLD_S_MAX / PASS_S + 1
