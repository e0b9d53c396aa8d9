"""A manager with a diagnostics port, on an embedded API server over real HTTP, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from warmclaim.api.resources import CLAIM, POOL, TEMPLATE, Resource
from warmclaim.app import App, Outside
from warmclaim.cli import main
from warmclaim.kube.config import connection_to
from warmclaim.kube.transport import HttpTransport
from warmclaim.runtime.diagnostics import Diagnostics
from warmclaim.seams import SystemClock, SystemRng
from warmclaim.settings import LeaseSettings, Settings
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pool, a_template
from warmclaim.testing.cluster import Target
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.http_front import serve
from warmclaim.testing.json_values import Json

WAIT_S = 20.0


class SnapshotWorld:
    """What a test holds of it."""

    def __init__(self, server: FakeApiServer, app: App, url: str) -> None:
        self.server, self.app, self.url = server, app, url

    def send(self, resource: Resource[object], value: Json) -> None:
        """As a user sends it: without uid and status."""
        kind = self.server.cluster.kinds.named(resource.api_version, resource.kind)
        assert kind is not None
        named = {name: value["metadata"][name] for name in ("name", "namespace")}
        body = {**value, "metadata": named}
        self.server.cluster.create(Target(kind, named["namespace"]), body)

    def fill(self, *, pool: int, env: str = "") -> None:
        """A template and a pool of so many."""
        template = a_template("python")
        variable = [{"name": "DB", "value": env}] if env else []
        template["spec"]["podTemplate"]["spec"]["containers"][0]["env"] = variable
        self.send(TEMPLATE, template)
        self.send(POOL, a_pool("python", template="python", replicas=pool))

    def claim(self, name: str, *, pool: str = "python") -> None:
        self.send(CLAIM, a_claim(name, pool=pool))

    async def until_ready(self, resource: Resource[object], number: int) -> None:
        """Wait until so many objects of the kind are Ready."""
        async with asyncio.timeout(WAIT_S):
            while self.ready(resource) != number:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)

    def ready(self, resource: Resource[object]) -> int:
        found = [commit.object for commit in self.server.cluster.store.scan(str(resource))]
        conditions = (value.get("status", {}).get("conditions", ()) for value in found)
        return sum(any(_is_ready(c) for c in of) for of in conditions)

    async def cli(self, *words: str) -> int:
        """The exit code; in a thread of its own, as in a process of its own."""
        return await asyncio.to_thread(main, list(words))


def _is_ready(condition: Json) -> bool:
    return (condition["type"], condition["status"]) == ("Ready", "True")


class Unhurried(SystemClock):
    """By it any two snapshots are far apart."""

    def __init__(self) -> None:
        self._looks = 0

    def monotonic(self) -> float:
        self._looks += 1
        return self._looks * 60.0


@asynccontextmanager
async def snapshot_world() -> AsyncGenerator[SnapshotWorld]:
    server, clock, stop = FakeApiServer(), SystemClock(), asyncio.Event()
    nodes = FakeNodes(server.cluster, count=5)
    async with nodes, GarbageCollector(server.cluster), serve(server) as front:
        transport = HttpTransport(connection_to(front.url, credentials=None))
        outside = Outside(transport, clock, SystemRng(), "a-manager", "default")
        app = App(Settings(lease=LeaseSettings(enabled=False)), outside)
        port = Diagnostics("127.0.0.1:0", app.snapshots.take, Unhurried())
        await port.start()
        running = asyncio.create_task(app.run(stop))
        try:
            await app.caches.wait_synced()
            yield SnapshotWorld(server, app, f"http://127.0.0.1:{port.port}")
        finally:
            stop.set()
            await running
            await port.close()
            await transport.close()
