"""One cancellation at one moment of a controller's work, and what becomes of its world.

Leadership may be lost at any await. A loop runs in turns, and only between two of them can a
cancellation arrive; so there is one point for each turn that begins while a key is in work, and
these are all there are, the awaits of tasks that a pass has started included. The worker is
cancelled at the point, also where what it waits for is there by then. Afterwards either the same
process leads again, with its caches, queue and memory, or a new one comes that knows nothing.

A request under way is cut, too. If the server had not seen it, it is gone, or (`lands_late`) it
arrives all the same when the next leader is at rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import CLAIM, POOL, SANDBOX, TEMPLATE
from warmclaim.errors import NotSentError
from warmclaim.seams import ByteStream, Request, Response
from warmclaim.testing.api import Caller, FakeApiServer
from warmclaim.testing.explore.arena import Arena
from warmclaim.testing.explore.process import Part, Process, Turn, at_once
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.errors import watching_errors
from warmclaim.testing.sim.judge import Breach
from warmclaim.testing.sim.trace import LATE, WORLD, Attribution
from warmclaim.testing.store import ObjectStore
from warmclaim.testing.virtual_loop import VirtualClock, VirtualLoop, frames_of, place_of

After: TypeAlias = Literal["same", "fresh"]

OUT_S: Final = 0.002
BACK_S: Final = 0.002
REST_S: Final = 40.0
"""Longer than any wait of a controller, but for the minutes after which a pool doubts a member that
nobody makes ready here: afterwards nothing is left to do."""

LEAK_LOOK_S: Final = 5.0
_LEFT_ON_PURPOSE: Final = "giving-way"
"""Waits for the turn of whoever asked for one; it writes nothing and ends within a second."""

_WORKED: Final[dict[Part, str]] = {
    "claim": str(CLAIM),
    "marks": str(CLAIM),
    "pool": str(POOL),
    "sandbox": str(SANDBOX),
    "template": str(TEMPLATE),
}

Strike: TypeAlias = Callable[[Request], Response | Exception | None]

Problems: TypeAlias = Callable[[ObjectStore], list[str]]
"""What is not as it should be at the end."""


@dataclass(frozen=True, slots=True)
class Script:
    """What happens around a request: `before` the server sees it, and `after` it answered. An error
    that they return is raised, an answer is given in place of the server's."""

    before: Strike
    after: Strike


def nothing(_: Request) -> None:
    """Leave the request alone."""


def quiet(_: Arena) -> Script:
    """Nothing happens."""
    return Script(nothing, nothing)


@dataclass(frozen=True, slots=True)
class Case:
    """A world, what happens in it, and how it must end. `of_manager`: objects that an earlier
    leader left there."""

    name: str
    part: Part
    objects: tuple[Json, ...]
    problems: Problems
    of_manager: tuple[Json, ...] = ()
    script: Callable[[Arena], Script] = quiet
    turn: Callable[[VirtualClock], Turn] = lambda _: at_once


@dataclass(slots=True)
class Cut:
    """What one run came to. `turns`: how many points its last leader had. `places`: where tasks
    waited at the last cancellation. `was_cut`: a write was under way that the server had not
    seen."""

    turns: int = 0
    places: tuple[str, ...] = ()
    was_cut: bool = False
    failures: list[str] = field(default_factory=list[str])


def no_turn() -> bool:
    """Leave a turn alone."""
    return False


class TurnLoop(VirtualLoop):
    """Calls `on_turn` before each turn; True means that it made something ready."""

    def __init__(self) -> None:
        super().__init__()
        self.on_turn: Callable[[], bool] = no_turn

    def select(self, timeout: float | None) -> list[Any]:
        """The part of a selector."""
        return [] if self.on_turn() else super().select(timeout)


class CutTransport:
    """warmclaim.seams.Transport with an await before the server and one after it.

    `cut` is the write that was cancelled on its way there, if one was.
    """

    def __init__(self, server: FakeApiServer, attribution: Attribution, script: Script) -> None:
        self._server = server
        self._attribution = attribution
        self._script = script
        self.cut: Request | None = None

    async def request(self, request: Request) -> Response:
        """Some time, the server, some time."""
        try:
            await asyncio.sleep(OUT_S)
        except asyncio.CancelledError:
            self.cut = request if request.method != "GET" else self.cut
            raise
        answer = self._script.before(request) or await self.send(request)
        await asyncio.sleep(BACK_S)
        answer = self._script.after(request) or answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send(self, request: Request, how: str = "") -> Response:
        """The server's answer; its commits are the manager's."""
        self._attribution.who = f"m0{how}"
        try:
            return await self._server.handle(request, Caller("m0"))
        finally:
            self._attribution.who = WORLD

    async def stream(self, request: Request) -> ByteStream:
        """There are no watches here."""
        raise NotSentError(f"caches are fed by hand: {request.path}")

    async def close(self) -> None:
        """Nothing is open."""


class Cutting:
    """One run: cancelled at each of `points` in turn, counted from where its leader began, and
    gone on with as `after` says; without points it is left alone."""

    def __init__(
        self,
        case: Case,
        points: Sequence[int] = (),
        after: After = "same",
        *,
        lands_late: bool = False,
    ) -> None:
        self._case = case
        self._points = points
        self._after: After = after
        self._lands_late = lands_late
        self._loop = TurnLoop()
        self._at: int | None = None
        self._worked: list[ObjectKey] = []
        self._late: list[Request] = []
        self.cut = Cut()

    def run(self) -> Cut:
        """Carry it out."""
        self._loop.set_exception_handler(lambda _, context: self._fail(f"unawaited: {context}"))
        with (
            watching_errors(self._fail),
            asyncio.Runner(loop_factory=lambda: self._loop) as runner,
        ):
            runner.run(self._main())
        return self.cut

    async def _main(self) -> None:
        case = self._case
        self._clock = VirtualClock(self._loop)
        arena = self._arena = Arena(self._clock, case.objects)
        arena.judge.on_breach = self._on_breach
        arena.attribution.who = "m1"
        for value in case.of_manager:
            arena.cluster.put(value)
        arena.attribution.who = WORLD
        self._script = case.script(arena)
        self._process = self._new_process()
        for point in self._points:
            await self._lead(point)
            if self._after == "fresh":
                arena.store.observers.remove(self._process.hear)
                self._process = self._new_process()
        await self._lead(None)
        for text in (*case.problems(arena.store), *self._process.leftovers()):
            self._fail(text)

    def _new_process(self) -> Process:
        """One that reads the world as it is."""
        arena, case = self._arena, self._case
        self._transport = CutTransport(arena.server, arena.attribution, self._script)
        process = Process(case.part, self._transport, self._clock, turn=case.turn(self._clock))
        process.list_all(arena.store)
        arena.store.observers.append(process.hear)
        return process

    async def _lead(self, point: int | None) -> None:
        """Work until the point, or until there is nothing left to do."""
        self._at, self.cut.turns = point, 0
        self._loop.on_turn = self._turn
        leading = asyncio.create_task(self._process.controller.run(), name="controller")
        await asyncio.wait((leading,), timeout=REST_S)
        if point is None:
            for request in self._late:
                await self._transport.send(request, LATE)
                await asyncio.wait((leading,), timeout=REST_S)
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)
        elif self.cut.turns >= point:
            self._look_at_the_cut(leading)
        self._loop.on_turn = no_turn
        self._look_for_tasks(allowed=_LEFT_ON_PURPOSE)
        await self._clock.sleep(LEAK_LOOK_S)
        self._look_for_tasks(allowed="")

    def _turn(self) -> bool:
        """A turn begins; a point, if a key is in work."""
        core = self._process.queue.core
        if not core.statistics().worked:
            return False
        self.cut.turns += 1
        if self.cut.turns != self._at:
            return False
        keys = self._process.informers[_WORKED[self._case.part]].store.keys()
        self._worked = [key for key in keys if core.is_worked(key)]
        tasks = asyncio.all_tasks(self._loop)
        self.cut.places = tuple(sorted(filter(None, map(_place_in_a_pass, tasks))))
        worker = next(task for task in tasks if task.get_name() == f"{self._case.part}-0")
        worker.cancel()
        return True

    def _look_at_the_cut(self, leading: asyncio.Task[None]) -> None:
        if not leading.done():
            self._fail("the worker went on after its cancellation")
            leading.cancel()
        elif (error := leading.exception()) is not None:
            self._fail(f"the controller ended with {error!r}")
        for key in self._worked:
            if key not in self._process.queue.core:
                self._fail(f"{key} was lost from the queue")
        cut, self._transport.cut = self._transport.cut, None
        self.cut.was_cut = self.cut.was_cut or cut is not None
        if cut is not None and self._lands_late:
            self._late.append(cut)

    def _look_for_tasks(self, *, allowed: str) -> None:
        for task in asyncio.all_tasks(self._loop):
            if task is not asyncio.current_task() and task.get_name() != allowed:
                self._fail(f"task {task.get_name()} was left behind at {place_of(task)}")

    def _on_breach(self, breach: Breach) -> None:
        self._fail(str(breach))

    def _fail(self, text: str) -> None:
        self.cut.failures.append(text)


def _place_in_a_pass(task: asyncio.Task[Any]) -> str:
    """The innermost await of a task that is a controller's own code; "" for other tasks."""
    place = ""
    for frame in frames_of(task):
        path = Path(frame.f_code.co_filename)
        if path.parent.name == "controllers":
            place = f"{path.stem}.{frame.f_code.co_qualname}:{frame.f_lineno}"
    return place
