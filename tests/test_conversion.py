"""v1alpha1 <-> v1beta1: the rules one by one, then both ways round for made-up objects."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmclaim.domain.conversion import (
    ANNOTATION_VOLUME_CLAIM_POLICY,
    JsonObject,
    convert,
    state_annotation,
)
from warmclaim.errors import ConversionError

CORE, EXTENSIONS = "agents.x-k8s.io", "extensions.agents.x-k8s.io"
GROUPS = {
    "Sandbox": CORE,
    "SandboxClaim": EXTENSIONS,
    "SandboxTemplate": EXTENSIONS,
    "SandboxWarmPool": EXTENSIONS,
}


def an_object(kind: str, version: str, **parts: Any) -> JsonObject:
    metadata = {"name": "x", "namespace": "ns", "uid": "u", **parts.pop("metadata", {})}
    api_version = f"{GROUPS[kind]}/{version}"
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


def alpha(kind: str, **parts: Any) -> JsonObject:
    return an_object(kind, "v1alpha1", **parts)


def beta(kind: str, **parts: Any) -> JsonObject:
    return an_object(kind, "v1beta1", **parts)


def up(value: JsonObject) -> JsonObject:
    return convert(value, f"{GROUPS[value['kind']]}/v1beta1")


def down(value: JsonObject) -> JsonObject:
    return convert(value, f"{GROUPS[value['kind']]}/v1alpha1")


def saved(value: JsonObject) -> Any:
    return json.loads(value["metadata"]["annotations"][state_annotation(value["kind"])])


class TestAnyKind:
    @pytest.mark.parametrize("kind", GROUPS)
    def test_the_whole_older_object_is_kept_on_the_way_up_and_stripped_on_the_way_down(
        self, kind: str
    ) -> None:
        older = alpha(kind, spec={"podTemplate": {}}, metadata={"annotations": {"a": "b"}})
        stored = up(older)
        assert saved(stored) == older
        assert stored["metadata"]["annotations"]["a"] == "b"
        assert down(stored)["metadata"] == older["metadata"]

    def test_a_state_that_was_kept_before_is_not_kept_within_the_new_one(self) -> None:
        name = state_annotation("SandboxWarmPool")
        older = alpha("SandboxWarmPool", metadata={"annotations": {name: "{}"}})
        assert "annotations" not in saved(up(older))["metadata"]

    def test_the_same_version_is_left_alone(self) -> None:
        value = beta("Sandbox", spec={"operatingMode": "Suspended"})
        assert up(value) is value

    @pytest.mark.parametrize(
        ("value", "wanted"),
        [
            (alpha("Sandbox"), "agents.x-k8s.io/v1"),
            (alpha("Sandbox"), "extensions.agents.x-k8s.io/v1beta1"),
            ({"apiVersion": "v1", "kind": "Pod"}, "v1"),
            ({**alpha("Sandbox"), "apiVersion": "agents.x-k8s.io/v2"}, "agents.x-k8s.io/v1beta1"),
            ({}, ""),
        ],
    )
    def test_what_is_not_ours_is_refused(self, value: JsonObject, wanted: str) -> None:
        with pytest.raises(ConversionError, match="no conversion of"):
            convert(value, wanted)

    @pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 5000, "\ud800", 7])
    @pytest.mark.parametrize("kind", GROUPS)
    def test_an_odd_state_counts_as_none(self, kind: str, text: Any) -> None:
        plain = beta(kind, spec={"warmPoolRef": {"name": "p"}})
        odd = copy.deepcopy(plain)
        odd["metadata"]["annotations"] = {state_annotation(kind): text}
        assert down(odd) == down(plain)

    @pytest.mark.parametrize("kind", GROUPS)
    @pytest.mark.parametrize("part", [None, [], "text", 5])
    def test_parts_of_an_unexpected_shape_do_no_harm(self, kind: str, part: Any) -> None:
        for value in (alpha(kind, spec=part, status=part), beta(kind, spec=part, status=part)):
            assert up(down(value))["spec"] == part


class TestSandbox:
    @pytest.mark.parametrize(
        ("replicas", "mode"), [(0, "Suspended"), (1, "Running"), (None, "Running")]
    )
    def test_replicas_are_the_operating_mode(self, replicas: int | None, mode: str) -> None:
        spec = {} if replicas is None else {"replicas": replicas}
        stored = up(alpha("Sandbox", spec=spec, status={"replicas": 1, "service": "s"}))
        assert stored["spec"] == {"operatingMode": mode}
        assert stored["status"] == {"service": "s"}
        assert down(stored)["spec"] == {"replicas": 0 if mode == "Suspended" else 1}

    def test_counted_replicas_come_back_from_the_state_else_from_the_mode(self) -> None:
        stored = up(alpha("Sandbox", spec={"replicas": 1}, status={"replicas": 0}))
        assert down(stored)["status"] == {"replicas": 0}
        for mode, replicas in (("Suspended", 0), ("Running", 1)):
            made = beta("Sandbox", spec={"operatingMode": mode}, status={"nodeName": "n"})
            assert down(made)["status"] == {"replicas": replicas}


class TestClaim:
    @pytest.mark.parametrize(
        ("warmpool", "sandbox", "pool"),
        [
            ("fast", "", "fast"),
            ("fast", "other-abcde", "fast"),
            ("default", "", "shadow-pool-t"),
            ("none", "", "shadow-pool-t"),
            ("", "", "shadow-pool-t"),
            (None, "", "shadow-pool-t"),
            ("default", "big-pool-abcde", "big-pool"),
            ("default", "plain", "plain"),
            ("default", "x", "shadow-pool-t"),
        ],
    )
    def test_the_pool_on_the_way_up(self, warmpool: str | None, sandbox: str, pool: str) -> None:
        spec: JsonObject = {"sandboxTemplateRef": {"name": "t"}, "env": []}
        if warmpool is not None:
            spec["warmpool"] = warmpool
        status = {"sandbox": {"name": sandbox}} if sandbox else {}
        older = alpha("SandboxClaim", spec=spec, status=status)
        stored = up(older)
        assert stored["spec"] == {"env": [], "warmPoolRef": {"name": pool}}
        assert down(stored) == older

    @pytest.mark.parametrize(
        ("pool", "template", "warmpool"), [("shadow-pool-t", "t", "default"), ("p", "p", "p")]
    )
    def test_the_template_of_a_newer_claim(self, pool: str, template: str, warmpool: str) -> None:
        spec: JsonObject = {"warmPoolRef": {"name": pool}, "volumeClaimTemplates": [{}]}
        assert down(beta("SandboxClaim", spec=spec))["spec"] == {
            "sandboxTemplateRef": {"name": template},
            "warmpool": warmpool,
        }

    def test_another_pool_given_meanwhile_replaces_the_saved_one(self) -> None:
        spec = {"sandboxTemplateRef": {"name": "t"}, "warmpool": "fast"}
        stored = up(alpha("SandboxClaim", spec=spec))
        stored["spec"]["warmPoolRef"] = {"name": "slow"}
        assert down(stored)["spec"] == {"sandboxTemplateRef": {"name": "t"}, "warmpool": "slow"}


class TestTemplate:
    @pytest.mark.parametrize("policy", ["Allowed", "Overrides"])
    def test_the_volume_claim_policy_goes_through_an_annotation(self, policy: str) -> None:
        newer = beta("SandboxTemplate", spec={"volumeClaimTemplatesPolicy": policy})
        older = down(newer)
        assert older["metadata"]["annotations"] == {ANNOTATION_VOLUME_CLAIM_POLICY: policy}
        assert older["spec"] == {}
        stored = up(older)
        assert stored["spec"] == newer["spec"]
        assert set(stored["metadata"]["annotations"]) == {state_annotation("SandboxTemplate")}

    def test_the_default_needs_no_annotation(self) -> None:
        older = down(beta("SandboxTemplate", spec={"volumeClaimTemplatesPolicy": "Disallowed"}))
        assert "annotations" not in older["metadata"]
        assert up(older)["spec"] == {}

    @pytest.mark.parametrize("policy", ["allowed", "", "Whatever" * 100])
    def test_an_invalid_annotation_is_refused(self, policy: str) -> None:
        annotations = {ANNOTATION_VOLUME_CLAIM_POLICY: policy}
        with pytest.raises(ConversionError, match="must be one of Disallowed") as told:
            up(alpha("SandboxTemplate", spec={}, metadata={"annotations": annotations}))
        assert len(str(told.value)) < 300


class TestPool:
    def test_what_the_older_version_requires_or_lacks(self) -> None:
        older = down(beta("SandboxWarmPool", spec={}, status={"observedGeneration": 3}))
        assert older["spec"] == {"replicas": 1}
        assert older["status"] == {}


NAMES = st.sampled_from(["a", "a-b", "t", "x", "shadow-pool-t", "pool-x1", "default", "none"])
OPEN = st.dictionaries(st.sampled_from(["podTemplate", "env", "lifecycle"]), st.integers())
ANNOTATIONS = st.dictionaries(st.sampled_from(["one", "two"]), st.text(max_size=3), min_size=1)
EMPTY: st.SearchStrategy[JsonObject] = st.builds(dict[str, Any])
METADATA = st.one_of(EMPTY, st.fixed_dictionaries({"annotations": ANNOTATIONS}))
NO_NAMES = ("default", "none")
REFERENCE = st.fixed_dictionaries({"name": NAMES})
CLAIM_STATUS = st.one_of(EMPTY, st.fixed_dictionaries({"sandbox": REFERENCE}))


@st.composite
def older_objects(draw: st.DrawFn) -> JsonObject:
    kind = draw(st.sampled_from(list(GROUPS)))
    spec: JsonObject = draw(OPEN)
    status: JsonObject = {}
    match kind:
        case "Sandbox":
            spec["replicas"] = draw(st.integers(0, 1))
            status = {"replicas": draw(st.integers(0, 1))}
        case "SandboxClaim":
            spec["sandboxTemplateRef"] = draw(REFERENCE)
            spec["warmpool"] = draw(st.one_of(NAMES, st.just("")))
            status = draw(CLAIM_STATUS)
        case _:
            spec["replicas"] = draw(st.integers(0, 3))
    return alpha(kind, spec=spec, status=status, metadata=draw(METADATA))


@st.composite
def newer_objects(draw: st.DrawFn) -> JsonObject:
    kind = draw(st.sampled_from(list(GROUPS)))
    spec: JsonObject = draw(OPEN)
    match kind:
        case "Sandbox":
            spec["operatingMode"] = draw(st.sampled_from(["Running", "Suspended"]))
        case "SandboxClaim":
            # A pool called "default" or "none" cannot be named in v1alpha1.
            spec["warmPoolRef"] = draw(REFERENCE.filter(lambda r: r["name"] not in NO_NAMES))
        case "SandboxTemplate":
            spec["volumeClaimTemplatesPolicy"] = draw(st.sampled_from(["Allowed", "Overrides"]))
        case _:
            spec["replicas"] = draw(st.integers(0, 3))
    return beta(kind, spec=spec, status={"conditions": draw(st.lists(st.integers()))})


class TestBothWays:
    @given(older_objects())
    def test_up_and_down_again_is_the_same_object(self, older: JsonObject) -> None:
        before = copy.deepcopy(older)
        assert down(up(older)) == before
        assert older == before

    @given(newer_objects())
    def test_down_and_up_again_differs_by_the_kept_state_alone(self, newer: JsonObject) -> None:
        before = copy.deepcopy(newer)
        again = up(down(newer))
        del again["metadata"]["annotations"]
        assert again == before
        assert newer == before

    @given(newer_objects())
    def test_an_older_client_that_writes_back_what_it_read_changes_nothing(
        self, newer: JsonObject
    ) -> None:
        once = up(down(newer))
        assert up(down(once)) == once
