"""A world with the pool controller, and what its tests ask of it."""

from __future__ import annotations

from typing import Any

from tests.controllers.app_world import (
    NAMESPACE,
    POOL,
    SANDBOX,
    AppWorld,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.api.pool import Pool
from warmclaim.domain.eligibility import pool_owner
from warmclaim.errors import UnknownOutcomeError
from warmclaim.testing.builders import (
    a_pool,
    a_sandbox,
    a_template,
)
from warmclaim.testing.store import Commit

POOLS: dict[str, Any] = {"controllers": frozenset({"pool"})}
LOST = UnknownOutcomeError("no answer")


class Ceiling:
    """Counts living members at every commit."""

    def __init__(self, world: AppWorld, ceiling: int) -> None:
        self.ceiling = ceiling
        self.live: dict[str, bool] = {}
        self.highest = 0
        world.server.cluster.store.observers.append(self)

    def __call__(self, commit: Commit) -> None:
        if commit.object.get("kind") != "Sandbox":
            return
        name = commit.object["metadata"]["name"]
        owners = commit.object["metadata"].get("ownerReferences", [])
        is_member = any(owner["kind"] == "SandboxWarmPool" for owner in owners)
        self.live[name] = is_member and commit.verb != "DELETED"
        self.highest = max(self.highest, sum(self.live.values()))
        assert self.highest <= self.ceiling


async def members(world: AppWorld) -> list[str]:
    return sorted(s.metadata.name for s in await world.sandboxes() if pool_owner(s))


async def pool(world: AppWorld) -> Pool:
    return await world.hand.get(POOL, ObjectKey(NAMESPACE, "pool"))


async def fills(world: AppWorld, count: int, *, within_s: float = 5.0) -> None:
    async def is_full() -> bool:
        return len(await members(world)) == count

    await world.until(is_full, within_s=within_s)


async def scale(world: AppWorld, replicas: int) -> None:
    await world.hand.merge_patch(
        POOL, ObjectKey(NAMESPACE, "pool"), {"spec": {"replicas": replicas}}
    )


def start(world: AppWorld, replicas: int) -> Ceiling:
    ceiling = Ceiling(world, replicas)
    world.put(a_template("python"), a_pool("pool", template="python", replicas=replicas))
    return ceiling


async def play_sandbox_controller(world: AppWorld) -> None:
    """New sandboxes become Ready a moment after they were created."""
    status = a_sandbox("any")["status"]
    while True:
        await world.run_for(0.05)
        for sandbox in await world.sandboxes():
            if sandbox.status is None:
                await world.hand.merge_patch(
                    SANDBOX, sandbox.metadata.key, {"status": status}, subresource="status"
                )
