"""The embedded server as a backend of contract cases, on virtual time."""

from __future__ import annotations

from contextlib import AsyncExitStack

from tests.contract.runner import Run, Said
from tests.contract.steps import Case

from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.resources import NAMESPACE as NAMESPACES
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import World, run_virtual

NAMESPACE = "contract"


class FakeBackend:
    """A server of its own, with the namespace `contract` and nothing in it."""

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


def play_on_fake(case: Case) -> list[Said]:
    """Runs a case to its end and returns what was said. Raises AssertionError as `Run.play`."""

    async def scenario(world: World) -> list[Said]:
        async with AsyncExitStack() as actors:
            backend = FakeBackend(world, actors)
            run = Run(backend, NAMESPACE)
            await run.play(case)
            await run.clean()
            await backend.transport.close()
            backend.cluster.store.check()
            assert backend.server.open_watches == 0
            return run.said

    return run_virtual(scenario)
