"""The sandbox controller on an API server inside the process, and a hand that plays the rest."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
from tests.kube.fakes import FakeClock, settle
from tests.sandbox_objects import sandbox_body

from warmclaim.api import names
from warmclaim.api.conditions import Condition
from warmclaim.api.meta import Object, ObjectKey
from warmclaim.api.pod import Pod
from warmclaim.api.resources import POD, SANDBOX, SERVICE, VOLUME_CLAIM, Resource
from warmclaim.api.sandbox import Sandbox
from warmclaim.controllers.indexes import (
    BY_NAME_HASH,
    BY_OWNER_UID,
    name_hash_of,
    owner_uid_of,
)
from warmclaim.controllers.sandbox import SandboxReconciler
from warmclaim.controllers.sandbox_wakeups import (
    SandboxCaches,
    SandboxWakeups,
)
from warmclaim.errors import NotFoundError
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.seams import ByteStream, Request, Response
from warmclaim.settings import SandboxSettings
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.transport import InProcessTransport
from warmqueue import Backoff, Lane, Workqueue

T = TypeVar("T", bound=Object)

NAMESPACE = "default"
CONTROLLER = "controller"
CRDS = agent_sandbox_crds()
STEP_S_MAX = 0.5

READY_STATUS: dict[str, Any] = {
    "phase": "Running",
    "podIPs": [{"ip": "10.0.0.7"}],
    "conditions": [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": "True"},
    ],
}

Fault = Callable[[Request], Response | Exception | None]


def refusal(code: int, reason: str, message: str = "no", **details: Any) -> Response:
    """An answer by which the server says no."""
    status = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return Response(
        code, msgspec.json.encode(status | details), {"content-type": "application/json"}
    )


class SeededRng:
    """Chance that is the same in every run."""

    def __init__(self) -> None:
        self._source = random.Random(1)

    def random(self) -> float:
        return self._source.random()

    def token(self, length: int) -> str:
        return "".join(self._source.choice("abcdefgh") for _ in range(length))


class FaultyTransport:
    """The server as the controller reaches it. `before` may answer in its place, `after` may
    lose an answer; both see writes only. `together_max` is how many were under way at once.
    `is_late`: the watch tells of a write before its answer comes."""

    def __init__(self, inner: InProcessTransport) -> None:
        self._inner = inner
        self.before: Fault = lambda _: None
        self.after: Fault = lambda _: None
        self.requests: list[Request] = []
        self.together_max = 0
        self.is_late = False
        self._together = 0

    async def request(self, request: Request) -> Response:
        if request.method == "GET":
            return await self._inner.request(request)
        self.requests.append(request)
        self._together += 1
        self.together_max = max(self.together_max, self._together)
        await asyncio.sleep(0)
        try:
            answer = self.before(request) or await self._inner.request(request)
            answer = self.after(request) or answer
            if self.is_late:
                await settle()
        finally:
            self._together -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def stream(self, request: Request) -> ByteStream:
        return await self._inner.stream(request)

    async def close(self) -> None:
        await self._inner.close()


class ToldEvents:
    """Events that the controller has told of: "type reason action note"."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def normal(
        self, resource: Resource[Object], regarding: Object, reason: str, action: str, note: str
    ) -> None:
        self.told.append(f"Normal {reason} {action} {note}")

    def warning(
        self, resource: Resource[Object], regarding: Object, reason: str, action: str, note: str
    ) -> None:
        self.told.append(f"Warning {reason} {action} {note}")


class World:
    """Server, controller and time. Nothing moves but in `run_for`."""

    def __init__(
        self,
        server: FakeApiServer | None = None,
        clock: FakeClock | None = None,
        settings: SandboxSettings | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        rng = SeededRng()
        self.server = server or FakeApiServer(Cluster(clock=self.clock, rng=rng, crds=CRDS))
        self.transport = FaultyTransport(InProcessTransport(self.server, user_agent=CONTROLLER))
        self.client = ApiClient(self.transport, clock=self.clock)
        self.hand = ApiClient(InProcessTransport(self.server, user_agent="hand"), clock=self.clock)
        kind = {"clock": self.clock, "rng": rng, "do_handlers_raise": True}
        tracked: dict[str, Any] = {"label_selector": names.LABEL_NAME_HASH, **kind}
        owned = {BY_OWNER_UID: owner_uid_of, BY_NAME_HASH: name_hash_of}
        self.caches = SandboxCaches(
            sandboxes=Informer(self.client, SANDBOX, clock=self.clock, rng=rng),
            pods=Informer(self.client, POD, indexes=owned, **tracked),
            services=Informer(self.client, SERVICE, **tracked),
            volumes=Informer(self.client, VOLUME_CLAIM, **tracked),
        )
        self.queue: Workqueue[ObjectKey] = Workqueue(
            namespace_of=lambda key: key.namespace, backoff=Backoff(cap_s=1000.0)
        )
        self.lanes: list[Lane] = []
        self.errors: list[Exception] = []
        self.passes = 0
        self.events = ToldEvents()
        self.gate = asyncio.Event()
        self.gate.set()
        self.reconciler = SandboxReconciler(
            self.client,
            self.caches,
            self.events,
            self._enqueue,
            self._turn,
            self.clock,
            settings or SandboxSettings(),
            has_turns=self.gate.is_set,
        )
        self.reconciler.looked = lambda key: self.queue.looked(key, self.clock.now)
        self.reconciler.is_wanted = self.queue.is_wanted
        self.wakeups = SandboxWakeups(
            self.caches, self._enqueue, interim_left_s=self.reconciler.interim_left_s
        )

    def _enqueue(self, key: ObjectKey, lane: Lane, after_s: float) -> None:
        self.lanes.append(lane)
        self.queue.add(key, self.clock.now, lane=lane, after_s=after_s)

    async def _turn(self) -> None:
        await self.gate.wait()

    # ------------------------------------------------------------------ time

    async def run_for(self, seconds: float) -> None:
        """Time passes, from one due key to the next; what is due is worked."""
        end = self.clock.now + seconds
        while True:
            await self._work()
            if self.clock.now >= end:
                return
            due_at = self.queue.due_at() or end
            next_at = min(max(due_at, self.clock.now), end, self.clock.now + STEP_S_MAX)
            await self.clock.run_for(next_at - self.clock.now)

    async def _work(self) -> None:
        await settle()
        while (work := self.queue.next(self.clock.now)) is not None:
            self.passes += 1
            try:
                result = await self.reconciler.reconcile(work.key)
            except Exception as error:
                self.errors.append(error)
                self.queue.retry(work.key, self.clock.now, lane=work.lane)
            else:
                self.queue.forget(work.key)
                if result.after_s is not None:
                    self._enqueue(work.key, result.lane, result.after_s)
            self.queue.done(work.key, self.clock.now)
            await settle()

    # ------------------------------------------------------------ the others

    async def create(self, body: dict[str, Any]) -> Sandbox:
        """A sandbox is made by its creator."""
        return await self.hand.create(SANDBOX, NAMESPACE, body)

    async def play_kubelet(self, status: dict[str, Any], *, name: str = "sb") -> None:
        """The pod reports."""
        key = ObjectKey(NAMESPACE, name)
        await self.hand.merge_patch(POD, key, {"status": status}, subresource="status")

    async def play_scheduler(self, *, name: str = "sb") -> None:
        """The pod gets a node, and says so."""
        store, key = self.server.cluster.store, f"{NAMESPACE}/{name}"
        pod = store.get(str(POD), key)
        assert pod is not None
        bound = {**pod.object, "spec": {**pod.object["spec"], "nodeName": "n1"}}
        store.put(str(POD), key, bound)
        conditions = [{"type": "PodScheduled", "status": "True"}]
        await self.play_kubelet({"conditions": conditions}, name=name)

    async def plant(
        self,
        resource: Resource[T],
        name: str = "sb",
        *,
        labels: dict[str, str] | None = None,
        annotations: dict[str, str] | None = None,
        owned_by: Any = None,
        spec: dict[str, Any] | None = None,
    ) -> T:
        """Somebody makes an object that has, or might have, the name of a sandbox's child."""
        usual: dict[str, dict[str, Any]] = {
            POD.kind: {"containers": [{"name": "c", "image": "i"}]},
            SERVICE.kind: {"clusterIP": "None"},
            VOLUME_CLAIM.kind: {"accessModes": ["ReadWriteOnce"]},
        }
        metadata: dict[str, Any] = {"name": name, "labels": labels or {}}
        metadata |= {"annotations": annotations} if annotations else {}
        metadata |= {"ownerReferences": [owned_by]} if owned_by else {}
        body = {"apiVersion": "v1", "kind": resource.kind, "metadata": metadata}
        return await self.hand.create(
            resource, NAMESPACE, body | {"spec": usual[resource.kind] | (spec or {})}
        )

    async def there(self, resource: Resource[T], name: str = "sb") -> T | None:
        """As the server has it, if it has it."""
        try:
            return await self.hand.get(resource, ObjectKey(NAMESPACE, name))
        except NotFoundError:
            return None

    async def remove(self, resource: Resource[Any], name: str = "sb") -> None:
        """An object goes, without grace."""
        path = resource.item(ObjectKey(NAMESPACE, name))
        answer = await self.server.handle(Request("DELETE", path, (("gracePeriodSeconds", "0"),)))
        assert answer.status == 200, answer.body

    async def sandbox(self, name: str = "sb") -> Sandbox:
        """As the server has it."""
        return await self.hand.get(SANDBOX, ObjectKey(NAMESPACE, name))

    async def pod(self, name: str = "sb") -> Pod | None:
        """As the server has it."""
        return await self.there(POD, name)

    async def ready(self, name: str = "sb") -> Condition:
        """The Ready condition, which must be there."""
        ready = (await self.sandbox(name)).ready
        assert ready is not None
        return ready

    def writes(self) -> list[str]:
        """What the controller asked the server to change: "verb resource[/subresource] code"."""
        return [
            f"{e.verb} {e.resource}{'/' if e.subresource else ''}{e.subresource} {e.code}"
            for e in self.server.requests.last
            if e.is_write and e.user_agent == CONTROLLER
        ]

    def reads(self) -> int:
        """GETs of single objects by the controller."""
        return self.server.requests.count(verb="get", user_agent=CONTROLLER)


@asynccontextmanager
async def a_world(
    before: World | None = None, settings: SandboxSettings | None = None
) -> AsyncGenerator[World]:
    """A world whose caches are synced. Its server is empty, or the one of the world `before`."""
    server, clock = (before.server, before.clock) if before else (None, None)
    world = World(server, clock, settings)
    caches = world.caches
    informers: list[Informer[Any]] = [
        caches.sandboxes,
        caches.pods,
        caches.services,
        caches.volumes,
    ]
    tasks = [asyncio.create_task(informer.run()) for informer in informers]
    try:
        while not all(informer.is_synced for informer in informers):
            await settle()
        yield world
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        world.gate.set()
        await settle()


async def a_ready_sandbox(world: World, **body: Any) -> None:
    """A sandbox whose pod has become Ready."""
    await world.create(sandbox_body(**body))
    await world.run_for(0.2)
    await world.play_scheduler()
    await world.play_kubelet(READY_STATUS)
    await world.run_for(2)
