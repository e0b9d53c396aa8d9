"""What a pod's metadata must become when its sandbox changes: a table of before and after."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sandbox_objects import (
    CLAIM,
    DEPLOYMENT,
    POOL,
    TEMPLATE,
    TRACKING,
    UID,
    a_pod,
    a_sandbox,
    owner,
    sandbox_owner,
)

from warmclaim.api.pod import Pod
from warmclaim.domain.sandbox_pod import pod_change

P = "agents.x-k8s.io/"
LISTED_LABELS, LISTED_ANNOTATIONS = P + "propagated-labels", P + "propagated-annotations"
POOL_LABEL, TEMPLATE_LABEL = P + "warm-pool-sandbox", P + "sandbox-template-ref-hash"
CREATED_BY = P + "created-by"
MARKS = {POOL_LABEL: "p00l", TEMPLATE_LABEL: "t3mp"}
EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"


def change(
    *,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    template: dict[str, Any] | None = None,
    owned_by: tuple[str, str] | None = None,
    marks: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The change of a pod that has these, besides the tracking label; without its uid."""
    pod = a_pod(labels={**TRACKING, **(labels or {})}, annotations=annotations)
    body = {"metadata": template or {}, **TEMPLATE}
    found = pod_change(a_sandbox(template=body, owned_by=owned_by, labels=marks), pod)
    assert found.pop("uid", None) == ("sb-pod" if found else None)
    return found


@pytest.mark.parametrize(
    ("pod", "template", "expected"),
    [
        pytest.param({}, {}, {}, id="nothing"),
        pytest.param(
            {"labels": {"mine": "1"}, "annotations": {"note": "1"}}, {}, {}, id="others-stay"
        ),
        pytest.param(
            {},
            {"labels": {"a": "1"}, "annotations": {"b": "2"}},
            {
                "labels": {"a": "1"},
                "annotations": {"b": "2", LISTED_LABELS: "a", LISTED_ANNOTATIONS: "b"},
            },
            id="new-keys",
        ),
        pytest.param(
            {"labels": {"a": "1"}, "annotations": {LISTED_LABELS: "a"}},
            {"labels": {"a": "1"}},
            {},
            id="as-it-should-be",
        ),
        pytest.param(
            {"labels": {"a": "0"}, "annotations": {LISTED_LABELS: "a"}},
            {"labels": {"a": "1"}},
            {"labels": {"a": "1"}},
            id="another-value",
        ),
        pytest.param(
            {"labels": {"a": "1", "b": "1"}, "annotations": {LISTED_LABELS: "a,b"}},
            {"labels": {"b": "1"}},
            {"labels": {"a": None}, "annotations": {LISTED_LABELS: "b"}},
            id="one-left-the-template",
        ),
        pytest.param(
            {"labels": {"a": "1"}, "annotations": {LISTED_LABELS: "a"}},
            {},
            {"labels": {"a": None}, "annotations": {LISTED_LABELS: ""}},
            id="the-last-one-left-and-an-empty-list-stays",
        ),
        pytest.param(
            {"annotations": {EVICT: "true", LISTED_ANNOTATIONS: EVICT}},
            {},
            {"annotations": {EVICT: None, LISTED_ANNOTATIONS: ""}},
            id="an-annotation-left",
        ),
        pytest.param(
            {"annotations": {LISTED_LABELS: "", LISTED_ANNOTATIONS: ""}}, {}, {}, id="empty-lists"
        ),
        pytest.param(
            {"labels": {"a": "1"}},
            {"labels": {"a": "1"}},
            {"annotations": {LISTED_LABELS: "a"}},
            id="same-value-and-no-list",
        ),
        pytest.param(
            {"annotations": {LISTED_LABELS: "gone"}},
            {},
            {"annotations": {LISTED_LABELS: ""}},
            id="listed-and-not-there",
        ),
        pytest.param(
            {},
            {
                "labels": {P + "claim-uid": "u", "extensions." + P + "x": "1"},
                "annotations": {"opentelemetry.io/trace-context": "{}", P + "pod-name": "x"},
            },
            {},
            id="reserved-keys-never-come",
        ),
        pytest.param(
            {},
            {"labels": {"api." + P + "x": "1"}},
            {"labels": {"api." + P + "x": "1"}, "annotations": {LISTED_LABELS: "api." + P + "x"}},
            id="a-longer-prefix-is-not-reserved",
        ),
        pytest.param(
            {
                "labels": {P + "claim-uid": "u"},
                "annotations": {LISTED_LABELS: f"{P}claim-uid,{P}sandbox-name-hash"},
            },
            {},
            {"labels": {P + "claim-uid": None}, "annotations": {LISTED_LABELS: ""}},
            id="reserved-keys-in-the-list-are-scrubbed-but-the-tracking-label",
        ),
        pytest.param(
            {"annotations": {LISTED_ANNOTATIONS: f"{LISTED_LABELS},{LISTED_ANNOTATIONS},"}},
            {},
            {"annotations": {LISTED_ANNOTATIONS: ""}},
            id="the-lists-never-remove-themselves",
        ),
    ],
)
def test_what_comes_from_the_template(
    pod: dict[str, Any], template: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert change(**pod, template=template) == expected


@pytest.mark.parametrize(
    ("owned_by", "marks", "pod", "expected"),
    [
        pytest.param(POOL, MARKS, {}, MARKS, id="pool-gets-both"),
        pytest.param(POOL, MARKS, MARKS, {}, id="pool-has-both"),
        pytest.param(CLAIM, MARKS, {}, {TEMPLATE_LABEL: "t3mp"}, id="claim-gets-the-template's"),
        pytest.param(
            CLAIM,
            {TEMPLATE_LABEL: "t3mp"},
            MARKS,
            {POOL_LABEL: None},
            id="adopted-loses-the-pool's",
        ),
        pytest.param(None, MARKS, MARKS, dict.fromkeys(MARKS), id="owned-by-nobody-loses-both"),
        pytest.param(
            DEPLOYMENT, MARKS, MARKS, dict.fromkeys(MARKS), id="owned-by-another-group-loses-both"
        ),
        pytest.param(POOL, {POOL_LABEL: ""}, MARKS, dict.fromkeys(MARKS), id="empty-is-none"),
        pytest.param(None, {CREATED_BY: "go-client"}, {}, {CREATED_BY: "go-client"}, id="creator"),
        pytest.param(None, {CREATED_BY: "me"}, {}, {CREATED_BY: "unknown"}, id="unknown-creator"),
        pytest.param(
            None, {}, {CREATED_BY: "controller"}, {CREATED_BY: None}, id="creator-removed"
        ),
        pytest.param(
            None,
            {CREATED_BY: "python-client"},
            {CREATED_BY: "controller"},
            {CREATED_BY: "python-client"},
            id="creator-changed",
        ),
    ],
)
def test_what_comes_from_the_sandbox(
    owned_by: Any, marks: dict[str, str], pod: dict[str, str], expected: dict[str, Any]
) -> None:
    found = change(labels=pod, owned_by=owned_by, marks=marks)
    assert found == ({"labels": expected} if expected else {})


def test_the_tracking_label_comes_back() -> None:
    assert pod_change(a_sandbox(), a_pod(labels={})) == {"uid": "sb-pod", "labels": TRACKING}


def test_a_takeover_is_tied_to_the_version_that_was_seen_and_keeps_other_owners() -> None:
    other = owner("ConfigMap", "v1", uid="c-uid") | {"controller": False}
    found = pod_change(a_sandbox(), a_pod(owned_by=other))
    assert found["resourceVersion"] == "20"
    assert [entry["uid"] for entry in found["ownerReferences"]] == ["c-uid", UID]
    assert found["ownerReferences"][1] == sandbox_owner()


def test_a_second_reference_to_the_sandbox_is_not_made() -> None:
    idle = sandbox_owner() | {"controller": False}
    found = pod_change(a_sandbox(), a_pod(owned_by=idle))
    assert found["ownerReferences"] == [sandbox_owner()]


def test_of_a_malformed_template_nothing_is_taken_and_nothing_removed() -> None:
    pod = a_pod(labels={**TRACKING, "a": "1"}, annotations={LISTED_LABELS: "a"})
    assert pod_change(a_sandbox(template={"metadata": {"labels": []}}), pod) == {}
    unlabelled: Pod = a_pod(labels={"a": "1"}, annotations={LISTED_LABELS: "a"})
    found = pod_change(a_sandbox(template={"metadata": {"labels": []}}), unlabelled)
    assert found["labels"] == TRACKING
