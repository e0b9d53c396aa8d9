"""Requests that wait to be let go: the order of calls becomes a sequence of choices.

Each request of a process stops at the `Switch`, and the loop runs until nobody can go on. Then
whoever explores is asked which of the held steps goes next, and what becomes of it.

A choice is written in two or three characters: the process (0 or 1), a letter where it is not that
process's oldest held step (b the second oldest), and how it went where it did not go well:
`-` lost before the server saw it, `+` done by the server and the answer lost. An order is these
one after the other, such as "0011-01".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from warmclaim.errors import NotSentError, UnknownOutcomeError
from warmclaim.seams import ByteStream, Request, Response
from warmclaim.testing.api import Caller, FakeApiServer
from warmclaim.testing.sim.trace import WORLD, Attribution
from warmclaim.testing.virtual_loop import VirtualLoop

_CHOICE: Final = re.compile(r"[01][b-z]?[-+]?")
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


class Fate(StrEnum):
    """What becomes of a step."""

    DONE = ""
    UNSENT = "-"
    UNTOLD = "+"


def nothing_to_do(_wait_s: float | None) -> bool:
    """Leave an idle loop to its timers."""
    return False


class IdleLoop(VirtualLoop):
    """Asks `on_idle(wait_s)` when nothing is ready, before it moves the clock by `wait_s` (None:
    no timer is set). True means that something is ready now; else time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.on_idle: Callable[[float | None], bool] = nothing_to_do

    def select(self, timeout: float | None) -> list[Any]:
        """The part of a selector."""
        if (timeout is None or timeout > 0) and self.on_idle(timeout):
            return []
        return super().select(timeout)


@dataclass(slots=True)
class Held:
    """A step that waits. `losses`: the ways in which it may fail."""

    who: int
    text: str
    losses: tuple[Fate, ...]
    gate: asyncio.Future[Fate]


class Switch:
    """The held steps of all processes, oldest first."""

    def __init__(self) -> None:
        self._held: list[Held] = []

    def __len__(self) -> int:
        return len(self._held)

    async def hold(self, who: int, text: str, losses: tuple[Fate, ...]) -> Fate:
        """Wait to be let go; how the step is to end."""
        held = Held(who, text, losses, asyncio.get_running_loop().create_future())
        self._held.append(held)
        try:
            return await held.gate
        finally:
            if held in self._held:
                self._held.remove(held)

    def choices(self, *, with_losses: bool) -> list[str]:
        """Everything that may happen next, losses last."""
        named = list(self._named())
        choices = [name for name, _ in named]
        if with_losses:
            choices += [f"{name}{fate}" for name, held in named for fate in held.losses]
        return choices

    def let_go(self, choice: str) -> str:
        """Carry a choice out; what it is in words. KeyError: no such step is held."""
        name = choice.rstrip("-+")
        held = dict(self._named())[name]
        self._held.remove(held)
        fate = Fate(choice[len(name) :])
        held.gate.set_result(fate)
        words = {Fate.DONE: "", Fate.UNSENT: ", lost on its way", Fate.UNTOLD: ", answer lost"}
        return f"m{held.who} {held.text}{words[fate]}"

    def _named(self) -> list[tuple[str, Held]]:
        counts: dict[int, int] = {}
        named: list[tuple[str, Held]] = []
        for held in self._held:
            number = counts[held.who] = counts.get(held.who, -1) + 1
            named.append((f"{held.who}{_LETTERS[number] if number else ''}", held))
        # By process: of those who came in the same moment, none is first by accident.
        return sorted(named, key=lambda entry: entry[0])


class HeldTransport:
    """warmclaim.seams.Transport of process `who`, each of whose calls waits at the switch.

    `is_split`: a write arrives at the server in one step, and its answer at the process in
    another, so that events and other writes may come between. A read, which changes nothing on
    the server, and a write that is not split, are one step.
    """

    def __init__(
        self,
        server: FakeApiServer,
        attribution: Attribution,
        switch: Switch,
        who: int,
        *,
        is_split: bool,
    ) -> None:
        self._server = server
        self._attribution = attribution
        self._switch = switch
        self._who = who
        self._name = f"m{who}"
        self._is_split = is_split
        self.on_answer: Callable[[str], None] = lambda _: None

    async def request(self, request: Request) -> Response:
        """Held, sent, perhaps held again; UnknownOutcomeError for a step that is lost."""
        text = f"{request.method} {'/'.join(request.path.split('/')[6:])}"
        is_read = request.method == "GET"
        is_two = self._is_split and not is_read
        at_once = (Fate.UNSENT,) if is_read or is_two else (Fate.UNSENT, Fate.UNTOLD)
        fate = await self._switch.hold(self._who, text, at_once)
        if fate is Fate.UNSENT:
            raise UnknownOutcomeError("lost on its way")
        answer = await self._sent(request)
        self.on_answer(f"   {answer.status} to {self._name} {text}")
        if is_two:
            said = f"{text} answered {answer.status}"
            fate = await self._switch.hold(self._who, said, (Fate.UNTOLD,))
        if fate is Fate.UNTOLD:
            raise UnknownOutcomeError("the answer was lost")
        return answer

    async def stream(self, request: Request) -> ByteStream:
        """There are no watches here."""
        raise NotSentError(f"caches are fed by hand: {request.path}")

    async def close(self) -> None:
        """Nothing is open."""

    async def _sent(self, request: Request) -> Response:
        self._attribution.who = self._name
        try:
            return await self._server.handle(request, Caller(self._name))
        finally:
            self._attribution.who = WORLD


def choices_in(order: str) -> list[str]:
    """The choices of an order as it is printed. ValueError for anything else."""
    found = _CHOICE.findall(order)
    if "".join(found) != order:
        raise ValueError(f"{order!r} is no order")
    return found
