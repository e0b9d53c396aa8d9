"""The demo's claim with a lifetime: what was seen of it, and what would be wrong."""

from __future__ import annotations

import json

import msgspec
import pytest
from tests.cli.demo_objects import a_result, a_sandbox_state

from warmclaim.api.claim import Claim
from warmclaim.api.resources import CLAIM
from warmclaim.domain.claim_expiry import expires_s
from warmclaim.testing.builders import an_object
from warmclaim.testing.demo.lifetime import Ending, Lifetime
from warmclaim.testing.demo.result import encoded
from warmclaim.testing.demo.scenario import EXPIRING, expiring_claim
from warmclaim.testing.json_values import Json

READY: Json = {"type": "Ready", "status": "True", "reason": "DependenciesReady"}
EXPIRED: Json = {"type": "Ready", "status": "False", "reason": "ClaimExpired"}
OWNED = a_sandbox_state("s", claim=EXPIRING)


def state(condition: Json, name: str = EXPIRING) -> Claim:
    status: Json = {"sandbox": {"name": "s"}, "conditions": [condition]}
    return msgspec.convert(an_object(CLAIM, name, merge={"status": status}), Claim)


def a_life(*, without: str = "") -> Lifetime:
    """One that ended as it should, but for what was not seen."""
    life = Lifetime()
    life.claim_sent(10.0)
    if without != "ready":
        life.saw_claim(state(READY), 9.0)
    if without != "expired":
        life.saw_claim(state(EXPIRED), 10.5)
    if without != "claim":
        life.saw_claim(state(EXPIRED), 11.0, is_gone=True)
    if without != "sandbox":
        life.saw_sandbox(OWNED, 11.25, is_gone=True)
    return life


def test_the_claim_says_when_it_ends() -> None:
    stored = an_object(CLAIM, EXPIRING, merge={"spec": expiring_claim(1_800_000_000)["spec"]})
    claim = msgspec.convert(stored, Claim)
    assert expires_s(claim) == 1_800_000_000
    assert claim.spec.lifecycle is not None
    assert claim.spec.lifecycle.shutdown_policy == "Delete"


def test_a_life_that_ended_well_is_told_from_its_shutdown_time() -> None:
    life = a_life()
    assert life.is_over
    assert life.problems() == []
    assert life.ending == Ending(500.0, 1000.0, 1250.0)


def test_a_claim_that_was_never_sent_is_no_problem() -> None:
    assert Lifetime().problems() == []
    assert Lifetime().ending is None


@pytest.mark.parametrize(
    ("without", "problem"),
    [
        ("ready", f"claim {EXPIRING} not served"),
        ("expired", f"claim {EXPIRING} did not say that it expired"),
        ("claim", f"claim {EXPIRING} is still there"),
        ("sandbox", f"the sandbox of claim {EXPIRING} is still there"),
    ],
)
def test_what_was_not_seen_is_a_problem(without: str, problem: str) -> None:
    life = a_life(without=without)
    assert life.problems() == [problem]
    assert life.is_over == (without in {"ready", "expired"})
    assert (life.ending is None) == (without != "ready")


def test_an_end_before_its_time_or_without_its_reason_is_a_problem() -> None:
    early = Lifetime()
    early.claim_sent(10.0)
    early.saw_claim(state(READY), 9.0)
    early.saw_claim(state(EXPIRED), 9.5)
    early.saw_claim(state(READY), 9.2, is_gone=True)
    early.saw_sandbox(OWNED, 9.6, is_gone=True)
    assert early.problems() == [
        f"claim {EXPIRING} expired before its shutdownTime",
        f"claim {EXPIRING} was deleted before it said why",
    ]


def test_other_claims_and_their_sandboxes_are_ignored() -> None:
    life = a_life(without="sandbox")
    life.saw_claim(state(EXPIRED, "demo-1"), 10.1, is_gone=True)
    life.saw_sandbox(a_sandbox_state("other", claim="demo-1"), 10.2, is_gone=True)
    life.saw_sandbox(OWNED, 10.3)
    assert life.claim_gone_s == 11.0
    assert life.sandbox_gone_s is None


def test_the_json_has_it() -> None:
    document = json.loads(encoded(a_result()))
    assert document["after_shutdown_time_ms"] == {
        "expired": 7.25,
        "claim_gone": 9.0,
        "sandbox_gone": 10.0,
    }
