"""What is noted about a claim that was served, decided without a clock or a server."""

from __future__ import annotations

import pytest

from warmclaim.api import names
from warmclaim.api.claim import Claim
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.timestamps import rfc3339_nano, seconds_of
from warmclaim.domain.claim_marks import (
    FirstTimes,
    claim_marks,
    is_only_noted,
    launch_mark,
    observed_since_s,
)
from warmclaim.testing.builders import a_claim, a_sandbox, as_view

SEEN, READY, TRACE = (
    names.ANNOTATION_CONTROLLER_OBSERVED,
    names.ANNOTATION_FIRST_READY,
    names.ANNOTATION_TRACE_CONTEXT,
)
KEY = names.ASSIGNED_SANDBOX
TIMES = FirstTimes(1_800_000_000.0, 1_800_000_000.25)
NOTED = {SEEN: "2027-01-15T08:00:00Z", READY: "2027-01-15T08:00:00.25Z"}


def claim(annotations: dict[str, str] | None = None, labels: dict[str, str] | None = None) -> Claim:
    marks = {"annotations": annotations or {}, "labels": labels or {}}
    return as_view(a_claim("c", sandbox="w1", merge={"metadata": marks}), Claim)


class TestTimes:
    @pytest.mark.parametrize(
        ("there", "times", "added"),
        [
            ({}, TIMES, NOTED),
            (NOTED, TIMES, {}),
            ({SEEN: "earlier"}, TIMES, {READY: NOTED[READY]}),
            ({READY: "unknown"}, TIMES, {SEEN: NOTED[SEEN]}),
            ({}, FirstTimes(), {READY: "unknown"}),
            ({SEEN: "earlier"}, FirstTimes(), {READY: "unknown"}),
            ({READY: "unknown"}, FirstTimes(), {}),
            ({}, None, {}),
        ],
        ids=["none", "all", "seen", "ready", "before", "before, seen", "before, all", "off"],
    )
    def test_what_is_missing_is_added(
        self, there: dict[str, str], times: FirstTimes | None, added: dict[str, str]
    ) -> None:
        assert claim_marks(claim(there), times) == ({"annotations": added} if added else {})

    def test_the_trace_goes_along_and_one_that_is_there_stays(self) -> None:
        times = FirstTimes(TIMES.seen_s, TIMES.ready_s, trace_context='{"traceparent":"00"}')
        assert claim_marks(claim(), times) == {
            "annotations": {**NOTED, TRACE: '{"traceparent":"00"}'}
        }
        assert claim_marks(claim({TRACE: "{}"}), times) == {"annotations": NOTED}

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0.0, "1970-01-01T00:00:00Z"),
            (0.5, "1970-01-01T00:00:00.5Z"),
            (1_800_000_000.000125, "2027-01-15T08:00:00.000125Z"),
            (-1.0, "1970-01-01T00:00:00Z"),
            (1e18, "9999-12-31T23:59:59Z"),
        ],
    )
    def test_a_time_has_the_fraction_that_there_is(self, seconds: float, text: str) -> None:
        assert rfc3339_nano(seconds) == text


class TestAssignment:
    @pytest.mark.parametrize(
        ("annotation", "label", "changes"),
        [
            ("", "", {}),
            ("w1", "", {}),
            ("w2", "", {"annotations": {KEY: None}}),
            ("", "w2", {"labels": {KEY: None}}),
            ("", "w1", {"annotations": {KEY: "w1"}, "labels": {KEY: None}}),
            ("w1", "w2", {"labels": {KEY: None}}),
            ("w2", "w1", {"annotations": {KEY: "w1"}, "labels": {KEY: None}}),
            ("../x", "", {"annotations": {KEY: None}}),
        ],
    )
    def test_what_did_not_come_true_goes_and_the_label_becomes_an_annotation(
        self, annotation: str, label: str, changes: dict[str, dict[str, str | None]]
    ) -> None:
        noted = {KEY: annotation} if annotation else {}
        old = {KEY: label} if label else {}
        assert claim_marks(claim(noted, old), None) == changes

    def test_it_goes_in_the_patch_of_the_times(self) -> None:
        assert claim_marks(claim({KEY: "w2"}), TIMES) == {"annotations": {**NOTED, KEY: None}}


class TestLaunchType:
    @pytest.mark.parametrize(
        ("name", "annotation", "label", "launch"),
        [
            ("w1", "", "", "warm"),
            ("c", "", "", "cold"),
            ("c", "c", "", "warm"),
            ("c", "", "c", "warm"),
            ("c", "w2", "", "cold"),
        ],
    )
    def test_a_sandbox_without_one_gets_it(
        self, name: str, annotation: str, label: str, launch: str
    ) -> None:
        sandbox = as_view(a_sandbox(name, claim="c"), Sandbox)
        noted = {KEY: annotation} if annotation else {}
        old = {KEY: label} if label else {}
        assert launch_mark(claim(noted, old), sandbox) == launch

    @pytest.mark.parametrize("there", ["warm", "cold", "", "odd"])
    def test_one_that_is_there_stays(self, there: str) -> None:
        labels = {"metadata": {"labels": {names.LABEL_LAUNCH_TYPE: there}}}
        sandbox = as_view(a_sandbox("w1", claim="c", merge=labels), Sandbox)
        assert launch_mark(claim(), sandbox) is None


class TestObservedSince:
    """The claim was made at 2026-01-01T00:00:00Z and is seen here ten seconds later."""

    @pytest.mark.parametrize(
        ("noted", "since"),
        [
            ("2026-01-01T01:00:02.5+01:00", 2.5),
            ("2026-01-01T00:00:10Z", 10),
            ("2026-01-01T00:00:11Z", 10),
            ("2025-12-31T23:59:59Z", 10),
            ("1970-01-01T00:00:00Z", 10),
            ("soon", 10),
            ("", 10),
        ],
    )
    def test_an_earlier_controllers_word_counts_where_it_can_be_true(
        self, noted: str, since: float
    ) -> None:
        made_s = seconds_of("2026-01-01T00:00:00Z")
        assert made_s is not None
        assert observed_since_s(claim({SEEN: noted}), made_s + 10) == made_s + since


class TestNews:
    @pytest.mark.parametrize("notes", [NOTED, {TRACE: "{}"}, {}], ids=["times", "trace", "none"])
    def test_notes_are_none(self, notes: dict[str, str]) -> None:
        mine = {"mine": "x"}
        old = as_view(a_claim("c", merge={"metadata": {"annotations": mine}}), Claim)
        merge = {"metadata": {"annotations": {**mine, **notes}, "resourceVersion": "9"}}
        assert is_only_noted(old, as_view(a_claim("c", merge=merge), Claim))

    @pytest.mark.parametrize(
        "merge",
        [
            {"metadata": {"annotations": {KEY: "w1"}}},
            {"metadata": {"annotations": {**NOTED, KEY: "w1"}}},
            {"metadata": {"labels": {"a": "b"}}},
            {"metadata": {"generation": 7}},
            {"metadata": {"uid": "another"}},
            {"metadata": {"deletionTimestamp": "2027-01-15T08:00:00Z"}},
            {"metadata": {"finalizers": ["x"]}},
            {"spec": {"warmPoolRef": {"name": "other"}}},
            {"status": {"sandbox": {"name": "w1"}}},
        ],
        ids=lambda merge: str(merge),
    )
    def test_all_else_is(self, merge: dict[str, object]) -> None:
        old = as_view(a_claim("c"), Claim)
        assert not is_only_noted(old, as_view(a_claim("c", merge=merge), Claim))
