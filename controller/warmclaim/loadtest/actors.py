"""Who brings load onto the stage: a client beside a controller, or one that does its work too."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from warmclaim.loadtest.limit import HandOver, fill
from warmclaim.loadtest.objects import CLAIMS, PODS, POOLS, SANDBOXES, Pool, claim_body, path
from warmclaim.loadtest.schedule import Due
from warmclaim.loadtest.stage import Stage
from warmclaim.loadtest.views import Metadata
from warmclaim.loadtest.wire import MERGE_PATCH

_STARTED_S_MAX = 300.0


class Client:
    """Asks; a controller serves."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._members_each = 0

    async def deploy(self, names: list[str], members_each: int) -> list[Pool]:
        """Create the pools."""
        self._members_each = members_each
        return [await self._stage.create_pool(members_each, name) for name in names]

    async def prepare(self) -> None:
        """Open the connections for claims."""
        await self._stage.client.open_connections()

    async def create(self, due: Due) -> None:
        """Create one claim."""
        body = claim_body(due.name, due.pool)
        await self._stage.client.send("POST", path(self._stage.namespace, CLAIMS), body)

    async def scale(self, pools: list[Pool], members_each: int) -> None:
        """Change the size in every pool's spec."""
        self._members_each = members_each
        body = {"spec": {"replicas": members_each}}
        for pool in pools:
            target = path(self._stage.namespace, POOLS, pool.name)
            await self._stage.client.send("PATCH", target, body, MERGE_PATCH)

    async def delete(self) -> None:
        """Delete pools and claims; what they own is the garbage collector's."""
        await self._stage.delete_all(POOLS, CLAIMS)

    def members_wanted(self, pool: Pool) -> int:
        """The pool's size: a controller replaces what claims took."""
        return self._members_each


class Limit:
    """Does what a controller would, without looking: no controller may run beside it. Pools are
    filled with what the claims to come will take, and not refilled."""

    def __init__(self, stage: Stage, claims_by_pool: Mapping[str, int]) -> None:
        self._stage = stage
        self._claims_left = Counter(claims_by_pool)
        self._members: dict[str, list[Metadata]] = {}
        self._made = 0
        self._hand_over = HandOver(stage.client, stage.controller, stage.namespace, self._members)

    async def deploy(self, names: list[str], members_each: int) -> list[Pool]:
        """Create the pools with all their members."""
        pools = [await self._stage.create_pool(members_each, name) for name in names]
        for pool in pools:
            await self._resize(pool, members_each)
        return pools

    async def prepare(self) -> None:
        """Open all connections, once the pods run: nobody else is at work during the claims."""
        await self._stage.wait_started(_STARTED_S_MAX)
        for wire in (self._stage.client, self._stage.controller):
            await wire.open_connections()

    async def create(self, due: Due) -> None:
        """Create one claim, and send the two writes of its hand-over."""
        self._claims_left[due.pool] -= 1
        await self._hand_over.create(due)

    async def scale(self, pools: list[Pool], members_each: int) -> None:
        """Create or delete members."""
        for pool in pools:
            await self._resize(pool, members_each)

    async def delete(self) -> None:
        """Delete sandboxes and pods too: the limit waits for nobody."""
        await self._stage.delete_all(POOLS, CLAIMS, SANDBOXES, PODS)

    def members_wanted(self, pool: Pool) -> int:
        """Those that were not given away."""
        return len(self._members[pool.name])

    async def _resize(self, pool: Pool, members_each: int) -> None:
        size = max(members_each, self._claims_left[pool.name])
        stage, members = self._stage, self._members.setdefault(pool.name, [])
        surplus = [members.pop() for _ in range(len(members) - size)]
        async with asyncio.TaskGroup() as group:
            for one in surplus:
                for plural in (SANDBOXES, PODS):
                    target = path(stage.namespace, plural, one.name)
                    group.create_task(stage.client.send("DELETE", target))
        missing = size - len(members)
        members += await fill(stage, pool, missing, self._made)
        self._made += max(missing, 0)
