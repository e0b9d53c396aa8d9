"""Sandboxes that want to pass for sealed members: forged owners, copied seals, edits, odd texts.

For a manager with the seal on, and pools that have a genuine member each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.hostile.inputs import (
    Build,
    Change,
    Effect,
    Ground,
    Input,
    Send,
    Step,
    Store,
    claim_spec,
    member_refused,
    thing,
)
from tests.hostile.sandbox_owners import GENUINE, LABELS, READY, Owners, owner

from warmclaim.api.names import ANNOTATION_SEAL, LABEL_TEMPLATE_HASH
from warmclaim.api.resources import CLAIM, SANDBOX
from warmclaim.domain.reservation import member_name
from warmclaim.testing.json_values import Json

UNSEALED = member_refused("unsealed")
KIND = "seals"
CLAIMANT = "probe"
_EVIL: Json = {"podTemplate": {"spec": {"containers": [{"name": "c", "image": "evil.example/1"}]}}}


def member(ground: Ground) -> str:
    """The genuine one."""
    return member_name("pool", ground.pool_uid, 0)


def _forged(owners: Owners, annotations: Mapping[str, str] | None = None) -> Build:
    """One of somebody's own, which says that it is Ready."""

    def build(ground: Ground) -> Sequence[Step]:
        body = thing(
            ground,
            SANDBOX,
            _EVIL,
            labels=LABELS,
            ownerReferences=owners(ground),
            annotations=dict(annotations or {}),
        )
        return [Send(SANDBOX, body, READY)]

    return build


def _bearing(seal: str) -> Build:
    return _forged(lambda ground: [owner(ground)], {ANNOTATION_SEAL: seal})


_SEALS = {
    "empty": "",
    "zeros": "0" * 64,
    "not hex": "z" * 64,
    "upper case": "A" * 64,
    "a null": "\x00" * 64,
    "other letters": "\u0660" * 64,
    "half": "0" * 32,
    "a list": '["0"]',
    "huge": "0" * 100_000,
}


def _edited(spec: Json, *, name: str = "") -> Build:
    def build(ground: Ground) -> Sequence[Step]:
        return [Change(SANDBOX, name or member(ground), {"spec": spec})]

    return build


_EDITS: dict[str, Json] = {
    "image": _EVIL,
    "host network": {"podTemplate": {"spec": {"hostNetwork": True}}},
    "host path": {"podTemplate": {"spec": {"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}}},
    "service account": {"podTemplate": {"spec": {"serviceAccountName": "admin"}}},
    "empty pod label": {"podTemplate": {"metadata": {"labels": {"open": ""}}}},
    "empty node label": {"podTemplate": {"spec": {"nodeSelector": {"control-plane": ""}}}},
    "an end": {"shutdownTime": "2099-01-01T00:00:00Z"},
    "suspended": {"operatingMode": "Suspended"},
}


def _without_seal(ground: Ground) -> Sequence[Step]:
    gone = {"metadata": {"annotations": {ANNOTATION_SEAL: None}}}
    return [Change(SANDBOX, member(ground), gone)]


def _said_to_be_newer(ground: Ground) -> Sequence[Step]:
    """Staleness believes the label; the seal covers it."""
    label = {"metadata": {"labels": {LABEL_TEMPLATE_HASH: "00000000"}}}
    return [Change(SANDBOX, member(ground), label)]


def _edited_and_put_back(ground: Ground) -> Sequence[Step]:
    there: Json = {"podTemplate": {"metadata": {"labels": {"open": "yes"}}}}
    back: Json = {"podTemplate": {"metadata": {"labels": {"open": None}}}}
    return [Change(SANDBOX, member(ground), {"spec": spec}) for spec in (there, back)]


def _stored_past(ground: Ground) -> Sequence[Step]:
    """A whole genuine look, under an older schema, without a generation."""
    owners = [owner(ground)]
    body = thing(ground, SANDBOX, _EVIL, labels=LABELS, ownerReferences=owners)
    return [Store({**body, "status": READY})]


def inputs() -> list[Input]:
    """All of them. The claim behind each gets the genuine member, or one of its own."""
    rows: list[tuple[str, Effect, Build]] = [
        (name, UNSEALED, _forged(owners)) for name, owners in GENUINE.items()
    ]
    rows += [(f"seal: {name}", UNSEALED, _bearing(seal)) for name, seal in _SEALS.items()]
    rows += [(f"edited: {name}", UNSEALED, _edited(spec)) for name, spec in _EDITS.items()]
    rows += [
        ("seal removed", UNSEALED, _without_seal),
        ("label of a newer template", UNSEALED, _said_to_be_newer),
        ("edited and put back", UNSEALED, _edited_and_put_back),
        ("past the schema", UNSEALED, _stored_past),
    ]
    return [Input(KIND, id_, effect, _then_claimed(build)) for id_, effect, build in rows]


def _then_claimed(build: Build) -> Build:
    """With a claim right behind it."""

    def steps(ground: Ground) -> Sequence[Step]:
        claim = thing(ground, CLAIM, claim_spec(), name=CLAIMANT)
        return [*build(ground), Send(CLAIM, claim)]

    return steps
