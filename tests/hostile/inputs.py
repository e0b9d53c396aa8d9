"""What a hostile input is: what is done, by which way in, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from warmclaim.api.resources import CLAIM, POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.seams import Response
from warmclaim.testing.json_values import Json

BAD: Final = "bad"
"""Name of the hostile object, where the name itself is not the attack."""

SECRET: Final = "canary-7f3a-do-not-log"
"""Stands in values that may hold a secret; it must never come out again."""

RETRIES_MAX: Final = 10
"""The same request about one object in ten minutes: one a minute."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where an input is put: a namespace of its own with a template `python` and a pool `pool`.
    `other` is the namespace of somebody who must not notice."""

    namespace: str
    pool_uid: str
    other: str
    other_pool_uid: str


@dataclass(frozen=True, slots=True)
class Send:
    """Create an object by the API, as a tenant does; then its status, where one is given."""

    resource: Resource[Any]
    body: Json | bytes
    status: Json | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A merge patch by the API."""

    resource: Resource[Any]
    name: str
    patch: Json


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete by the API."""

    resource: Resource[Any]
    name: str


@dataclass(frozen=True, slots=True)
class Store:
    """Put an object behind the API's back, as if it had been stored under an older schema."""

    value: Json


@dataclass(frozen=True, slots=True)
class Line:
    """Bytes in the middle of a watch, made from a version that the server has just reached."""

    resource: Resource[Any]
    data: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back in place of the answers to requests of the controller about this namespace
    whose method and path hold all `words`: not to the first `skip`, but to the next `times`. The
    server has done its part, unless `is_instead`."""

    words: tuple[str, ...]
    response: Response
    times: int = 1
    skip: int = 0
    is_instead: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Time passes."""

    seconds: float


Step: TypeAlias = Send | Change | Remove | Store | Line | Answer | Pause
Build: TypeAlias = Callable[[Ground], Sequence[Step]]


@dataclass(frozen=True, slots=True)
class Effect:
    """What must come of an input: `word`, and the name of what tells of it.

    refused: the API server says no to the last step, and the controller hears of nothing.
    ignored: nothing tells of it, and nobody is served by it.
    served: it is odd but sound; all claims of its namespace are served as any other.
    condition, counter, event: this alone tells of it, by reason or by series.
    """

    word: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.word} {self.name}".strip()


REFUSED = Effect("refused")
IGNORED = Effect("ignored")
SERVED = Effect("served")
SKIPPED_CLAIM = Effect("counter", f"objects_skipped {CLAIM}")
SKIPPED_SANDBOX = Effect("counter", f"objects_skipped {SANDBOX}")
SKIPPED_POOL = Effect("counter", f"objects_skipped {POOL}")
SKIPPED_TEMPLATE = Effect("counter", f"objects_skipped {TEMPLATE}")


def condition(reason: str) -> Effect:
    """A condition of this reason on the object."""
    return Effect("condition", reason)


def member_refused(reason: str) -> Effect:
    """The counter of sandboxes that only look like members."""
    return Effect("counter", f"members_refused {reason}")


def event(reason: str) -> Effect:
    """A Warning event of this reason about the object."""
    return Effect("event", reason)


LEFT_ALONE = event("OrphanLeftAlone")


@dataclass(frozen=True, slots=True)
class Input:
    """One line of the corpus.

    `probe`: the sandbox that a good claim of the same namespace must get afterwards, by name;
    "" asks for none. `retries_max`: the same request in ten minutes. `delay_s`: what another's
    claim may lose by it. `later`: why the effect is not yet what a user would expect; such an
    input still has to harm nobody.
    """

    kind: str
    id: str
    expect: Effect
    build: Build = field(repr=False)
    probe: str = ""
    retries_max: int = RETRIES_MAX
    delay_s: float = 0.0
    later: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.id}"

    @property
    def is_for_http(self) -> bool:
        """Can a tenant do all of it with HTTP requests to the API?"""
        steps = self.build(Ground("n", "uid", "other", "other-uid"))
        return all(isinstance(step, Send | Change | Remove) for step in steps)


def thing(
    ground: Ground,
    resource: Resource[Any],
    spec: object = None,
    *,
    name: str = BAD,
    status: object = None,
    **metadata: object,
) -> Json:
    """An object of the ground's namespace; `spec` and `status` None are left out."""
    value: Json = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": ground.namespace, **metadata},
    }
    value |= {"spec": spec} if spec is not None else {}
    return value | ({"status": status} if status is not None else {})


def claim_spec(pool: object = "pool", **more: object) -> Json:
    """What an ordinary claim asks for."""
    return {"warmPoolRef": {"name": pool}, **more}


def pod_template(**more: object) -> Json:
    """A pod template that the schema admits."""
    containers = [{"name": "sandbox", "image": "registry.example/sandbox:1"}]
    return {"spec": {"containers": containers, **more}}


def sandbox_spec(**more: object) -> Json:
    """What an ordinary sandbox is."""
    return {"podTemplate": pod_template(), **more}


def sent_claim(spec: object, **more: Any) -> Build:
    """A claim by the API. `status` among `more` is sent after it."""
    status = more.pop("status", None)
    return lambda ground: [Send(CLAIM, thing(ground, CLAIM, spec, **more), status)]


def sent(resource: Resource[Any], spec: object, **more: Any) -> Build:
    """An object of any kind by the API. `status` among `more` is sent after it."""
    status = more.pop("status", None)
    return lambda ground: [Send(resource, thing(ground, resource, spec, **more), status)]


def stored(resource: Resource[Any], spec: object, **more: Any) -> Build:
    """An object of any kind past the API."""
    return lambda ground: [Store(thing(ground, resource, spec, **more))]


def raw(resource: Resource[Any], body: bytes) -> Build:
    """Bytes as the body of a create; `NAMESPACE` in them becomes the ground's."""

    def build(ground: Ground) -> Sequence[Step]:
        return [Send(resource, body.replace(b"NAMESPACE", ground.namespace.encode()))]

    return build


def table(kind: str, rows: Mapping[str, tuple[Effect, Build]], **more: Any) -> list[Input]:
    """Inputs of one kind."""
    return [Input(kind, id_, effect, build, **more) for id_, (effect, build) in rows.items()]


def numbered(kind: str, rows: Iterable[tuple[Effect, Build]], prefix: str) -> list[Input]:
    """Inputs of one kind whose value says more than a name would."""
    return [
        Input(kind, f"{prefix}-{number}", effect, build)
        for number, (effect, build) in enumerate(rows, 1)
    ]
