"""The sandboxes that pools and claims make, whole: every label, annotation and owner."""

from __future__ import annotations

from typing import Any

import pytest

from warmclaim.api import names
from warmclaim.api.claim import Claim
from warmclaim.api.names import name_hash
from warmclaim.api.pool import Pool
from warmclaim.api.resources import CLAIM, POOL
from warmclaim.api.template import Template
from warmclaim.domain.blueprint import blueprint_of, cold_sandbox, member_sandbox
from warmclaim.testing.builders import a_claim, a_pool, a_template, an_owner, as_view
from warmclaim.testing.json_values import Json

EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
SAFE_DNS: Json = {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["8.8.8.8", "1.1.1.1"]}}


def template(**spec: Any) -> Template:
    return as_view(a_template("python", merge={"spec": spec}), Template)


def member(made_of: Template | None = None, *, is_evictable: bool = True) -> Json:
    blueprint = blueprint_of(made_of or template())
    pool = as_view(a_pool("web"), Pool)
    made: Json = member_sandbox(pool, blueprint, "web-1", is_evictable=is_evictable)
    return made


def cold(merge: Json | None = None, made_of: Template | None = None) -> Json:
    found = made_of or template()
    claim = as_view(a_claim("c", merge=merge or {}), Claim)
    made: Json = cold_sandbox(claim, blueprint_of(found), found)
    return made


def pod_metadata(made: Json) -> Json:
    found: Json = made["spec"]["podTemplate"]["metadata"]
    return found


class TestMember:
    def test_its_metadata(self) -> None:
        metadata = member()["metadata"]
        hashes = {key: metadata["labels"].pop(key) for key in HASHES}
        assert all(len(text) == 8 and int(text, 16) >= 0 for text in hashes.values())
        assert metadata == {
            "name": "web-1",
            "namespace": "default",
            "labels": {
                "agents.x-k8s.io/warm-pool-sandbox": name_hash("web"),
                "agents.x-k8s.io/sandbox-template-ref-hash": name_hash("python"),
                "agents.x-k8s.io/launch-type": "warm",
                "agents.x-k8s.io/created-by": "controller",
            },
            "annotations": {
                "agents.x-k8s.io/sandbox-template-ref": "python",
                "agents.x-k8s.io/pod-name": "web-1",
            },
            "ownerReferences": [an_owner(POOL, "web")],
        }

    def test_the_labels_of_its_pod_template(self) -> None:
        own = {"podTemplate": {"metadata": {"labels": {"app": "x"}}}}
        made = member(template(**own))
        marks = ("warm-pool-sandbox", "sandbox-template-ref-hash", *SHORT_HASHES)
        keys = [f"agents.x-k8s.io/{mark}" for mark in marks]
        labels = made["metadata"]["labels"]
        assert pod_metadata(made)["labels"] == {"app": "x", **{key: labels[key] for key in keys}}

    def test_its_spec_is_the_templates_and_leaves_the_rest_to_the_server(self) -> None:
        volumes = [{"metadata": {"name": "data"}, "spec": {}}]
        spec = member(template(volumeClaimTemplates=volumes, service=True))["spec"]
        assert set(spec) == {"podTemplate", "volumeClaimTemplates", "service"}
        assert (spec["volumeClaimTemplates"], spec["service"]) == (volumes, True)

    def test_its_pod_may_be_evicted_unless_the_flag_or_the_template_says_otherwise(self) -> None:
        assert pod_metadata(member())["annotations"] == {EVICT: "true"}
        assert "annotations" not in pod_metadata(member(is_evictable=False))
        own = template(podTemplate={"metadata": {"annotations": {EVICT: "false"}}})
        assert pod_metadata(member(own))["annotations"] == {EVICT: "false"}

    def test_the_template_hash_tells_blueprints_apart(self) -> None:
        image = {"containers": [{"name": "sandbox", "image": "other"}]}
        others = [template(service=False), template(podTemplate={"spec": image})]
        labels = [made["metadata"]["labels"] for made in (member(), *map(member, others))]
        assert len({one[names.LABEL_TEMPLATE_HASH] for one in labels}) == 3
        # The deprecated one is of the pod template alone.
        assert len({one[names.LABEL_POD_TEMPLATE_HASH] for one in labels}) == 2


SHORT_HASHES = ("sandbox-template-hash", "sandbox-pod-template-hash")
HASHES = tuple(f"agents.x-k8s.io/{short}" for short in SHORT_HASHES)


class TestCold:
    def test_its_metadata(self) -> None:
        assert cold()["metadata"] == {
            "name": "c",
            "namespace": "default",
            "labels": {
                "agents.x-k8s.io/claim-uid": "c-uid",
                "agents.x-k8s.io/sandbox-template-ref-hash": name_hash("python"),
                "agents.x-k8s.io/launch-type": "cold",
            },
            "annotations": {
                "agents.x-k8s.io/sandbox-template-ref": "python",
                "agents.x-k8s.io/pod-name": "c",
            },
            "ownerReferences": [an_owner(CLAIM, "c")],
        }

    def test_the_labels_of_its_pod_template(self) -> None:
        assert pod_metadata(cold())["labels"] == {
            "agents.x-k8s.io/claim-uid": "c-uid",
            "agents.x-k8s.io/sandbox-template-ref-hash": name_hash("python"),
        }
        assert EVICT not in pod_metadata(cold()).get("annotations", {})

    def test_the_claims_creator_is_copied_as_it_stands(self) -> None:
        key = "agents.x-k8s.io/created-by"
        made = cold({"metadata": {"labels": {key: "curl"}}})
        assert made["metadata"]["labels"][key] == "curl"
        assert pod_metadata(made)["labels"][key] == "curl"

    def test_the_trace_context_goes_with_it(self) -> None:
        key = "opentelemetry.io/trace-context"
        made = cold({"metadata": {"annotations": {key: '{"traceparent":"00-1-1-01"}'}}})
        assert made["metadata"]["annotations"][key] == '{"traceparent":"00-1-1-01"}'

    def test_the_claims_lifetime_is_the_claims_alone(self) -> None:
        lifecycle = {"shutdownTime": "2030-01-01T00:00:00Z", "shutdownPolicy": "Delete"}
        assert set(cold({"spec": {"lifecycle": lifecycle}})["spec"]) == {"podTemplate"}


NO_TOKEN: Json = {"automountServiceAccountToken": False}
OPEN: Json = {"networkPolicy": {"egress": [{"ports": [{"port": 53}]}]}}
DEFAULTS: list[tuple[Json, Json, Json]] = [
    ({}, {}, {**NO_TOKEN, **SAFE_DNS}),
    (
        {"automountServiceAccountToken": True},
        {},
        {"automountServiceAccountToken": True, **SAFE_DNS},
    ),
    ({"dnsPolicy": "Default"}, {}, {**NO_TOKEN, "dnsPolicy": "Default"}),
    ({"dnsPolicy": ""}, {}, {**NO_TOKEN, **SAFE_DNS}),
    ({"dnsConfig": {"searches": ["x"]}}, {}, {**NO_TOKEN, **SAFE_DNS}),
    ({}, {"networkPolicyManagement": "Unmanaged"}, NO_TOKEN),
    ({}, OPEN, NO_TOKEN),
]


class TestSecureDefaults:
    @pytest.mark.parametrize("makes", ["pool", "claim"])
    @pytest.mark.parametrize(("pod", "spec", "expected"), DEFAULTS)
    def test_what_a_pod_gets(self, makes: str, pod: Json, spec: Json, expected: Json) -> None:
        found = template(podTemplate={"spec": pod}, **spec)
        made = member(found) if makes == "pool" else cold(made_of=found)
        pod_spec = made["spec"]["podTemplate"]["spec"]
        del pod_spec["containers"]
        assert pod_spec == expected
