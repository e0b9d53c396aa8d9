"""Short words for made-up histories: requests with their answers, and commits around them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import (
    CLAIM,
    NETWORK_POLICY,
    POD,
    POOL,
    SANDBOX,
    TEMPLATE,
    VOLUME_CLAIM,
    Resource,
)
from warmclaim.domain.reservation import Reservation, member_name
from warmclaim.seams import Method, Request, Response
from warmclaim.testing import builders
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.case import Options
from warmclaim.testing.sim.options import drawn_options
from warmclaim.testing.sim.wire import Audience, Exchange, Pass, place_of
from warmclaim.testing.store import ObjectStore

PROCESS = "m0-1"
NAMESPACE = "ns-0"
OPTIONS: Options = msgspec.structs.replace(
    drawn_options(1), batch_items_max=3, lease_s=(15.0, 10.0, 2.0)
)

_KINDS: tuple[Resource[object], ...] = (
    *(CLAIM, NETWORK_POLICY, POD, POOL, SANDBOX, TEMPLATE, VOLUME_CLAIM),
)


class Wired:
    """A store, whoever judges, and a manager process whose time and passes are moved by hand.

    `promises`: what was reported, in order.
    """

    def __init__(self) -> None:
        self.store = ObjectStore()
        self.promises: list[str] = []
        self.texts: list[str] = []
        self.now_s = 0.0
        self.is_out = False
        self.process = PROCESS
        self._passes = 0
        self._work: Pass | None = None
        self._audience = Audience()

    def report(self, promise: str, text: str) -> None:
        """For who judges."""
        self.promises.append(promise)
        self.texts.append(text)

    def judged_by(self, audience: Audience) -> None:
        """From now on these hear of what is sent and answered."""
        self._audience = audience

    # ----------------------------------------------------------------- commits

    def put(self, value: Json) -> Json:
        """Somebody stores an object as it is."""
        metadata = value["metadata"]
        resource = next(r for r in _KINDS if r.kind == value["kind"])
        key = f"{metadata['namespace']}/{metadata['name']}"
        return self.store.put(str(resource), key, value).object

    def delete(self, resource: Resource[object], name: str) -> None:
        """Somebody deletes it."""
        self.store.delete(str(resource), f"{NAMESPACE}/{name}")

    # ---------------------------------------------------------------- requests

    @property
    def passes_begun(self) -> int:
        """How many have."""
        return self._passes

    def begin(self, controller: str = "sandboxclaim", name: str = "c") -> None:
        """A pass begins; what is sent from now on is sent in it."""
        self._passes += 1
        self._work = Pass(self._passes, controller, NAMESPACE, name)

    def resume(self, work: Pass | None) -> None:
        """What is sent from now on is sent in that pass."""
        self._work = work

    def leave(self) -> None:
        """What is sent from now on is sent in no pass."""
        self._work = None

    def send(
        self,
        method: Method,
        path: str,
        body: object = None,
        answer: Json | None = None,
        query: tuple[tuple[str, str], ...] = (),
        content_type: str = "",
    ) -> Exchange:
        """A request; with `answer`, it was a success, and this came back."""
        raw = msgspec.json.encode(body) if body is not None else None
        kind = "application/json-patch+json" if method == "PATCH" else "application/json"
        request = Request(method, path, query, raw, content_type or kind)
        place = place_of(path)
        exchange = Exchange(self.process, request, place, self.now_s, self._work, self.is_out)
        audience = self._audience
        for listener in audience.writes if exchange.is_write else audience.reads:
            listener.sent(exchange)
        if answer is not None:
            self.answer(exchange, answer)
        return exchange

    def answer(self, exchange: Exchange, value: Json) -> None:
        """The answer comes now."""
        exchange.answered_s, exchange.passes_begun = self.now_s, self._passes
        for listener in self._audience.answers:
            listener.answered(exchange, Response(200, msgspec.json.encode(value)))

    def get(self, resource: Resource[object], name: str) -> None:
        """A read of what the store has."""
        found = self.store.get(str(resource), f"{NAMESPACE}/{name}")
        assert found is not None
        self.send("GET", item(resource, name), None, found.object)


def item(resource: Resource[object], name: str, subresource: str | None = None) -> str:
    """The path of an object."""
    return resource.item(ObjectKey(NAMESPACE, name), subresource)


def member(ordinal: int) -> str:
    """Name of the pool's member with that ordinal."""
    return member_name("pool", "pool-uid", ordinal)


def batch(first: int, end: int) -> str:
    """A reservation of creates, as the annotation has it."""
    return Reservation(first, end, end).encode()


def in_ns(make: Callable[..., Json], *arguments: str, **more: object) -> Json:
    """Something that a builder makes, in the namespace of these histories."""
    return make(*arguments, namespace=NAMESPACE, **more)


__all__ = [
    "NAMESPACE",
    "OPTIONS",
    "PROCESS",
    "Wired",
    "batch",
    "builders",
    "in_ns",
    "item",
    "member",
]
