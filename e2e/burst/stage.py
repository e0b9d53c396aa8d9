"""A namespace with a template, its two watches, and the wires of one run."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import msgspec
from e2e.burst.ledger import Ledger
from e2e.burst.profiles import (
    CLAIMS,
    PODS,
    POOL,
    POOLS,
    SANDBOXES,
    TEMPLATES,
    path,
    pool_body,
    template_body,
)
from e2e.burst.views import Thing
from e2e.burst.waits import until
from e2e.burst.wire import Watch, Wire
from e2e.cluster import ADMIN, WARMCLAIM, ControlPlane
from e2e.controlplane.objects import create_namespace

CONNECTIONS = 64
"""For claims, and as many for the two writes of the limit. More would be handshakes, not load:
the server answers 300 creations a second on fewer."""
_NUMBERS = itertools.count(1)
_QUIET_S = 1.0
_QUIET_S_MAX = 60.0
_GONE_S_MAX = 120.0


@dataclass(slots=True)
class Stage:
    """What a run acts on. `client` speaks as the admin, `controller` as the controller's user."""

    namespace: str
    client: Wire
    controller: Wire
    ledger: Ledger
    watches: tuple[Watch, Watch]

    async def create_pool(self, size: int) -> str:
        """Create the pool; returns its uid. Raises as `Wire.send` does."""
        body = pool_body(size)
        answer = await self.client.send("POST", path(self.namespace, POOLS), body)
        return msgspec.json.decode(answer, type=Thing).metadata.uid

    async def wait_members(self, pool_uid: str, size: int, timeout_s: float) -> None:
        """Wait until the pool has exactly `size` members, all Ready. Raises TimeoutError."""

        def lacking() -> str | None:
            counts = self.ledger.members(pool_uid), self.ledger.ready_members(pool_uid)
            return None if counts == (size, size) else f"{counts[0]} members, {counts[1]} Ready"

        await until(f"pool of {size}", lacking, timeout_s=timeout_s)

    async def wait_quiet(self) -> None:
        """Wait until no event came for a second. Raises TimeoutError."""

        def busy() -> str | None:
            idle_s = time.monotonic() - self.ledger.last_event_s
            return None if idle_s >= _QUIET_S else f"last event {idle_s:.2f} s ago"

        await until("no more events", busy, timeout_s=_QUIET_S_MAX, interval_s=0.05)

    async def wait_claims(self, count: int, timeout_s: float) -> None:
        """Wait until so many claims have been Ready. Raises TimeoutError."""

        def lacking() -> str | None:
            ready = self.ledger.ready_claims
            return None if ready >= count else f"{ready} of {count} Ready"

        await until("claims", lacking, timeout_s=timeout_s)

    async def clear(self) -> float:
        """Delete pool and claims and wait until their sandboxes and pods are gone.

        Returns the seconds it took; raises TimeoutError after two minutes.
        """
        begun = time.monotonic()
        options = {"propagationPolicy": "Background"}
        await self.client.send("DELETE", path(self.namespace, POOLS, POOL), options)
        # Not left to the garbage collector: it learns of a new kind up to 30 s late, and has then
        # missed the deletion of owners.
        for plural in (CLAIMS, SANDBOXES, PODS):
            await self.client.send("DELETE", path(self.namespace, plural), options)

        def left() -> str | None:
            count = self.ledger.existing()
            return f"{count} left" if count else None

        await until("end of the sandboxes", left, timeout_s=_GONE_S_MAX, interval_s=0.05)
        while await self._pods():
            if time.monotonic() - begun > _GONE_S_MAX:
                raise TimeoutError(f"pods are left {_GONE_S_MAX:g} s after their pool's deletion")
            await asyncio.sleep(0.2)
        return time.monotonic() - begun

    async def _pods(self) -> bool:
        answer = await self.client.send("GET", f"{path(self.namespace, PODS)}?limit=1")
        return bool(msgspec.json.decode(answer, type=_Items).items)


class _Items(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw]


@contextlib.asynccontextmanager
async def staged(cluster: ControlPlane, purpose: str) -> AsyncGenerator[Stage]:
    """Set the stage in a new namespace `<purpose>-<number>`; the watches run while it is open.

    A watch that fails cancels what runs inside. The namespace is deleted at the end, without
    waiting for that.
    """
    namespace = f"{purpose}-{next(_NUMBERS)}"
    await asyncio.to_thread(create_namespace, cluster.api, namespace)
    ledger = Ledger(time.monotonic())
    server, ca_file = cluster.server, cluster.ca_file
    async with (
        Wire(server, cluster.token(ADMIN), ca_file, connections=CONNECTIONS) as client,
        Wire(server, cluster.token(WARMCLAIM), ca_file, connections=CONNECTIONS) as controller,
        Wire(server, cluster.token(ADMIN), ca_file, connections=4) as watching,
    ):
        watches = (
            Watch(watching, path(namespace, CLAIMS), ledger.claim_event),
            Watch(watching, path(namespace, SANDBOXES), ledger.sandbox_event),
        )
        stage = Stage(namespace, client, controller, ledger, watches)
        await client.send("POST", path(namespace, TEMPLATES), template_body())
        try:
            async with _following(watches):
                yield stage
        finally:
            await client.send("DELETE", f"/api/v1/namespaces/{namespace}")


@contextlib.asynccontextmanager
async def _following(watches: tuple[Watch, Watch]) -> AsyncGenerator[None]:
    for watch in watches:
        await watch.prepare()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watch.run()) for watch in watches]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
