"""The load generator's connections: what waits for one is noted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.loadtest.world import a_world

from warmclaim.loadtest.wire import Wire


async def test_a_wait_for_a_connection_is_noted(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, Wire(world.connection, connections=2) as wire:
        await wire.open_connections()
        assert wire.queued_s_max == 0.0
        await asyncio.gather(*(wire.send("GET", "/version") for _ in range(3)))
        assert wire.queued_s_max > 0.0
