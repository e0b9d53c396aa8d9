"""decide_claim: every decision, and the facts that lead to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.views import NOW, a_claim, a_pool, a_sandbox

from warmclaim.api.claim import Claim, ClaimSpec, EnvVar, PodMetadata, PoolRef
from warmclaim.api.conditions import READY, ClaimReason, find
from warmclaim.api.meta import ObjectKey
from warmclaim.api.timestamps import seconds_of
from warmclaim.domain import adoption
from warmclaim.domain.adoption import ClaimFacts, ReadClaim, ReadSandbox, decide_claim
from warmclaim.domain.claim_expiry import EXPIRED_TEXT
from warmclaim.domain.claim_request import Refusal
from warmclaim.domain.claim_status import expired_status

NOW_S = seconds_of(NOW) or 0.0


def facts(claim: Claim | None = None, **changes: Any) -> ClaimFacts:
    """A fresh claim, a pool with a candidate, nothing owned."""
    base = ClaimFacts(
        claim=claim or a_claim(),
        owned=(),
        namesake=None,
        pool=a_pool(),
        has_template=True,
        has_candidate=True,
        wait_left_s=0.0,
        reads=frozenset(),
        is_fresh=True,
        now_s=NOW_S,
    )
    return replace(base, **changes)


def ready_reason(decision: object) -> str:
    assert isinstance(decision, adoption.ReportFailure)
    ready = find(decision.status.conditions, READY)
    assert ready is not None
    assert not ready.is_true
    return ready.reason


POOL = PoolRef("pool")
ENV = ClaimSpec(warm_pool_ref=POOL, env=(EnvVar("A", "b"),))
METADATA = ClaimSpec(
    warm_pool_ref=POOL, additional_pod_metadata=PodMetadata(annotations={"a": "b"})
)


class TestWithoutSandbox:
    def test_a_candidate_is_reserved(self) -> None:
        assert decide_claim(facts()) == adoption.Reserve()

    def test_a_deleting_claim_gets_nothing(self) -> None:
        claim = a_claim(deletion_timestamp=NOW)
        assert decide_claim(facts(claim)) == adoption.Nothing()

    def test_a_missing_pool_is_said(self) -> None:
        decision = decide_claim(facts(pool=None))
        assert ready_reason(decision) == "WarmPoolNotFound"
        assert isinstance(decision, adoption.ReportFailure)
        assert decision.status.conditions[0].message == 'SandboxWarmPool "pool" not found'

    def test_a_failure_that_is_shown_already_is_not_written_again(self) -> None:
        decision = decide_claim(facts(pool=None))
        assert isinstance(decision, adoption.ReportFailure)
        shown = msgspec.structs.replace(a_claim(), status=decision.status)
        assert decide_claim(facts(shown, pool=None)) == adoption.Nothing()

    def test_it_waits_while_a_member_is_on_its_way(self) -> None:
        decision = decide_claim(facts(has_candidate=False, wait_left_s=1.5))
        assert decision == adoption.WaitUntil(1.5)

    def test_a_candidate_goes_before_waiting(self) -> None:
        assert decide_claim(facts(wait_left_s=1.5)) == adoption.Reserve()

    def test_it_starts_cold_only_after_reading_the_claim(self) -> None:
        empty = facts(has_candidate=False)
        assert decide_claim(empty) == adoption.ReadClaim()
        sure = replace(empty, reads=frozenset({ReadClaim()}))
        assert decide_claim(sure) == adoption.ColdStart()

    def test_a_cold_start_needs_the_template(self) -> None:
        decision = decide_claim(facts(has_candidate=False, has_template=False))
        assert ready_reason(decision) == "TemplateNotFound"

    def test_a_sandbox_of_somebody_else_under_the_claims_name_is_not_touched(self) -> None:
        squatter = a_sandbox("claim")
        decision = decide_claim(facts(has_candidate=False, namesake=squatter))
        assert ready_reason(decision) == "ReconcilerError"

    def test_its_own_deleting_sandbox_under_that_name_is_awaited(self) -> None:
        claim = a_claim()
        leaving = a_sandbox("claim", owner=claim, deletion_timestamp=NOW)
        decision = decide_claim(facts(claim, has_candidate=False, owned=(leaving,)))
        assert decision == adoption.Nothing()

    def test_old_caches_are_not_reserved_on(self) -> None:
        assert decide_claim(facts(is_fresh=False)) == adoption.ReadClaim()
        read = facts(is_fresh=False, reads=frozenset({ReadClaim()}))
        assert decide_claim(read) == adoption.Reserve()

    def test_what_it_may_not_have_is_refused_before_a_sandbox_is_reserved(self) -> None:
        refusal = Refusal(ClaimReason.INVALID_METADATA, "bad")
        assert ready_reason(decide_claim(facts(refusal=refusal))) == "InvalidMetadata"
        assert ready_reason(decide_claim(facts(refusal=refusal, pool=None))) == "InvalidMetadata"

    @pytest.mark.parametrize("spec", [ENV, METADATA])
    def test_what_a_template_must_allow_waits_for_the_template(self, spec: ClaimSpec) -> None:
        claim = msgspec.structs.replace(a_claim(), spec=spec)
        assert ready_reason(decide_claim(facts(claim, has_template=False))) == "TemplateNotFound"
        assert decide_claim(facts(has_template=False)) == adoption.Reserve()


class TestReservedButNotPublished:
    def test_it_is_published(self) -> None:
        claim = a_claim()
        sandbox = a_sandbox(owner=claim)
        decision = decide_claim(facts(claim, owned=(sandbox,)))
        assert isinstance(decision, adoption.Publish)
        assert decision.sandbox is sandbox
        assert decision.status.sandbox is not None
        assert decision.status.sandbox.name == "warm"
        assert decision.status.sandbox.pod_ips == ("10.0.0.1",)

    def test_no_further_one_is_reserved_although_there_are_candidates(self) -> None:
        claim = a_claim()
        decision = decide_claim(facts(claim, owned=(a_sandbox(owner=claim),), has_candidate=True))
        assert not isinstance(decision, adoption.Reserve)

    def test_of_two_the_ready_one_is_published_whatever_the_order(self) -> None:
        claim = a_claim()
        slow, quick = a_sandbox("a", owner=claim, ready=False), a_sandbox("b", owner=claim)
        for owned in ((slow, quick), (quick, slow)):
            decision = decide_claim(facts(claim, owned=owned))
            assert isinstance(decision, adoption.Publish)
            assert decision.sandbox is quick

    def test_a_deleting_one_is_not_published(self) -> None:
        claim = a_claim()
        leaving = a_sandbox(owner=claim, deletion_timestamp=NOW)
        assert decide_claim(facts(claim, owned=(leaving,))) == adoption.Reserve()

    def test_a_claim_that_lives_again_shows_no_sandbox_that_the_server_was_not_asked_for(
        self,
    ) -> None:
        """Its end deleted the sandbox, which an old cache shows still."""
        claim = msgspec.structs.replace(
            a_claim(),
            status=expired_status(a_claim(), EXPIRED_TEXT, NOW, keeps_sandbox=False),
        )
        first, second = a_sandbox("a", owner=claim), a_sandbox("b", owner=claim)
        both = facts(claim, owned=(first, second))
        read = ReadSandbox(first.metadata.key)
        assert decide_claim(both) == read
        there = decide_claim(replace(both, reads=frozenset({read})))
        assert isinstance(there, adoption.Publish)
        assert there.sandbox is first
        # That read answered 404 and took it out of the cache: it says nothing of the other.
        gone = replace(both, owned=(second,), reads=frozenset({read}))
        assert decide_claim(gone) == ReadSandbox(second.metadata.key)

    def test_one_without_a_condition_is_published_as_not_ready(self) -> None:
        claim = a_claim()
        blank = msgspec.structs.replace(a_sandbox(owner=claim), status=None)
        decision = decide_claim(facts(claim, owned=(blank,)))
        assert isinstance(decision, adoption.Publish)
        ready = find(decision.status.conditions, READY)
        assert ready is not None
        assert (ready.status, ready.reason) == ("False", "SandboxNotReady")


class TestPublished:
    def test_a_fault_of_its_own_is_shown_and_the_binding_stays(self) -> None:
        claim = a_claim(published="warm")
        sandbox = a_sandbox(owner=claim)
        refusal = Refusal(ClaimReason.INVALID_METADATA, "bad")
        decision = decide_claim(facts(claim, owned=(sandbox,), refusal=refusal))
        assert isinstance(decision, adoption.Mirror)
        ready = find(decision.status.conditions, READY)
        assert ready is not None
        assert (ready.status, ready.reason, ready.message) == ("False", "InvalidMetadata", "bad")
        assert decision.status.sandbox == claim.status.sandbox if claim.status else None
        shown = msgspec.structs.replace(claim, status=decision.status)
        again = decide_claim(facts(shown, owned=(sandbox,), refusal=refusal))
        assert again == adoption.Nothing()

    def test_metadata_that_is_asked_for_later_is_synced(self) -> None:
        claim = msgspec.structs.replace(a_claim(published="warm"), spec=METADATA)
        sandbox = a_sandbox(owner=claim)
        assert decide_claim(facts(claim, owned=(sandbox,))) == adoption.SyncMetadata(sandbox)

    def test_nothing_is_done_when_all_is_shown(self) -> None:
        claim = a_claim(published="warm")
        assert decide_claim(facts(claim, owned=(a_sandbox(owner=claim),))) == adoption.Nothing()

    def test_a_changed_sandbox_is_mirrored(self) -> None:
        claim = a_claim(published="warm")
        sandbox = a_sandbox(owner=claim, ready=False)
        decision = decide_claim(facts(claim, owned=(sandbox,)))
        assert isinstance(decision, adoption.Mirror)
        assert decision.status.conditions[0].status == "False"

    def test_an_extra_reservation_is_reclaimed_only_after_reading_the_claim(self) -> None:
        claim = a_claim(published="warm")
        extra = a_sandbox("extra", owner=claim)
        both = facts(claim, owned=(a_sandbox(owner=claim), extra))
        assert decide_claim(both) == adoption.ReadClaim()
        sure = replace(both, reads=frozenset({ReadClaim()}))
        assert decide_claim(sure) == adoption.Reclaim(extra)

    def test_a_deleting_extra_is_left_alone(self) -> None:
        claim = a_claim(published="warm")
        leaving = a_sandbox("extra", owner=claim, deletion_timestamp=NOW)
        owned = (a_sandbox(owner=claim), leaving)
        assert decide_claim(facts(claim, owned=owned)) == adoption.Nothing()

    def test_a_missing_sandbox_is_believed_only_after_two_reads(self) -> None:
        claim = a_claim(published="warm")
        missing = facts(claim)
        assert decide_claim(missing) == adoption.ReadClaim()
        once = replace(missing, reads=frozenset({ReadClaim()}))
        its_sandbox = ReadSandbox(ObjectKey("tenant", "warm"))
        assert decide_claim(once) == its_sandbox
        twice = replace(missing, reads=frozenset({ReadClaim(), its_sandbox}))
        decision = decide_claim(twice)
        assert isinstance(decision, adoption.Unpublish)
        assert decision.status.sandbox is None
        assert decision.status.conditions[0].reason == "SandboxMissing"

    @pytest.mark.parametrize("name", ["w/status", "../../pods/w", "..", "W", "a" * 254, "w%2Fx"])
    def test_a_published_name_that_is_none_is_never_asked_for(self, name: str) -> None:
        claim = a_claim(published=name)
        read = facts(claim, reads=frozenset({ReadClaim()}))
        assert isinstance(decide_claim(read), adoption.Unpublish)

    def test_the_published_one_while_it_is_deleted_is_still_shown(self) -> None:
        claim = a_claim(published="warm")
        leaving = a_sandbox(owner=claim, deletion_timestamp=NOW)
        assert decide_claim(facts(claim, owned=(leaving,))) == adoption.Nothing()


def test_ready_never_dates_from_before_the_claim() -> None:
    claim = a_claim(creation_timestamp="2026-01-01T00:00:09Z")
    decision = decide_claim(facts(claim, owned=(a_sandbox(owner=claim),)))
    assert isinstance(decision, adoption.Publish)
    assert decision.status.conditions[0].last_transition_time == "2026-01-01T00:00:09Z"
