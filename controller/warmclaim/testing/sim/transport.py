"""A manager's transport: latency for every request, a fault for some, a dead line after a kill.

Time passes here and nowhere else: the server answers at once. A late write lands on the server
whatever has become of its sender.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Final

from warmclaim.errors import NotSentError, UnknownOutcomeError
from warmclaim.seams import ByteStream, Clock, Request, Response
from warmclaim.testing.api import Answer, Caller
from warmclaim.testing.sim import answers
from warmclaim.testing.sim.case import Fault
from warmclaim.testing.sim.curtain import HIDDEN, Curtain
from warmclaim.testing.sim.faults import FaultPlan, group_of
from warmclaim.testing.sim.servers import Servers
from warmclaim.testing.sim.stream import FaultyStream, MutedStream, refused_stream
from warmclaim.testing.sim.trace import LATE, WORLD, Attribution, Trace
from warmclaim.testing.watch import Watch

LATENCY_S: Final = (0.0003, 0.006)
SLOW_S_MAX: Final = 12.0
LATE_S_MAX: Final = 20.0
WEBHOOK_S_MAX: Final = 15.0
BYTES_PER_S_MAX: Final = 2000.0
VERSIONS_BACK_MAX: Final = 60


class Line:
    """What the managers of a run have in common: servers, plan, trace."""

    def __init__(
        self,
        servers: Servers,
        plan: FaultPlan,
        trace: Trace,
        attribution: Attribution,
        clock: Clock,
        *,
        has_bookmarks: bool = True,
    ) -> None:
        self.servers = servers
        self.plan = plan
        self.trace = trace
        self.attribution = attribution
        self.clock = clock
        self.has_bookmarks = has_bookmarks
        self.down_until_s = 0.0
        self.forbidden_until_s: dict[str, float] = {}
        self._felt: set[tuple[str, str, float]] = set()
        self.crashes = 0
        self._landing: set[asyncio.Task[None]] = set()

    def is_forbidden(self, request: Request) -> bool:
        """Whether the managers may just now do nothing in the namespace that this is about."""
        if not self.forbidden_until_s:
            return False
        namespace = _namespace_of(request.path)
        until_s = self.forbidden_until_s.get(namespace, 0.0)
        if self.clock.monotonic() >= until_s:
            return False
        self._felt.add(("A14.forbidden", namespace, until_s))
        return True

    def on_mute(self) -> None:
        """A bookmark was left out."""
        self._felt.add(("B18.mute", "", 0.0))

    def felt(self) -> Counter[str]:
        """How often a manager met what is no fault of one request: each closed namespace, and
        the want of bookmarks, once."""
        return Counter(name for name, _, _ in self._felt)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something happen on the server's side, whatever becomes of the caller."""
        task = asyncio.create_task(work, name="landing")
        self._landing.add(task)
        task.add_done_callback(self._landing.discard)


class FaultyTransport:
    """warmclaim.seams.Transport of one process. `on_crash` ends it, as long as it `may_crash`."""

    def __init__(
        self, line: Line, name: str, on_crash: Callable[[], None], may_crash: Callable[[], bool]
    ) -> None:
        self._line = line
        self._name = name
        self._caller = Caller(name)
        self._on_crash = on_crash
        self._may_crash = may_crash
        self._streams: list[FaultyStream] = []
        self._watches: list[Watch] = []
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
        is_forbidden = line.is_forbidden(request)
        if fault is not None and (is_forbidden or not self._can_strike(request, fault)):
            line.plan.forget(key)
            fault = None
        if is_forbidden:
            answer = answers.forbidden(request, _namespace_of(request.path))
        elif fault is None:
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
        if line.is_forbidden(request):
            return Answer(answers.forbidden(request, _namespace_of(request.path)))
        inner = await line.servers.of(self._name).open_stream(request, self._caller)
        if isinstance(inner, Watch):
            self._watches.append(inner)
        if not line.has_bookmarks:
            inner = MutedStream(inner, line.on_mute)
        curtain = fault if fault is not None and fault.name in HIDDEN else None
        fault = None if curtain else fault
        stream = FaultyStream(inner, fault, line.clock, lambda: line.plan.is_on)
        self._streams.append(stream)
        line.plan.events[key] += 0
        if curtain is None:
            return stream
        return Curtain(stream, curtain, partial(line.plan.on_event, key), lambda: line.plan.is_on)

    def end_streams(self) -> None:
        """The connections are failed over: the watches end as at any clean end."""
        for watch in self._watches:
            watch.end()
        self._watches.clear()

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
        if self._line.servers.is_cut(self._name) and _is_consistent(request):
            await self._line.clock.sleep(request.timeout_s)
            raise UnknownOutcomeError("the store does not answer its server")

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
        match class_:
            case "A8" | "A15" | "R2" | "R3":
                return await self._too_slow(request, fault, variant)
            case "C1":
                return await self._crashed(request, variant, back)
            case "A11":
                return await self._mutated(request)
            case "A17":
                return await self._dripped(request, fault)
            case "A18":
                return await self._hung_up_on(request, fault)
            case "B15":
                return await self._from_the_past(request, fault)
            case _:
                return await self._refused(request, fault, variant)

    def _can_strike(self, request: Request, fault: Fault) -> bool:
        """Whether this fault makes any difference to this request."""
        match fault.name:
            case "A11.mutated":
                return "/leases" not in request.path and answers.mutated(request) is not None
            case "B15.past":  # consistent reads have no past
                return _older(request, fault.x) is not None
            case "C1.before" | "C1.applied" | "C1.seen":
                return self._may_crash()
            case _:
                return True

    async def _refused(self, request: Request, fault: Fault, variant: str) -> Response:
        """A no, or an answer that is lost; applied all the same in some cases."""
        if fault.name == "A9.unsent":
            raise NotSentError("connection refused")
        if fault.name == "A12.timeout":
            wait_s = fault.x * WEBHOOK_S_MAX
            await self._line.clock.sleep(min(wait_s, request.timeout_s))
            if wait_s >= request.timeout_s:
                raise UnknownOutcomeError(f"no answer within {request.timeout_s:g} s")
        if variant in ("applied", "reset", "torn"):
            answer = await self._sent(request)
            if variant == "reset":
                raise UnknownOutcomeError("connection reset")
            return answers.torn(answer) if variant == "torn" else answers.refusal(fault)
        return answers.refusal(fault)

    async def _mutated(self, request: Request) -> Response:
        """A webhook undoes what was asked for."""
        return await self._sent(replace(request, body=answers.mutated(request)))

    async def _dripped(self, request: Request, fault: Fault) -> Response:
        """The answer comes byte by byte, and is dropped when its time is over."""
        answer = await self._sent(request)
        wait_s = len(answer.body) / (1 + fault.x * BYTES_PER_S_MAX)
        await self._line.clock.sleep(min(wait_s, request.timeout_s))
        if wait_s >= request.timeout_s:
            raise UnknownOutcomeError(f"no whole answer within {request.timeout_s:g} s")
        return answer

    async def _hung_up_on(self, request: Request, fault: Fault) -> Response:
        """The server closes an idle connection just as it is used again: a read is sent once more
        by the transport itself, a write is not."""
        if request.method == "GET":
            await self._pass(fault.x)
            return await self._sent(request)
        if fault.x < 0.5:
            await self._sent(request)
        raise UnknownOutcomeError("the server closed the connection")

    async def _from_the_past(self, request: Request, fault: Fault) -> Response:
        """A server that is behind answers, and does not notice."""
        return await self._sent(_older(request, fault.x) or request)

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
        self._line.crashes += 1
        if variant != "before":
            await self._sent(request)
        if variant == "seen":  # the rest of the process worked on while the answer was under way
            await self._pass(back)
            self._require_alive()
        self._line.trace.say(f"crash of {self._name}")
        self._on_crash()
        await asyncio.Event().wait()  # until the cancellation of the whole process arrives
        raise NotSentError("this process is dead")


def _older(request: Request, x: float) -> Request | None:
    """The same list as it was some versions before the one that it may not be older than."""
    query = dict(request.query)
    version = int(query.get("resourceVersion", "0"))
    past = version - 1 - int(x * VERSIONS_BACK_MAX)
    if past < 1:
        return None
    query |= {"resourceVersion": str(past), "resourceVersionMatch": "Exact"}
    return replace(request, query=tuple(query.items()))


def _is_consistent(request: Request) -> bool:
    """Whether a watch cache alone cannot answer it: a write, or a read of the newest state."""
    query = dict(request.query)
    return request.method != "GET" or not (query.get("resourceVersion") or "watch" in query)


def _namespace_of(path: str) -> str:
    """The namespace in a path, "" where there is none."""
    _, _, rest = path.partition("/namespaces/")
    return rest.partition("/")[0]
