"""The whole manager on virtual time, with one tenant who wants his claims and others who do not."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from tests.controllers.app_world import CRDS, Faults
from tests.hostile.inputs import Answer, Change, Ground, Line, Pause, Remove, Send, Step, Store

from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, SERVICE, TEMPLATE, Resource
from warmclaim.app import App, Outside
from warmclaim.seams import ByteStream, Request, Response
from warmclaim.settings import LeaseSettings, Settings
from warmclaim.telemetry.logs import JsonFormatter
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pool, a_template
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.json_values import Json
from warmclaim.testing.store import Commit
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import World

GOOD = "good"
REQUEST_S = 0.005
"""What each request of the manager takes, so that more requests are a longer wait."""
ALL = frozenset({"claim", "pool", "sandbox"})
_OWN_LOGS = "warmclaim.testing"


class Lines(logging.Handler):
    """The manager's log, as the production formatter renders it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, unless the test's own server wrote it."""
        if not record.name.startswith(_OWN_LOGS):
            self.lines.append(self.format(record))


class _Spiked:
    """A watch into which lines of somebody else's can be put between two pieces."""

    def __init__(self, inner: ByteStream) -> None:
        self._inner = inner
        self._spikes: deque[bytes] = deque()
        self._rings = asyncio.Event()
        self._reading: asyncio.Future[bytes] | None = None

    @property
    def status(self) -> int:
        return self._inner.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._inner.headers

    def spike(self, data: bytes) -> None:
        """Have this come next."""
        self._spikes.append(data)
        self._rings.set()

    async def read(self) -> bytes:
        """The next spike, else the next piece of the stream itself."""
        while not self._spikes:
            self._rings.clear()
            if self._reading is None:
                self._reading = asyncio.ensure_future(self._inner.read())
            ring = asyncio.ensure_future(self._rings.wait())
            try:
                either: set[asyncio.Future[Any]] = {self._reading, ring}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ring.cancel()
            if self._reading.done() and not self._spikes:
                done, self._reading = self._reading, None
                return done.result()
        return self._spikes.popleft()

    async def close(self) -> None:
        """Close the stream under it as well."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._inner.close()


@dataclass(slots=True)
class _Tampering:
    place: str
    answer: Answer
    met: int = 0

    def strikes(self, line: str) -> bool:
        """Is the answer to this request one of those that are tampered with? Counts it."""
        if self.place not in line or not all(word in line for word in self.answer.words):
            return False
        self.met += 1
        return self.answer.skip < self.met <= self.answer.skip + self.answer.times


class Wire(Faults):
    """The manager's way to the server: takes time, and may be tampered with."""

    def __init__(self, inner: InProcessTransport, world: World) -> None:
        super().__init__(inner)
        self._clock = world.clock
        self._streams: dict[str, _Spiked] = {}
        self._answers: list[_Tampering] = []
        self.before = self._before
        self.after = self._after

    async def stream(self, request: Request) -> ByteStream:
        """Open a watch that can be spiked; the newest of its kind is."""
        spiked = _Spiked(await super().stream(request))
        self._streams[request.path.rpartition("/")[2]] = spiked
        return spiked

    def spike(self, resource: Resource[Any], data: bytes) -> None:
        """Put bytes into the open watch of a kind."""
        self._streams[resource.plural].spike(data)

    def tamper(self, namespace: str, answer: Answer) -> None:
        """Change the answers to come to requests about a namespace."""
        self._answers.append(_Tampering(f"/namespaces/{namespace}/", answer))

    async def _before(self, request: Request) -> Response | None:
        await self._clock.sleep(REQUEST_S)
        return self._tampered(request, is_instead=True)

    async def _after(self, request: Request) -> Response | None:
        return self._tampered(request, is_instead=False)

    def _tampered(self, request: Request, *, is_instead: bool) -> Response | None:
        line = f"{request.method} {request.path}"
        for one in self._answers:
            if one.answer.is_instead == is_instead and one.strikes(line):
                return one.answer.response
        return None


class HostileWorld:
    """One server, one manager with all its controllers, nodes that run pods at once."""

    def __init__(self, world: World, **settings: Any) -> None:
        self.clock = world.clock
        self.cluster = Cluster(clock=world.clock, rng=world.rng, crds=CRDS)
        self.server = FakeApiServer(self.cluster)
        self.wire = Wire(InProcessTransport(self.server, user_agent="controller"), world)
        self.nodes = FakeNodes(self.cluster, count=20)
        self.tenant = InProcessTransport(self.server, user_agent="tenant")
        self.log = Lines()
        self.published_s: dict[str, float] = {}
        self.requests_at: dict[str, int] = {}
        chosen: dict[str, Any] = {"controllers": ALL, "lease": LeaseSettings(enabled=False)}
        self.app = App(
            Settings(**{**chosen, **settings}),
            Outside(self.wire, world.clock, world.rng, "controller", GOOD),
        )
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._own_log = logging.getLogger("warmclaim")
        self._old_level = self._own_log.level

    async def __aenter__(self) -> HostileWorld:
        await self.begin()
        await self.app.caches.wait_synced()
        return self

    async def begin(self) -> None:
        """Start everything, and wait for nothing."""
        self._own_log.addHandler(self.log)
        self._own_log.setLevel(logging.INFO)
        self.cluster.store.observers.append(self._observe)
        await self.nodes.start()
        self._task = asyncio.create_task(self.app.run(self._stop), name="app")

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        await self.nodes.stop()
        self._own_log.removeHandler(self.log)
        self._own_log.setLevel(self._old_level)

    @property
    def is_up(self) -> bool:
        """Does the manager run?"""
        return self._task is not None and not self._task.done()

    @property
    def is_leading(self) -> bool:
        """Does the manager's own gauge say that it leads?"""
        gauges = self.app.metrics.registry.collect()
        leading = [m for family in gauges for m in family.samples if m.name == _LEADING]
        return any(sample.value == 1 for sample in leading)

    async def run_for(self, seconds: float) -> None:
        """Time passes."""
        await self.clock.sleep(seconds)

    def ground(self, namespace: str, *, replicas: int) -> Ground:
        """A namespace with a template and a pool."""
        self._put_namespace(namespace)
        self.cluster.put(a_template(namespace=namespace, merge=_uid(f"{namespace}-template")))
        merge = _uid(f"{namespace}-pool")
        self.cluster.put(a_pool(namespace=namespace, replicas=replicas, merge=merge))
        return Ground(namespace, f"{namespace}-pool", GOOD, f"{GOOD}-pool")

    def _put_namespace(self, namespace: str) -> None:
        self.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    def good_claim(self, name: str, namespace: str = GOOD) -> None:
        """A claim as it should be."""
        merge = _uid(f"{namespace}-{name}")
        self.cluster.put(a_claim(name, namespace=namespace, merge=merge))

    async def do(self, ground: Ground, steps: Sequence[Step]) -> int:
        """Carry out an input; the code of the last answer of the API, 0 where none was asked."""
        code = 0
        for step in steps:
            match step:
                case Send():
                    code = await self._send(ground, step)
                case Change(resource, name, patch):
                    code = await self._patch(ground, resource, name, patch)
                case Remove(resource, name):
                    path = _path(ground, resource, name)
                    code = (await self.tenant.request(Request("DELETE", path))).status
                case Store(value):
                    self.cluster.put(value)
                case Line(resource, data):
                    self._put_namespace(ground.namespace)  # the next version is this line's own
                    self.wire.spike(resource, data(self.cluster.store.rv))
                case Pause(seconds):
                    await self.run_for(seconds)
                case Answer():
                    self.wire.tamper(ground.namespace, step)
        return code

    async def _send(self, ground: Ground, step: Send) -> int:
        is_raw = isinstance(step.body, bytes)
        body = step.body if isinstance(step.body, bytes) else msgspec.json.encode(step.body)
        request = Request("POST", step.resource.collection(ground.namespace), body=body)
        answer = await self.tenant.request(request)
        if answer.status >= 300 or step.status is None or is_raw:
            return answer.status
        name = msgspec.json.decode(answer.body)["metadata"]["name"]
        return await self._patch(ground, step.resource, name, {"status": step.status}, "/status")

    async def _patch(
        self, ground: Ground, resource: Resource[Any], name: str, patch: Json, sub: str = ""
    ) -> int:
        request = Request(
            "PATCH",
            _path(ground, resource, name) + sub,
            body=msgspec.json.encode(patch),
            content_type="application/merge-patch+json",
        )
        return (await self.tenant.request(request)).status

    def objects(self, resource: Resource[Any], namespace: str) -> list[Json]:
        """What the server has."""
        found = self.cluster.store.scan(str(resource), prefix=f"{namespace}/")
        return [commit.object for commit in found]

    def remove_all(self, namespace: str) -> None:
        """Let go of everything in a namespace, and of the history that still holds it."""
        for resource in (CLAIM, POOL, TEMPLATE, SANDBOX, POD, SERVICE):
            for commit in list(self.cluster.store.scan(str(resource), prefix=f"{namespace}/")):
                self.cluster.store.delete(str(resource), commit.key)

    def counters(self) -> Counter[str]:
        """The series that tell of odd objects."""
        found: Counter[str] = Counter()
        for family in self.app.metrics.registry.collect():
            for sample in family.samples:
                if sample.name in _TELLING:
                    label = next(iter(sample.labels.values()))
                    found[f"{_TELLING[sample.name]} {label}"] += int(sample.value)
        return found

    def requests_of(self, namespace: str, since: int) -> Counter[str]:
        """The manager's requests about a namespace, each by how often it was sent."""
        place = f"/namespaces/{namespace}/"
        return Counter(
            f"{request.method} {request.path}"
            for request in self.wire.seen[since:]
            if place in request.path
        )

    def _observe(self, commit: Commit) -> None:
        if commit.resource != str(CLAIM) or not commit.key.startswith(f"{GOOD}/"):
            return
        name = commit.object["metadata"]["name"]
        if name not in self.published_s and commit.object.get("status", {}).get("sandbox"):
            self.published_s[name] = self.clock.monotonic()
            self.requests_at[name] = len(self.wire.seen)


_TELLING = {
    "warmclaim_members_refused_total": "members_refused",
    "warmclaim_objects_skipped": "objects_skipped",
    "warmclaim_invariant_violations_total": "invariant_violations",
}


_LEADING = "leader_election_master_status"


def _uid(uid: str) -> Json:
    return {"metadata": {"uid": uid}}


def _path(ground: Ground, resource: Resource[Any], name: str) -> str:
    return f"{resource.collection(ground.namespace)}/{quote(name, safe='')}"
