"""A pool's member after its adoption, whole: what went, what came, what stayed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from warmclaim.api.claim import Claim
from warmclaim.api.names import name_hash
from warmclaim.api.pool import Pool
from warmclaim.api.resources import CLAIM
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.domain.blueprint import blueprint_of, member_sandbox
from warmclaim.domain.patches import reservation_patch
from warmclaim.testing.builders import a_claim, a_pool, a_template, an_owner, as_view
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import json_patch

CREATED_BY = "agents.x-k8s.io/created-by"
LAUNCH_TYPE = "agents.x-k8s.io/launch-type"
POD_NAME = "agents.x-k8s.io/pod-name"
EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
OWN: Json = {"labels": {"app": "x"}, "annotations": {"note": "y"}}


def a_member() -> Json:
    template = as_view(
        a_template("python", merge={"spec": {"podTemplate": {"metadata": OWN}, "service": True}}),
        Template,
    )
    pool = as_view(a_pool("web"), Pool)
    body: Json = copy.deepcopy(member_sandbox(pool, blueprint_of(template), "web-1"))
    body["metadata"] |= {"uid": "web-1-uid", "resourceVersion": "1"}
    return body


def adopted(before: Json, *, keeps_eviction_mark: bool = False, **claim: Any) -> Json:
    """The member after the reservation of claim "c"."""
    view, asking = as_view(before, Sandbox), as_view(a_claim("c", merge=claim), Claim)
    operations = reservation_patch(view, asking, keeps_eviction_mark=keeps_eviction_mark)
    after: Json = json_patch(before, [dict(operation) for operation in operations])
    return after


def test_its_metadata() -> None:
    assert adopted(a_member())["metadata"] == {
        "name": "web-1",
        "namespace": "default",
        "uid": "web-1-uid",
        "resourceVersion": "1",
        "labels": {
            "agents.x-k8s.io/launch-type": "warm",
            "agents.x-k8s.io/claim-uid": "c-uid",
            "agents.x-k8s.io/sandbox-template-ref-hash": name_hash("python"),
        },
        "annotations": {
            "agents.x-k8s.io/sandbox-template-ref": "python",
            "agents.x-k8s.io/pod-name": "web-1",
        },
        "ownerReferences": [an_owner(CLAIM, "c")],
    }


def test_its_spec_but_for_the_pods_metadata_is_as_it_was() -> None:
    before = a_member()
    after = adopted(before)["spec"]
    assert after["podTemplate"]["metadata"] == {
        "labels": {
            "app": "x",
            "agents.x-k8s.io/claim-uid": "c-uid",
            "agents.x-k8s.io/sandbox-template-ref-hash": name_hash("python"),
        },
        "annotations": {"note": "y"},
    }
    kept = copy.deepcopy(before["spec"])
    del kept["podTemplate"]["metadata"], after["podTemplate"]["metadata"]
    assert after == kept


@pytest.mark.parametrize("creator", ["go-client", "somebody"])
def test_the_claims_creator_replaces_the_pools(creator: str) -> None:
    after = adopted(a_member(), metadata={"labels": {CREATED_BY: creator}})
    assert after["metadata"]["labels"][CREATED_BY] == creator
    assert after["spec"]["podTemplate"]["metadata"]["labels"][CREATED_BY] == creator


@pytest.mark.parametrize("tracked", ["another", None])
def test_the_tracked_pod_is_the_one_of_its_name(tracked: str | None) -> None:
    before = a_member()
    before["metadata"]["annotations"] = {POD_NAME: tracked} if tracked else {}
    assert adopted(before)["metadata"]["annotations"][POD_NAME] == "web-1"


def test_the_launch_type_becomes_warm() -> None:
    before = a_member()
    del before["metadata"]["labels"][LAUNCH_TYPE]
    assert adopted(before)["metadata"]["labels"][LAUNCH_TYPE] == "warm"


def test_an_eviction_mark_of_the_template_or_of_the_claim_stays() -> None:
    def mark_of(after: Json) -> object:
        return after["spec"]["podTemplate"]["metadata"]["annotations"].get(EVICT)

    asked: Json = {"additionalPodMetadata": {"annotations": {EVICT: "true"}}}
    assert mark_of(adopted(a_member())) is None
    assert mark_of(adopted(a_member(), keeps_eviction_mark=True)) == "true"
    assert mark_of(adopted(a_member(), spec=asked)) == "true"
