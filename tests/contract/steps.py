"""The words a contract case is written in.

    Case(
        "a stale version is refused",
        post("pools", POOL, save="pool"),
        merge("pools/pool", {"spec": {"replicas": 2}}, rv=">pool"),
        merge("pools/pool", stale("$pool.rv"), code=409, reason="Conflict"),
    )

A path is a kind's short name, then "/name" and "/subresource", in the case's own namespace; one
that begins with "/" is sent as it is, with "{ns}" for that namespace. Text "$pool.rv" anywhere in
a path, query, body or expectation stands for a part of the answer saved as "pool": `rv`, `uid`,
`continue`, or a dotted path into it. "{ns}" works everywhere, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from warmclaim.seams import Method
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import JSON_PATCH, MERGE_PATCH

EXTENSIONS = "extensions.agents.x-k8s.io/v1beta1"
AGENTS = "agents.x-k8s.io/v1beta1"

COLLECTIONS: Mapping[str, str] = {
    "sandboxes": f"/apis/{AGENTS}/namespaces/{{ns}}/sandboxes",
    "claims": f"/apis/{EXTENSIONS}/namespaces/{{ns}}/sandboxclaims",
    "pools": f"/apis/{EXTENSIONS}/namespaces/{{ns}}/sandboxwarmpools",
    "templates": f"/apis/{EXTENSIONS}/namespaces/{{ns}}/sandboxtemplates",
    "pods": "/api/v1/namespaces/{ns}/pods",
    "services": "/api/v1/namespaces/{ns}/services",
    "configmaps": "/api/v1/namespaces/{ns}/configmaps",
    "secrets": "/api/v1/namespaces/{ns}/secrets",
    "volumes": "/api/v1/namespaces/{ns}/persistentvolumeclaims",
    "policies": "/apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies",
    "leases": "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases",
    "events": "/apis/events.k8s.io/v1/namespaces/{ns}/events",
}


class Present:
    """Stands for any value in `has`; the member only has to be there."""


ANY = Present()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request and what its answer must be.

    `has`: a part of the body: objects may have more members, arrays are as long as they say.
    `lacks`: dotted paths that must be absent. `causes`: (reason, field) of details.causes, each
    once, in any order, without those of differences.toml. `names`: the items of a list, in
    order. `text`: a part of the body as it came.
    `rv`: "=x", ">x" or ">=x", the answer's resourceVersion against the one saved as x.
    `within_s`: the request is repeated for so long until the answer is as expected (what other
    components do takes time); `takes_s`: the answer must not come earlier.
    """

    method: Method
    path: str
    code: int
    body: object = None
    query: Mapping[str, object] = field(default_factory=dict[str, object])
    content_type: str = "application/json"
    reason: str = ""
    has: Json = field(default_factory=dict[str, Any])
    lacks: tuple[str, ...] = ()
    causes: tuple[tuple[str, str], ...] | None = None
    names: tuple[str, ...] | None = None
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    save: str = ""
    rv: str = ""
    within_s: float = 0.0
    takes_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """One expected event of a watch. `rv` as in Call; `has` as in Call, of the object."""

    type: str
    name: str = ""
    has: Json = field(default_factory=dict[str, Any])
    rv: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """Opens a watch under `name`; the answer's code must be 200."""

    name: str
    path: str
    query: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Sees:
    """The next events of an open watch, in order, or (`any_order`) in whatever order.

    Whatever the order, the versions of events that are in order must rise.
    """

    watch: str
    events: tuple[Event, ...]
    any_order: bool = False


@dataclass(frozen=True, slots=True)
class Ends:
    """An open watch ends cleanly, with no further event."""

    watch: str


@dataclass(frozen=True, slots=True)
class Act:
    """Something that is no request of the case's: the backend does it by the name `what`.

    compact: all history up to now is forgotten. collect: from here on, a garbage collector runs.
    """

    what: Literal["compact", "collect"]


Step: TypeAlias = Call | Watch | Sees | Ends | Act


@dataclass(frozen=True, slots=True)
class Case:
    """A named list of steps. `fake_bug`: why the embedded server is expected to fail it."""

    name: str
    steps: tuple[Step, ...]
    fake_bug: str = ""


def case(name: str, *steps: Step, fake_bug: str = "") -> Case:
    return Case(name, steps, fake_bug)


def get(path: str, code: int = 200, **expected: Any) -> Call:
    return Call(method="GET", path=path, code=code, **expected)


def post(path: str, body: object, code: int = 201, **expected: Any) -> Call:
    return Call(method="POST", path=path, body=body, code=code, **expected)


def put(path: str, body: object, code: int = 200, **expected: Any) -> Call:
    return Call(method="PUT", path=path, body=body, code=code, **expected)


def merge(path: str, body: object, code: int = 200, **expected: Any) -> Call:
    return Call(
        method="PATCH", path=path, body=body, code=code, content_type=MERGE_PATCH, **expected
    )


def patch(path: str, *operations: Json, code: int = 200, **expected: Any) -> Call:
    """A JSON Patch."""
    body = list(operations)
    return Call(
        method="PATCH", path=path, body=body, code=code, content_type=JSON_PATCH, **expected
    )


def delete(path: str, code: int = 200, **expected: Any) -> Call:
    return Call(method="DELETE", path=path, code=code, **expected)


def must_be(path: str, value: object) -> Json:
    return {"op": "test", "path": path, "value": value}


def add(path: str, value: object) -> Json:
    return {"op": "add", "path": path, "value": value}


def replace(path: str, value: object) -> Json:
    return {"op": "replace", "path": path, "value": value}


def remove(path: str) -> Json:
    return {"op": "remove", "path": path}


def sees(watch: str, *events: tuple[str, str] | Event, any_order: bool = False) -> Sees:
    """Events, each as Event or as (type, name)."""
    made = tuple(e if isinstance(e, Event) else Event(*e) for e in events)
    return Sees(watch, made, any_order)
