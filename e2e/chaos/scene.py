"""A control plane, two controllers behind a proxy each, an auditor, and who keeps them running.

Two API servers, one preferred by each controller: measured on 2 cores, the second one costs 300 MB
and a twelfth of what the first one uses in a burst, and only with two is there an old watch cache
to fall back onto. What does not take part in the contest (scheduler, nodes, garbage collector) uses
the first one alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec
from e2e.burst.rights import grant, grant_lease
from e2e.burst.wires import connected
from e2e.chaos.auditor import AuditorProcess
from e2e.chaos.controllers import LEASE_NAMESPACE, NAMES, Controllers, Timing, redirected
from e2e.chaos.etcd import Etcd
from e2e.chaos.proxy import Proxy
from e2e.chaos.waits import eventually
from e2e.chaos.world import World
from e2e.cluster import ADMIN, COMPONENTS, WARMCLAIM, ControlPlane
from e2e.controlplane.commands import API_SERVER, SECOND_API_SERVER
from e2e.controlplane.failures import ControlPlaneError
from e2e.controlplane.objects import create_namespace

from warmclaim.loadtest.failures import RefusedError
from warmclaim.loadtest.views import Thing
from warmclaim.loadtest.wire import MERGE_PATCH, Wire

CONNECTIONS = 64
READY_S_MAX = 60.0
SERVERS: dict[str, str] = dict(zip(NAMES, (API_SERVER, SECOND_API_SERVER), strict=True))
"""The API server that each controller prefers."""
_KEEP_S = 0.25
_POLL_S = 0.025
_PROBE_S_MAX = 1.0
_REVISION_S_MAX = 1.0
_PROBES = f"/api/v1/namespaces/{LEASE_NAMESPACE}/configmaps"
_PROBE = f"{_PROBES}/probe"


@dataclass(slots=True)
class Scene:
    """All that runs. Faults are for `strikes`, load and judgement for `round`."""

    cluster: ControlPlane
    controllers: Controllers
    proxies: Mapping[str, Proxy]
    etcd: Etcd
    world: World
    auditor: AuditorProcess
    client: Wire
    """The admin, who creates claims and looks; through a proxy of its own, which only falls over to
    the other API server."""
    prober: Wire
    """The same, straight to the first API server and on connections of its own: what it asks must
    not wait behind what hangs."""
    held: set[str] = field(default_factory=set[str])
    """What is down on purpose, and not to be started again by the keeper."""
    notes: list[str] = field(default_factory=list[str])
    """What happened that nobody had ordered."""

    async def keep(self) -> None:
        """Start again what has ended and is not held, as an init system would. Runs until
        cancelled."""
        while True:
            for name in NAMES:
                is_running = await self.controllers.is_running(name)
                if not is_running and name not in self.held:
                    self.notes.append(f"{name} had ended and was started again")
                    await self.controllers.start(name)
            for name in (*COMPONENTS, SECOND_API_SERVER):
                is_running = await asyncio.to_thread(self.cluster.is_running, name)
                if not is_running and name not in self.held:
                    self.notes.append(f"{name} had ended and was started again")
                    await self.start(name)
            await asyncio.sleep(_KEEP_S)

    async def start(self, component: str) -> None:
        """Start a component that has ended; does not wait for it."""
        with contextlib.suppress(ControlPlaneError):  # the keeper may have been faster
            await asyncio.to_thread(self.cluster.restart, component, wait=False)

    async def leader(self) -> str:
        """The leading controller, waited for. Raises TimeoutError after 60 s without one."""
        found: list[str] = []

        async def leads() -> bool:
            name = await self.controllers.leader()
            found.extend([name] if name else [])
            return bool(found)

        await eventually("a leader", leads, timeout_s=READY_S_MAX)
        return found[0]

    async def standby(self) -> str:
        """The running controller that does not lead, waited for likewise."""
        leader = await self.leader()
        name = next(name for name in NAMES if name != leader)

        async def stands_by() -> bool:
            return name not in self.held and await self.controllers.is_running(name)

        await eventually("a standby", stands_by, timeout_s=READY_S_MAX)
        return name

    async def wait_controller(self, name: str) -> None:
        """Wait for a controller to be ready. Raises TimeoutError after 60 s."""

        async def is_ready() -> bool:
            return await self.controllers.is_ready(name)

        await eventually(f"{name} ready", is_ready, timeout_s=READY_S_MAX)

    async def wait_server(self, component: str) -> float:
        """Wait for an API server's /readyz; returns when it answered, in monotonic seconds.

        Raises TimeoutError after 60 s.
        """
        base = self.cluster.server if component == API_SERVER else self.cluster.second_server

        async def is_ready() -> bool:
            with contextlib.suppress(RefusedError, aiohttp.ClientError, TimeoutError):
                async with asyncio.timeout(_PROBE_S_MAX):
                    await self.prober.send("GET", f"{base}/readyz")
                return True
            return False

        return await eventually(f"{component} ready", is_ready, timeout_s=READY_S_MAX)

    async def revision(self) -> int:
        """The newest revision; the last one that was seen, if etcd does not answer just now."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(_REVISION_S_MAX):
                return await self.etcd.revision()
        return self.world.revision

    async def wait_writes(self) -> tuple[float, int]:
        """Wait until the first API server answers a write; when, in monotonic seconds, and the
        write's revision.

        One is sent every 25 ms, whatever became of those before: one that was sent too early may
        hang for long. Raises TimeoutError after 60 s.
        """
        first: asyncio.Future[tuple[float, int]] = asyncio.get_running_loop().create_future()

        async def probe(number: int) -> None:
            with contextlib.suppress(RefusedError, aiohttp.ClientError, TimeoutError):
                body = {"data": {"probe": f"{time.monotonic_ns()}-{number}"}}
                async with asyncio.timeout(_PROBE_S_MAX):
                    answer = await self.prober.send("PATCH", _PROBE, body, MERGE_PATCH)
                version = msgspec.json.decode(answer, type=Thing).metadata.resource_version
                if not first.done():
                    first.set_result((time.monotonic(), int(version)))

        sent: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(READY_S_MAX):
                for number in itertools.count():
                    sent.append(asyncio.create_task(probe(number)))
                    await asyncio.wait({first}, timeout=_POLL_S)
                    if first.done():
                        break
                return await first
        finally:
            for task in sent:
                task.cancel()
            await asyncio.gather(*sent, return_exceptions=True)


@contextlib.asynccontextmanager
async def staged(cluster: ControlPlane, folder: Path, timing: Timing) -> AsyncGenerator[Scene]:
    """Set the scene on a started control plane; both controllers are ready when it opens.

    A part that fails cancels what runs inside. Nothing of it is left at the end.
    """
    await asyncio.to_thread(_prepare, cluster)
    kubeconfig = cluster.kubeconfig(WARMCLAIM)
    servers = [cluster.server, cluster.second_server]
    async with contextlib.AsyncExitStack() as stack:
        proxies: dict[str, Proxy] = {}
        for name, preferred in zip(NAMES, (servers, servers[::-1]), strict=True):
            proxy = Proxy(preferred, cluster.key_dir)
            proxies[name] = await stack.enter_async_context(proxy)
        kubeconfigs = {
            name: redirected(kubeconfig, proxy.url, cluster.work_dir / f"kubeconfig-{name}")
            for name, proxy in proxies.items()
        }
        entrance = await stack.enter_async_context(Proxy(servers, cluster.key_dir))
        controllers = Controllers(folder, kubeconfigs, timing)
        auditor = AuditorProcess(cluster.etcd_url, folder / "auditor.log")
        client, prober = (
            Wire(connected(url, cluster.token(ADMIN), cluster.ca_file), connections=CONNECTIONS)
            for url in (entrance.url, cluster.server)
        )
        etcd = await stack.enter_async_context(Etcd(cluster.etcd_url))
        scene = Scene(
            cluster,
            await stack.enter_async_context(controllers),
            proxies,
            etcd,
            World(),
            await stack.enter_async_context(auditor),
            await stack.enter_async_context(client),
            await stack.enter_async_context(prober),
        )
        async with _attended(scene):
            for name in NAMES:
                await scene.wait_controller(name)
            yield scene


@contextlib.asynccontextmanager
async def _attended(scene: Scene) -> AsyncGenerator[None]:
    """Start the controllers; follow etcd and keep everything running while this is open."""
    for name in NAMES:
        await scene.controllers.start(name)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(scene.world.follow(scene.etcd, LEASE_NAMESPACE), name="world"),
            group.create_task(scene.keep(), name="keeper"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def _prepare(cluster: ControlPlane) -> None:
    cluster.start_second_server()
    create_namespace(cluster.api, LEASE_NAMESPACE)
    grant(cluster.api, WARMCLAIM)
    grant_lease(cluster.api, WARMCLAIM, LEASE_NAMESPACE)
    cluster.api.create(_PROBES, {"metadata": {"name": "probe"}})
