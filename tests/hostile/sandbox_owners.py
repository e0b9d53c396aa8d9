"""Sandboxes that want to pass for a pool's member: forged owners, labels of another pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.hostile.inputs import (
    IGNORED,
    LEFT_ALONE,
    REFUSED,
    SKIPPED_SANDBOX,
    Build,
    Effect,
    Ground,
    Input,
    Send,
    Step,
    Store,
    member_refused,
    sandbox_spec,
    thing,
)

from warmclaim.api.names import LABEL_TEMPLATE_REF, LABEL_WARM_POOL, name_hash
from warmclaim.api.resources import CLAIM, POOL, SANDBOX
from warmclaim.testing.json_values import Json

SEAL = "without the seal it is a member by the pool's own uid, and counts as one (with it: seals)"
READY: Json = {
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "DependenciesReady",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ],
    "podIPs": ["10.9.9.9"],
    "nodeName": "elsewhere",
}
LABELS = {LABEL_WARM_POOL: name_hash("pool"), LABEL_TEMPLATE_REF: name_hash("python")}
_OTHER_UID = member_refused("other_pool_uid")
_MISMATCH = member_refused("label_mismatch")
Owners = Callable[[Ground], object]


def owner(ground: Ground, **changes: object) -> dict[str, object]:
    """The reference that a true member has; `...` as a value leaves a field out."""
    genuine: dict[str, object] = {
        "apiVersion": POOL.api_version,
        "kind": POOL.kind,
        "name": "pool",
        "uid": ground.pool_uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {key: value for key, value in (genuine | changes).items() if value is not ...}


def _one(**changes: object) -> Owners:
    return lambda ground: [owner(ground, **changes)]


def _forged(owners: Owners, labels: Mapping[str, str] = LABELS, *, past: bool = False) -> Build:
    def build(ground: Ground) -> Sequence[Step]:
        spec = sandbox_spec()
        body = thing(ground, SANDBOX, spec, labels=dict(labels), ownerReferences=owners(ground))
        return [Store({**body, "status": READY})] if past else [Send(SANDBOX, body, READY)]

    return build


_CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "c-uid"}
GENUINE: dict[str, Owners] = {
    "right uid": _one(),
    "right uid, not blocking": _one(blockOwnerDeletion=...),
    "right uid, future version": _one(apiVersion="extensions.agents.x-k8s.io/v7"),
    "right uid, older version": _one(apiVersion="extensions.agents.x-k8s.io/v1alpha1"),
    "right uid and a second owner": lambda ground: [owner(ground), _CONFIG_MAP],
    "right uid behind another owner": lambda ground: [_CONFIG_MAP, owner(ground)],
}
_NO_MEMBER: dict[str, Owners] = {
    "another name, right uid": _one(name="pool-2"),
    "controller false": _one(controller=False),
    "controller missing": _one(controller=...),
    "core group": _one(apiVersion="v1"),
    "group of deployments": _one(apiVersion="apps/v1"),
    "group of sandboxes": _one(apiVersion="agents.x-k8s.io/v1beta1"),
    "group below ours": _one(apiVersion="evil.extensions.agents.x-k8s.io/v1"),
    "group that begins as ours": _one(apiVersion="extensions.agents.x-k8s.io.evil/v1"),
    "group in upper case": _one(apiVersion="EXTENSIONS.agents.x-k8s.io/v1beta1"),
    "kind in lower case": _one(kind="sandboxwarmpool"),
    "kind of the plural": _one(kind="sandboxwarmpools"),
    "kind with a space": _one(kind="SandboxWarmPool "),
    "a claim with the pool's uid": _one(kind="SandboxClaim"),
    "a pod with the pool's uid": _one(apiVersion="v1", kind="Pod"),
    "a template with the pool's uid": _one(kind="SandboxTemplate"),
    "no owner": lambda _: [],
    "two owners, none controls": lambda ground: [
        owner(ground, controller=False),
        owner(ground, controller=..., uid="another"),
    ],
    "a pool that is not there": _one(name="ghost", uid="ghost-uid"),
}
# With the pool's label, and nobody in control.
_NOBODYS = {"controller false", "controller missing", "no owner", "two owners, none controls"}
_UIDS: dict[str, Owners] = {
    "drawn": _one(uid="6f1d2c3b-0000-4000-8000-000000000000"),
    "zeros": _one(uid="00000000-0000-0000-0000-000000000000"),
    "the name": _one(uid="pool"),
    "a star": _one(uid="*"),
    "huge": _one(uid="u" * 100_000),
    "with control characters": _one(uid="\u001b[31m\u202e"),
    "of another namespace": lambda ground: [owner(ground, uid=ground.other_pool_uid)],
    "in upper case": lambda ground: [owner(ground, uid=ground.pool_uid.upper())],
    "with a space": lambda ground: [owner(ground, uid=ground.pool_uid + " ")],
    "cut": lambda ground: [owner(ground, uid=ground.pool_uid[:-1])],
    "future version": _one(uid="another", apiVersion="extensions.agents.x-k8s.io/v7"),
}
_LABELS: dict[str, Mapping[str, str]] = {
    "none": {},
    "of another pool": {**LABELS, LABEL_WARM_POOL: name_hash("pool-2")},
    "the name": {**LABELS, LABEL_WARM_POOL: "pool"},
    "in upper case": {**LABELS, LABEL_WARM_POOL: name_hash("pool").upper()},
    "empty": {**LABELS, LABEL_WARM_POOL: ""},
}
_REFUSED: dict[str, Owners] = {
    "uid empty": _one(uid=""),
    "name empty": _one(name=""),
    "kind empty": _one(kind=""),
    "version empty": _one(apiVersion=""),
    "version of three parts": _one(apiVersion="a/b/c"),
    "an event": _one(apiVersion="v1", kind="Event"),
    "two controllers": lambda ground: [owner(ground), owner(ground, uid="another")],
    "uid a number": _one(uid=7),
    "controller a text": _one(controller="true"),
    "no list": lambda ground: owner(ground),
    "of null": lambda _: [None],
}
_PAST: dict[str, tuple[Effect, Owners]] = {
    "controller a text": (SKIPPED_SANDBOX, _one(controller="true")),
    "uid a number": (SKIPPED_SANDBOX, _one(uid=7)),
    "kind null": (SKIPPED_SANDBOX, _one(kind=None)),
    "no list": (SKIPPED_SANDBOX, lambda ground: owner(ground)),
    "of null": (SKIPPED_SANDBOX, lambda _: [None]),
    "null": (SKIPPED_SANDBOX, lambda _: None),
    "uid empty": (_OTHER_UID, _one(uid="")),
    "uid missing": (_OTHER_UID, _one(uid=...)),
    "version missing": (IGNORED, _one(apiVersion=...)),
    "two controllers, ours first": (
        member_refused("many_controllers"),
        lambda ground: [owner(ground), owner(ground, kind="Deployment", apiVersion="apps/v1")],
    ),
    "two controllers, ours last": (
        member_refused("many_controllers"),
        lambda ground: [owner(ground, kind="Deployment", apiVersion="apps/v1"), owner(ground)],
    ),
    "two controllers, both ours": (
        member_refused("many_controllers"),
        lambda ground: [owner(ground), owner(ground, uid="another")],
    ),
}


def forged_owners() -> list[Input]:
    """A pool as owner, in every form but the true one; a good claim must go without them."""
    kind, probe = "sandbox owners", "probe"
    rows = [
        (f"no member: {name}", LEFT_ALONE if name in _NOBODYS else IGNORED, _forged(form))
        for name, form in _NO_MEMBER.items()
    ]
    rows += [(f"uid {name}", _OTHER_UID, _forged(form)) for name, form in _UIDS.items()]
    rows += [(f"refused: {name}", REFUSED, _forged(form)) for name, form in _REFUSED.items()]
    rows += [
        (f"past: {name}", effect, _forged(form, past=True))
        for name, (effect, form) in _PAST.items()
    ]
    genuine = [
        Input(kind, name, IGNORED, _forged(form), probe=probe, later=SEAL)
        for name, form in GENUINE.items()
    ]
    return [Input(kind, id_, effect, build, probe=probe) for id_, effect, build in rows] + genuine


def labels() -> list[Input]:
    """The label says one pool and the owner another; only a label, and no owner."""
    kind, probe = "sandbox labels", "probe"
    wrong = [
        Input(kind, f"label {name}", _MISMATCH, _forged(_one(), values), probe=probe)
        for name, values in _LABELS.items()
    ]
    return [
        *wrong,
        Input(kind, "labels only", LEFT_ALONE, _forged(lambda _: []), probe=probe),
        Input(kind, "label of one pool, owner of another", _MISMATCH, _two_pools, probe=probe),
        Input(kind, "owned by a claim of no one", IGNORED, _of_claim("nobody"), probe=probe),
        Input(kind, "owned by another namespace's claim", IGNORED, _of_claim("good-g-1"),
              probe=probe),
    ]  # fmt: skip


def _two_pools(ground: Ground) -> Sequence[Step]:
    """The owner is a live pool that wants it; its label is that of the pool that claims ask."""
    spec = {"replicas": 1, "sandboxTemplateRef": {"name": "python"}}
    uid = f"{ground.namespace}-pool-b"
    theirs = owner(ground, name="pool-b", uid=uid)
    body = thing(ground, SANDBOX, sandbox_spec(), labels=LABELS, ownerReferences=[theirs])
    return [Store(thing(ground, POOL, spec, name="pool-b", uid=uid)), Send(SANDBOX, body, READY)]


def _of_claim(uid: str) -> Build:
    return _forged(_one(kind=CLAIM.kind, name="g-1", uid=uid))


def inputs() -> list[Input]:
    """All of them."""
    return [*forged_owners(), *labels()]
