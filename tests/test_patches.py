"""Each patch carries the tests that make it a compare-and-set; shown by applying it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.views import NOW, a_claim, a_pool, a_sandbox, owned_by_pool

from warmclaim.api import names
from warmclaim.api.claim import Claim, ClaimStatus
from warmclaim.api.conditions import ClaimReason
from warmclaim.domain.claim_status import (
    expired_status,
    failed_status,
    mirrored_status,
    missing_status,
)
from warmclaim.domain.patches import (
    create_reservation_patch,
    failure_patch,
    mirror_patch,
    publication_patch,
    reservation_patch,
    unpublication_patch,
)
from warmclaim.domain.reservation import Reservation
from warmclaim.testing.patch import PatchFailedError, json_patch


def stored(view: msgspec.Struct) -> dict[str, Any]:
    """A view as the server stores it."""
    value: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(view))
    return value


def applied(value: dict[str, Any], operations: list[Any]) -> dict[str, Any]:
    """The object after the patch; raises Refusal where a test fails."""
    result: dict[str, Any] = json_patch(value, [dict(operation) for operation in operations])
    return result


class TestReservation:
    def test_the_sandbox_changes_owner_and_marks(self) -> None:
        sandbox, claim = a_sandbox(), a_claim()
        after = applied(stored(sandbox), reservation_patch(sandbox, claim))
        (owner,) = after["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == (
            "SandboxClaim",
            "uid-claim",
            True,
        )
        assert after["metadata"]["labels"] == {
            names.LABEL_LAUNCH_TYPE: "warm",
            names.LABEL_CLAIM_UID: "uid-claim",
        }

    def test_the_claims_creator_mark_replaces_the_pools(self) -> None:
        labels = {names.LABEL_WARM_POOL: "x", names.LABEL_CREATED_BY: "controller"}
        sandbox = a_sandbox(labels=labels)
        plain = applied(stored(sandbox), reservation_patch(sandbox, a_claim()))
        assert names.LABEL_CREATED_BY not in plain["metadata"]["labels"]
        marked = a_claim(labels={names.LABEL_CREATED_BY: "go-client"})
        after = applied(stored(sandbox), reservation_patch(sandbox, marked))
        assert after["metadata"]["labels"][names.LABEL_CREATED_BY] == "go-client"

    def test_the_trace_context_goes_with_it(self) -> None:
        claim = a_claim(annotations={names.ANNOTATION_TRACE_CONTEXT: "{}"})
        sandbox = a_sandbox()
        after = applied(stored(sandbox), reservation_patch(sandbox, claim))
        assert after["metadata"]["annotations"][names.ANNOTATION_TRACE_CONTEXT] == "{}"

    @pytest.mark.parametrize(
        "change",
        [
            {"uid": "another"},
            {"owner_references": (owned_by_pool(uid="another"),)},
            {"owner_references": ()},
            {"deletion_timestamp": NOW},
        ],
        ids=["other object", "other owner", "no owner", "deleting"],
    )
    def test_a_sandbox_that_is_no_longer_what_was_seen_refuses(
        self, change: dict[str, Any]
    ) -> None:
        operations = reservation_patch(a_sandbox(), a_claim())
        with pytest.raises(PatchFailedError):
            applied(stored(a_sandbox(**change)), operations)

    def test_a_label_of_somebody_else_that_came_meanwhile_is_kept(self) -> None:
        now = stored(a_sandbox())
        now["metadata"]["labels"]["team"] = "red"
        after = applied(now, reservation_patch(a_sandbox(), a_claim()))
        assert after["metadata"]["labels"]["team"] == "red"

    def test_a_view_without_an_owner_is_no_candidate(self) -> None:
        with pytest.raises(ValueError, match="no controlling owner"):
            reservation_patch(a_sandbox(owner_references=()), a_claim())


def with_status(claim: Claim, status: ClaimStatus | None) -> dict[str, Any]:
    return stored(msgspec.structs.replace(claim, status=status))


class TestPublication:
    def test_a_fresh_claim_is_published(self) -> None:
        claim = a_claim()
        status = mirrored_status(claim, a_sandbox(owner=claim), NOW)
        after = applied(with_status(claim, None), publication_patch(claim, status))
        assert after["status"]["sandbox"]["name"] == "warm"
        assert after["status"]["conditions"][0]["status"] == "True"

    def test_a_claim_that_showed_a_failure_is_published(self) -> None:
        blank = a_claim()
        failed = failed_status(blank, ClaimReason.WARM_POOL_NOT_FOUND, "none", NOW)
        claim = msgspec.structs.replace(blank, status=failed)
        status = mirrored_status(claim, a_sandbox(owner=claim), NOW)
        after = applied(stored(claim), publication_patch(claim, status))
        assert after["status"]["sandbox"]["name"] == "warm"
        assert len(after["status"]["conditions"]) == 1

    @pytest.mark.parametrize("seen_with_status", [False, True])
    def test_a_published_claim_refuses_another_name(self, seen_with_status: bool) -> None:
        claim = a_claim()
        if seen_with_status:
            failed = failed_status(claim, ClaimReason.WARM_POOL_NOT_FOUND, "none", NOW)
            claim = msgspec.structs.replace(claim, status=failed)
        status = mirrored_status(claim, a_sandbox(owner=claim), NOW)
        with pytest.raises(PatchFailedError):
            applied(stored(a_claim(published="other")), publication_patch(claim, status))

    def test_a_claim_made_again_under_its_name_refuses(self) -> None:
        claim = a_claim()
        status = mirrored_status(claim, a_sandbox(owner=claim), NOW)
        with pytest.raises(PatchFailedError):
            applied(stored(a_claim(uid="second")), publication_patch(claim, status))

    @pytest.mark.parametrize("had_status", [False, True])
    def test_a_late_publication_is_refused_once_the_claim_is_over(self, had_status: bool) -> None:
        blank = a_claim(resource_version="10")
        failed = failed_status(blank, ClaimReason.WARM_POOL_NOT_FOUND, "none", NOW)
        claim = msgspec.structs.replace(blank, status=failed if had_status else None)
        late = publication_patch(claim, mirrored_status(claim, a_sandbox(owner=claim), NOW))
        over = msgspec.structs.replace(
            a_claim(resource_version="11"),
            status=expired_status(claim, "over", NOW, keeps_sandbox=False),
        )
        with pytest.raises(PatchFailedError):
            applied(stored(over), late)

    def test_a_failure_never_overwrites_a_publication(self) -> None:
        claim = a_claim()
        status = failed_status(claim, ClaimReason.RECONCILER_ERROR, "late", NOW)
        with pytest.raises(PatchFailedError):
            applied(stored(a_claim(published="w")), failure_patch(claim, status))

    def test_a_mirror_is_refused_once_the_name_is_another(self) -> None:
        claim = a_claim(published="warm")
        status = mirrored_status(claim, a_sandbox(owner=claim, ready=False), NOW)
        assert applied(stored(claim), mirror_patch(claim, status))["status"]["sandbox"]
        with pytest.raises(PatchFailedError):
            applied(stored(a_claim(published="other")), mirror_patch(claim, status))

    def test_a_name_is_taken_back_only_at_the_version_that_was_read(self) -> None:
        claim = a_claim(published="claim")
        operations = unpublication_patch(claim, missing_status(claim, NOW))
        assert "sandbox" not in applied(stored(claim), operations)["status"]
        with pytest.raises(PatchFailedError):  # published again, under the same name
            applied(stored(a_claim(published="claim", resource_version="11")), operations)

    @pytest.mark.parametrize("name", ["", None])
    def test_a_publication_without_a_name_is_none(self, name: str | None) -> None:
        """The schema requires no name there, and a tenant may write its claims' status."""
        forged = {"podIPs": ["10.9.9.9"]} | ({} if name is None else {"name": name})
        blank = a_claim()
        value = stored(blank) | {"status": {"sandbox": forged}}
        claim = msgspec.json.decode(msgspec.json.encode(value), type=Claim)
        status = mirrored_status(claim, a_sandbox(owner=claim), NOW)
        assert (
            applied(value, publication_patch(claim, status))["status"]["sandbox"]["name"] == "warm"
        )
        failed = failed_status(claim, ClaimReason.WARM_POOL_NOT_FOUND, "none", NOW)
        assert "sandbox" not in applied(value, failure_patch(claim, failed))["status"]
        later = stored(a_claim(published="other", resource_version="11"))
        with pytest.raises(PatchFailedError):  # another leader has published meanwhile
            applied(later, publication_patch(claim, status))

    def test_a_condition_is_written_whole(self) -> None:
        claim = a_claim()
        status = failed_status(claim, ClaimReason.RECONCILER_ERROR, "", NOW)
        after = applied(with_status(claim, None), failure_patch(claim, status))
        required = {"type", "status", "reason", "message", "lastTransitionTime"}
        assert required <= set(after["status"]["conditions"][0])


class TestCreateReservation:
    new = Reservation(0, 3, 3)

    def test_it_is_written_beside_other_annotations_or_alone(self) -> None:
        for present in ({}, {"team": "red"}):
            pool = a_pool(annotations=present)
            after = applied(_pool(pool), create_reservation_patch(pool, self.new))
            kept = after["metadata"]["annotations"]
            assert kept == {**present, names.ANNOTATION_RESERVATION: self.new.encode()}

    @pytest.mark.parametrize(
        "now",
        [
            a_pool(replicas=4),
            a_pool(uid="another"),
            a_pool(deletion_timestamp=NOW),
            a_pool(annotations={names.ANNOTATION_RESERVATION: "other"}),
        ],
        ids=["target moved", "other pool", "deleting", "reserved by another leader"],
    )
    @pytest.mark.parametrize("annotations", [{}, {"team": "red"}], ids=["none", "some"])
    def test_a_pool_that_is_no_longer_what_was_seen_refuses(
        self, now: Any, annotations: dict[str, str]
    ) -> None:
        operations = create_reservation_patch(a_pool(annotations=annotations), self.new)
        with pytest.raises(PatchFailedError):
            applied(_pool(now), operations)


def _pool(view: Any) -> dict[str, Any]:
    value = stored(view)
    value["spec"].setdefault("replicas", 1)  # the server's default
    return value
