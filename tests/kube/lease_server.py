"""A Lease in memory behind a Transport, with faults by script, on a clock that moves when told."""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import Callable, Mapping
from typing import Any

from warmclaim.api.meta import ObjectKey
from warmclaim.errors import NotSentError, UnknownOutcomeError
from warmclaim.kube.client import ApiClient
from warmclaim.kube.lease import LeaderElector, LeaseTiming
from warmclaim.seams import ByteStream, Request, Response

KEY = ObjectKey("system", "a3317529.agent-sandbox.x-k8s.io")
VERSIONS = ("uid", "resourceVersion")
TIMING = LeaseTiming(15.0, 10.0, 2.0)


class SimClock:
    """Simulated time: `advance` wakes sleepers in order and lets the loop settle after each."""

    def __init__(self, wall_s: float = 1_767_323_045.0) -> None:
        self.now_s = 1000.0
        self.wall_s = wall_s
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = 0

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return self.wall_s + self.now_s

    async def sleep(self, delay_s: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number += 1
        heapq.heappush(self._sleepers, (self.now_s + max(delay_s, 0.0), self._number, future))
        await future

    async def advance(self, seconds: float, each: Callable[[], None] | None = None) -> None:
        """Let `seconds` pass; `each` is called whenever time has moved and all have reacted."""
        end_s = self.now_s + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            due_s, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue
            self.now_s = due_s
            future.set_result(None)
            await settle()
            if each is not None:
                each()
        self.now_s = end_s


async def settle() -> None:
    for _ in range(40):
        await asyncio.sleep(0)


class LeaseServer:
    """Stores one Lease with the API server's rules of versions and uids, and tells its watchers.

    `refuses_watches` answers each with 403; `is_mute` lets them be open and says nothing.
    """

    def __init__(self, clock: SimClock, *, refuses_watches: bool = False) -> None:
        self.clock = clock
        self.refuses_watches = refuses_watches
        self.is_mute = False
        self.streams: list[LeaseStream] = []
        self.history: list[bytes] = []
        self.stored: dict[str, Any] | None = None
        self.writes: list[tuple[float, str, dict[str, Any]]] = []
        self._version = 0
        self._uids = 0

    @property
    def spec(self) -> dict[str, Any]:
        assert self.stored is not None
        spec: dict[str, Any] = self.stored["spec"]
        return spec

    @property
    def holder(self) -> str:
        return (self.stored or {}).get("spec", {}).get("holderIdentity") or ""

    def overwrite(self, spec: dict[str, Any] | None) -> None:
        """What a third party without manners does: a blind write, None deletes."""
        if spec is None:
            if self.stored is not None:
                self._version += 1
                version = {"resourceVersion": str(self._version)}
                self._tell("DELETED", {"metadata": {**self.stored["metadata"], **version}})
            self.stored = None
            return
        self._uids += self.stored is None
        self._store({"metadata": {"name": KEY.name, "namespace": KEY.namespace}, "spec": spec})

    def answer(self, who: str, request: Request) -> Response:
        body: dict[str, Any] = json.loads(request.body) if request.body else {}
        if request.method == "POST":
            if self.stored is not None:
                return refusal(409, "AlreadyExists")
            self._uids += 1
        elif self.stored is None:
            return refusal(404, "NotFound")
        elif request.method == "GET":
            return Response(200, json.dumps(self.stored).encode())
        elif any(body["metadata"][k] != self.stored["metadata"][k] for k in VERSIONS):
            return refusal(409, "Conflict")
        if body["spec"]["leaseDurationSeconds"] <= 0:
            return refusal(422, "Invalid")
        self._store(body)
        self.writes.append((self.clock.now_s, who, body["spec"]))
        return Response(201 if request.method == "POST" else 200, json.dumps(self.stored).encode())

    def _store(self, body: dict[str, Any]) -> None:
        self._version += 1
        metadata = {**body["metadata"], "uid": f"u{self._uids}"}
        metadata["resourceVersion"] = str(self._version)
        kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        type_ = "ADDED" if self.stored is None else "MODIFIED"
        self.stored = {**kind, "metadata": metadata, "spec": body["spec"]}
        self._tell(type_, self.stored)

    def _tell(self, type_: str, lease: dict[str, Any]) -> None:
        self.history.append(json.dumps({"type": type_, "object": lease}).encode() + b"\n")
        assert len(self.history) == self._version
        for stream in self.streams:
            if not self.is_mute:
                stream.say(self.history[-1])

    def watch(self, request: Request) -> LeaseStream:
        """A stream of what comes after the request's version."""
        query = dict(request.query)
        assert query["fieldSelector"] == f"metadata.name={KEY.name}"
        stream = LeaseStream(self)
        self.streams.append(stream)
        for line in self.history[int(query["resourceVersion"]) :]:
            if not self.is_mute:
                stream.say(line)
        return stream


class LeaseStream:
    """An open watch of the Lease."""

    status = 200
    headers: Mapping[str, str] = {"content-type": "application/json"}

    def __init__(self, server: LeaseServer) -> None:
        self._server = server
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()

    def say(self, line: bytes) -> None:
        """Send a line; b"" ends the stream."""
        self._lines.put_nowait(line)

    async def read(self) -> bytes:
        return await self._lines.get()

    async def close(self) -> None:
        if self in self._server.streams:
            self._server.streams.remove(self)


def refusal(status: int, reason: str) -> Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no"}
    return Response(status, json.dumps({**body, "reason": reason, "code": status}).encode())


class Refused:
    """A stream that is none."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": "application/json"}
        self._rest = refusal(status, "Fault").body

    async def read(self) -> bytes:
        piece, self._rest = self._rest, b""
        return piece

    async def close(self) -> None:
        """Nothing is open."""


class Link:
    """One client's connection. `fault` is asked for each request and may name what goes wrong:

    hang (never applied), hang for ever (ignores its time limit), lose answer (applied), reset
    (before it was sent), late (applied 3 s after the client gave up), crash (a mistake of ours),
    or a status code.
    """

    def __init__(self, server: LeaseServer, who: str) -> None:
        self.server = server
        self.who = who
        self.fault: Callable[[Request], str] = lambda request: ""
        self.requests: list[Request] = []
        self.watches: list[Request] = []
        self._late: list[asyncio.Task[None]] = []

    def break_writes(self, fault: str) -> None:
        self.fault = lambda request: fault if request.method != "GET" else ""

    async def request(self, request: Request) -> Response:
        self.requests.append(request)
        fault, clock = self.fault(request), self.server.clock
        await self._fail(fault, request)
        if fault.isdigit():
            return refusal(int(fault), "Fault")
        await clock.sleep(0.005)
        response = self.server.answer(self.who, request)
        if fault == "lose answer":
            raise UnknownOutcomeError("reset by peer")
        return response

    async def stream(self, request: Request) -> ByteStream:
        self.watches.append(request)
        fault = self.fault(request)
        await self._fail(fault, request)
        if fault == "lose answer":
            raise UnknownOutcomeError("reset by peer")
        if fault.isdigit() or self.server.refuses_watches:
            return Refused(int(fault or 403))
        await self.server.clock.sleep(0.005)
        return self.server.watch(request)

    async def _fail(self, fault: str, request: Request) -> None:
        clock = self.server.clock
        if fault == "crash":
            raise RuntimeError("a mistake of ours")
        if fault == "reset":
            raise NotSentError("connection refused")
        if fault == "hang for ever":
            await asyncio.get_running_loop().create_future()
        if fault == "late":
            self._late.append(asyncio.create_task(self._apply_late(request)))
        if fault in {"hang", "late"}:
            await clock.sleep(request.timeout_s)
            raise UnknownOutcomeError("timed out")

    async def _apply_late(self, request: Request) -> None:
        await self.server.clock.sleep(request.timeout_s + 3.0)
        self.server.answer(self.who, request)

    async def close(self) -> None:
        for task in self._late:
            task.cancel()


class Chance:
    """The Rng of a candidate: the same number each time."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def random(self) -> float:
        return self.value

    def token(self, length: int) -> str:
        return "x" * length


class Candidate:
    """An elector, its link, and guarded work that takes `wind_up_s` to end when cancelled."""

    def __init__(self, server: LeaseServer, who: str, *, wind_up_s: float = 0.0) -> None:
        self.who = who
        self.clock = server.clock
        self.link = Link(server, who)
        self.wind_up_s = wind_up_s
        self.works = False
        self.terms = 0
        self.changes: list[bool] = []
        self.may_end = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.elector = LeaderElector(
            ApiClient(self.link, clock=self.clock),
            clock=self.clock,
            rng=Chance(),
            key=KEY,
            identity=who,
            timing=TIMING,
            on_change=self.changes.append,
        )

    def start(self) -> asyncio.Task[None]:
        self.task = asyncio.create_task(self.elector.run(self._work), name=self.who)
        return self.task

    async def run_for_ever(self) -> None:
        """Term after term, as an application that does not end with its leadership."""
        while True:
            try:
                await self.elector.run(self._work)
            except Exception:
                await self.clock.sleep(1.0)

    async def _work(self) -> None:
        self.works = True
        self.terms += 1
        try:
            await self.may_end.wait()
        finally:
            if self.wind_up_s:
                await self.clock.sleep(self.wind_up_s)
            self.works = False

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.link.close()
