"""Two leaders at once on one small world, their calls let go in a given order.

A run has two phases. First the calls go one by one in the order that is asked for; timers of up to
`SOON_S` (back-off, gathering of events) end before the next call is let go, since a call may take
longer than they do, and longer ones when no call is held. When both leaders rest (to wait for
`LATER_S` is to rest), they are told whatever they have not heard, and go on freely, first come,
first served, until nothing happens any more. The judge sees every commit of both phases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from warmclaim.api.resources import CLAIM, SANDBOX
from warmclaim.testing.explore.arena import Arena
from warmclaim.testing.explore.process import Part, Process
from warmclaim.testing.explore.steps import HeldTransport, IdleLoop, Switch, nothing_to_do
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.errors import watching_errors
from warmclaim.testing.sim.judge import Breach
from warmclaim.testing.store import ObjectStore
from warmclaim.testing.virtual_loop import VirtualClock

SOON_S: Final = 0.25
LATER_S: Final = 60.0
"""Whoever waits longer rests: nobody makes a member ready here, and the pool doubts it one day."""

STEPS_MAX: Final = 300
REST_S_MAX: Final = 600.0
"""Far more than any order has or takes: whoever reaches one of them never comes to rest."""

_CROSSED: Final = {"": None, "claims": CLAIM, "sandboxes": SANDBOX}


@dataclass(frozen=True, slots=True)
class World:
    """What the leaders find. `problems` tells what is not as it should be at the end, `ending`
    what the end was, in one short line. `batch_items_max`: so many creates has a reservation."""

    part: Part
    objects: tuple[Json, ...]
    problems: Callable[[ObjectStore], list[str]]
    ending: Callable[[ObjectStore], str]
    batch_items_max: int = 300


@dataclass(frozen=True, slots=True)
class Scope:
    """Which orders there are. `deaf`: for each leader, whether it hears of commits only at the
    end. `crossed`: what came to the second leader in the opposite order, so that it pairs claims
    and sandboxes in another way. `is_split`: a write and its answer are two steps."""

    world: str
    deaf: tuple[bool, bool]
    crossed: Literal["", "claims", "sandboxes"] = ""
    is_split: bool = False
    workers: int = 1

    def __str__(self) -> str:
        heard = {(False, False): "prompt", (True, True): "deaf", (False, True): "second-deaf"}
        words = [self.world, heard.get(self.deaf, "first-deaf")]
        words += [f"crossed-{self.crossed}"] if self.crossed else []
        words += ["split"] if self.is_split else []
        words += [f"{self.workers}-workers"] if self.workers > 1 else []
        return "-".join(words)


@dataclass(slots=True)
class Order:
    """A run of one order: what was chosen, what was offered, what came of it. `failure` "": all
    promises held."""

    taken: list[str] = field(default_factory=list[str])
    offered: list[list[str]] = field(default_factory=list[list[str]])
    failure: str = ""
    ending: str = ""
    calls: int = 0
    commits: int = 0
    trace: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        return "".join(self.taken)


Losses = Callable[[str, str], bool]
"""Whether a loss is offered: the order so far, and the choice."""


def no_losses(_order: str, _choice: str) -> bool:
    """Every answer arrives."""
    return False


def all_losses(_order: str, _choice: str) -> bool:
    """Each step may be lost, one in an order."""
    return True


class Race:
    """One run. `prefix` are its first choices; after these it takes the first one offered."""

    def __init__(
        self,
        scope: Scope,
        world: World,
        prefix: Sequence[str],
        *,
        losses: Losses = no_losses,
        has_words: bool = False,
    ) -> None:
        self._scope = scope
        self._world = world
        self._prefix = prefix
        self._losses = losses
        self._has_words = has_words
        self.order = Order()
        self._has_lost = False
        self._is_free = False
        self._steps = 0
        self._loop = IdleLoop()
        self._switch = Switch()

    def run(self) -> Order:
        """Carry it out. A prefix that asks for what is not to be had is a failure."""
        with (
            watching_errors(self._fail),
            asyncio.Runner(loop_factory=lambda: self._loop) as runner,
        ):
            runner.run(self._main())
        return self.order

    async def _main(self) -> None:
        clock = VirtualClock(self._loop)
        arena = self._arena = Arena(clock, self._world.objects)
        arena.judge.on_breach = self._on_breach
        if self._has_words:
            arena.say = self.order.trace.append
        self._over = self._loop.create_future()
        self._processes = [self._process(number, clock) for number in (0, 1)]
        base_rv = arena.store.rv
        tasks = [asyncio.create_task(process.controller.run()) for process in self._processes]
        self._loop.on_idle = self._on_idle
        await self._over
        self._loop.on_idle = nothing_to_do
        self.order.commits = arena.store.rv - base_rv
        if not self.order.failure:
            self._judge_end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _process(self, number: int, clock: VirtualClock) -> Process:
        scope, arena = self._scope, self._arena
        transport = HeldTransport(
            arena.server, arena.attribution, self._switch, number, is_split=scope.is_split
        )
        if self._has_words:
            transport.on_answer = self.order.trace.append
        process = Process(
            self._world.part,
            transport,
            clock,
            workers=scope.workers,
            batch_items_max=self._world.batch_items_max,
        )
        process.list_all(arena.store, last_first=_CROSSED[scope.crossed] if number else None)
        process.is_deaf = scope.deaf[number]
        arena.store.observers.append(process.hear)
        return process

    def _on_idle(self, wait_s: float | None) -> bool:
        """Nobody can go on: let the next call go, or the next phase begin."""
        if self._over.done():
            return False
        if self._loop.time() > REST_S_MAX:
            self._fail(f"no rest within {REST_S_MAX:g} s")
            return True
        if wait_s is not None and wait_s <= SOON_S:
            return False
        if len(self._switch):
            self._go_on()
            return True
        if wait_s is not None and wait_s < LATER_S:
            return False
        if self._is_free:
            self._over.set_result(None)
            return True
        self._is_free = True
        for process in self._processes:
            process.catch_up()
        return True

    def _go_on(self) -> None:
        self._steps += 1
        if self._steps > STEPS_MAX:
            self._fail(f"no rest within {STEPS_MAX} steps")
            return
        order = self.order
        choice = self._switch.choices(with_losses=False)[0] if self._is_free else self._choice()
        if choice is None:
            self._fail(f"after {order} there is no {self._prefix[len(order.taken)]}")
            return
        order.calls += 1
        words = self._switch.let_go(choice)
        if self._has_words:
            mark = "" if self._is_free else choice
            order.trace.append(f"{mark:>4} {words}")

    def _choice(self) -> str | None:
        """What goes next; None if the prefix wants what is not to be had."""
        order, so_far = self.order, str(self.order)
        offered = [
            choice
            for choice in self._switch.choices(with_losses=not self._has_lost)
            if choice[-1] not in "-+" or self._losses(so_far, choice)
        ]
        at = len(order.taken)
        choice = self._prefix[at] if at < len(self._prefix) else offered[0]
        if choice not in self._switch.choices(with_losses=True):
            return None
        order.offered.append(offered)
        order.taken.append(choice)
        self._has_lost = self._has_lost or choice[-1] in "-+"
        return choice

    def _judge_end(self) -> None:
        order, store = self.order, self._arena.store
        problems = self._world.problems(store)
        for number, process in enumerate(self._processes):
            problems += [f"m{number}: {text}" for text in process.leftovers()]
        order.ending = self._world.ending(store)
        order.failure = "; ".join(problems)

    def _on_breach(self, breach: Breach) -> None:
        self._fail(str(breach))

    def _fail(self, text: str) -> None:
        self.order.failure = self.order.failure or text
        if not self._over.done():
            self._over.set_result(None)
