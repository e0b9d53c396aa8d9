"""The stage of a run: what it makes in the cluster, it takes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.loadtest.world import World, a_world

from warmclaim.loadtest.stage import staged
from warmclaim.loadtest.wire import Wire

NAME = "warmclaim-loadtest-stage"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


async def test_who_is_stopped_before_the_answer_takes_the_namespace_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, is_made = Wire.send, asyncio.Event()

    async def late(self: Wire, method: str, path: str, *rest: Any) -> bytes:
        answer = await send(self, method, path, *rest)
        if (method, path) == ("POST", "/api/v1/namespaces"):
            is_made.set()
            await asyncio.sleep(0.2)
        return answer

    async def enter() -> None:
        async with staged(NAME, world.connection, world.connection):
            pass

    monkeypatch.setattr(Wire, "send", late)
    entering = asyncio.create_task(enter())
    await is_made.wait()
    assert world.namespaces() == {NAME}
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert world.namespaces() == set()
