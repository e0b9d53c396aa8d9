"""What ends by its own word: S4 is broken once by each shortcut, and not by the right order."""

from __future__ import annotations

import pytest
from tests.sim.court import MANAGER, TENANT, Court

from warmclaim.api.timestamps import rfc3339
from warmclaim.testing import builders
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.judge import CLAIMS, SANDBOXES
from warmclaim.testing.sim.lifetimes import LAG_S_MAX


class Brief(Court):
    """A claim that has a sandbox and lives until `left_s` from now."""

    def __init__(self, left_s: float, policy: str = "Retain") -> None:
        super().__init__()
        self.name = self.handed_over()
        self._lifecycle: Json | None = {}
        self.live(left_s, policy)

    def live(self, left_s: float, policy: str = "Retain") -> None:
        """Its tenant gives it another end."""
        end = rfc3339(self.time.wall() + left_s)
        self._lifecycle = {"shutdownTime": end, "shutdownPolicy": policy}
        self._store_claim(TENANT, "DependenciesReady")

    def for_ever(self) -> None:
        """Its tenant takes its end away."""
        self._lifecycle = None
        self._store_claim(TENANT, "ClaimExpired")

    def say(self, reason: str = "ClaimExpired", who: str = MANAGER) -> None:
        """Its status says so."""
        self._store_claim(who, reason)

    def take(self) -> None:
        """A manager deletes the sandbox."""
        self.delete(SANDBOXES, self.name)

    def _store_claim(self, who: str, reason: str) -> None:
        merge: Json = {
            "spec": {"lifecycle": self._lifecycle},
            "status": {"conditions": [builders.a_condition("Ready", "False", reason=reason)]},
        }
        self.attribution.who = who
        claim = builders.a_claim("c", namespace="ns-0", sandbox=self.name, merge=merge)
        self.store.put(CLAIMS, "ns-0/c", claim)


def test_first_the_word_and_then_the_deed() -> None:
    court = Brief(left_s=-5)
    court.say()
    court.take()
    assert court.promises == []


def test_the_deed_without_the_word() -> None:
    court = Brief(left_s=-5)
    court.take()
    assert court.promises == ["S4"]


def test_the_word_before_its_time() -> None:
    court = Brief(left_s=100)
    court.say()
    assert court.promises == ["S4"]


def test_a_clock_that_was_ahead_for_a_moment_excuses_the_word() -> None:
    court = Brief(left_s=100)
    court.time.ahead_s += 200
    court.judge.lifetimes.look()
    court.time.ahead_s -= 200
    court.say()
    assert court.promises == []


def test_a_word_about_a_claim_that_has_no_end_excuses_nothing() -> None:
    court = Brief(left_s=100)
    court.for_ever()
    court.take()
    assert court.promises == ["S4"]


def test_a_word_taken_back_a_moment_ago_excuses_the_deed_and_an_old_one_does_not() -> None:
    court, late = Brief(left_s=-5), Brief(left_s=-5)
    for each in (court, late):
        each.say()
        each.live(left_s=500)
    court.take()
    late.time.now_s += LAG_S_MAX + 1
    late.take()
    assert (court.promises, late.promises) == ([], ["S4"])


@pytest.mark.parametrize(
    ("policy", "promises"), [("Delete", []), ("DeleteForeground", []), ("Retain", ["S4"])]
)
def test_a_claim_goes_only_by_its_policy(policy: str, promises: list[str]) -> None:
    court = Brief(left_s=-5, policy=policy)
    court.say()
    court.delete(CLAIMS, "c")
    assert court.promises == promises


def test_a_claim_goes_only_when_it_says_so() -> None:
    court = Brief(left_s=-5, policy="Delete")
    court.delete(CLAIMS, "c")
    assert court.promises == ["S4"]


@pytest.mark.parametrize(
    ("reason", "policy", "promises"),
    [
        ("SandboxExpired", "Delete", []),
        ("SandboxExpired", "Retain", ["S4"]),
        ("DependenciesReady", "Delete", ["S4"]),
    ],
)
def test_a_sandbox_with_an_end_of_its_own(reason: str, policy: str, promises: list[str]) -> None:
    court = Court()
    name = court.handed_over()
    merge: Json = {
        "spec": {"shutdownTime": builders.T0, "shutdownPolicy": policy},
        "status": {"conditions": [builders.a_condition("Ready", "False", reason=reason)]},
    }
    court.adopt(name, "c", merge=merge)
    court.delete(SANDBOXES, name)
    assert court.promises == promises


@pytest.mark.parametrize(("has_end", "promises"), [(True, []), (False, ["S4", "S3"])])
def test_a_publication_just_after_a_sandbox_went_by_itself(
    has_end: bool, promises: list[str]
) -> None:
    court = Court()
    name = court.handed_over()
    merge: Json = {
        "spec": {"shutdownTime": builders.T0 if has_end else None, "shutdownPolicy": "Delete"},
        "status": {"conditions": [builders.a_condition("Ready", "False", reason="SandboxExpired")]},
    }
    court.adopt(name, "c", merge=merge)
    court.delete(SANDBOXES, name)
    court.claim("c")
    court.claim("c", shows=name)
    assert court.promises == promises
