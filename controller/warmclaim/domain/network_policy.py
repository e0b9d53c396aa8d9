"""The NetworkPolicy of a template: what it must be, and what to do about the one that is there.

Without rules of its own a template's pods can be reached by the sandbox router alone, and reach
the public internet alone: no private range, and so no cluster DNS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import msgspec

from warmclaim.api import names
from warmclaim.api.meta import OwnerReference
from warmclaim.api.network_policy import NetworkPolicy
from warmclaim.api.template import Template
from warmclaim.domain.owners import owner_reference

_NAME_SUFFIX: Final = "-network-policy"
_ROUTER: Final = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "agent-sandbox-system"}},
    "podSelector": {"matchLabels": {"app": "sandbox-router"}},
}
_PRIVATE_V4: Final = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"]
_PRIVATE_V6: Final = ["fc00::/7", "fe80::/10"]
_INTERNET: Final = [
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": _PRIVATE_V4}},
    {"ipBlock": {"cidr": "::/0", "except": _PRIVATE_V6}},
]


class _Rules(msgspec.Struct):
    """spec.networkPolicy of a template. A direction without rules is closed."""

    ingress: list[dict[str, Any]] | None = None
    egress: list[dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class CreatePolicy:
    """Make the policy, with this body."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReplaceSpec:
    """Give the policy this spec; it is the template's own."""

    policy: NetworkPolicy
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeletePolicy:
    """Remove the policy; it is the template's own and no longer wanted."""

    policy: NetworkPolicy


@dataclass(frozen=True, slots=True)
class NotControlled:
    """Somebody else's policy has the name: it is left alone, and the template's pods have none."""

    policy: NetworkPolicy


@dataclass(frozen=True, slots=True)
class PolicySettled:
    """The policy is as it should be."""


PolicyDecision: TypeAlias = (
    CreatePolicy | ReplaceSpec | DeletePolicy | NotControlled | PolicySettled
)


def policy_name(name: str) -> str:
    """Name of a template's policy (and of the one that older versions made for each claim)."""
    return name + _NAME_SUFFIX


def decide_policy(template: Template, policy: NetworkPolicy | None) -> PolicyDecision:
    """What to do, given the policy that has the template's name.

    Raises msgspec.ValidationError where the template's rules have a shape that its schema forbids.
    """
    is_own = policy is not None and _is_controlled_by(template, policy)
    if template.spec.network_policy_management == "Unmanaged":
        return DeletePolicy(policy) if policy is not None and is_own else PolicySettled()
    if policy is not None and not is_own:
        return NotControlled(policy)
    spec = _wanted_spec(template)
    if policy is None:
        return CreatePolicy(_body(template, spec))
    is_same = _canonical(msgspec.json.decode(policy.spec)) == _canonical(spec)
    return PolicySettled() if is_same else ReplaceSpec(policy, spec)


def is_legacy(policy: NetworkPolicy) -> bool:
    """Whether an older version made it for one claim: a template's policy replaces those."""
    owner = policy.metadata.controlled_by("SandboxClaim", names.EXTENSIONS_GROUP)
    return owner is not None and policy.metadata.name == policy_name(owner.name)


def owning_template(policy: NetworkPolicy) -> OwnerReference | None:
    """The controlling owner, if it claims to be a template. Its uid is still to be compared."""
    return policy.metadata.controlled_by("SandboxTemplate", names.EXTENSIONS_GROUP)


def _is_controlled_by(template: Template, policy: NetworkPolicy) -> bool:
    owner = owning_template(policy)
    return owner is not None and owner.uid == template.metadata.uid


def _wanted_spec(template: Template) -> dict[str, Any]:
    own = template.spec.own_network_policy
    if own is None:
        ingress, egress = [{"from": [_ROUTER]}], [{"to": _INTERNET}]
    else:
        rules = msgspec.json.decode(own, type=_Rules)
        ingress, egress = rules.ingress or [], rules.egress or []
    hashed = names.name_hash(template.metadata.name)
    return {
        "podSelector": {"matchLabels": {names.LABEL_TEMPLATE_REF: hashed}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    }


def _body(template: Template, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = template.metadata
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": policy_name(metadata.name),
            "namespace": metadata.namespace,
            "ownerReferences": [owner_reference(template)],
        },
        "spec": spec,
    }


def _canonical(value: Any, member: str = "") -> Any:
    """The same for specs that mean the same: a missing list is an empty one, and the server fills
    in the protocol of a port. An empty selector stays: it selects everything, a missing one
    nothing."""
    if isinstance(value, list):
        return [_canonical(item, member) for item in cast(Sequence[Any], value)]
    if not isinstance(value, dict):
        return value
    found = cast(Mapping[str, Any], value)
    members = {name: _canonical(part, name) for name, part in found.items()}
    kept = {name: part for name, part in members.items() if not _is_nothing(name, part)}
    return {"protocol": "TCP", **kept} if member == "ports" else kept


def _is_nothing(name: str, value: Any) -> bool:
    return value is None or value == [] or (name == "matchLabels" and value == {})
