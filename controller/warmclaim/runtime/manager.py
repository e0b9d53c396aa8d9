"""Starts the parts in order, stops them in reverse, within one deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

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
    leader parts (the writers) only while leading, after `before_leading` has returned.
    """

    def __init__(self, elector: Elector, *, stop_s_max: float = 5.0) -> None:
        self._elector = elector
        self._stop_s_max = stop_s_max
        self._background: dict[str, Part] = {}
        self._leader: dict[str, Part] = {}
        self._before_leading: list[Part] = []

    def add(self, name: str, part: Part) -> None:
        """Run `part` on every replica."""
        self._background[name] = part

    def add_leader(self, name: str, part: Part) -> None:
        """Run `part` while leading."""
        self._leader[name] = part

    def before_leading(self, part: Part) -> None:
        """Have `part` return before any leader part starts (caches synced, queue rebuilt)."""
        self._before_leading.append(part)

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
            async with asyncio.timeout(self._stop_s_max):
                await _cancelled([leading])
                await self._elector.release()
                await _cancelled(list(background.values()))

    async def _lead(self) -> None:
        for part in self._before_leading:
            await part()
        _log.info("leading", extra={"parts": sorted(self._leader)})
        async with asyncio.TaskGroup() as parts:
            for name, part in self._leader.items():
                parts.create_task(_run(part), name=name)


async def _run(part: Part) -> None:
    await part()


def _task(name: str, part: Part) -> asyncio.Task[None]:
    return asyncio.create_task(_run(part), name=name)


async def _first_end(tasks: set[asyncio.Task[None]] | set[asyncio.Task[bool]]) -> None:
    ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in ended:
        task.result()


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
