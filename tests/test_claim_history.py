"""The row of a claim that is gone: which facts make which row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from warmclaim.api.claim import Claim
from warmclaim.api.names import (
    ANNOTATION_CONTROLLER_OBSERVED,
    ANNOTATION_FIRST_READY,
    ANNOTATION_TEMPLATE_REF,
)
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.timestamps import rfc3339_nano, seconds_of
from warmclaim.domain.claim_history import (
    ClaimEnd,
    ClaimRow,
    ClaimWay,
    GivenSandbox,
    given_sandbox,
    history_row,
)
from warmclaim.testing.builders import T0, a_claim, a_condition, a_sandbox, as_view
from warmqueue import Depth

MADE_S = seconds_of(T0) or 0.0
GONE_S = MADE_S + 100
WAY = ClaimWay(
    seen_s=MADE_S + 0.25,
    picked_s=MADE_S + 0.5,
    reserved_s=MADE_S + 1,
    published_s=MADE_S + 2,
    ready_s=MADE_S + 2,
    attempts=3,
    conflicts=2,
    candidates_refused={"stale": 1},
    depth=Depth(10, 4, 3),
    given=GivenSandbox("w1", "n1", "python", "warm"),
)


def at_us(after_s: float) -> int:
    return round((MADE_S + after_s) * 1_000_000)


def a_row(claim: dict[str, Any], way: ClaimWay = WAY, gone_s: float = GONE_S) -> ClaimRow:
    return history_row(as_view(claim, Claim), way, gone_s, "1.2")


def unready(reason: str, **merge: Any) -> dict[str, Any]:
    """A claim whose Ready condition is not true, for that reason."""
    condition = a_condition("Ready", "False", reason=reason)
    return a_claim("c", merge={"status": {"conditions": [condition]}, **merge})


def ended(after_s: float) -> dict[str, Any]:
    """The condition of a claim whose pod ended so long after its birth."""
    since = rfc3339_nano(MADE_S + after_s)
    return {**a_condition("Finished", reason="PodSucceeded"), "lastTransitionTime": since}


def noted(**annotations: float) -> dict[str, Any]:
    """A claim that is Ready, with what another process noted on it, in seconds after its birth."""
    keys = {"seen": ANNOTATION_CONTROLLER_OBSERVED, "ready": ANNOTATION_FIRST_READY}
    texts = {keys[key]: rfc3339_nano(MADE_S + after) for key, after in annotations.items()}
    return a_claim("c", sandbox="w1", merge={"metadata": {"annotations": texts}})


def test_a_served_claim_has_every_fact_in_its_row() -> None:
    claim = a_claim("c", pool="web", sandbox="w1")
    claim["status"]["conditions"].append(ended(90))
    assert a_row(claim) == ClaimRow(
        uid="c-uid",
        namespace="default",
        name="c",
        pool="web",
        outcome=ClaimEnd.SERVED,
        reason="",
        template="python",
        sandbox="w1",
        node="n1",
        launch_type="warm",
        created_us=at_us(0),
        seen_us=at_us(0.25),
        picked_us=at_us(0.5),
        reserved_us=at_us(1),
        published_us=at_us(2),
        ready_us=at_us(2),
        finished_us=at_us(90),
        deleted_us=at_us(100),
        attempts=3,
        conflicts=2,
        candidates_refused={"stale": 1},
        pool_waiting=10,
        best_node_waiting=4,
        second_node_waiting=3,
        controller_version="1.2",
    )


NOT_SERVED = replace(WAY, ready_s=None)


@pytest.mark.parametrize(
    ("claim", "way", "outcome", "reason"),
    [
        pytest.param(a_claim(sandbox="w1"), WAY, "served", "", id="ready"),
        pytest.param(unready("PodFailed"), WAY, "served", "PodFailed", id="no longer ready"),
        pytest.param(unready("ClaimExpired"), WAY, "served", "ClaimExpired", id="served, expired"),
        pytest.param(unready("ClaimExpired"), NOT_SERVED, "expired", "ClaimExpired", id="expired"),
        pytest.param(
            unready("TemplateNotFound"), NOT_SERVED, "refused", "TemplateNotFound", id="refused"
        ),
        pytest.param(
            unready("AdoptionConflict"), NOT_SERVED, "abandoned", "AdoptionConflict", id="waits"
        ),
        pytest.param(
            unready("DependenciesNotReady"),
            NOT_SERVED,
            "abandoned",
            "DependenciesNotReady",
            id="its sandbox was not ready yet",
        ),
        pytest.param(a_claim(), ClaimWay(), "abandoned", "", id="nothing was said"),
        pytest.param(
            unready("PodFailed"), ClaimWay(was_ready=True), "served", "PodFailed", id="was ready"
        ),
        pytest.param(
            a_claim(sandbox="w1"), ClaimWay(), "served", "", id="ready, and nobody saw it become so"
        ),
        pytest.param(unready("x" * 999), NOT_SERVED, "abandoned", "x" * 128, id="a long reason"),
    ],
)
def test_how_a_claim_ended(claim: dict[str, Any], way: ClaimWay, outcome: str, reason: str) -> None:
    row = a_row(claim, way)
    assert (row.outcome, row.reason) == (outcome, reason)


TAKEN_OVER = ClaimWay(seen_s=MADE_S + 50, was_ready=True)


@pytest.mark.parametrize(
    ("claim", "way", "seen_after_s", "ready_after_s"),
    [
        pytest.param(noted(seen=1, ready=2), TAKEN_OVER, 1, 2, id="served by another process"),
        pytest.param(noted(), TAKEN_OVER, None, None, id="who noted nothing"),
        pytest.param(noted(seen=1, ready=2), WAY, 0.25, 2, id="served by this one"),
        pytest.param(
            noted(seen=1, ready=2),
            ClaimWay(seen_s=MADE_S + 50, ready_s=MADE_S + 60),
            1,
            2,
            id="not Ready at the take-over, and again later",
        ),
        pytest.param(
            noted(seen=-9, ready=-1), TAKEN_OVER, None, None, id="before it was made: not believed"
        ),
        pytest.param(
            noted(seen=300, ready=301), TAKEN_OVER, None, None, id="after it went: not believed"
        ),
        pytest.param(noted(seen=1), WAY, 0.25, 2, id="noted later than it was seen here"),
        pytest.param(noted(seen=1), ClaimWay(), None, None, id="nothing is known of it"),
    ],
)
def test_what_another_process_noted_fills_in(
    claim: dict[str, Any],
    way: ClaimWay,
    seen_after_s: float | None,
    ready_after_s: float | None,
) -> None:
    row = a_row(claim, way)
    assert row.seen_us == (None if seen_after_s is None else at_us(seen_after_s))
    assert row.ready_us == (None if ready_after_s is None else at_us(ready_after_s))


@pytest.mark.parametrize("after_s", [-1.0, 200.0])
def test_an_end_that_cannot_be_true_is_left_out(after_s: float) -> None:
    claim = a_claim(merge={"status": {"conditions": [ended(after_s)]}})
    assert a_row(claim).finished_us is None


def test_a_claim_that_is_not_finished_has_no_such_time() -> None:
    unfinished = a_condition("Finished", "False", reason="PodRunning")
    assert a_row(a_claim(merge={"status": {"conditions": [unfinished]}})).finished_us is None


def test_a_claim_that_was_never_seen_has_a_row_all_the_same() -> None:
    row = a_row(a_claim("c", sandbox="w1"), ClaimWay())
    assert (row.sandbox, row.node, row.launch_type) == ("w1", "", "")
    assert (row.seen_us, row.picked_us, row.attempts) == (None, None, 0)
    assert row.deleted_us == at_us(100)


def test_a_time_of_creation_that_is_none_is_zero() -> None:
    claim = a_claim(merge={"metadata": {"creationTimestamp": "yesterday"}})
    assert a_row(claim).created_us == 0


def test_what_is_told_of_a_sandbox_are_its_marks() -> None:
    annotations = {ANNOTATION_TEMPLATE_REF: "python"}
    warm = a_sandbox("w1", node="n2", merge={"metadata": {"annotations": annotations}})
    assert given_sandbox(as_view(warm, Sandbox)) == GivenSandbox("w1", "n2", "python", "warm")
    cold = a_sandbox("c", pool=None, claim="c", ready=False)
    assert given_sandbox(as_view(cold, Sandbox)) == GivenSandbox("c", "", "", "cold")
