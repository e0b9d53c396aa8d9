"""Start in order, stop in reverse, and no part dies silently (C2, C7)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from warmclaim.runtime.manager import Manager, NoElection


class Journal:
    """Parts that write down when they start and stop."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def part(self, name: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            self.lines.append(f"+{name}")
            try:
                await asyncio.Event().wait()
            finally:
                self.lines.append(f"-{name}")

        return run


class Election(NoElection):
    """Always elected; says when it released."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def release(self) -> None:
        self._journal.lines.append("released")


async def stopped_after(manager: Manager, delay_s: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(delay_s, stop.set)
    await manager.run(stop)


async def test_c2_writers_stop_before_the_lease_is_released_and_watches_last() -> None:
    journal = Journal()
    manager = Manager(Election(journal))
    manager.add("watch", journal.part("watch"))
    manager.add_leader("writer", journal.part("writer"))
    await stopped_after(manager, 0.01)
    assert journal.lines == ["+watch", "+writer", "-writer", "released", "-watch"]


@pytest.mark.parametrize("is_leader", [False, True], ids=["background", "leader"])
async def test_c7_a_part_that_fails_ends_the_manager(is_leader: bool) -> None:
    journal = Journal()
    manager = Manager(NoElection())
    manager.add("watch", journal.part("watch"))

    async def broken() -> None:
        raise RuntimeError("a bug")

    (manager.add_leader if is_leader else manager.add)("broken", broken)
    with pytest.raises((RuntimeError, ExceptionGroup)):
        async with asyncio.timeout(1):
            await manager.run(asyncio.Event())
    assert journal.lines == ["+watch", "-watch"]


async def test_a_part_that_does_not_end_is_left_behind_at_the_deadline() -> None:
    manager = Manager(NoElection(), stop_s_max=0.05)
    ends = asyncio.Event()

    async def stubborn() -> None:
        while not ends.is_set():
            try:
                await ends.wait()
            except asyncio.CancelledError:
                continue

    manager.add("stubborn", stubborn)
    async with asyncio.timeout(2):
        await stopped_after(manager, 0.01)
    ends.set()
    await asyncio.sleep(0)
