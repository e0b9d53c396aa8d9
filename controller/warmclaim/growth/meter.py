"""Whose work the processor does, in a process where manager and API server share one loop.

What is read is a gauge that only rises: the thread's processor time, or the lines of Python that
were run. It is read at every border between two parties, and the difference is booked on the one
that worked until then. The borders are: each callback of the loop, which belongs to the party in
whose context it was made; each call of the API server within a task of the manager; and each
collection of garbage, which whoever allocates at that moment did not cause alone.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar
from types import FrameType
from typing import Any, Final, TypeVar, TypeVarTuple

from warmclaim.seams import ByteStream, Clock, Request, Response, Transport
from warmclaim.testing.forwarded import ForwardedStream
from warmclaim.testing.virtual_loop import VirtualLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MANAGER: Final = "manager"
WORLD: Final = "world"
"""The embedded API server, nodes, garbage collector, and the load."""
LOOP: Final = "loop"
GARBAGE: Final = "garbage"

PARTY: Final = ContextVar("PARTY", default=WORLD)

Gauge = Callable[[], float]


def processor_s() -> float:
    """What this thread has used of a processor, in seconds."""
    return time.thread_time()


class LinesRun:
    """A gauge of the lines of Python that were run: the same on every machine, however busy.

    It sees every loop that Python runs, and no loop within one call of C (`sorted`, a copy).
    Tracing makes all some ten times slower. At most one at a time.
    """

    def __init__(self) -> None:
        self.lines = 0

    def __call__(self) -> float:
        return float(self.lines)

    @contextmanager
    def counting(self) -> Generator[None]:
        """Count from here on, in functions that are called from here on."""
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(before)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename == __file__:
            return None  # what the measuring itself takes
        if event == "line":
            self.lines += 1
        return self._trace


class Meter:
    """What each party has used so far, by the gauge. A switch of parties takes 1 us."""

    def __init__(self, gauge: Gauge = processor_s) -> None:
        self._gauge = gauge
        self._party = LOOP
        self._since = gauge()
        self._used: defaultdict[str, float] = defaultdict(float)
        self.longest_collection = 0.0

    def used(self) -> Mapping[str, float]:
        """By party, all up to now."""
        self.switch(self._party)
        return dict(self._used)

    def used_by(self, party: str) -> float:
        """Of one party, up to now."""
        self.switch(self._party)
        return self._used[party]

    def switch(self, party: str) -> str:
        """From now on it is this party that works; which one did."""
        now, before = self._gauge(), self._party
        self._used[before] += now - self._since
        self._since, self._party = now, party
        return before

    @contextmanager
    def apart(self) -> Generator[None]:
        """Book collections of garbage by themselves, here within."""
        stack: list[tuple[str, float]] = []

        def on_collection(phase: str, _: dict[str, int]) -> None:
            if phase == "start":
                before = self.switch(GARBAGE)
                stack.append((before, self._since))
            elif stack:
                before, began = stack.pop()
                self.switch(before)
                self.longest_collection = max(self.longest_collection, self._since - began)

        gc.callbacks.append(on_collection)
        try:
            yield
        finally:
            gc.callbacks.remove(on_collection)


def context_of(party: str) -> Context:
    """A context for tasks of this party; the tasks that they make are in it too."""
    made = Context()
    made.run(PARTY.set, party)
    return made


class MeteredLoop(VirtualLoop):
    """Books each callback on the party whose context it runs in."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        return super().call_soon(self._booked, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return super().call_at(when, self._booked, callback, *args, context=context)

    def _booked(self, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        self._meter.switch(PARTY.get())
        try:
            callback(*args)
        finally:
            self._meter.switch(LOOP)


class MeteredTransport:
    """warmclaim.seams.Transport: what happens behind it is the world's work, not the manager's.

    Each request is under way for `delay_s` first, so that many are at once, as with a real server.
    """

    def __init__(self, inner: Transport, meter: Meter, clock: Clock, delay_s: float) -> None:
        self._inner = inner
        self._meter = meter
        self._clock = clock
        self._delay_s = delay_s

    async def request(self, request: Request) -> Response:
        await self._clock.sleep(self._delay_s)
        return await _Booked(self._meter, self._inner.request(request))

    async def stream(self, request: Request) -> ByteStream:
        await self._clock.sleep(self._delay_s)
        return _MeteredStream(await _Booked(self._meter, self._inner.stream(request)), self._meter)

    async def close(self) -> None:
        await self._inner.close()


class _MeteredStream(ForwardedStream):
    """A ByteStream of a MeteredTransport."""

    def __init__(self, inner: ByteStream, meter: Meter) -> None:
        super().__init__(inner)
        self._meter = meter

    async def read(self) -> bytes:
        return await _Booked(self._meter, self._inner.read())


class _Booked(Awaitable[T]):
    """Awaits `work` and books its steps on the world, not on the party that awaits it."""

    def __init__(self, meter: Meter, work: Coroutine[Any, Any, T]) -> None:
        self._meter = meter
        self._work = work

    def __await__(self) -> Generator[Any, Any, T]:
        thrown: BaseException | None = None
        while True:
            before = self._meter.switch(WORLD)
            try:
                waits_for = self._work.throw(thrown) if thrown else self._work.send(None)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self._meter.switch(before)
            thrown = None
            try:
                yield waits_for
            except BaseException as error:  # a cancellation too is for who waits
                thrown = error
