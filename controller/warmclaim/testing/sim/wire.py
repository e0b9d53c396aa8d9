"""A tap between a manager and its transport: what each process sends, when, on whose behalf, and
what it is told.

What a process cannot know was not delivered here: an answer counts from the moment at which its
caller gets it, and an answer that is lost on the way is none.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import msgspec

from warmclaim.api.meta import ObjectKey
from warmclaim.seams import ByteStream, Clock, Request, Response, Transport
from warmclaim.telemetry.tracing import Find, Span

CLAIM_EXPIRED: Final = "ClaimExpired"

Report: TypeAlias = Callable[[str, str], None]
"""Takes a promise that did not hold, and what was seen."""


class Place(NamedTuple):
    """What a path is about; `resource` as the store calls it, "" for what is not there."""

    resource: str
    namespace: str
    name: str
    subresource: str

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


class Pass(NamedTuple):
    """One pass of a controller over one key; numbers rise in the order in which passes begin."""

    number: int
    controller: str
    namespace: str
    name: str


class Owner(msgspec.Struct):
    """An owner reference in an answer."""

    kind: str = ""
    uid: str = ""
    controller: bool = False


class _Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    annotations: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    owner_references: list[Owner] = msgspec.field(default_factory=list[Owner])


class _Named(msgspec.Struct):
    name: str = ""


class _Condition(msgspec.Struct):
    type: str = ""
    reason: str = ""


class _Status(msgspec.Struct):
    sandbox: _Named | None = None
    conditions: list[_Condition] = msgspec.field(default_factory=list[_Condition])


class _Spec(msgspec.Struct, rename="camel"):
    holder_identity: str | None = None
    renew_time: str | None = None


class Told(msgspec.Struct):
    """An answered object, as far as it is looked at: claims, sandboxes, pools and leases."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: _Spec | None = None
    status: _Status | None = None

    @property
    def owner(self) -> Owner | None:
        """The controlling owner."""
        return next((owner for owner in self.metadata.owner_references if owner.controller), None)

    @property
    def published(self) -> str:
        """The sandbox that a claim's status names, or ""."""
        named = self.status.sandbox if self.status is not None else None
        return named.name if named is not None else ""

    @property
    def is_over(self) -> bool:
        """Whether a claim's status says that its time is over."""
        conditions = self.status.conditions if self.status is not None else ()
        return any(c.type == "Ready" and c.reason == CLAIM_EXPIRED for c in conditions)


@dataclass(slots=True)
class Exchange:
    """A request at the moment of its sending. `is_out`: just then the server was out of reach.
    Seconds are those of the sender's own clock. `passes_begun`: how many had when its answer came.
    """

    process: str
    request: Request
    place: Place
    sent_s: float
    work: Pass | None = None
    is_out: bool = False
    answered_s: float = 0.0
    passes_begun: int = 0

    @property
    def is_write(self) -> bool:
        return self.request.method != "GET"

    @property
    def body(self) -> Any:
        """What is sent, decoded; None without a body. Cost: one decode for each call."""
        return msgspec.json.decode(self.request.body) if self.request.body else None

    @property
    def object(self) -> Told:
        """The object that is sent, as far as it is looked at: much cheaper than `body`."""
        return _DECODER.decode(self.request.body or b"{}")

    def __str__(self) -> str:
        return f"{self.process} {self.request.method} {self.request.path}"


class HearsRequests(Protocol):
    """Hears of requests. It must not await, nor change anything."""

    def sent(self, exchange: Exchange) -> None:
        """A request, or the opening of a watch, leaves its process now."""
        ...


class HearsAnswers(Protocol):
    """Hears of answers, in the same way."""

    def answered(self, exchange: Exchange, answer: Response) -> None:
        """Its process gets this answer now. Not for watches."""
        ...


@dataclass(slots=True)
class Audience:
    """Who hears of what, of all processes: each is told of no more, since that has its price."""

    writes: list[HearsRequests] = field(default_factory=list[HearsRequests])
    reads: list[HearsRequests] = field(default_factory=list[HearsRequests])
    answers: list[HearsAnswers] = field(default_factory=list[HearsAnswers])


class Wire:
    """The taps of a run: hands what passes to the audience, and knows the pass of each request."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._work: ContextVar[Pass | None] = ContextVar("work", default=None)
        self._passes = 0

    @property
    def passes_begun(self) -> int:
        """How many have, of all processes."""
        return self._passes

    def tap(
        self, inner: Transport, process: str, clock: Clock, is_out: Callable[[], bool]
    ) -> Transport:
        """The transport to give to that process; `clock` is its own."""
        return _Tapped(self, inner, process, clock, is_out)

    def spans(self, controller: str, _: Find) -> Span:
        """For App: each pass is entered and left through here."""
        return lambda work: _Passage(self._work, self._begun(controller, work.key))

    def send(self, request: Request, process: str, now_s: float, is_out: bool) -> Exchange:
        """Tell of a request."""
        place = place_of(request.path)
        exchange = Exchange(process, request, place, now_s, self._work.get(), is_out)
        audience = self._audience
        for listener in audience.writes if exchange.is_write else audience.reads:
            listener.sent(exchange)
        return exchange

    def answer(self, exchange: Exchange, answer: Response, now_s: float) -> None:
        """Tell of its answer."""
        exchange.answered_s = now_s
        exchange.passes_begun = self._passes
        for listener in self._audience.answers:
            listener.answered(exchange, answer)

    def _begun(self, controller: str, key: ObjectKey) -> Pass:
        self._passes += 1
        return Pass(self._passes, controller, key.namespace, key.name)


class _Passage:
    """Around a pass. Tasks begun inside inherit it."""

    def __init__(self, variable: ContextVar[Pass | None], work: Pass) -> None:
        self._variable = variable
        self._work = work
        self._token: Token[Pass | None] | None = None

    def __enter__(self) -> None:
        self._token = self._variable.set(self._work)

    def __exit__(self, *_: object) -> None:
        assert self._token is not None
        self._variable.reset(self._token)


class _Tapped:
    """warmclaim.seams.Transport in front of another."""

    def __init__(
        self,
        wire: Wire,
        inner: Transport,
        process: str,
        clock: Clock,
        is_out: Callable[[], bool],
    ) -> None:
        self._wire = wire
        self._inner = inner
        self._process = process
        self._clock = clock
        self._is_out = is_out

    async def request(self, request: Request) -> Response:
        exchange = self._send(request)
        answer = await self._inner.request(request)
        self._wire.answer(exchange, answer, self._clock.monotonic())
        return answer

    async def stream(self, request: Request) -> ByteStream:
        self._send(request)
        return await self._inner.stream(request)

    async def close(self) -> None:
        await self._inner.close()

    def _send(self, request: Request) -> Exchange:
        return self._wire.send(request, self._process, self._clock.monotonic(), self._is_out())


@lru_cache(maxsize=4096)
def place_of(path: str) -> Place:
    """What a path of the API is about; empty words for one of another form."""
    words = path.split("/")[1:]
    is_core = words[0] == "api"
    group, rest = ("", words[2:]) if is_core else ("".join(words[1:2]), words[3:])
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "", "")[:3]
    return Place(f"{plural}.{group}" if group else plural, namespace, name, subresource)


_DECODER: Final = msgspec.json.Decoder(Told)


def told(answer: Response) -> Told | None:
    """The object in an answer; None for a refusal, and for what cannot be read."""
    if not 200 <= answer.status < 300:
        return None
    try:
        return _DECODER.decode(answer.body)
    except msgspec.DecodeError:
        return None
