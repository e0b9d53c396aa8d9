"""What the template controller does, right by right."""

from __future__ import annotations

from functools import partial
from typing import Any

from e2e.least.behaviour import Behaviour, Case, nothing
from e2e.least.rights import Right, right
from e2e.least.scene import Scene

from warmclaim.api.event import EVENT
from warmclaim.api.names import LABEL_TEMPLATE_REF
from warmclaim.api.resources import NETWORK_POLICY, TEMPLATE, Resource
from warmclaim.app.needs import Part
from warmclaim.domain.network_policy import policy_name
from warmclaim.kube.permissions import Permission
from warmclaim.loadtest.objects import TEMPLATES

POLICIES = "networkpolicies"


def _policy(s: Scene, name: str) -> None:
    s.template(name)
    s.wait("policy", lambda: s.there(POLICIES, policy_name(name)))


def _alien_policy(s: Scene, name: str) -> None:
    meta = {"name": policy_name(name)}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    s.api.create(s.path(POLICIES), {**kind, "metadata": meta, "spec": {"podSelector": {}}})


def _alien_told_once(s: Scene, name: str) -> None:
    """By one look and no more: the template's label is there before it wants a policy."""
    _alien_policy(s, name)
    s.template(name, networkPolicyManagement="Unmanaged")
    s.wait("the label", lambda: _labelled(s, name))
    s.change(TEMPLATES, name, {"spec": {"networkPolicyManagement": "Managed"}})
    s.wait("the alien told", lambda: s.told(name, "NetworkPolicyNotControlled"))


def _labelled(s: Scene, name: str) -> str | None:
    labels = s.find(TEMPLATES, name)["metadata"].get("labels", {})
    return None if LABEL_TEMPLATE_REF in labels else f"template {name} without its hash"


def _closed(s: Scene, name: str) -> str | None:
    spec = s.find(POLICIES, policy_name(name)).get("spec", {})
    return "the policy lets traffic in" if spec.get("ingress") else None


def _rules(s: Scene, name: str, **rules: object) -> None:
    s.change(TEMPLATES, name, {"spec": {"networkPolicy": rules}})


HASH_NOTED = Behaviour(nothing, lambda s, n: s.template(n), _labelled)
POLICY_MADE = Behaviour(
    nothing, lambda s, n: s.template(n), lambda s, n: s.there(POLICIES, policy_name(n))
)
POLICY_CLOSED = Behaviour(_policy, lambda s, n: _rules(s, n, ingress=[]), _closed)
POLICY_REMOVED = Behaviour(
    _policy,
    lambda s, n: s.change(TEMPLATES, n, {"spec": {"networkPolicyManagement": "Unmanaged"}}),
    lambda s, n: s.gone(POLICIES, policy_name(n)),
)
POLICY_BACK = Behaviour(
    _policy, lambda s, n: s.delete(POLICIES, policy_name(n)), POLICY_MADE.lacking
)
REFUSAL_TOLD = Behaviour(
    _policy,
    lambda s, n: _rules(s, n, ingress=[{"from": [{"ipBlock": {"cidr": "everywhere"}}]}]),
    lambda s, n: s.told(n, "NetworkPolicyFailed", word="everywhere"),
)
ALIEN_TOLD = Behaviour(
    _alien_policy,
    lambda s, n: s.template(n),
    lambda s, n: s.told(n, "NetworkPolicyNotControlled"),
)
ALIEN_COUNTED = Behaviour(
    _alien_told_once,
    lambda s, n: s.change(TEMPLATES, n, {"metadata": {"annotations": {"example.com/edit": "1"}}}),
    lambda s, n: s.told(n, "NetworkPolicyNotControlled", count=2),
)


def _may(verb: str, kind: Resource[Any], subresource: str = "") -> Right:
    return right(Part.TEMPLATES, verb, kind, subresource)


_case = partial(Case, Part.TEMPLATES)


TEMPLATE_CASES = (
    _case(ALIEN_TOLD, _may("create", EVENT), is_tried_again=False, shuts=True),
    _case(ALIEN_COUNTED, _may("patch", EVENT), is_tried_again=False, shuts=True),
    _case(HASH_NOTED, _may("patch", TEMPLATE)),
    _case(POLICY_MADE, _may("create", NETWORK_POLICY)),
    _case(POLICY_CLOSED, _may("patch", NETWORK_POLICY)),
    _case(POLICY_REMOVED, _may("delete", NETWORK_POLICY)),
    _case(REFUSAL_TOLD, _may("get", NETWORK_POLICY), is_tried_again=False),
    _case(
        POLICY_MADE,
        right(Part.OWNERS, "update", TEMPLATE, "finalizers"),
        refused=Permission("create", str(NETWORK_POLICY)),
        is_tried_again=False,
    ),
)
TEMPLATE_READS = (
    _case(HASH_NOTED, _may("watch", TEMPLATE)),
    _case(POLICY_BACK, _may("watch", NETWORK_POLICY)),
)
