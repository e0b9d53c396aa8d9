"""The policies of config/components/tenant-guard name what api/names.py has, and one list of users.

What they refuse is tested on a real API server: e2e/test_tenant_guard.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from warmclaim.api import names

GUARD = Path(__file__).resolve().parent.parent / "config" / "components" / "tenant-guard"
OBJECTS: list[dict[str, Any]] = [
    yaml.safe_load(path.read_text())
    for path in sorted(GUARD.glob("*.yaml"))
    if path.name != "kustomization.yaml"
]
POLICIES = [one for one in OBJECTS if one["kind"] == "ValidatingAdmissionPolicy"]
BINDINGS = [one for one in OBJECTS if one["kind"] == "ValidatingAdmissionPolicyBinding"]
USERS_MAY = {
    names.LABEL_ADOPTABLE,
    names.ANNOTATION_CLIENT_REQUESTED,
    names.ANNOTATION_WEBHOOK_OBSERVED,
    names.ANNOTATION_TRACE_CONTEXT,
    names.ANNOTATION_SAFE_TO_EVICT,
}
"""Of clients, of users, or, in a pod template, of whoever wrote that."""


def test_every_mark_of_the_api_is_a_controllers_or_open_to_users() -> None:
    (marks,) = (one for one in POLICIES if one["metadata"]["name"].endswith("-marks"))
    text = str(marks["spec"]["variables"])
    guarded = set(re.findall(r"agents\.x-k8s\.io/[a-z-]+(?=')", text))
    known = {
        value
        for name, value in vars(names).items()
        if name.startswith(("LABEL_", "ANNOTATION_", "ASSIGNED_"))
    }
    own = {key for key in known if key.startswith(f"{names.EXTENSIONS_GROUP}/")}
    assert f"startsWith('{names.EXTENSIONS_GROUP}/')" in text
    assert guarded == known - own - USERS_MAY
    assert known >= USERS_MAY


def test_created_by_is_a_clients_on_claims_and_a_controllers_on_sandboxes() -> None:
    (marks,) = (one for one in POLICIES if one["metadata"]["name"].endswith("-marks"))
    (of_kind,) = (v for v in marks["spec"]["variables"] if v["name"] == "ofTheKind")
    kinds = dict(re.findall(r"'(\w+)': \[([^]]*)\]", of_kind["expression"]))
    assert names.LABEL_CREATED_BY in kinds["sandboxes"]
    assert names.LABEL_CREATED_BY not in kinds["sandboxclaims"]
    assert set(kinds) == {"sandboxes", "sandboxclaims", "sandboxtemplates"}


@pytest.mark.parametrize("policy", POLICIES, ids=lambda one: one["metadata"]["name"])
def test_each_policy_is_bound_and_fails_closed(policy: dict[str, Any]) -> None:
    bound = [one for one in BINDINGS if one["spec"]["policyName"] == policy["metadata"]["name"]]
    assert bound
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert all(rule["reason"] == "Forbidden" for rule in policy["spec"]["validations"])
    assert all(rule["messageExpression"] for rule in policy["spec"]["validations"])
    for binding in (one["spec"] for one in bound):
        assert binding["validationActions"] == ["Deny"]
        assert ("paramRef" in binding) == ("paramKind" in policy["spec"])


def test_all_of_them_ask_one_list_and_nobody_passes_without_it() -> None:
    (listed,) = (one["metadata"] for one in OBJECTS if one["kind"] == "ConfigMap")
    where = {"name": listed["name"], "namespace": listed["namespace"]}
    asked = [one["spec"]["paramRef"] for one in BINDINGS if "paramRef" in one["spec"]]
    assert len(asked) == 4
    assert all(one == where | {"parameterNotFoundAction": "Deny"} for one in asked)
    (open_to_all,) = (one for one in POLICIES if "paramKind" not in one["spec"])
    assert open_to_all["metadata"]["name"] == "agent-sandbox-blocked-deletion"
