"""Which labels and annotations a claim may add to its pod."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmclaim.api.claim import Claim, PodMetadata
from warmclaim.api.names import ANNOTATION_TRACE_CONTEXT
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.domain.blueprint import blueprint_of, cold_sandbox
from warmclaim.domain.pod_metadata import (
    BYTES_MAX,
    DEFAULT_LABEL_DOMAINS,
    parse_label_domains,
    why_conflicting,
    why_invalid,
)
from warmclaim.domain.sandbox_pod import is_reserved, pod_for
from warmclaim.testing.builders import a_claim, a_template, as_view

DOMAIN = "sandbox.users.io"


def labels(**given: str) -> PodMetadata:
    return PodMetadata(labels={key.replace("__", "/"): value for key, value in given.items()})


def why(extra: PodMetadata, domains: frozenset[str] = DEFAULT_LABEL_DOMAINS) -> str:
    return why_invalid(extra, domains) or ""


@pytest.mark.parametrize(
    "key", [f"{DOMAIN}/team", f"a.b.{DOMAIN}/t", f"{DOMAIN}/A_b.c-1", f"{DOMAIN}/x"]
)
@pytest.mark.parametrize("value", ["", "x", "A-b_c.9", "y" * 63])
def test_labels_of_the_operators_domains_are_allowed(key: str, value: str) -> None:
    assert why(PodMetadata(labels={key: value})) == ""


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("team", "domain must be"),
        ("app", "domain must be"),
        (f"x{DOMAIN}/team", "domain must be"),
        ("example.com/team", "domain must be"),
        ("agents.x-k8s.io/claim-uid", "domain must be"),
        ("users.io/team", "domain must be"),
        (f"{DOMAIN}/", "qualified name"),
        ("", "qualified name"),
        (f"{DOMAIN}/-x", "qualified name"),
        (f"{DOMAIN}/{'x' * 64}", "qualified name"),
        (f"{DOMAIN}/a b", "qualified name"),
        (f"a/b/{DOMAIN}", "no domain name"),
        ("/x", "no domain name"),
        (f"-{DOMAIN}/x", "no domain name"),
        (f"{DOMAIN.upper()}/x", "no domain name"),
        (f"{'a.' * 127}{DOMAIN}/x", "no domain name"),
    ],
)
def test_other_labels_are_not(key: str, said: str) -> None:
    text = why(PodMetadata(labels={key: "x"}))
    assert text.startswith("failed to validate label ")
    assert said in text


@pytest.mark.parametrize("value", ["-x", "x-", "a b", "y" * 64, "ü", "a/b", "a\nb"])
def test_values_must_be_label_values(value: str) -> None:
    assert "is no label value" in why(PodMetadata(labels={f"{DOMAIN}/x": value}))


@pytest.mark.parametrize("key", ["app", "APP", "App"])
@pytest.mark.parametrize("value", ["sandbox-router", "Sandbox-Router"])
def test_nobody_passes_for_the_router(key: str, value: str) -> None:
    open_to_all = frozenset({""})  # even where the operator allows labels without a domain
    assert "router" in why(PodMetadata(labels={key: value}), open_to_all)
    assert why(PodMetadata(labels={key: "x"}), open_to_all) == ""


@pytest.mark.parametrize(
    "key", ["note", "example.com/note", "cluster-autoscaler.kubernetes.io/safe-to-evict"]
)
def test_annotations_are_free_but_for_reserved_domains(key: str) -> None:
    assert why(PodMetadata(annotations={key: "any text\nat all"})) == ""


@pytest.mark.parametrize(
    "key",
    [
        "kubernetes.io/x",
        "a.kubernetes.io/x",
        "k8s.io/x",
        "node.alpha.k8s.io/x",
        "agents.x-k8s.io/pod-name",
        "extensions.agents.x-k8s.io/x",
        "api.agents.x-k8s.io/x",
        "cluster-autoscaler.kubernetes.io/other",
    ],
)
def test_reserved_annotations_are_refused(key: str) -> None:
    assert "is reserved" in why(PodMetadata(annotations={key: "x"}))


def test_size_is_bounded_and_what_is_said_of_it_too() -> None:
    assert "bytes" in why(PodMetadata(annotations={"x": "y" * BYTES_MAX}))
    assert len(why(PodMetadata(labels={"k" * 200_000: "x"}))) < 400


def test_the_first_key_in_order_is_told() -> None:
    extra = PodMetadata(labels={"b": "x", "a": "x"})
    assert why(extra).startswith('failed to validate label "a"')


@pytest.mark.parametrize(
    ("text", "domains"),
    [
        ("", {DOMAIN}),
        (" \n,", {DOMAIN}),
        ("a.io", {"a.io"}),
        ("A.io, b.io\nc.io\n", {"a.io", "b.io", "c.io"}),
    ],
)
def test_the_operators_file(text: str, domains: set[str]) -> None:
    assert parse_label_domains(text) == domains


def test_the_template_has_the_last_word() -> None:
    extra = PodMetadata(labels={"x/a": "1", "x/b": "2"}, annotations={"n": "1"})
    assert why_conflicting(extra, {}) is None
    assert why_conflicting(extra, {"labels": {"x/a": "1"}, "annotations": {"m": "2"}}) is None
    assert why_conflicting(extra, {"labels": {"x/b": "3"}}) == (
        'metadata override conflict: label "x/b" is defined in template with value "3", '
        'but claim requests "2"'
    )
    assert 'annotation "n"' in str(why_conflicting(extra, {"annotations": {"n": "2"}}))


@given(st.dictionaries(st.text(), st.text()), st.dictionaries(st.text(), st.text()))
def test_any_text_is_judged_in_one_short_line(some: dict[str, str], others: dict[str, str]) -> None:
    text = why(PodMetadata(labels=some, annotations=others))
    assert len(text) < 1500
    assert text.isprintable()


_DOMAINS = (
    *(DOMAIN, f"a.{DOMAIN}", "agents.x-k8s.io", "extensions.agents.x-k8s.io"),
    *("kubernetes.io", "k8s.io", "opentelemetry.io", "cluster-autoscaler.kubernetes.io"),
)
_NAMES = (
    *("team", "claim-uid", "sandbox-name-hash", "warm-pool-sandbox", "pod-name"),
    *("propagated-labels", "trace-context", "safe-to-evict"),
)
KEYS = st.one_of(
    st.builds("{}/{}".format, st.sampled_from(_DOMAINS), st.sampled_from(_NAMES)),
    st.sampled_from(["app", "name", ANNOTATION_TRACE_CONTEXT]),
    st.text(max_size=20),
)
VALUES = st.one_of(st.sampled_from(["x", "", "sandbox-router"]), st.text(max_size=10))


@given(st.dictionaries(KEYS, VALUES), st.dictionaries(KEYS, VALUES))
def test_g9_no_key_that_is_let_through_touches_what_is_reserved(
    asked: dict[str, str], noted: dict[str, str]
) -> None:
    """What reaches the pod of a claim's own sandbox, key by key."""
    let_labels = {key: value for key, value in asked.items() if not why(PodMetadata({key: value}))}
    let_notes = {
        key: value for key, value in noted.items() if not why(PodMetadata(annotations={key: value}))
    }
    plain, given_pod = pod_metadata({}, {}), pod_metadata(let_labels, let_notes)
    for part, extra in (("labels", let_labels), ("annotations", let_notes)):
        before, after = plain.get(part, {}), given_pod.get(part, {})
        lists = {key for key in after if key.endswith(("/propagated-labels", "-annotations"))}
        assert {key: after[key] for key in after if is_reserved(key) and key not in lists} == before
        free = {key: value for key, value in extra.items() if key != ANNOTATION_TRACE_CONTEXT}
        assert after == before | free | {key: after[key] for key in lists}
    assert all(key.partition("/")[0].endswith(DOMAIN) for key in let_labels)


def pod_metadata(labels: dict[str, str], annotations: dict[str, str]) -> dict[str, Any]:
    """The metadata of the pod of a claim that asks for these."""
    template = as_view(a_template(), Template)
    extra = {"labels": labels, "annotations": annotations}
    claim = a_claim(merge={"spec": {"additionalPodMetadata": extra}})
    body = cold_sandbox(as_view(claim, Claim), blueprint_of(template), template)
    metadata: dict[str, Any] = pod_for(as_view(body, Sandbox))["metadata"]
    return metadata
