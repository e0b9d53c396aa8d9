"""A manager's transport: latency for every request, a fault for some, a dead line after a kill.

Time passes here and nowhere else: the server answers at once. A late write lands on the server
whatever has become of its sender.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec

from warmclaim.errors import NotSentError, UnknownOutcomeError
from warmclaim.seams import ByteStream, Clock, Request, Response
from warmclaim.testing.api import Caller
from warmclaim.testing.sim.case import Fault
from warmclaim.testing.sim.faults import FaultPlan, group_of
from warmclaim.testing.sim.servers import Servers
from warmclaim.testing.sim.stream import FaultyStream, refused_stream
from warmclaim.testing.sim.trace import LATE, WORLD, Attribution, Trace

LATENCY_S: Final = (0.0003, 0.006)
SLOW_S_MAX: Final = 12.0
LATE_S_MAX: Final = 20.0
_JSON: Final = {"content-type": "application/json"}


class Line:
    """What the managers of a run have in common: servers, plan, trace."""

    def __init__(
        self,
        servers: Servers,
        plan: FaultPlan,
        trace: Trace,
        attribution: Attribution,
        clock: Clock,
    ) -> None:
        self.servers = servers
        self.plan = plan
        self.trace = trace
        self.attribution = attribution
        self.clock = clock
        self.down_until_s = 0.0
        self.crashes = 0
        self._landing: set[asyncio.Task[None]] = set()

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something happen on the server's side, whatever becomes of the caller."""
        task = asyncio.create_task(work, name="landing")
        self._landing.add(task)
        task.add_done_callback(self._landing.discard)


class FaultyTransport:
    """warmclaim.seams.Transport of one process. `on_crash` ends that process."""

    def __init__(self, line: Line, name: str, on_crash: Callable[[], None]) -> None:
        self._line = line
        self._name = name
        self._caller = Caller(name)
        self._on_crash = on_crash
        self._streams: list[FaultyStream] = []
        self.is_dead = False
        self.cut_until_s = 0.0

    async def request(self, request: Request) -> Response:
        """Latency, then the server, then latency; or what the plan says."""
        line = self._line
        group = group_of(request)
        key = line.plan.key(self._name, request, group)
        await self._require_line(request)
        fault, out, back = line.plan.draw(key, group)
        if group == "write":
            line.trace.on_write(request.path)
        await self._pass(out)
        self._require_alive()
        if group == "write" and line.plan.is_on:
            line.plan.writes.append(key)
        if fault is None:
            answer = await self._sent(request)
            await self._pass(back)
        else:
            answer = await self._struck(request, fault, key, back)
        self._require_alive()
        line.trace.on_request(key, str(answer.status))
        return answer

    async def stream(self, request: Request) -> ByteStream:
        """A watch, that may be refused or break later."""
        line = self._line
        key = line.plan.key(self._name, request, "watch")
        await self._require_line(request)
        fault, out, _ = line.plan.draw(key, "watch")
        await self._pass(out)
        self._require_alive()
        refused = refused_stream(fault) if fault is not None else None
        line.trace.on_request(key, f"stream {fault.name if fault else ''}")
        if refused is not None:
            return refused
        inner = await line.servers.of(self._name).open_stream(request, self._caller)
        stream = FaultyStream(inner, fault, line.clock, lambda: line.plan.is_on)
        self._streams.append(stream)
        return stream

    def end_streams(self) -> None:
        """The connections are failed over: the watches end as at any clean end."""
        for stream in self._streams:
            stream.end()
        self._streams.clear()

    async def close(self) -> None:
        """Close the streams; what is under way goes on."""
        for stream in self._streams:
            await stream.close()
        self._streams.clear()

    def _require_alive(self) -> None:
        if self.is_dead:
            raise NotSentError("this process is dead")

    async def _require_line(self, request: Request) -> None:
        self._require_alive()
        now = self._line.clock.monotonic()
        if now < self._line.down_until_s:
            raise NotSentError("connection refused")
        if now < self.cut_until_s:
            await self._line.clock.sleep(request.timeout_s)
            raise UnknownOutcomeError("no route")

    async def _pass(self, share: float) -> None:
        low, high = LATENCY_S
        await self._line.clock.sleep(low + (high - low) * share)

    async def _sent(self, request: Request, how: str = "") -> Response:
        """The server's answer; its commits are this manager's."""
        line = self._line
        server = line.servers.of(self._name)
        if request.method == "GET":
            return await server.handle(request, self._caller)
        line.attribution.who = self._name + how
        try:
            return await server.handle(request, self._caller)
        finally:
            line.attribution.who = WORLD

    async def _struck(self, request: Request, fault: Fault, key: str, back: float) -> Response:
        self._line.trace.say(f"fault {fault.name} {fault.x} {key}")
        class_, _, variant = fault.name.partition(".")
        if class_ in ("A8", "A15", "R2", "R3"):
            return await self._too_slow(request, fault, variant)
        if class_ == "C1":
            return await self._crashed(request, variant, back)
        if fault.name == "A9.unsent":
            raise NotSentError("connection refused")
        if variant in ("applied", "reset", "torn"):
            answer = await self._sent(request)
            if variant == "reset":
                raise UnknownOutcomeError("connection reset")
            return _torn(answer) if variant == "torn" else _refusal(fault)
        return _refusal(fault)

    async def _too_slow(self, request: Request, fault: Fault, variant: str) -> Response:
        """The answer comes late or never; the request may have arrived all the same."""
        clock, limit_s = self._line.clock, request.timeout_s
        if variant == "slow":
            wait_s = fault.x * SLOW_S_MAX
            answer = await self._sent(request)
            await clock.sleep(min(wait_s, limit_s))
            if wait_s < limit_s:
                return answer
        elif variant == "applied":
            await self._sent(request)
            await clock.sleep(limit_s)
        else:
            await clock.sleep(limit_s)
            if variant == "late":
                self._line.later(self._land(request, fault.x * LATE_S_MAX))
        raise UnknownOutcomeError(f"no answer within {limit_s:g} s")

    async def _land(self, request: Request, after_s: float) -> None:
        await self._line.clock.sleep(after_s)
        answer = await self._sent(request, LATE)
        self._line.trace.say(f"landed {request.method} {request.path} -> {answer.status}")

    async def _crashed(self, request: Request, variant: str, back: float) -> Response:
        if variant != "before":
            await self._sent(request)
        if variant == "seen":  # the rest of the process worked on while the answer was under way
            await self._pass(back)
            self._require_alive()
        self._line.trace.say(f"crash of {self._name}")
        self._line.crashes += 1
        self._on_crash()
        await asyncio.Event().wait()  # until the cancellation of the whole process arrives
        raise NotSentError("this process is dead")


def _torn(answer: Response) -> Response:
    return Response(answer.status, answer.body[: len(answer.body) // 2], answer.headers)


def _refusal(fault: Fault) -> Response:
    """The server's no, in the form that it really has."""
    x = fault.x
    code, reason, headers = 500, "InternalError", dict(_JSON)
    match fault.name:
        case "A1.conflict":
            code, reason = 409, "Conflict"
        case "A5.throttled" | "A5.read":
            headers = {"content-type": "text/plain", "retry-after": str(1 + math.floor(x * 4))}
            return Response(429, b"Too many requests, please try again later.", headers)
        case "A13.unauthorized":
            code, reason = 401, "Unauthorized"
        case "B4.list" | "B5.page":
            code, reason = 410, "Expired"
        case "B6.ahead":
            return _ahead()
        case _:
            code, reason = _SERVER_ERRORS[int(x * len(_SERVER_ERRORS))]
    status = {"kind": "Status", "code": code, "reason": reason, "message": "simulated"}
    return Response(code, msgspec.json.encode(status), headers)


_SERVER_ERRORS: Final = (
    (500, "InternalError"),
    (503, "ServiceUnavailable"),
    (504, "Timeout"),
)


def _ahead() -> Response:
    status = {
        "kind": "Status",
        "code": 504,
        "reason": "Timeout",
        "message": "Too large resource version",
        "details": {"causes": [{"reason": "ResourceVersionTooLarge", "message": "too large"}]},
    }
    return Response(504, msgspec.json.encode(status), {**_JSON, "retry-after": "1"})
