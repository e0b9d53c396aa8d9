"""The demo's ledger: latency, warm share, and every promise that a watch can see broken."""

from __future__ import annotations

import pytest
from tests.cli.demo_objects import a_claim_state, a_sandbox_state

from warmclaim.testing.demo.ledger import Ledger


def served(claim: str, sandbox: str, ledger: Ledger | None = None) -> Ledger:
    """A claim that got a warm sandbox 0.1 s after it was sent, as it should be."""
    ledger = ledger or Ledger()
    ledger.saw_sandbox(a_sandbox_state(sandbox))
    ledger.claim_sent(claim, 1.0)
    ledger.claim_acked(claim, 1.02)
    ledger.saw_sandbox(a_sandbox_state(sandbox, claim=claim))
    ledger.saw_claim(a_claim_state(claim, sandbox=sandbox), 1.1)
    return ledger


def test_a_claim_that_got_a_warm_sandbox_is_no_problem() -> None:
    ledger = served("c1", "s1")
    assert ledger.problems() == []
    assert ledger.latencies_s() == pytest.approx([0.1])
    assert ledger.posts_s() == pytest.approx([0.02])
    assert (ledger.served, ledger.warm_served()) == (1, 1)
    assert [s.name for s in ledger.handed_out()] == ["s1"]
    assert ledger.warm() == []


def test_the_first_readiness_counts() -> None:
    ledger = served("c1", "s1")
    ledger.saw_claim(a_claim_state("c1", sandbox="s1", is_ready=False), 2.0)
    ledger.saw_claim(a_claim_state("c1", sandbox="s1"), 3.0)
    assert ledger.latencies_s() == pytest.approx([0.1])
    assert ledger.served == 1


def test_ready_without_a_sandbox_is_not_served() -> None:
    ledger = Ledger()
    ledger.claim_sent("c1", 1.0)
    ledger.saw_claim(a_claim_state("c1"), 1.1)
    assert ledger.problems() == ["1 of 1 claims not served: c1"]


def test_a_sandbox_made_for_the_claim_is_cold() -> None:
    ledger = Ledger()
    ledger.claim_sent("c1", 1.0)
    ledger.saw_sandbox(a_sandbox_state("c1", claim="c1"))
    ledger.saw_claim(a_claim_state("c1", sandbox="c1"), 3.0)
    assert ledger.problems() == []
    assert (ledger.served, ledger.warm_served()) == (1, 0)


def test_claims_of_somebody_else_are_ignored() -> None:
    ledger = Ledger()
    ledger.saw_claim(a_claim_state("other", sandbox="s1"), 1.0)
    assert ledger.problems() == []
    assert ledger.served == 0


def test_claims_that_were_not_served_are_counted_and_some_named() -> None:
    ledger = Ledger()
    for name in ("a", "b", "c", "d", "e"):
        ledger.claim_sent(name, 0.0)
    assert ledger.problems() == ["5 of 5 claims not served: a, b, c, ..."]


def test_one_sandbox_in_two_claims_is_seen() -> None:
    ledger = served("c1", "s1")
    ledger.claim_sent("c2", 2.0)
    ledger.saw_claim(a_claim_state("c2", sandbox="s1"), 2.1)
    assert "sandbox s1 was given to 2 claims" in ledger.problems()
    assert "claim c2 is Ready with s1, which it does not own" in ledger.problems()


def test_a_sandbox_that_changed_hands_is_seen_though_it_was_given_back() -> None:
    ledger = served("c1", "s1")
    served("c2", "s2", ledger)
    ledger.saw_sandbox(a_sandbox_state("s1", claim="c2"))
    ledger.saw_sandbox(a_sandbox_state("s1", claim="c1"))
    assert "sandbox s1 was owned by c1 and c2" in ledger.problems()
    assert "claim c2 owns 2 sandboxes" in ledger.problems()


def test_a_claim_that_got_another_sandbox_later_is_seen() -> None:
    ledger = served("c1", "s1")
    ledger.saw_claim(a_claim_state("c1", sandbox="s2"), 2.0)
    assert "claim c1 was given s1, s2" in ledger.problems()


def test_a_published_sandbox_that_the_claim_does_not_own_is_seen() -> None:
    ledger = Ledger()
    ledger.saw_sandbox(a_sandbox_state("s1"))
    ledger.claim_sent("c1", 1.0)
    ledger.saw_claim(a_claim_state("c1", sandbox="s1"), 1.1)
    assert ledger.problems() == ["claim c1 is Ready with s1, which it does not own"]


def test_a_claim_whose_sandbox_is_gone_is_seen() -> None:
    ledger = served("c1", "s1")
    ledger.saw_sandbox(a_sandbox_state("s1", claim="c1"), is_gone=True)
    assert ledger.problems() == ["claim c1 is Ready with s1, which it does not own"]


def test_only_ready_members_of_the_pool_are_warm() -> None:
    ledger = Ledger()
    ledger.saw_sandbox(a_sandbox_state("s1"))
    ledger.saw_sandbox(a_sandbox_state("s2", is_ready=False))
    ledger.saw_sandbox(a_sandbox_state("s3", claim="c1"))
    ledger.saw_sandbox(a_sandbox_state("s4"), is_gone=True)
    assert [s.name for s in ledger.warm()] == ["s1"]
