"""Random sequences of requests: the same seed, the same sequence, on every machine. Pure.

What a request refers to (versions, uids) is not known before it is sent: "$last.rv" is the newest
version of its object that the answers so far have shown, "$first.rv" the oldest. So a sequence
means the same on any server, and takes the same way on any that behave alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.contract.bodies import claim, lease, pool, ready, sandbox
from tests.contract.steps import COLLECTIONS, add, must_be, remove, replace

from warmclaim.seams import Method
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import JSON_PATCH, MERGE_PATCH

OPERATIONS_MIN, OPERATIONS_MAX = 30, 40
KINDS: Mapping[str, Callable[[str], Json]] = {
    "pools": pool,
    "claims": claim,
    "sandboxes": sandbox,
    "leases": lease,
}
NAMES = ("a", "b", "c")
WATCHED = "app=x"
_GOOD: Mapping[str, tuple[object, ...]] = {"pools": (1, 2), "leases": ("me", "you")}
_UNKNOWN = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Operation:
    """One request about the object `name` of `kind` ("" for the collection)."""

    method: Method
    kind: str
    name: str = ""
    subresource: str = ""
    body: object = None
    content_type: str = "application/json"
    query: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def path(self) -> str:
        """With "{ns}" for the namespace."""
        parts = (COLLECTIONS[self.kind], self.name, self.subresource)
        return "/".join(part for part in parts if part)

    def __str__(self) -> str:
        path = "/".join(part for part in (self.kind, self.name, self.subresource) if part)
        return f"{self.method} {path} {self.body or ''} {dict(self.query) or ''}".rstrip()


@dataclass(frozen=True, slots=True)
class Sequence:
    """Two kinds, a watcher on each (the second one on the label `WATCHED`), and the operations."""

    seed: int
    kinds: tuple[str, str]
    operations: tuple[Operation, ...]


_Maker: TypeAlias = Callable[["_Dice", str, str], Operation]


class _Dice:
    """Choices of one sequence."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def one_of(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def maker(self) -> _Maker:
        makers = [maker for maker, _ in _MAKERS]
        return self._random.choices(makers, [weight for _, weight in _MAKERS])[0]

    def labels(self) -> object:
        return self.one_of(None, {"app": "x"}, {"app": "y"}, {"app": "x", "tier": "1"})

    def version(self) -> object:
        return self.one_of("$last.rv", "$last.rv", "$first.rv", None)

    def uid(self) -> object:
        return self.one_of("$last.uid", "$last.uid", "$first.uid", _UNKNOWN)


def sequence(seed: int) -> Sequence:
    """The sequence of a seed."""
    dice = _Dice(seed)
    kinds = tuple(dice.one_of(("pools", "claims"), ("pools", "sandboxes"), ("claims", "leases")))
    operations = tuple(
        dice.maker()(dice, dice.one_of(*kinds), dice.one_of(*NAMES))
        for _ in range(dice.number(OPERATIONS_MIN, OPERATIONS_MAX))
    )
    return Sequence(seed, (kinds[0], kinds[1]), operations)


def marker(kind: str) -> Operation:
    """The create that both watchers see last."""
    return Operation("POST", kind, body=_with_metadata(KINDS[kind]("end"), labels={"app": "x"}))


def _create(dice: _Dice, kind: str, name: str) -> Operation:
    body = KINDS[kind](name)
    finalizers = dice.one_of(None, None, None, ["example.com/held"])
    body = _with_metadata(body, labels=dice.labels(), finalizers=finalizers)
    body = _spoiled(dice, kind, body)
    query = dice.one_of({}, {}, {}, {"dryRun": "All"})
    return Operation("POST", kind, body=body, query=query)


def _spoiled(dice: _Dice, kind: str, body: Json) -> Json:
    """Mostly `body` itself, sometimes one that the server must refuse or prune."""
    spoil = dice.number(0, 11)
    if spoil == 0:
        return {**body, "spec": {}}
    if spoil == 1 and kind != "leases":
        return {**body, "spec": {**body["spec"], "ghost": 1}, "extra": True}
    if spoil == 2:
        return _with_metadata(body, labels={"app": "not a value"})
    if spoil == 3:
        return _with_metadata(body, annotations={"note": "x" * dice.number(1, 9)})
    return body


def _get(dice: _Dice, kind: str, name: str) -> Operation:
    return Operation("GET", kind, name, dice.one_of("", "", "status", "scale"))


def _put(dice: _Dice, kind: str, name: str) -> Operation:
    body = _with_metadata(
        KINDS[kind](name),
        resourceVersion=dice.version(),
        labels=dice.labels(),
        uid=dice.one_of(None, None, dice.uid()),
        finalizers=dice.one_of(None, None, ["example.com/held"]),
    )
    if kind == "pools":
        body["spec"]["replicas"] = dice.number(0, 3)
    subresource = dice.one_of("", "", "status")
    if subresource and kind != "leases":
        body["status"] = _status(dice, kind)
    return Operation("PUT", kind, name, subresource, _spoiled(dice, kind, body))


def _merge(dice: _Dice, kind: str, name: str) -> Operation:
    metadata: Json = {}
    if dice.number(0, 1):
        metadata["labels"] = dice.one_of({"app": "x"}, {"app": "y"}, {"app": None}, None)
    if dice.number(0, 3) == 0:
        metadata["resourceVersion"] = dice.one_of("$last.rv", "$first.rv")
    if dice.number(0, 5) == 0:
        metadata["uid"] = dice.uid()
    if dice.number(0, 3) == 0:
        metadata["finalizers"] = dice.one_of(None, ["example.com/held"], [])
    if dice.number(0, 4) == 0:
        metadata["annotations"] = dice.one_of({"note": "1"}, {"note": None}, None)
    body: Json = {"metadata": metadata} if metadata else {}
    if dice.number(0, 1):
        body["spec"] = _spec_change(dice, kind)
    query = dice.one_of({}, {}, {}, {}, {"dryRun": "All"})
    return Operation("PATCH", kind, name, "", body, MERGE_PATCH, query)


def _spec_change(dice: _Dice, kind: str) -> Json:
    if kind == "pools":
        return {"replicas": dice.one_of(0, 1, 2, -1, None, "many")}
    if kind == "sandboxes":
        return {"operatingMode": dice.one_of("Running", "Suspended", "Walking", None)}
    if kind == "leases":
        return {"holderIdentity": dice.one_of("me", "you", None)}
    return {"warmPoolRef": dice.one_of({"name": "p"}, {"name": "q"}, None)}


def _member(dice: _Dice, kind: str) -> tuple[str, object]:
    """Path and value of one member of the spec.

    Of no wrong type, and no null in a built-in kind: see differences.toml.
    """
    name, value = dice.one_of(*_spec_change(dice, kind).items())
    if value == "many" or (value is None and kind == "leases"):
        value = dice.one_of(*_GOOD[kind])
    return f"/spec/{name}", value


def _status(dice: _Dice, kind: str) -> Json:
    if kind == "pools":
        return {"replicas": dice.number(0, 2)}
    condition = ready(dice.one_of("True", "False"), dice.one_of("A", "B"))
    more: Json = {"nodeName": "n"} if kind == "sandboxes" else {"sandbox": {"name": "s"}}
    return {"conditions": [condition], **dice.one_of({}, more)}


def _merge_status(dice: _Dice, kind: str, name: str) -> Operation:
    status = dice.one_of(_status(dice, kind), _status(dice, kind), None)
    body: Json = {"status": status}
    if dice.number(0, 3) == 0:
        body["metadata"] = {"labels": {"app": "x"}, "resourceVersion": dice.version()}
    return Operation("PATCH", kind, name, "status", body, MERGE_PATCH)


def _patch(dice: _Dice, kind: str, name: str) -> Operation:
    choices = (
        must_be("/metadata/uid", dice.uid()),
        must_be("/metadata/resourceVersion", dice.one_of("$last.rv", "$first.rv")),
        must_be("/metadata/deletionTimestamp", None),
        must_be("/status", None),
        must_be("/status/sandbox", None),
        must_be("/metadata/labels/app", dice.one_of("x", "y", None)),
        add("/metadata/labels", {"app": dice.one_of("x", "y")}),
        add("/metadata/labels/app", dice.one_of("x", "y")),
        add("/metadata/annotations", {"note": "1"}),
        add("/metadata/annotations/note", dice.one_of("1", "2", None)),
        remove("/metadata/labels"),
        remove("/metadata/labels/app"),
        remove("/metadata/finalizers"),
        replace(*_member(dice, kind)),
        replace("/metadata/labels/app", dice.one_of("x", "y")),
        {"op": "copy", "from": "/metadata/name", "path": "/metadata/labels/name"},
        {"op": "move", "from": "/metadata/labels/app", "path": "/metadata/labels/was"},
        *((add("/status", _status(dice, kind)),) if kind != "leases" else ()),
    )
    operations = [dice.one_of(*choices) for _ in range(dice.number(1, 3))]
    return Operation("PATCH", kind, name, dice.one_of("", "", "status"), operations, JSON_PATCH)


def _delete(dice: _Dice, kind: str, name: str) -> Operation:
    conditions: Json = dice.one_of(
        {}, {}, {}, {"uid": dice.uid()}, {"resourceVersion": dice.one_of("$last.rv", "$first.rv")}
    )
    body = dice.one_of(None, {}, {"preconditions": conditions}, {"preconditions": conditions})
    query = dice.one_of({}, {}, {}, {"dryRun": "All"})
    return Operation("DELETE", kind, name, "", body, query=query)


def _scale(dice: _Dice, kind: str, name: str) -> Operation:
    # Hardly ever what the pool has already: see "versions-by-managed-fields" in differences.toml.
    body = {"spec": {"replicas": dice.one_of(-1, *(dice.number(10, 10**6) for _ in range(3)))}}
    return Operation("PATCH", kind, name, "scale", body, MERGE_PATCH)


def _list(dice: _Dice, kind: str, name: str) -> Operation:
    query = dice.one_of(
        {},
        {"labelSelector": "app=x"},
        {"labelSelector": "app!=x"},
        {"labelSelector": "app in (x,y),!tier"},
        {"fieldSelector": f"metadata.name={name}"},
        {"limit": 1},
        {"limit": 2, "labelSelector": "app"},
    )
    return Operation("GET", kind, query=query)


_MAKERS: tuple[tuple[_Maker, int], ...] = (
    (_create, 8),
    (_get, 3),
    (_put, 5),
    (_merge, 6),
    (_merge_status, 4),
    (_patch, 6),
    (_delete, 5),
    (_scale, 1),
    (_list, 3),
)


def _with_metadata(body: Json, **members: object) -> Json:
    """`body` with these members of metadata; those that are None are left out."""
    given = {name: value for name, value in members.items() if value is not None}
    return {**body, "metadata": {**body["metadata"], **given}}
