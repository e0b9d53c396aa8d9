"""The embedded server as a backend of contract cases, on virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

from tests.contract.runner import Run, Said
from tests.contract.steps import Case

from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.resources import NAMESPACE as NAMESPACES
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import World, run_virtual

T = TypeVar("T")
NAMESPACE = "contract-fake"


class FakeBackend:
    """A server of its own, with the namespace `contract-fake` and nothing in it."""

    def __init__(self, world: World, actors: AsyncExitStack) -> None:
        self.cluster = Cluster(clock=world.clock, rng=world.rng, crds=agent_sandbox_crds())
        self.cluster.create(Target(NAMESPACES), {"metadata": {"name": NAMESPACE}})
        self.server = FakeApiServer(self.cluster)
        self.transport = InProcessTransport(self.server)
        self._actors = actors

    async def act(self, what: str) -> None:
        if what == "compact":
            self.cluster.store.compact()
        else:
            await self._actors.enter_async_context(GarbageCollector(self.cluster))


def with_fake(use: Callable[[FakeBackend], Awaitable[T]]) -> T:
    """What `use` returns for a fresh server; the server's own books must be in order then."""

    async def scenario(world: World) -> T:
        async with AsyncExitStack() as actors:
            backend = FakeBackend(world, actors)
            result = await use(backend)
            await backend.transport.close()
            backend.cluster.store.check()
            assert backend.server.open_watches == 0
            return result

    return run_virtual(scenario)


def play_on_fake(case: Case) -> list[Said]:
    """Runs a case to its end and returns what was said. Raises AssertionError as `Run.play`."""

    async def use(backend: FakeBackend) -> list[Said]:
        run = Run(backend, NAMESPACE)
        await run.play(case)
        await run.clean()
        return run.said

    return with_fake(use)
