"""What every asyncio task waits for, where, and since when.

asyncio does not say since when; so all tasks are looked at now and then, and what a task waits for
is compared with the look before. A wait is told to the length of `LOOK_S`.
"""

from __future__ import annotations

import asyncio
from types import CodeType, FrameType
from typing import Final
from weakref import WeakKeyDictionary

import msgspec

from warmclaim.seams import Clock

LOOK_S: Final = 5.0
TASKS_MAX: Final = 2_000
"""Looked at and told, each for some 5 us; a manager has a few hundred."""

DEPTH_MAX: Final = 32
FRAMES_TOLD_MAX: Final = 8


class TaskLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One task. `waits_at` begins with the innermost place; `waits_s_min` is how long it is known
    to have waited for the same thing."""

    name: str
    runs: str
    waits_at: list[str]
    waits_s_min: float


class TaskReport(msgspec.Struct, frozen=True):
    """All of them, or the first `TASKS_MAX`; who waits longest comes first."""

    tasks_count: int
    looked_every_s: float
    tasks: list[TaskLine]


class TaskLooks:
    """Remembers what each task that lives waits for; nothing of one that has ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: WeakKeyDictionary[asyncio.Task[object], tuple[object, float]] = (
            WeakKeyDictionary()
        )

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await self._clock.sleep(LOOK_S)

    def look(self) -> None:
        """Look once. O(tasks)."""
        now_s = self._clock.monotonic()
        for task in _tasks()[:TASKS_MAX]:
            waited = _chain(task)[1]
            known = self._since.get(task)
            if known is None or known[0] is not waited:
                self._since[task] = (waited, now_s)

    def report(self) -> TaskReport:
        """As it is now."""
        now_s, tasks = self._clock.monotonic(), _tasks()
        lines = [self._line(task, now_s) for task in tasks[:TASKS_MAX]]
        lines.sort(key=lambda line: -line.waits_s_min)
        return TaskReport(len(tasks), LOOK_S, lines)

    def _line(self, task: asyncio.Task[object], now_s: float) -> TaskLine:
        places, waited = _chain(task)
        known = self._since.get(task)
        is_same = known is not None and known[0] is waited
        waits_s = now_s - known[1] if known is not None and is_same else 0.0
        name = getattr(task.get_coro(), "__qualname__", "?")
        return TaskLine(task.get_name(), name, places[-FRAMES_TOLD_MAX:][::-1], round(waits_s, 1))


def _tasks() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if not task.done()]


def _chain(task: asyncio.Task[object]) -> tuple[list[str], object]:
    """The places of its coroutines from the outermost on, and what the innermost waits for."""
    places: list[str] = []
    step: object = task.get_coro()
    for _ in range(DEPTH_MAX):
        frame, code, awaited = _parts(step)
        if code is None:
            break
        places.append(_place(code, frame))
        if awaited is None:
            break
        step = awaited
    return places, step


def _parts(step: object) -> tuple[FrameType | None, CodeType | None, object]:
    """Frame, code and what is awaited, of a coroutine, a generator or an async generator."""
    for kind, awaited in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
        code = getattr(step, f"{kind}_code", None)
        if isinstance(code, CodeType):
            return getattr(step, f"{kind}_frame", None), code, getattr(step, awaited, None)
    return None, None, None


def _place(code: CodeType, frame: FrameType | None) -> str:
    """Where, without the folders of this machine and without what the variables hold."""
    file = "/".join(code.co_filename.split("/")[-2:])
    line = frame.f_lineno if frame is not None and frame.f_lineno else code.co_firstlineno
    return f"{code.co_qualname} ({file}:{line})"
