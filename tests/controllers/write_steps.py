"""The two writes of a warm claim, and what must hold whatever becomes of them."""

from __future__ import annotations

import pytest
from tests.controllers.app_world import (
    AppWorld,
)
from tests.controllers.test_claim_controller import stock, warm

from warmclaim.api.conditions import READY, find
from warmclaim.errors import UnknownOutcomeError
from warmclaim.testing.builders import a_claim

RESERVE = ("PATCH", "/sandboxes/")


PUBLISH = ("PATCH", "/sandboxclaims/", "/status")


STEPS = pytest.mark.parametrize("step", [RESERVE, PUBLISH], ids=["reserve", "publish"])


LOST = UnknownOutcomeError("no answer")


async def ready_reason(world: AppWorld, claim: str = "c") -> str:
    ready = find((await world.claim(claim)).conditions, READY)
    return ready.reason if ready else ""


async def one_claim_is_served(world: AppWorld, *, within_s: float = 5.0) -> str:
    """Three members, one claim; afterwards it has one sandbox and the pool the other two."""
    stock(world, warm("w1"), warm("w2"), warm("w3"))
    await world.run_for(0.1)
    world.put(a_claim("c", pool="pool"))
    claim = await world.served("c", within_s=within_s)
    await world.run_for(3)
    assert (await world.claim("c")).published == claim.published
    assert await world.owned("c") == [claim.published]
    assert len(await world.sandboxes()) == 3
    world.app.warm.check()
    assert len(world.app.warm) == 2
    return claim.published
