"""The Pod that a Sandbox asks for."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sandbox_objects import (
    CLAIM,
    DEPLOYMENT,
    NAME_HASH,
    POOL,
    UID,
    a_pod,
    a_sandbox,
    owner,
    sandbox_owner,
)

from warmclaim.api.names import name_hash
from warmclaim.domain.sandbox_children import is_controlled_by
from warmclaim.domain.sandbox_pod import normalised_created_by, pod_for

TRACKING = {"agents.x-k8s.io/sandbox-name-hash": NAME_HASH}
EXTENSION_LABELS = {
    "agents.x-k8s.io/warm-pool-sandbox": "p00l",
    "agents.x-k8s.io/sandbox-template-ref-hash": "t3mp",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "811c9dc5"),
        ("a", "e40c292c"),
        ("foobar", "bf9cf968"),
        ("sb", NAME_HASH),
        ("ä", "199de0e2"),
        ("sandbox-633", "004575dd"),
    ],
)
def test_a_name_hash_is_fnv_1a_with_8_hex_digits(text: str, expected: str) -> None:
    assert name_hash(text) == expected


def test_a_plain_sandbox_gets_a_pod_of_its_name() -> None:
    template = {"spec": {"containers": [{"name": "main", "image": "busybox"}], "hostname": "h"}}
    assert pod_for(a_sandbox(template=template)) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "sb",
            "namespace": "default",
            "labels": TRACKING,
            "ownerReferences": [
                {
                    "apiVersion": "agents.x-k8s.io/v1beta1",
                    "kind": "Sandbox",
                    "name": "sb",
                    "uid": UID,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": template["spec"],
    }


def test_a_template_may_set_all_metadata_but_reserved_keys() -> None:
    template = {
        "metadata": {
            "labels": {
                "app": "x",
                "a.b/c": "d",
                "agents.x-k8s.io/sandbox-name-hash": "forged",
                "agents.x-k8s.io/claim-uid": "u",
                "extensions.agents.x-k8s.io/x": "y",
                "api.agents.x-k8s.io/z": "kept",
                "foo.agents.x-k8s.io/z": "kept",
                "opentelemetry.io/trace-context": "kept",
            },
            "annotations": {
                "note": "n",
                "agents.x-k8s.io/pod-name": "other",
                "extensions.agents.x-k8s.io/x": "y",
                "opentelemetry.io/trace-context": "{}",
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
            },
        },
        "spec": {},
    }
    meta = pod_for(a_sandbox(template=template))["metadata"]
    assert meta["labels"] == TRACKING | {
        "app": "x",
        "a.b/c": "d",
        "api.agents.x-k8s.io/z": "kept",
        "foo.agents.x-k8s.io/z": "kept",
        "opentelemetry.io/trace-context": "kept",
    }
    assert meta["annotations"] == {
        "note": "n",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
        "agents.x-k8s.io/propagated-labels": (
            "a.b/c,api.agents.x-k8s.io/z,app,foo.agents.x-k8s.io/z,opentelemetry.io/trace-context"
        ),
        "agents.x-k8s.io/propagated-annotations": (
            "cluster-autoscaler.kubernetes.io/safe-to-evict,note"
        ),
    }


def test_only_the_list_that_has_keys_is_recorded() -> None:
    template = {"metadata": {"labels": {"b": "1", "a": "2"}}, "spec": {}}
    annotations = pod_for(a_sandbox(template=template))["metadata"]["annotations"]
    assert annotations == {"agents.x-k8s.io/propagated-labels": "a,b"}


@pytest.mark.parametrize(
    ("owned_by", "labels", "expected"),
    [
        pytest.param(POOL, EXTENSION_LABELS, EXTENSION_LABELS, id="pool"),
        pytest.param(
            CLAIM,
            EXTENSION_LABELS,
            {"agents.x-k8s.io/sandbox-template-ref-hash": "t3mp"},
            id="claim",
        ),
        pytest.param(None, EXTENSION_LABELS, {}, id="nobody"),
        pytest.param(DEPLOYMENT, EXTENSION_LABELS, {}, id="stranger"),
        pytest.param(POOL, dict.fromkeys(EXTENSION_LABELS, ""), {}, id="empty"),
        pytest.param(
            ("SandboxWarmPool", "example.org/v1"), EXTENSION_LABELS, {}, id="namesake-kind"
        ),
    ],
)
def test_extension_labels_follow_the_controlling_owner(
    owned_by: Any, labels: dict[str, str], expected: dict[str, str]
) -> None:
    pod = pod_for(a_sandbox(owned_by=owned_by, labels=labels))
    assert pod["metadata"]["labels"] == TRACKING | expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("go-client", "go-client"),
        ("python-client", "python-client"),
        ("controller", "controller"),
        ("curl", "unknown"),
        ("", "unknown"),
    ],
)
def test_created_by_is_a_word_of_a_closed_set(value: str, expected: str) -> None:
    assert normalised_created_by(value) == expected
    pod = pod_for(a_sandbox(labels={"agents.x-k8s.io/created-by": value}))
    assert pod["metadata"]["labels"]["agents.x-k8s.io/created-by"] == expected


def test_volume_claim_templates_become_volumes_and_replace_namesakes() -> None:
    template: dict[str, Any] = {
        "spec": {"volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "data"}]}
    }
    claims = [{"metadata": {"name": "data"}, "spec": {}}, {"metadata": {"name": "x"}, "spec": {}}]
    pod = pod_for(a_sandbox(template=template, volumeClaimTemplates=claims))
    assert pod["spec"]["volumes"] == [
        {"name": "tmp", "emptyDir": {}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-sb"}},
        {"name": "x", "persistentVolumeClaim": {"claimName": "x-sb"}},
    ]


def test_two_pods_of_one_template_share_nothing() -> None:
    sandbox = a_sandbox()
    pod_for(sandbox)["spec"]["containers"].clear()
    assert pod_for(sandbox)["spec"]["containers"]


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(a_pod(), True, id="own"),
        pytest.param(
            a_pod(
                owned_by={
                    **sandbox_owner(),
                    "apiVersion": "agents.x-k8s.io/v1alpha1",
                }
            ),
            True,
            id="older-version",
        ),
        pytest.param(a_pod(owned_by=None), False, id="nobody"),
        pytest.param(a_pod(owned_by=sandbox_owner(uid="other")), False, id="namesake"),
        pytest.param(a_pod(owned_by=owner("Job", "batch/v1", uid=UID)), False, id="other-kind"),
        pytest.param(
            a_pod(owned_by=owner("Sandbox", "example.org/v1", uid=UID)), False, id="other-group"
        ),
        pytest.param(
            a_pod(owned_by={**sandbox_owner(), "controller": False}), False, id="not-controlling"
        ),
        pytest.param(a_pod(namespace="elsewhere"), False, id="other-namespace"),
    ],
)
def test_a_child_belongs_by_uid_kind_and_namespace(pod: Any, expected: bool) -> None:
    assert is_controlled_by(a_sandbox(), pod) is expected
