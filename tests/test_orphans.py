"""Which sandboxes without an owner a pool may take in."""

from __future__ import annotations

from typing import Any

import pytest

from warmclaim.api import names
from warmclaim.api.pool import Pool
from warmclaim.api.resources import CLAIM
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.domain.blueprint import blueprint_of, member_sandbox
from warmclaim.domain.orphans import mark_of, why_left_alone
from warmclaim.domain.reservation import member_name
from warmclaim.testing.builders import a_pool, a_template, an_owner, as_view
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import merge_patch

POOL = as_view(a_pool(), Pool)
BLUEPRINT = blueprint_of(as_view(a_template(), Template))
NAME = member_name("pool", "pool-uid", 7)


def an_orphan(name: str = NAME, merge: Json | None = None) -> Json:
    """A member as the pool makes it, which has lost its owner."""
    value = member_sandbox(POOL, BLUEPRINT, name)
    value["metadata"] |= {"uid": "1", "resourceVersion": "5", "ownerReferences": []}
    value["spec"] |= {"operatingMode": "Running", "shutdownPolicy": "Retain"}
    merged: Json = merge_patch(value, merge or {})
    return merged


def left_alone(value: Json, pool: Pool = POOL) -> str | None:
    return why_left_alone(as_view(value, Sandbox), pool, BLUEPRINT)


def metadata(**part: Any) -> Json:
    return {"metadata": part}


@pytest.mark.parametrize(
    "value",
    [
        an_orphan(),
        an_orphan("pool-x7k2p"),
        an_orphan(merge=metadata(labels={names.LABEL_LAUNCH_TYPE: None})),
        an_orphan(merge=metadata(labels={names.LABEL_CREATED_BY: None})),
        an_orphan(merge=metadata(labels={names.LABEL_TEMPLATE_HASH: "of-another-program"})),
        an_orphan(merge=metadata(annotations={names.ANNOTATION_TRACE_CONTEXT: "{}"})),
    ],
    ids=["ours", "generated name", "no launch type", "no creator", "other hash", "traced"],
)
def test_what_a_pool_would_make_is_taken_in(value: Json) -> None:
    assert left_alone(value) is None


def test_a_generated_name_is_cut_as_the_server_cuts_it() -> None:
    long = "p" * 70
    pool = as_view(a_pool(long), Pool)
    for stem, is_its in ((long[:58], True), (long[:57], False), (f"{long[:57]}-", False)):
        value = an_orphan(f"{stem}abcde")
        assert (left_alone(value, pool) is None) is is_its


@pytest.mark.parametrize(
    "name",
    ["forged", "pool", "pool-", "pool-abc", "pool-abcdef", "pool-ABCDE", "other-abcde",
     "xpool-abcde", member_name("pool", "of-an-older-one", 7), member_name("other", "pool-uid", 7)],
)  # fmt: skip
def test_a_name_that_the_pool_does_not_give(name: str) -> None:
    assert left_alone(an_orphan(name)) == "its name is none of this pool's"


@pytest.mark.parametrize(
    "merge",
    [
        metadata(labels={names.LABEL_CLAIM_UID: "claim-uid"}),
        metadata(labels={names.LABEL_CLAIM_UID: ""}),
        metadata(labels={names.LABEL_LAUNCH_TYPE: names.COLD}),
        metadata(labels={names.LABEL_CREATED_BY: "python-client"}),
        metadata(annotations={names.ANNOTATION_CLAIM_METADATA: "{}"}),
        {"spec": {"podTemplate": {"metadata": {"labels": {names.LABEL_CLAIM_UID: "u"}}}}},
    ],
    ids=["uid", "empty uid", "launched cold", "a client's", "metadata of a claim", "in its pod"],
)
def test_any_trace_of_a_claim(merge: Json) -> None:
    assert left_alone(an_orphan(merge=merge)) == "a claim has had it"


def test_an_owner_that_is_not_in_control() -> None:
    owner = {**an_owner(CLAIM, "other"), "controller": False}
    value = an_orphan(merge=metadata(ownerReferences=[owner]))
    assert left_alone(value) == "it has other owners"


@pytest.mark.parametrize(
    "spec", [{"operatingMode": "Suspended"}, {"shutdownTime": "2030-01-01T00:00:00Z"}]
)
def test_what_does_not_run_or_not_for_long(spec: Json) -> None:
    assert left_alone(an_orphan(merge={"spec": spec})) is not None


@pytest.mark.parametrize(
    "merge",
    [
        {"spec": {"podTemplate": {"spec": {"containers": [{"name": "c", "image": "evil"}]}}}},
        {"spec": {"podTemplate": {"spec": {"hostNetwork": True}}}},
        {"spec": {"service": True}},
        metadata(labels={names.LABEL_TEMPLATE_REF: "another"}),
        metadata(labels={names.LABEL_TEMPLATE_REF: None}),
    ],
    ids=["image", "host network", "service", "other template", "no template"],
)
def test_another_blueprint_whatever_its_label_says(merge: Json) -> None:
    value = an_orphan(merge=merge)
    assert value["metadata"]["labels"][names.LABEL_TEMPLATE_HASH] == BLUEPRINT.hash
    assert left_alone(value) == "it was made from another blueprint"


def test_only_what_is_nobodys_is_an_orphan() -> None:
    assert mark_of(as_view(an_orphan(), Sandbox)) == names.name_hash("pool")
    for merge in (
        metadata(ownerReferences=[an_owner(CLAIM, "c")]),
        metadata(deletionTimestamp="2026-01-01T00:00:00Z"),
        metadata(labels={names.LABEL_WARM_POOL: None}),
    ):
        assert mark_of(as_view(an_orphan(merge=merge), Sandbox)) is None
