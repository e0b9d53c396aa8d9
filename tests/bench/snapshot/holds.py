"""What keeps an event loop from others, by the processor's time, and what it was by name.

The clock tells on a busy machine what other processes had of it. The processor's time is this
thread's own; a virtual machine may still count what its host took, so a figure is best of several.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
from collections.abc import Callable
from contextvars import Context
from dataclasses import asdict, dataclass, field
from time import perf_counter, thread_time
from types import FrameType
from typing import Any, Final, NamedTuple, TypeVarTuple, cast

import uvloop

_Ts = TypeVarTuple("_Ts")

TICK_S: Final = 0.001
TOLD: Final = 3
NAMED_S_MIN: Final = 0.0003
ANSWERED_BY: Final = "/warmclaim/"


class Step(NamedTuple):
    """One callback of the loop, up to where it waits again, or one look for garbage in it."""

    cpu_ms: float
    name: str


@dataclass
class Held:
    """The longest gap between two looks at the clocks, by either, beyond the time asked for; what
    ran in the longest by the processor; the longest callbacks of all, and the longest looks for
    garbage."""

    gap_ms: float = 0.0
    gap_cpu_ms: float = 0.0
    gap_steps: list[Step] = field(default_factory=list[Step])
    steps: list[Step] = field(default_factory=list[Step])
    looks: list[Step] = field(default_factory=list[Step])


class Holds:
    """Measures from `reset` on, while `run` runs on a `NamingLoop`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.held = Held()
        self._gap: list[Step] = []

    def told(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self.held)

    async def run(self) -> None:
        while True:
            began_s, cpu_s = perf_counter(), thread_time()
            await asyncio.sleep(TICK_S)
            gap_cpu_ms, held = 1e3 * (thread_time() - cpu_s - TICK_S), self.held
            held.gap_ms = max(held.gap_ms, 1e3 * (perf_counter() - began_s - TICK_S))
            if gap_cpu_ms > held.gap_cpu_ms:
                held.gap_cpu_ms, held.gap_steps = gap_cpu_ms, heapq.nlargest(TOLD, self._gap)
            self._gap.clear()

    def ran(self, step: Step) -> None:
        """A callback has ended."""
        self._gap.append(step)
        self.held.steps = heapq.nlargest(TOLD, [*self.held.steps, step])

    def looked(self, step: Step) -> None:
        """Garbage was looked for."""
        self.held.looks = heapq.nlargest(TOLD, [*self.held.looks, step])


class NamingLoop(uvloop.Loop):
    """The loop of production, each of whose callbacks is timed. Sockets are read outside of them:
    what that takes is in a gap, and in no step."""

    def __init__(self, holds: Holds) -> None:
        super().__init__()
        self._holds = holds
        self._looked_s = self._began_s = 0.0
        gc.callbacks.append(self._look)

    def call_soon(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        def timed() -> None:
            task = getattr(callback, "__self__", None)
            before = _place(task)
            looked_s, began_s = self._looked_s, thread_time()
            callback(*args)
            cpu_s = thread_time() - began_s
            if cpu_s >= NAMED_S_MIN:
                name = f"{_name(task or callback)} {before} to {_place(task)}"
                looked_ms = 1e3 * (self._looked_s - looked_s)
                name += f" ({looked_ms:.1f} of it for garbage)" if looked_ms else ""
                self._holds.ran(Step(1e3 * cpu_s, name))

        return super().call_soon(timed, context=context)

    def _look(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began_s = thread_time()
            return
        cpu_s = thread_time() - self._began_s
        self._looked_s += cpu_s
        self._holds.looked(Step(1e3 * cpu_s, f"generation {info['generation']}"))


def _name(what: object) -> str:
    named = cast("object", what.get_coro()) if isinstance(what, asyncio.Task) else what
    return getattr(named, "__qualname__", type(named).__name__)


def _place(task: object) -> str:
    """Where a task stands: the innermost line of this program that can be seen from outside."""
    if not isinstance(task, asyncio.Task):
        return ""
    place = "its end" if task.done() else "its begin"
    awaited: object = cast("object", task.get_coro())
    while awaited is not None:
        frame: FrameType | None = getattr(awaited, "cr_frame", None)
        if frame is not None and ANSWERED_BY in frame.f_code.co_filename:
            place = f"{frame.f_code.co_qualname}:{frame.f_lineno}"
        awaited = getattr(awaited, "cr_await", None)
    return place
