"""Whether a pool's member was made from another blueprint than the template gives now.

By meaning, not by text: another program hashes the same blueprint differently, and the API server
writes quantities in its own way. So a hash that is equal says "same", and one that differs says
only "look". Metadata of the pod template never makes a member stale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec

from warmclaim.api import names
from warmclaim.api.memo import Memo
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.blueprint import Blueprint
from warmclaim.domain.quantity import quantity

# Where an empty object says something that a missing one does not.
_PRESENT_WHEN_EMPTY: Final = frozenset(
    ("emptyDir", "labelSelector", "podSelector", "namespaceSelector", "selector")
)
_MAPS_OF_QUANTITIES: Final = frozenset(("limits", "requests", "overhead", "capacity"))
_QUANTITIES: Final = frozenset(("sizeLimit", "divisor"))


class _PodTemplate(msgspec.Struct, frozen=True):
    spec: dict[str, Any] | None = None


class _Volume(msgspec.Struct, frozen=True):
    metadata: dict[str, Any] = {}
    spec: dict[str, Any] | None = None


_pods = msgspec.json.Decoder(_PodTemplate)
_volumes: msgspec.json.Decoder[list[_Volume] | None] = msgspec.json.Decoder(list[_Volume] | None)


def is_stale(member: Sandbox, blueprint: Blueprint) -> bool:
    """Whether `member` must be replaced under Recreate. O(1) for equal hashes; a blueprint is
    compared once, however many members share it. One that cannot be read is stale."""
    is_of_template = _is_of_template(member, blueprint)
    if is_of_template and member.metadata.labels.get(names.LABEL_TEMPLATE_HASH) == blueprint.hash:
        return False
    return not is_of_template or not _means_the_same(member, blueprint)


def is_made_from(sandbox: Sandbox, blueprint: Blueprint) -> bool:
    """Whether a sandbox that somebody may have written is what the blueprint makes: its label with
    a hash is not believed."""
    return _is_of_template(sandbox, blueprint) and _means_the_same(sandbox, blueprint)


def _is_of_template(sandbox: Sandbox, blueprint: Blueprint) -> bool:
    return sandbox.metadata.labels.get(names.LABEL_TEMPLATE_REF) == blueprint.template_ref_hash


def _means_the_same(sandbox: Sandbox, blueprint: Blueprint) -> bool:
    spec = sandbox.spec
    found = _meaning(bytes(spec.pod_template), bytes(spec.volume_claim_templates), spec.service)
    return found == meaning_of(blueprint)


def meaning_of(blueprint: Blueprint) -> bytes:
    """The same bytes for blueprints that mean the same."""
    spec = blueprint.spec
    return _meaning(
        msgspec.json.encode(spec["podTemplate"]),
        msgspec.json.encode(spec.get("volumeClaimTemplates", [])),
        spec.get("service"),
    )


def _read(pod_template: bytes, volumes: bytes, service: bool | None) -> bytes:
    try:
        pod, claims = _pods.decode(pod_template), _volumes.decode(volumes) or []
    except msgspec.ValidationError:
        return b""  # what no blueprint means
    named = [[claim.metadata.get("name", ""), _canonical(claim.spec)] for claim in claims]
    parts = [_canonical(pod.spec), named, service]
    return msgspec.json.encode(parts, order="deterministic")


_meaning = Memo(_read, entries_max=256, bytes_max=8 * 1024 * 1024)


def _canonical(value: Any, name: str = "") -> Any:
    """Without what is empty, with quantities as numbers."""
    if isinstance(value, list):
        return [_canonical(item) for item in cast(Sequence[Any], value)]
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        if name in _MAPS_OF_QUANTITIES:
            return {key: _amount(amount) for key, amount in found.items()}
        members = {key: _canonical(part, key) for key, part in found.items()}
        return {key: part for key, part in members.items() if _says_something(key, part)}
    return _amount(value) if name in _QUANTITIES else value


def _amount(value: object) -> object:
    amount = quantity(str(value))
    return value if amount is None else str(amount.normalize())


def _says_something(name: str, value: object) -> bool:
    if value == {}:
        return name in _PRESENT_WHEN_EMPTY
    return value is not None and value != [] and value != ""
