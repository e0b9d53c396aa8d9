"""Claims of the wrong shape: no spec, wrong types, JSON that is hardly any."""

from __future__ import annotations

from collections.abc import Sequence

from tests.hostile.inputs import (
    BAD,
    IGNORED,
    REFUSED,
    SECRET,
    SERVED,
    SKIPPED_CLAIM,
    Build,
    Effect,
    Ground,
    Input,
    Send,
    Store,
    claim_spec,
    condition,
    raw,
    sent_claim,
    stored,
    table,
    thing,
)

from warmclaim.api.resources import CLAIM

NO_POOL = condition("WarmPoolNotFound")
_SPECS: dict[str, tuple[object, Effect]] = {
    # what it is, and what comes of it when it is in the store already
    "empty object": ({}, NO_POOL),
    "list": ([], SKIPPED_CLAIM),
    "text": ("pool", SKIPPED_CLAIM),
    "number": (7, SKIPPED_CLAIM),
    "boolean": (True, SKIPPED_CLAIM),
    "reference null": ({"warmPoolRef": None}, SKIPPED_CLAIM),
    "reference empty": ({"warmPoolRef": {}}, NO_POOL),
    "reference list": ({"warmPoolRef": []}, SKIPPED_CLAIM),
    "reference text": ({"warmPoolRef": "pool"}, SKIPPED_CLAIM),
    "name null": ({"warmPoolRef": {"name": None}}, SKIPPED_CLAIM),
    "name number": ({"warmPoolRef": {"name": 7}}, SKIPPED_CLAIM),
    "name list": ({"warmPoolRef": {"name": ["pool"]}}, SKIPPED_CLAIM),
    "name object": ({"warmPoolRef": {"name": {"name": "pool"}}}, SKIPPED_CLAIM),
}


def _no_spec(value: object) -> Build:
    """`thing` leaves a spec of None out; here it is null, or really absent."""

    def build(ground: Ground) -> Sequence[Send]:
        body = thing(ground, CLAIM)
        return [Send(CLAIM, body if value is ... else {**body, "spec": value})]

    return build


def _stored_spec(value: object) -> Build:
    def build(ground: Ground) -> Sequence[Store]:
        body = thing(ground, CLAIM)
        return [Store(body if value is ... else {**body, "spec": value})]

    return build


def specs() -> list[Input]:
    """Missing, empty and null specs, by both ways in."""
    by_api = {f"api {name}": (REFUSED, _no_spec(value)) for name, (value, _) in _SPECS.items()}
    by_api["api missing"] = REFUSED, _no_spec(...)
    by_api["api null"] = REFUSED, _no_spec(None)
    by_api["api name empty"] = NO_POOL, sent_claim(claim_spec(""))
    past = {f"past {name}": (effect, _stored_spec(v)) for name, (v, effect) in _SPECS.items()}
    past["past missing"] = NO_POOL, _stored_spec(...)
    past["past null"] = SKIPPED_CLAIM, _stored_spec(None)
    return table("claim spec", by_api | past)


def _odd(**fields: object) -> Build:
    return stored(CLAIM, claim_spec(**fields))


def _status(status: object) -> Build:
    return stored(CLAIM, claim_spec(), status=status)


def types() -> list[Input]:
    """Wrong types in what an older schema, or one that keeps unknown fields, let through."""
    ready = {"type": "Ready", "status": "True"}
    rows: dict[str, tuple[Effect, Build]] = {
        "env text": (SKIPPED_CLAIM, _odd(env="A=1")),
        "env null": (SKIPPED_CLAIM, _odd(env=None)),
        "env of null": (SKIPPED_CLAIM, _odd(env=[None])),
        "env name number": (SKIPPED_CLAIM, _odd(env=[{"name": 7, "value": SECRET}])),
        "env object": (SKIPPED_CLAIM, _odd(env={"name": "A", "value": SECRET})),
        "env empty": (SERVED, _odd(env=[])),
        "pod metadata text": (SKIPPED_CLAIM, _odd(additionalPodMetadata="app=x")),
        "pod labels list": (SKIPPED_CLAIM, _odd(additionalPodMetadata={"labels": ["a"]})),
        "pod labels of numbers": (SKIPPED_CLAIM, _odd(additionalPodMetadata={"labels": {"a": 1}})),
        "volume claims text": (SKIPPED_CLAIM, _odd(volumeClaimTemplates="big")),
        "volume claims of null": (
            condition("VolumeClaimTemplatesError"),
            _odd(volumeClaimTemplates=[None]),
        ),
        "lifecycle text": (SKIPPED_CLAIM, _odd(lifecycle="soon")),
        "lifecycle list": (SKIPPED_CLAIM, _odd(lifecycle=[1, 2])),
        "unknown field": (SERVED, _odd(powers={"root": True})),
        "status list": (SKIPPED_CLAIM, _status([])),
        "status text": (SKIPPED_CLAIM, _status("Ready")),
        "status empty": (SERVED, _status({})),
        "conditions object": (SKIPPED_CLAIM, _status({"conditions": {"Ready": True}})),
        "conditions of null": (SKIPPED_CLAIM, _status({"conditions": [None]})),
        "condition without type": (SKIPPED_CLAIM, _status({"conditions": [{"status": "True"}]})),
        "condition without reason": (SERVED, _status({"conditions": [ready]})),
        "condition of numbers": (SKIPPED_CLAIM, _status({"conditions": [{"type": 1}]})),
        "conditions of one type": (SERVED, _status({"conditions": [_sound("Ready")] * 3})),
        "foreign condition that no schema admits": (
            SERVED,
            _status({"conditions": [{"type": "x y", "status": "Perhaps", "reason": "no reason!"}]}),
        ),
        "published list": (SKIPPED_CLAIM, _status({"sandbox": []})),
        "published number": (SKIPPED_CLAIM, _status({"sandbox": {"name": 7}})),
        "published addresses text": (SKIPPED_CLAIM, _status({"sandbox": {"podIPs": "10.0.0.1"}})),
        "published without name": (SERVED, _status({"sandbox": {"podIPs": ["10.0.0.1"]}})),
    }
    unknown = {"api unknown field": (SERVED, sent_claim(claim_spec(powers={"root": True})))}
    return table("claim types", rows | unknown)


def _sound(type_: str) -> dict[str, object]:
    stamp = "2026-01-01T00:00:00Z"
    words = {"status": "False", "reason": "Odd", "message": "", "lastTransitionTime": stamp}
    return {"type": type_, **words}


_HEAD = (
    b'{"apiVersion":"extensions.agents.x-k8s.io/v1beta1","kind":"SandboxClaim",'
    b'"metadata":{"name":"bad","namespace":"NAMESPACE"}'
)
_SPEC = b'"spec":{"warmPoolRef":{"name":"pool"}}'


def _nested(depth: int, opening: bytes = b'{"a":', closing: bytes = b"}") -> bytes:
    return opening * depth + b"1" + closing * depth


def _with(extra: bytes) -> Build:
    return raw(CLAIM, _HEAD + b"," + _SPEC + b"," + extra + b"}")


def json_texts() -> list[Input]:
    """Depth, duplicate keys, torn and foreign text as the body of a create."""
    twice = b'"spec":{"warmPoolRef":{"name":"ghost"}},' + _SPEC
    names = b'"spec":{"warmPoolRef":{"name":"ghost","name":"pool"}}'
    rows: dict[str, tuple[Effect, Build]] = {
        "depth 64": (SERVED, _with(b'"more":' + _nested(64))),
        "depth 500": (SERVED, _with(b'"more":' + _nested(500))),
        "lists in lists": (SERVED, _with(b'"more":' + _nested(500, b"[", b"]"))),
        "depth 100,000": (REFUSED, _with(b'"more":' + _nested(100_000))),
        "depth without end": (REFUSED, _with(b'"more":' + b'{"a":' * 100_000)),
        "spec twice": (SERVED, raw(CLAIM, _HEAD + b"," + twice + b"}")),
        "name twice": (SERVED, raw(CLAIM, _HEAD + b"," + names + b"}")),
        "kind twice": (SERVED, _with(b'"kind":"SandboxClaim"')),
        "another kind": (REFUSED, raw(CLAIM, b'{"kind":"Secret","apiVersion":"v1"}')),
        "list of kind": (REFUSED, raw(CLAIM, b'{"kind":"SandboxClaimList","items":[]}')),
        "empty body": (REFUSED, raw(CLAIM, b"")),
        "null": (REFUSED, raw(CLAIM, b"null")),
        "list": (REFUSED, raw(CLAIM, b"[]")),
        "text": (REFUSED, raw(CLAIM, b'"claim"')),
        "torn": (REFUSED, raw(CLAIM, _HEAD + b"," + _SPEC[:-3])),
        "two values": (REFUSED, raw(CLAIM, (_HEAD + b"," + _SPEC + b"}") * 2)),
        "bad utf-8": (REFUSED, raw(CLAIM, b"\xff\xfe{\x00")),
        "number too large": (REFUSED, raw(CLAIM, _HEAD + b',"spec":1e999}')),
        "byte order mark": (REFUSED, raw(CLAIM, b"\xef\xbb\xbf" + _HEAD + b"," + _SPEC + b"}")),
    }
    return table("claim json", rows)


def stored_json() -> list[Input]:
    """Deep values past the API."""
    deep: object = 1
    for _ in range(200):
        deep = {"a": deep}
    return [
        Input("claim json", "past depth 200 beside the spec", SERVED, _deep_beside(deep)),
        Input(
            "claim json",
            "past depth 200 for a name",
            SKIPPED_CLAIM,
            stored(CLAIM, claim_spec(deep)),
        ),
        Input("claim json", "past another kind's claim", IGNORED, _alien),
    ]


def _deep_beside(deep: object) -> Build:
    return lambda ground: [Store({**thing(ground, CLAIM, claim_spec()), "more": deep})]


def _alien(ground: Ground) -> Sequence[Store]:
    pod = {"name": BAD, "namespace": ground.namespace, "labels": {"app": "x"}}
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return [Store({"apiVersion": "v1", "kind": "Pod", "metadata": pod, "spec": spec})]


def inputs() -> list[Input]:
    """All of them."""
    return [*specs(), *types(), *json_texts(), *stored_json()]
