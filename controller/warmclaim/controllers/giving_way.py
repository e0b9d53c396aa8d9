"""Work on sandboxes that claims come before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from warmclaim.api.meta import ObjectKey
from warmclaim.controllers.sandbox_wakeups import Enqueue
from warmqueue import Lane


class GivingWay:
    """Which sandboxes wait while claims are served, and whose turn has come.

    One task waits for all: when the gate opens, everybody who asked until then goes through. A
    turn stays until `forget`, so a create that fails is tried again by the back-off of its key: to
    ask for another turn ends a pass without an error, and each back-off would be a first one.
    """

    def __init__(
        self, turn: Callable[[], Awaitable[None]], is_open: Callable[[], bool], enqueue: Enqueue
    ) -> None:
        self._turn = turn
        self._is_open = is_open
        self._enqueue = enqueue
        self._asked: dict[ObjectKey, None] = {}
        self._granted: set[ObjectKey] = set()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._asked) + len(self._granted)

    def has_turn(self, key: ObjectKey) -> bool:
        """Whether its turn has come; it has where the gate stands open."""
        if key not in self._granted and self._is_open():
            self._granted.add(key)
        return key in self._granted

    def ask(self, key: ObjectKey) -> None:
        """Have the key worked again when its turn has come."""
        self._asked[key] = None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._wait(), name="giving-way")

    def forget(self, key: ObjectKey) -> None:
        """Nothing is to be created for it."""
        self._asked.pop(key, None)
        self._granted.discard(key)

    async def _wait(self) -> None:
        try:
            await self._turn()
        finally:
            # Also after a failure: to yield is a courtesy, a pod never created is a fault.
            asked, self._asked = self._asked, {}
            for key in asked:
                self._granted.add(key)
                self._enqueue(key, Lane.REFILL, 0.0)
