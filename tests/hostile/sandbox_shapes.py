"""Sandboxes that are odd in themselves: specs swapped, status forged, deleted, made again."""

from __future__ import annotations

from collections.abc import Sequence

from tests.hostile.inputs import (
    BAD,
    IGNORED,
    LEFT_ALONE,
    REFUSED,
    SECRET,
    SERVED,
    SKIPPED_SANDBOX,
    Build,
    Change,
    Effect,
    Ground,
    Input,
    Remove,
    Send,
    Step,
    Store,
    claim_spec,
    condition,
    pod_template,
    sandbox_spec,
    stored,
    table,
    thing,
)
from tests.hostile.sandbox_owners import LABELS, READY, SEAL, owner

from warmclaim.api.resources import CLAIM, SANDBOX
from warmclaim.testing.json_values import Json

ERROR = condition("ReconcilerError")
_STAMP = {"lastTransitionTime": "2026-01-01T00:00:00Z"}


# --- spec ---


def _past(**fields: object) -> Build:
    return stored(SANDBOX, sandbox_spec(**fields))


def _template(value: object) -> Build:
    return stored(SANDBOX, {"podTemplate": value})


def _containers(*containers: object) -> Build:
    return stored(SANDBOX, {"podTemplate": {"spec": {"containers": list(containers)}}})


def _volumes(*names: str) -> Build:
    spec = {"accessModes": ["ReadWriteOnce"]}
    return _past(volumeClaimTemplates=[{"metadata": {"name": n}, "spec": spec} for n in names])


def _with_service(*containers: object) -> Build:
    template = {"spec": {"containers": list(containers)}}
    return stored(SANDBOX, {"podTemplate": template, "service": True})


def specs() -> list[Input]:
    """Wrong types in the parts that are copied, and in those that are read."""
    port = {"name": "c", "image": "i"}
    rows: dict[str, tuple[Effect, Build]] = {
        "spec missing": (ERROR, lambda ground: [Store(thing(ground, SANDBOX))]),
        "spec a list": (SKIPPED_SANDBOX, stored(SANDBOX, [])),
        "spec a text": (SKIPPED_SANDBOX, stored(SANDBOX, "x")),
        "template a text": (ERROR, _template("x")),
        "template a list": (ERROR, _template([])),
        "template null": (ERROR, _template(None)),
        "template a number": (ERROR, _template(7)),
        "template empty": (ERROR, _template({})),
        "pod spec a list": (ERROR, _template({"spec": []})),
        "pod spec null": (ERROR, _template({"spec": None})),
        "pod spec a text": (ERROR, _template({"spec": SECRET})),
        "pod metadata a text": (ERROR, _template({**pod_template(), "metadata": "x"})),
        "pod labels a list": (ERROR, _template({**pod_template(), "metadata": {"labels": []}})),
        "pod labels of numbers": (
            ERROR,
            _template({**pod_template(), "metadata": {"labels": {"a": 1}}}),
        ),
        "containers a text": (ERROR, _template({"spec": {"containers": "x"}})),
        "no containers": (ERROR, _containers()),
        "containers of null": (ERROR, _containers(None)),
        "volumes a text": (ERROR, _past(volumeClaimTemplates="x")),
        "volumes an object": (ERROR, _past(volumeClaimTemplates={})),
        "volumes null": (IGNORED, _past(volumeClaimTemplates=None)),
        "volumes of null": (ERROR, _past(volumeClaimTemplates=[None])),
        "volumes with a number for a name": (
            ERROR,
            _past(volumeClaimTemplates=[{"metadata": {"name": 7}}]),
        ),
        "volumes with a path for a name": (ERROR, _volumes("../sb/status")),
        "volumes without a name": (ERROR, _volumes("")),
        "volumes twice under one name": (IGNORED, _volumes("data", "data")),
        "service a text": (SKIPPED_SANDBOX, _past(service="yes")),
        "service with ports a text": (ERROR, _with_service({**port, "ports": "80"})),
        "service with a port by name": (
            ERROR,
            _with_service({**port, "ports": [{"containerPort": "http"}]}),
        ),
        "service with containers of null": (ERROR, _with_service(None)),
        "mode unknown": (IGNORED, _past(operatingMode="Paused")),
        "mode a number": (SKIPPED_SANDBOX, _past(operatingMode=7)),
        "shutdown time a list": (SKIPPED_SANDBOX, _past(shutdownTime=[])),
        "shutdown time of no calendar": (IGNORED, _past(shutdownTime="0000-00-00T00:00:00Z")),
        "shutdown time a leap second": (IGNORED, _past(shutdownTime="2016-12-31T23:59:60Z")),
        "shutdown time of year 1": (
            condition("SandboxExpired"),
            _past(shutdownTime="0001-01-01T00:00:00+14:00"),
        ),
        "shutdown time of 1 MB": (IGNORED, _past(shutdownTime="9" * 1_000_000)),
    }
    return table("sandbox specs", rows)


# --- spec swapped under a member ---


def _swapped(**pod: object) -> Build:
    """A member of the pool, by its owner; then its pod template becomes another."""

    def build(ground: Ground) -> Sequence[Step]:
        meta: Json = {"labels": LABELS, "ownerReferences": [owner(ground)]}
        body = thing(ground, SANDBOX, sandbox_spec(), **meta)
        patch = {"spec": {"podTemplate": pod_template(**pod)}}
        return [Send(SANDBOX, body, READY), Change(SANDBOX, BAD, patch)]

    return build


def swaps() -> list[Input]:
    """The spec of a member is changed before anybody has adopted it."""
    image = [{"name": "sandbox", "image": "evil.example/miner:1"}]
    host = [{"name": "h", "hostPath": {"path": "/"}}]
    rows: dict[str, tuple[Effect, Build]] = {
        "image": (IGNORED, _swapped(containers=image)),
        "host path": (IGNORED, _swapped(volumes=host)),
        "host network": (IGNORED, _swapped(hostNetwork=True, hostPID=True)),
        "service account": (IGNORED, _swapped(serviceAccountName="admin")),
        "node": (IGNORED, _swapped(nodeName="node-000")),
        "nothing left": (IGNORED, _swapped(containers=[])),
    }
    return table("sandbox swaps", rows, probe="probe", later=SEAL)


# --- status ---


def _status(status: object) -> Build:
    return stored(SANDBOX, sandbox_spec(), status=status)


def _sent_status(status: dict[str, object]) -> Build:
    return lambda ground: [Send(SANDBOX, thing(ground, SANDBOX, sandbox_spec()), status)]


def _of_type(type_: str, **more: object) -> dict[str, object]:
    base = {"type": type_, "status": "True", "reason": "Odd", "message": "", **_STAMP}
    return base | more


_ADDRESSES: dict[str, object] = {
    "a text": "10.0.0.1",
    "a number": 7,
    "true": True,
    "an object": {"ip": "10.0.0.1"},
    "of numbers": [7],
    "of null": [None],
    "of lists": [["10.0.0.1"]],
    "of objects": [{"ip": "10.0.0.1"}],
    "null": None,
}


def statuses() -> list[Input]:
    """Ready and addresses forged in every odd type; the sandbox's own pod must win."""
    past = {
        f"addresses {name}": (SKIPPED_SANDBOX, _status({**READY, "podIPs": value}))
        for name, value in _ADDRESSES.items()
    }
    by_api = {
        f"api addresses {name}": (REFUSED, _sent_status({**READY, "podIPs": value}))
        for name, value in _ADDRESSES.items()
        if value is not None
    }
    rows: dict[str, tuple[Effect, Build]] = {
        "ready without a pod": (IGNORED, _sent_status(READY)),
        "ready twice": (IGNORED, _sent_status({"conditions": READY["conditions"] * 2})),
        "no addresses": (IGNORED, _sent_status({**READY, "podIPs": []})),
        "addresses that are none": (IGNORED, _sent_status({**READY, "podIPs": ["", "::", "x"]})),
        "addresses by the 50,000": (IGNORED, _sent_status({**READY, "podIPs": ["::1"] * 50_000})),
        "node of 1 MB": (IGNORED, _sent_status({**READY, "nodeName": "n" * 1_000_000})),
        "node with control characters": (IGNORED, _sent_status({**READY, "nodeName": "\u001b[2J"})),
        "selector of everything": (IGNORED, _sent_status({"selector": ""})),
        "service of another": (
            IGNORED,
            _sent_status({"service": "kubernetes", "serviceFQDN": "x"}),
        ),
        "foreign condition": (IGNORED, _sent_status({"conditions": [_of_type("x.example/Odd")]})),
        "condition perhaps": (REFUSED, _sent_status({"conditions": [_of_type("R", status="P")]})),
        "reason of no word": (REFUSED, _sent_status({"conditions": [_of_type("R", reason="a b")]})),
        "status a list": (SKIPPED_SANDBOX, _status([])),
        "status a text": (SKIPPED_SANDBOX, _status("Ready")),
        "status a number": (SKIPPED_SANDBOX, _status(1)),
        "conditions an object": (SKIPPED_SANDBOX, _status({"conditions": {"Ready": "True"}})),
        "conditions of texts": (SKIPPED_SANDBOX, _status({"conditions": ["Ready"]})),
        "condition status true": (SKIPPED_SANDBOX, _status(_condition(status=True))),
        "condition without status": (SKIPPED_SANDBOX, _status({"conditions": [{"type": "Ready"}]})),
        "observed generation a text": (
            SKIPPED_SANDBOX,
            _status(_condition(observedGeneration="1")),
        ),
        "past reason of no word": (IGNORED, _status(_condition("x.example/O", reason="a b"))),
        "past reason empty": (IGNORED, _status(_condition("x.example/O", reason=""))),
        "past type of no word": (IGNORED, _status(_condition("x y"))),
        "past message too long": (
            IGNORED,
            _status(_condition("x.example/O", message="m" * 40_000)),
        ),
        "past time of none": (IGNORED, _status(_condition("Ready", lastTransitionTime="then"))),
        "past negative generation": (IGNORED, _status(_condition("x.e/O", observedGeneration=-1))),
        "node a number": (SKIPPED_SANDBOX, _status({**READY, "nodeName": 7})),
    }
    return table("sandbox status", rows | past | by_api) + mirrored()


def _condition(type_: str = "Ready", **more: object) -> dict[str, object]:
    return {**READY, "conditions": [_of_type(type_, **more)]}


def _mirrored(**finished: object) -> Build:
    """A claim whose sandbox has an odd Finished condition, which the claim is to show."""

    def build(ground: Ground) -> Sequence[Step]:
        uid = f"{ground.namespace}-{BAD}"
        theirs = owner(ground, kind=CLAIM.kind, name=BAD, uid=uid)
        status = {"conditions": [*_ready(), _of_type("Finished", **finished)]}
        body = thing(
            ground, SANDBOX, sandbox_spec(operatingMode="Running"), ownerReferences=[theirs]
        )
        claim = thing(ground, CLAIM, claim_spec(), uid=uid)
        return [Store({**body, "status": READY | status}), Store(claim)]

    return build


def _ready() -> list[object]:
    return list(READY["conditions"])


def mirrored() -> list[Input]:
    """Conditions of a sandbox that no claim could show."""
    rows: dict[str, tuple[Effect, Build]] = {
        "mirrored reason of no word": (SERVED, _mirrored(reason="a b")),
        "mirrored message too long": (SERVED, _mirrored(message="m" * 40_000)),
        "mirrored time of none": (SERVED, _mirrored(lastTransitionTime="soon")),
        "mirrored status perhaps": (SERVED, _mirrored(status="Perhaps")),
    }
    return table("sandbox status", rows)


# --- deleted, made again ---


def lives() -> list[Input]:
    """Deleting ones, and the same name with another uid."""
    rows: dict[str, tuple[Effect, Build]] = {
        "deleting member": (IGNORED, _deleting),
        "deleting member that never ends": (IGNORED, _born_deleting),
        "deleting, owned by a claim": (IGNORED, _deleting_of_claim),
        "deleting at no time": (
            SKIPPED_SANDBOX,
            stored(SANDBOX, sandbox_spec(), deletionTimestamp=7),
        ),
        "deleting in year 9999": (
            IGNORED,
            stored(SANDBOX, sandbox_spec(), deletionTimestamp="9999-12-31T23:59:59Z"),
        ),
    }
    again: dict[str, tuple[Effect, Build]] = {
        "made again without an owner": (LEFT_ALONE, _again({})),
        "made again for another pool": (IGNORED, _again({"name": "pool-2", "uid": "other"})),
        "made again ten times": (LEFT_ALONE, _again({}, times=10)),
        "uid changed in place": (LEFT_ALONE, _changed_uid),
    }
    return [
        *table("sandbox deleting", rows, probe="probe"),
        *table("sandbox again", again, probe="probe"),
        Input("sandbox again", "under the claim's name", ERROR, _squatting),
        Input("sandbox again", "under the claim's name, then gone", SERVED, _squatted),
    ]


def _member(ground: Ground, **metadata: object) -> Step:
    meta: Json = {"labels": LABELS, "ownerReferences": [owner(ground)], **metadata}
    return Send(SANDBOX, thing(ground, SANDBOX, sandbox_spec(), **meta), READY)


def _deleting(ground: Ground) -> Sequence[Step]:
    return [_member(ground, finalizers=["x.example/held"]), Remove(SANDBOX, BAD)]


def _born_deleting(ground: Ground) -> Sequence[Step]:
    meta: Json = {"labels": LABELS, "ownerReferences": [owner(ground)]}
    times: Json = {"deletionTimestamp": "2020-01-01T00:00:00Z", "finalizers": ["x.example/held"]}
    body = thing(ground, SANDBOX, sandbox_spec(), **meta, **times)
    return [Store({**body, "status": READY})]


def _deleting_of_claim(ground: Ground) -> Sequence[Step]:
    theirs = owner(ground, kind=CLAIM.kind, name="gone", uid="gone-uid")
    meta: Json = {"ownerReferences": [theirs], "finalizers": ["x.example/held"]}
    body = thing(ground, SANDBOX, sandbox_spec(), **meta)
    return [Send(SANDBOX, body, READY), Remove(SANDBOX, BAD)]


def _again(changes: dict[str, object], *, times: int = 1) -> Build:
    def build(ground: Ground) -> Sequence[Step]:
        owners = [owner(ground, **changes)] if changes else []
        plain = thing(ground, SANDBOX, sandbox_spec(), labels=LABELS, ownerReferences=owners)
        rounds: list[Step] = [Remove(SANDBOX, BAD), Send(SANDBOX, plain, READY)]
        return [_member(ground), *(rounds * times)]

    return build


def _changed_uid(ground: Ground) -> Sequence[Step]:
    body = thing(ground, SANDBOX, sandbox_spec(), labels=LABELS, uid="first")
    second = thing(ground, SANDBOX, sandbox_spec(), labels=LABELS, uid="second")
    return [Store({**body, "status": READY}), Store({**second, "status": READY})]


def _squatting(ground: Ground) -> Sequence[Step]:
    return [
        Send(SANDBOX, thing(ground, SANDBOX, sandbox_spec()), READY),
        Send(CLAIM, thing(ground, CLAIM, claim_spec())),
    ]


def _squatted(ground: Ground) -> Sequence[Step]:
    return [*_squatting(ground), Remove(SANDBOX, BAD)]


def inputs() -> list[Input]:
    """All of them."""
    return [*specs(), *swaps(), *statuses(), *lives()]
