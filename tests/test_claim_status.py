"""The status of a claim: order, what is forwarded, and what the claim controller says itself."""

from __future__ import annotations

import pytest

from warmclaim.api.claim import Claim
from warmclaim.api.conditions import FINISHED, READY, ClaimReason, find
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.claim_status import (
    expired_status,
    failed_status,
    mirrored_status,
    missing_status,
)
from warmclaim.testing.builders import a_claim, a_condition, a_sandbox, as_view
from warmclaim.testing.json_values import Json

NOW, MADE = "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"
ENDED = a_condition(FINISHED, reason="PodSucceeded")


def claim(*conditions: Json) -> Claim:
    status = {"status": {"conditions": list(conditions)}} if conditions else None
    return as_view(a_claim("c", sandbox="w1", merge=status), Claim)


def sandbox(*conditions: Json) -> Sandbox:
    merge = {"status": {"conditions": list(conditions)}}
    return as_view(a_sandbox("w1", claim="c", merge=merge), Sandbox)


def ready(since: str = MADE, reason: str = "DependenciesReady", status: str = "True") -> Json:
    return {**a_condition(READY, status, reason=reason), "lastTransitionTime": since}


class TestOrder:
    @pytest.mark.parametrize("theirs", [(ready(), ENDED), (ENDED, ready())])
    def test_conditions_stand_in_the_order_of_their_types(self, theirs: tuple[Json, ...]) -> None:
        shown = mirrored_status(claim(), sandbox(*theirs), NOW)
        assert [condition.type for condition in shown.conditions] == [FINISHED, READY]

    def test_what_another_controller_wrote_in_that_order_is_not_written_again(self) -> None:
        there = claim(ENDED, ready())
        assert mirrored_status(there, sandbox(ready(), ENDED), NOW) == there.status


class TestForwarded:
    def test_a_sandbox_that_expired_by_itself_is_said_in_the_claims_words(self) -> None:
        gone = ready(reason="SandboxExpired", status="False")
        shown = find(mirrored_status(claim(), sandbox(gone), NOW).conditions, READY)
        assert shown is not None
        assert (shown.status, shown.reason) == ("False", "SandboxExpired")
        text = "Underlying Sandbox resource has expired independently of the Claim."
        assert shown.message == text

    @pytest.mark.parametrize(
        ("since", "shown_since"),
        [
            ("2025-12-31T23:59:59Z", MADE),
            ("2026-01-01T00:00:01Z", "2026-01-01T00:00:01Z"),
            ("2026-01-01T05:00:00+06:00", MADE),
            ("2025-12-31T23:00:00-06:00", "2025-12-31T23:00:00-06:00"),
        ],
        ids=["before", "after", "before, east", "after, west"],
    )
    def test_the_claim_was_ready_no_earlier_than_made(self, since: str, shown_since: str) -> None:
        before = claim(ready(status="False", reason="SandboxNotReady"))
        shown = find(mirrored_status(before, sandbox(ready(since)), NOW).conditions, READY)
        assert shown is not None
        assert shown.last_transition_time == shown_since


class TestFinished:
    """The time to live after the end counts from it, so it must not outlive its sandbox."""

    def test_it_goes_with_the_sandbox(self) -> None:
        there = claim(ENDED, ready())
        assert find(missing_status(there, NOW).conditions, FINISHED) is None
        reason = ClaimReason.WARM_POOL_NOT_FOUND
        assert find(failed_status(there, reason, "no", NOW).conditions, FINISHED) is None

    def test_it_stays_where_the_claim_itself_has_expired(self) -> None:
        status = expired_status(claim(ENDED, ready()), "over", NOW, keeps_sandbox=False)
        assert find(status.conditions, FINISHED) is not None
