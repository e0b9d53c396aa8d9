"""A namespace with a template, its two watches, and the wires of one run."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import msgspec

from warmclaim.kube.config import Connection
from warmclaim.loadtest.failures import RefusedError
from warmclaim.loadtest.ledger import Ledger
from warmclaim.loadtest.objects import (
    CLAIMS,
    IMAGE,
    PODS,
    POOL,
    POOLS,
    SANDBOXES,
    TEMPLATES,
    Pool,
    path,
    pool_body,
    template_body,
)
from warmclaim.loadtest.views import Thing
from warmclaim.loadtest.waits import until
from warmclaim.loadtest.wire import Watch, Wire

CONNECTIONS = 64
"""For claims, and as many for the two writes of the limit. More would be handshakes, not load:
the server answers 300 creations a second on fewer."""
_QUIET_S = 1.0
_QUIET_S_MAX = 60.0
_ACCOUNT_S_MAX = 10.0
_UNKNOWN_KIND = "could not find the requested resource"


@dataclass(slots=True)
class Stage:
    """What a run acts on. `client` creates the load; `controller` does what a controller would,
    where there is none."""

    namespace: str
    image: str
    """What the sandboxes' pods run."""
    client: Wire
    controller: Wire
    ledger: Ledger
    watches: tuple[Watch, Watch]

    async def create_pool(self, size: int, name: str = POOL) -> Pool:
        """Create a pool. Raises as `Wire.send` does."""
        body = pool_body(size, name)
        answer = await self.client.send("POST", path(self.namespace, POOLS), body)
        return Pool(name, msgspec.json.decode(answer, type=Thing).metadata.uid)

    async def wait_quiet(self, quiet_s: float = _QUIET_S, timeout_s: float = _QUIET_S_MAX) -> None:
        """Wait until no event came for a while. Raises TimeoutError."""

        def busy() -> str | None:
            idle_s = time.monotonic() - self.ledger.last_event_s
            return None if idle_s >= quiet_s else f"last event {idle_s:.2f} s ago"

        await until("no more events", busy, timeout_s=timeout_s, interval_s=0.05)

    async def delete_all(self, *plurals: str) -> None:
        """Delete all objects of these kinds; does not wait for their end."""
        for plural in plurals:
            options = {"propagationPolicy": "Background"}
            await self.client.send("DELETE", path(self.namespace, plural), options)

    async def wait_gone(self, timeout_s: float) -> None:
        """Wait until no sandbox and no pod is left. Raises TimeoutError."""
        begun = time.monotonic()

        def left() -> str | None:
            count = self.ledger.existing()
            return f"{count} left" if count else None

        await until("end of the sandboxes", left, timeout_s=timeout_s, interval_s=0.05)
        while await self._pods():
            if time.monotonic() - begun > timeout_s:
                raise TimeoutError(f"pods are left after {timeout_s:g} s")
            await asyncio.sleep(0.2)

    async def wait_started(self, timeout_s: float) -> None:
        """Wait until no pod is pending. Raises TimeoutError."""
        begun = time.monotonic()
        while await self._pods("&fieldSelector=status.phase=Pending"):
            if time.monotonic() - begun > timeout_s:
                raise TimeoutError(f"pods are pending after {timeout_s:g} s")
            await asyncio.sleep(0.2)

    async def _pods(self, which: str = "") -> bool:
        """Whether there are any; `which` narrows the question."""
        answer = await self.client.send("GET", f"{path(self.namespace, PODS)}?limit=1{which}")
        return bool(msgspec.json.decode(answer, type=_Items).items)


class _Items(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw]


@contextlib.asynccontextmanager
async def staged(
    namespace: str,
    client_to: Connection,
    controller_to: Connection,
    *,
    image: str = IMAGE,
    gone_s_max: float = 0.0,
) -> AsyncGenerator[Stage]:
    """Set the stage in a new namespace; the watches run while it is open.

    A watch that fails cancels what runs inside. The namespace is deleted at the end, however that
    came; that is waited for, for `gone_s_max` at most.
    """
    ledger = Ledger(time.monotonic())
    async with (
        Wire(client_to, connections=CONNECTIONS) as client,
        Wire(controller_to, connections=CONNECTIONS) as controller,
        Wire(client_to, connections=4) as watching,
    ):
        watches = (
            Watch(watching, path(namespace, CLAIMS), ledger.claim_event),
            Watch(watching, path(namespace, SANDBOXES), ledger.sandbox_event),
        )
        stage = Stage(namespace, image, client, controller, ledger, watches)
        await _create(client, namespace)
        try:
            await _account(client, namespace)
            await client.send("POST", path(namespace, TEMPLATES), template_body(image))
            async with _following(watches):
                yield stage
        finally:
            await client.send("DELETE", f"/api/v1/namespaces/{namespace}")
            await _ended(client, namespace, gone_s_max)


async def _create(client: Wire, namespace: str) -> None:
    """Create the namespace. Who is stopped before the answer comes waits for it: what was made must
    be taken away again."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    creation = asyncio.create_task(client.send("POST", "/api/v1/namespaces", body))
    try:
        await asyncio.shield(creation)
    except asyncio.CancelledError:
        with contextlib.suppress(RefusedError):
            await creation
            await client.send("DELETE", f"/api/v1/namespaces/{namespace}")
        raise


async def _ended(client: Wire, namespace: str, timeout_s: float) -> None:
    """Wait until the namespace is gone, or for this long."""
    ends_s = time.monotonic() + timeout_s
    with contextlib.suppress(RefusedError):
        while time.monotonic() < ends_s:
            await client.send("GET", f"/api/v1/namespaces/{namespace}")
            await asyncio.sleep(0.2)


async def _account(client: Wire, namespace: str) -> None:
    """Wait for the default service account, without which pods are refused; not where the server
    has no such kind. Raises TimeoutError."""
    target = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    begun_s = time.monotonic()
    while True:
        try:
            await client.send("GET", target)
            return
        except RefusedError as error:
            if error.code != 404:
                raise
            if _UNKNOWN_KIND in str(error):
                return
        if time.monotonic() - begun_s > _ACCOUNT_S_MAX:
            raise TimeoutError(f"namespace {namespace}: no default service account in time")
        await asyncio.sleep(0.02)


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
