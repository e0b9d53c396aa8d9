"""The whole manager on virtual time, against the embedded API server, with faults on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from warmclaim.api.claim import Claim
from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import CLAIM, POOL, SANDBOX, Resource
from warmclaim.api.sandbox import Sandbox
from warmclaim.app import App, Outside
from warmclaim.controllers.claim_history import HistorySink
from warmclaim.domain.eligibility import claim_owner
from warmclaim.errors import NotFoundError, NotSentError
from warmclaim.kube.client import ApiClient
from warmclaim.kube.outage import PROBE_NAME
from warmclaim.seams import ByteStream, Request, Response
from warmclaim.settings import LeaseSettings, Settings
from warmclaim.telemetry.tracing import NO_TRACE, Spans, Trace, Tracing, no_spans
from warmclaim.testing.api import Answer, FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import World, run_virtual

NAMESPACE = "default"
CRDS = agent_sandbox_crds()

Fault = Callable[[Request], Awaitable[Response | Exception | None]]


async def no_fault(_: Request) -> None:
    """Leave the request alone."""


class Faults:
    """A transport with two places to break: before the server hears, and after it answered.
    `refused_streams`: end of the paths for which no watch can be had."""

    def __init__(self, inner: InProcessTransport) -> None:
        self._inner = inner
        self.before: Fault = no_fault
        self.after: Fault = no_fault
        self.seen: list[Request] = []
        self.watched: list[Request] = []
        self.refused_streams = ""
        self.before_stream: Callable[[Request], Response | None] = lambda _: None

    async def request(self, request: Request) -> Response:
        self.seen.append(request)
        early = await self.before(request)
        if isinstance(early, Exception):
            raise early
        answer = early or await self._inner.request(request)
        late = await self.after(request)
        if isinstance(late, Exception):
            raise late
        return late or answer

    async def stream(self, request: Request) -> ByteStream:
        self.watched.append(request)
        if self.refused_streams and request.path.endswith(self.refused_streams):
            raise NotSentError("connection refused")
        if early := self.before_stream(request):
            return Answer(early)
        return await self._inner.stream(request)

    async def close(self) -> None:
        await self._inner.close()


def once(fault: Response | Exception, *words: str) -> Fault:
    """A fault for the first request whose method and path hold all the words."""
    left = [fault]

    async def strike(request: Request) -> Response | Exception | None:
        line = f"{request.method} {request.path}"
        return left.pop() if left and all(word in line for word in words) else None

    return strike


def always(fault: Response | Exception, *words: str) -> Fault:
    """A fault for every such request."""

    async def strike(request: Request) -> Response | Exception | None:
        line = f"{request.method} {request.path}"
        return fault if all(word in line for word in words) else None

    return strike


def refusal(code: int, reason: str, message: str = "no", **headers: str) -> Response:
    """An answer by which the server says no."""
    status = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return Response(
        code, msgspec.json.encode(status), {"content-type": "application/json", **headers}
    )


class AppWorld:
    """One server, one manager, and hands that play the tenants and the admin."""

    def __init__(
        self,
        world: World,
        *,
        server_url: str = "",
        trace: Tracing | None = None,
        history: HistorySink | None = None,
        **settings: Any,
    ) -> None:
        self.world = world
        self._server_url = server_url
        self.history = history
        self._spans: Spans = trace.spans if trace else no_spans
        self._trace: Trace = trace or NO_TRACE
        self.clock = world.clock
        self.server = FakeApiServer(Cluster(clock=world.clock, rng=world.rng, crds=CRDS))
        self.hand = ApiClient(InProcessTransport(self.server, user_agent="hand"), clock=self.clock)
        self.faults, self.app = self.another(**settings)

    def another(self, name: str = "controller", **settings: Any) -> tuple[Faults, App]:
        """A further manager on the same server."""
        defaults: dict[str, Any] = {
            "controllers": frozenset({"claim"}),
            "lease": LeaseSettings(enabled=False),
        }
        faults = Faults(InProcessTransport(self.server, user_agent=name))
        outside = Outside(
            faults,
            self.clock,
            self.world.rng,
            name,
            NAMESPACE,
            self._server_url,
            history=self.history,
        )
        made = Settings(**{**defaults, **settings})
        return faults, App(made, outside, spans=self._spans, trace=self._trace)

    def put(self, *objects: dict[str, Any]) -> None:
        """Store objects as they are, status and all."""
        for value in objects:
            self.server.cluster.put(value)

    async def run_for(self, seconds: float) -> None:
        """Time passes."""
        await self.clock.sleep(seconds)

    async def until(self, condition: Callable[[], Awaitable[bool]], *, within_s: float) -> float:
        """Seconds of virtual time until the condition held; fails after `within_s`."""
        began = self.clock.monotonic()
        while not await condition():
            elapsed = self.clock.monotonic() - began
            assert elapsed < within_s, f"not within {within_s} s"
            await self.clock.sleep(0.01)
        return self.clock.monotonic() - began

    async def claim(self, name: str) -> Claim:
        """As the server has it."""
        return await self.hand.get(CLAIM, ObjectKey(NAMESPACE, name))

    async def sandbox(self, name: str) -> Sandbox:
        """As the server has it."""
        return await self.hand.get(SANDBOX, ObjectKey(NAMESPACE, name))

    async def sandboxes(self) -> list[Sandbox]:
        """All of them."""
        return (await self.hand.list_page(SANDBOX)).items

    async def owned(self, claim: str) -> list[str]:
        """Names of the living sandboxes that the claim owns."""
        uid = (await self.claim(claim)).metadata.uid
        return sorted(
            sandbox.metadata.name
            for sandbox in await self.sandboxes()
            if (owner := claim_owner(sandbox)) and owner.uid == uid
        )

    async def is_published(self, name: str) -> bool:
        """Whether the claim has its sandbox."""
        return bool((await self.claim(name)).published)

    async def exists(self, resource: Resource[Any], name: str) -> bool:
        """Whether there is such an object."""
        try:
            await self.hand.get(resource, ObjectKey(NAMESPACE, name))
        except NotFoundError:
            return False
        return True

    async def served(self, name: str, *, within_s: float = 5.0) -> Claim:
        """Wait until the claim has a sandbox, and check that it has precisely that one."""
        await self.until(lambda: self.is_published(name), within_s=within_s)
        claim = await self.claim(name)
        assert await self.owned(name) == [claim.published]
        return claim

    def writes(self, user_agent: str = "controller") -> list[str]:
        """What a manager asked the server to change: "verb resource[/subresource] code"."""
        return [
            f"{e.verb} {_path(e.resource, e.subresource)} {e.code}"
            for e in self.server.requests.last
            if e.is_write and e.user_agent == user_agent
        ]

    def reads(self, user_agent: str = "controller") -> int:
        """GETs of single objects by a manager, the outage probe's left out."""
        return sum(
            e.verb == "get" and e.user_agent == user_agent and e.name != PROBE_NAME
            for e in self.server.requests.last
        )


def _path(resource: str, subresource: str) -> str:
    plural = resource.partition(".")[0]
    return f"{plural}/{subresource}" if subresource else plural


@asynccontextmanager
async def running(
    app: App, *, synced: Sequence[Resource[Any]] | None = None
) -> AsyncGenerator[None]:
    """The manager runs, and leads, inside the block; it must stop cleanly after it. The block
    begins when these kinds were read, else all."""
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(stop), name="app")
    informers = app.caches.informers
    for name in informers if synced is None else map(str, synced):
        await informers[name].wait_synced()
    try:
        yield
    finally:
        stop.set()
        await task


def virtual(scenario: Callable[[AppWorld], Awaitable[None]], **settings: Any) -> None:
    """Run a scenario with a manager that is up, on virtual time."""

    async def main(world: World) -> None:
        app_world = AppWorld(world, **settings)
        async with running(app_world.app):
            await scenario(app_world)

    run_virtual(main)


__all__ = ["CLAIM", "POOL", "SANDBOX", "AppWorld", "Faults", "always", "once", "refusal",
           "running", "virtual"]  # fmt: skip
