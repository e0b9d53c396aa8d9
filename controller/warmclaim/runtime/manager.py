"""Starts the parts in order, stops them in reverse, within one deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

_log = logging.getLogger(__name__)

Part = Callable[[], Awaitable[None]]


class Elector(Protocol):
    """Runs work while leading. `lead` returns only after the work was cancelled and awaited."""

    async def lead(self, work: Part) -> None: ...
    async def release(self) -> None: ...


class NoElection:
    """For a single manager: always the leader."""

    async def lead(self, work: Part) -> None:
        await work()

    async def release(self) -> None:
        return None


class Manager:
    """Everything that runs, supervised: a part that ends or fails ends the process.

    Background parts (watches, endpoints) run on every replica, so a standby has warm caches;
    leader parts (the writers) only while leading.
    """

    def __init__(self, elector: Elector, *, stop_s_max: float = 5.0) -> None:
        self._elector = elector
        self._stop_s_max = stop_s_max
        self._background: dict[str, Part] = {}
        self._leader: dict[str, Part] = {}

    def add(self, name: str, part: Part) -> None:
        """Run `part` on every replica."""
        self._background[name] = part

    def add_leader(self, name: str, part: Part) -> None:
        """Run `part` while leading."""
        self._leader[name] = part

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set or a part fails.

        Raises the failed part's error. When stopped, writers end first, then the lease is
        released so that a standby takes over at once, then the watches end. What does not end
        within `stop_s_max` seconds is left to the end of the process.
        """
        background = {name: _task(name, part) for name, part in self._background.items()}
        leading = asyncio.create_task(self._elector.lead(self._lead), name="leading")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await _first_end({*background.values(), leading, stopping})
        finally:
            stopping.cancel()
            await self._stop(leading, list(background.values()))

    async def _stop(
        self, leading: asyncio.Task[None], background: list[asyncio.Task[None]]
    ) -> None:
        deadline = asyncio.get_running_loop().time() + self._stop_s_max
        leading.cancel()
        if await _ended([leading], deadline):
            # A writer that is still there must not write under somebody else's lease.
            await _ended([asyncio.create_task(self._release(), name="release")], deadline)
        for task in background:
            task.cancel()
        await _ended(background, deadline)

    async def _release(self) -> None:
        await self._elector.release()

    async def _lead(self) -> None:
        _log.info("leading", extra={"parts": ",".join(sorted(self._leader))})
        async with asyncio.TaskGroup() as parts:
            for name, part in self._leader.items():
                parts.create_task(_run(part), name=name)


async def _run(part: Part) -> None:
    await part()


def _task(name: str, part: Part) -> asyncio.Task[None]:
    return asyncio.create_task(_run(part), name=name)


async def _first_end(tasks: set[asyncio.Task[Any]]) -> None:
    ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in ended:
        task.result()


async def _ended(tasks: list[asyncio.Task[None]], deadline: float) -> bool:
    """Await the tasks until the deadline; whether all ended. `asyncio.wait`, not
    `gather`: a cancelled gather goes on waiting for children that ignore it."""
    left_s = max(deadline - asyncio.get_running_loop().time(), 0.0)
    if not tasks:
        return True
    ended, pending = await asyncio.wait(tasks, timeout=left_s)
    for task in ended:
        if not task.cancelled() and task.exception() is not None:
            _log.warning("%s ended with %s", task.get_name(), task.exception())
    for task in pending:
        _log.error("%s did not stop in time and is left behind", task.get_name())
    return not pending
