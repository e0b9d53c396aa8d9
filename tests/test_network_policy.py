"""What the NetworkPolicy of a template must be, and what is done about the one that is there."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from warmclaim.api.names import LABEL_TEMPLATE_REF, name_hash
from warmclaim.api.network_policy import NetworkPolicy
from warmclaim.api.resources import CLAIM, NETWORK_POLICY, POOL, TEMPLATE
from warmclaim.api.template import Template
from warmclaim.domain.network_policy import (
    CreatePolicy,
    DeletePolicy,
    NotControlled,
    PolicySettled,
    ReplaceSpec,
    decide_policy,
    is_legacy,
    policy_name,
)
from warmclaim.testing.builders import a_template, an_object, an_owner, as_view
from warmclaim.testing.json_values import Json

ROUTER = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "agent-sandbox-system"}},
    "podSelector": {"matchLabels": {"app": "sandbox-router"}},
}

PORT_80: Json = {"ports": [{"port": 80, "protocol": "TCP"}]}
ANY_POD: Json = {"podSelector": {}}
ALSO_ANY_POD: Json = {"podSelector": {"matchLabels": {}}}
ALL: Json = {}
RULES: list[tuple[Json, list[Json], list[Json]]] = [
    ({}, [], []),
    ({"ingress": [PORT_80]}, [PORT_80], []),
    ({"egress": [ALL]}, [], [ALL]),
    ({"ingress": None, "egress": []}, [], []),
]
SAME: list[tuple[Json, Json]] = [
    ({"ingress": []}, {"ingress": None, "egress": None}),
    ({"egress": [{"ports": [{"port": 80}]}]}, {"egress": [PORT_80]}),
    ({"ingress": [{"from": [ANY_POD]}]}, {"ingress": [{"from": [ALSO_ANY_POD]}]}),
]
DIFFERENT: list[tuple[Json, Json]] = [
    ({"ingress": [{"from": [ANY_POD]}]}, {"ingress": [{"from": [ALL]}]}),
    ({"ingress": [ALL]}, {"ingress": []}),
    ({"egress": [{"ports": [{"port": 80, "protocol": "UDP"}]}]}, {"egress": [PORT_80]}),
]


def template(**spec: Any) -> Template:
    return as_view(a_template("web", merge={"spec": spec}), Template)


def policy(spec: Json | None = None, *, owner: Json | None = None) -> NetworkPolicy:
    metadata = {"ownerReferences": [owner or an_owner(TEMPLATE, "web")]}
    name = policy_name("web")
    body = an_object(NETWORK_POLICY, name, merge={"metadata": metadata, "spec": spec or {}})
    return as_view(body, NetworkPolicy)


def wanted(**spec: Any) -> Json:
    """The spec of the policy that the template gets."""
    decision = decide_policy(template(**spec), None)
    assert isinstance(decision, CreatePolicy)
    made: Json = decision.body["spec"]
    return made


class TestWhatIsMade:
    def test_it_is_named_after_the_template_and_owned_by_it(self) -> None:
        decision = decide_policy(template(), None)
        assert isinstance(decision, CreatePolicy)
        metadata = decision.body["metadata"]
        assert metadata["name"] == "web-network-policy"
        assert metadata["ownerReferences"] == [an_owner(TEMPLATE, "web")]

    def test_it_selects_the_pods_of_the_template(self) -> None:
        spec = wanted()
        assert spec["podSelector"] == {"matchLabels": {LABEL_TEMPLATE_REF: name_hash("web")}}
        assert spec["policyTypes"] == ["Ingress", "Egress"]

    def test_without_rules_the_router_comes_in_and_only_the_internet_is_reached(self) -> None:
        spec = wanted()
        assert spec["ingress"] == [{"from": [ROUTER]}]
        ((v4, v6),) = [rule["to"] for rule in spec["egress"]]
        assert v4["ipBlock"] == {
            "cidr": "0.0.0.0/0",
            "except": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"],
        }
        assert v6["ipBlock"] == {"cidr": "::/0", "except": ["fc00::/7", "fe80::/10"]}

    @pytest.mark.parametrize(("rules", "ingress", "egress"), RULES)
    def test_rules_are_taken_as_they_are_and_a_missing_direction_is_closed(
        self, rules: Json, ingress: list[Json], egress: list[Json]
    ) -> None:
        value = a_template("web")
        value["spec"]["networkPolicy"] = rules
        decision = decide_policy(as_view(value, Template), None)
        assert isinstance(decision, CreatePolicy)
        spec = decision.body["spec"]
        assert (spec["ingress"], spec["egress"]) == (ingress, egress)

    @pytest.mark.parametrize("rules", [[], "x", {"ingress": {}}, {"egress": ["x"]}])
    def test_rules_of_an_odd_shape_are_refused(self, rules: Any) -> None:
        value = a_template("web")
        value["spec"]["networkPolicy"] = rules
        with pytest.raises(msgspec.ValidationError):
            decide_policy(as_view(value, Template), None)


class TestWhatIsThere:
    def test_the_same_is_left_alone(self) -> None:
        assert decide_policy(template(), policy(wanted())) == PolicySettled()

    def test_a_difference_is_written_over(self) -> None:
        found = policy({**wanted(), "egress": []})
        decision = decide_policy(template(), found)
        assert decision == ReplaceSpec(found, wanted())

    @pytest.mark.parametrize(("rules", "stored"), SAME)
    def test_what_means_the_same_is_the_same(self, rules: Json, stored: Json) -> None:
        found = policy({**wanted(networkPolicy=rules), **stored})
        assert decide_policy(template(networkPolicy=rules), found) == PolicySettled()

    @pytest.mark.parametrize(("rules", "stored"), DIFFERENT)
    def test_what_means_something_else_differs(self, rules: Json, stored: Json) -> None:
        found = policy({**wanted(networkPolicy=rules), **stored})
        assert isinstance(decide_policy(template(networkPolicy=rules), found), ReplaceSpec)

    @pytest.mark.parametrize(
        "owner",
        [
            an_owner(TEMPLATE, "web", uid="of-an-older-one"),
            an_owner(POOL, "web", uid="web-uid"),
            {**an_owner(TEMPLATE, "web"), "controller": False},
            {**an_owner(TEMPLATE, "web"), "apiVersion": "example.com/v1"},
        ],
    )
    def test_somebody_elses_is_left_alone(self, owner: Json) -> None:
        found = policy(owner=owner)
        assert decide_policy(template(), found) == NotControlled(found)
        unmanaged = template(networkPolicyManagement="Unmanaged")
        assert decide_policy(unmanaged, found) == PolicySettled()

    def test_an_owner_of_an_older_version_is_the_same_owner(self) -> None:
        older = an_owner(TEMPLATE, "web")
        older["apiVersion"] = "extensions.agents.x-k8s.io/v1alpha1"
        assert decide_policy(template(), policy(wanted(), owner=older)) == PolicySettled()

    def test_unmanaged_removes_the_own_one(self) -> None:
        unmanaged = template(networkPolicyManagement="Unmanaged")
        found = policy(wanted())
        assert decide_policy(unmanaged, found) == DeletePolicy(found)
        assert decide_policy(unmanaged, None) == PolicySettled()

    def test_nothing_that_was_given_is_changed(self) -> None:
        found, before = policy(wanted()), copy.deepcopy(wanted())
        decide_policy(template(), found)
        assert msgspec.json.decode(found.spec) == before


def test_a_policy_of_a_claim_is_of_an_older_version() -> None:
    assert is_legacy(policy(owner=an_owner(CLAIM, "web")))
    assert not is_legacy(policy(owner=an_owner(CLAIM, "other")))
    assert not is_legacy(policy(owner=an_owner(TEMPLATE, "web")))
    assert not is_legacy(policy(owner={**an_owner(CLAIM, "web"), "apiVersion": "apps/v1"}))
