"""An asyncio loop whose clock jumps to the next timer: a day of waiting takes milliseconds.

    def test_renews_every_ten_seconds() -> None:
        async def scenario(world: World) -> int:
            await world.clock.sleep(86_400)
            return ...
        assert run_virtual(scenario, seed=7) == 8640

Same seed, same order of steps, on every machine. When no task can ever run again, `DeadlockError`
says at once which tasks wait, and where.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

START_WALL_S = 1_767_225_600.0  # 2026-01-01T00:00:00Z
SLEEP_S_MIN = 1e-6
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class DeadlockError(Exception):
    """No callback is ready, no timer is set: the run would hang for ever."""


class VirtualLoop(asyncio.BaseEventLoop):
    """No selector, no sockets, no threads. `shuffle` changes the order of what is ready at once,
    within what asyncio promises to no one; without it the order is first come, first served.
    """

    def __init__(self, *, shuffle: random.Random | None = None) -> None:
        super().__init__()
        self._now = 0.0
        self._shuffle = shuffle
        self._selector = self
        # The base class's own: what runs next, and the timers as a heap. Typed here because it
        # does not say.
        self._ready: deque[asyncio.Handle]
        self._scheduled: list[asyncio.TimerHandle]
        # BaseEventLoop treats timers this close as due; rounding errors are far smaller.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """The part of a selector: instead of waiting, moves the clock by `timeout`."""
        if timeout is None:
            raise DeadlockError("\n".join(["no task can run", *self._waiting()]))
        if timeout > 0:
            # The timer's own moment: now + timeout could miss it by a rounding error.
            self._now = max(self._now, self._scheduled[0].when())
        if self._shuffle is not None:
            self._shuffle.shuffle(self._ready)
        return []

    def _waiting(self) -> list[str]:
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        return [f"  {task.get_name()} waits at {place_of(task)}" for task in tasks]

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none: nothing outside can happen."""

    def _write_to_self(self) -> None:
        """Wakes nobody: the loop never sleeps."""


class VirtualClock:
    """warmclaim.seams.Clock on the loop's time. `wall_offset_s` may be changed in a test."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, wall_s: float = START_WALL_S) -> None:
        self._loop = loop
        self.wall_offset_s = wall_s

    def monotonic(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return self.wall_offset_s + self._loop.time()

    async def sleep(self, delay_s: float) -> None:
        # Of what rounding leaves of a wait, a clock that stands still never gets to the end.
        await asyncio.sleep(max(delay_s, SLEEP_S_MIN) if delay_s > 0 else 0)


class SeededRng:
    """warmclaim.seams.Rng that gives the same for the same seed."""

    def __init__(self, seed: int | str) -> None:
        self._source = random.Random(seed)

    def random(self) -> float:
        return self._source.random()

    def token(self, length: int) -> str:
        return "".join(_LETTERS[int(self.random() * len(_LETTERS))] for _ in range(length))


@dataclass(frozen=True, slots=True)
class World:
    """What a scenario on virtual time is given."""

    loop: VirtualLoop
    clock: VirtualClock
    rng: SeededRng


def run_virtual(
    scenario: Callable[[World], Awaitable[T]],
    *,
    seed: int = 0,
    shuffled: bool = False,
    loop: VirtualLoop | None = None,
) -> T:
    """Runs a scenario on a fresh loop and returns its result; cancels what it leaves behind.
    `loop`: one of another class, as fresh.

    Raises DeadlockError when nothing can go on, and an ExceptionGroup of whatever callbacks and
    forgotten tasks raised.
    """
    loop = loop or VirtualLoop(shuffle=random.Random(seed) if shuffled else None)
    world = World(loop, VirtualClock(loop), SeededRng(seed))
    lost: list[Exception] = []
    loop.set_exception_handler(lambda _, context: lost.append(_as_error(context)))

    async def main() -> T:
        return await scenario(world)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(main())
    if lost:
        raise ExceptionGroup("errors that no one awaited", lost)
    return result


def _as_error(context: dict[str, Any]) -> Exception:
    error = context.get("exception")
    return error if isinstance(error, Exception) else RuntimeError(str(context.get("message")))


def frames_of(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """Where a task waits: the frames of its awaits, the innermost last; none before its start."""
    step: Any = task.get_coro()
    while step is not None:
        frame = getattr(step, "cr_frame", None) or getattr(step, "gi_frame", None)
        if frame is not None:
            yield frame
        step = getattr(step, "cr_await", None) or getattr(step, "gi_yieldfrom", None)


def place_of(task: asyncio.Task[Any]) -> str:
    """The innermost await of a task."""
    place = "its start"
    for frame in frames_of(task):
        place = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
    return place
