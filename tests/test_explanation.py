"""What an explanation says of each state of a claim: facts in, findings out."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from warmclaim.api import names
from warmclaim.api.claim import Claim
from warmclaim.api.conditions import ClaimReason
from warmclaim.api.event import EventSeries, Regarding, ToldEvent
from warmclaim.api.meta import ObjectMeta
from warmclaim.api.pod import Pod
from warmclaim.api.pool import Pool
from warmclaim.api.resources import CLAIM
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.timestamps import seconds_of
from warmclaim.domain.claim_steps import YIELDS, ClaimSteps, Step
from warmclaim.domain.explanation import Picture, Topic, explain
from warmclaim.testing.builders import (
    T0,
    a_claim,
    a_condition,
    a_pod,
    a_pool,
    a_sandbox,
    an_owner,
    as_view,
)

NOW_S = (seconds_of(T0) or 0.0) + 60


def claim(*, sandbox: str | None = None, reason: str = "", message: str = "") -> Claim:
    merge = None
    if reason:
        ready = a_condition("Ready", status="False", reason=reason)
        merge = {"status": {"conditions": [{**ready, "message": message}]}}
    return as_view(a_claim("c", sandbox=sandbox, merge=merge), Claim)


def of_claim(name: str = "w1", *, launch: str = "warm", ready: bool = True) -> Sandbox:
    owner = an_owner(CLAIM, "c")
    labels = {names.LABEL_LAUNCH_TYPE: launch, names.LABEL_WARM_POOL: None}
    merge: dict[str, object] = {"metadata": {"ownerReferences": [owner], "labels": labels}}
    if not ready:
        condition = a_condition("Ready", status="False", reason="DependenciesNotReady")
        merge["status"] = {
            "conditions": [{**condition, "message": "Pod exists with phase: Pending"}]
        }
    return as_view(a_sandbox(name, pool="pool", node="n2", merge=merge), Sandbox)


def picture(of: Claim | None = None, /, **changes: object) -> Picture:
    plain = Picture(
        claim=of or claim(),
        pool=as_view(a_pool("pool", replicas=3), Pool),
        has_template=True,
        members=(),
        owned=(),
        pod=None,
        events=(),
        record=None,
        gaps=(),
        now_s=NOW_S,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def texts(found: Picture, topic: Topic) -> list[str]:
    return [finding.text for finding in explain(found).findings if finding.topic is topic]


def hint(found: Picture) -> str:
    return explain(found).findings[0].hint


PICKED = Step(
    "picked",
    "2026-01-01T00:00:01Z",
    facts={"sandbox": "w1", "node": "n2", "waiting_on_node": 3, "waiting_in_pool": 7, "age_s": 40,
           "ready": "true"},
)  # fmt: skip


def record(*steps: Step, uid: str = "c-uid", leading: bool = True, ahead: int | None = None
           ) -> ClaimSteps:  # fmt: skip
    return ClaimSteps("m0", leading, uid, steps, ahead)


class TestReady:
    def test_it_says_which_sandbox_and_where(self) -> None:
        found = picture(claim(sandbox="w1"), owned=[of_claim()])
        told = explain(found)
        assert (told.claim, told.is_ready, told.sandbox) == ("default/c", True, "w1")
        assert texts(found, Topic.VERDICT) == ["Ready: it has sandbox w1 on node n2."]

    def test_it_says_why_this_one_from_the_record(self) -> None:
        found = picture(claim(sandbox="w1"), owned=[of_claim()], record=record(PICKED))
        (why,) = texts(found, Topic.PICK)
        for part in ("w1 is warm", "7 waited in the pool", "3 of them on node n2", "40 s old and"):
            assert part in why
        assert explain(found).steps == (PICKED,)

    def test_without_a_record_it_says_so(self) -> None:
        found = picture(claim(sandbox="w1"), owned=[of_claim()])
        assert texts(found, Topic.PICK)[0].endswith("why this one is not recorded here.")

    def test_a_record_of_an_earlier_claim_of_that_name_is_not_told(self) -> None:
        old = record(PICKED, uid="older-uid")
        found = picture(claim(sandbox="w1"), owned=[of_claim()], record=old)
        assert explain(found).steps == ()
        assert "not recorded" in texts(found, Topic.PICK)[0]

    def test_a_cold_start_is_told(self) -> None:
        found = picture(claim(sandbox="c"), owned=[of_claim("c", launch="cold")])
        assert "made for this claim alone" in texts(found, Topic.PICK)[0]

    def test_the_pool_is_nobodys_business_then(self) -> None:
        found = picture(claim(sandbox="w1"), owned=[of_claim()])
        assert texts(found, Topic.POOL) == []


class TestNotReady:
    @pytest.mark.parametrize("reason", [r for r in ClaimReason if r not in {
        ClaimReason.ADOPTION_CONFLICT, ClaimReason.ADOPTION_PENDING, ClaimReason.SANDBOX_NOT_READY,
        ClaimReason.SANDBOX_CREATE_PENDING, ClaimReason.INVALID_CONFIGURATION}])  # fmt: skip
    def test_a_reason_that_needs_somebody_says_what_to_do(self, reason: str) -> None:
        found = picture(claim(reason=reason, message="text of the message"))
        assert texts(found, Topic.VERDICT) == [f"Not Ready: {reason}: text of the message"]
        assert hint(found)

    def test_a_claim_that_nobody_looked_at_says_what_to_look_for(self) -> None:
        found = picture()
        assert texts(found, Topic.VERDICT) == [
            "Not Ready: no controller has said anything of it for 60 s."
        ]
        assert "leads" in hint(found)

    @pytest.mark.parametrize(
        "seen",
        [{"record": record(Step("waiting", T0))}, {"now_s": NOW_S - 55}],
        ids=["steps", "new"],
    )
    def test_a_claim_that_is_being_looked_at_is_not_called_unseen(
        self, seen: dict[str, object]
    ) -> None:
        assert "shows no reason" in texts(picture(**seen), Topic.VERDICT)[0]

    def test_a_claim_that_is_going_says_so(self) -> None:
        going = as_view(a_claim("c", merge={"metadata": {"deletionTimestamp": T0}}), Claim)
        assert texts(picture(going), Topic.VERDICT) == ["The claim is being deleted."]

    def test_members_are_counted_by_how_far_they_are(self) -> None:
        forged = {"metadata": {"labels": {names.LABEL_WARM_POOL: "other"}}}
        members = [
            a_sandbox("w1"),
            a_sandbox("w2"),
            a_sandbox("w3", merge={"status": {"podIPs": None}}),
            a_sandbox("w4", merge={"status": {"conditions": None}}),
            a_sandbox("w5", merge=forged),
        ]
        found = picture(members=[as_view(member, Sandbox) for member in members])
        assert texts(found, Topic.POOL) == [
            "pool wants 3; its members: 1 never to be handed out (label mismatch), 1 not ready,"
            " 2 ready, 1 without an address yet."
        ]

    def test_a_member_that_the_manager_refuses_for_want_of_a_seal_is_told(self) -> None:
        members = [as_view(a_sandbox(name), Sandbox) for name in ("w1", "w2")]
        told = msgspec.structs.replace(record(), unsealed=("w2",))
        assert texts(picture(members=members, record=told), Topic.POOL) == [
            "pool wants 3; its members: 1 never to be handed out (unsealed), 1 ready."
        ]

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"pool": None}, "There is no pool 'pool'."),
            ({"has_template": False}, "There is no template 'python', so pool cannot be refilled."),
            ({}, "pool wants 3; its members: none."),
        ],
    )
    def test_what_its_pool_lacks_is_told(self, changes: dict[str, object], text: str) -> None:
        assert text in texts(picture(**changes), Topic.POOL)

    def test_a_sandbox_that_is_not_ready_is_followed_to_its_pod(self) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                     "message": "0/3 nodes are available"}  # fmt: skip
        pod = a_pod("w1", merge={"status": {"phase": "Pending", "conditions": [condition]}})
        found = picture(
            claim(sandbox=None, reason="SandboxNotReady"),
            owned=[of_claim(ready=False)],
            pod=as_view(pod, Pod),
        )
        assert texts(found, Topic.SANDBOX) == ["w1 is Ready=False: Pod exists with phase: Pending"]
        assert texts(found, Topic.POD) == [
            "Pod w1 is Pending, not scheduled: 0/3 nodes are available"
        ]

    def test_a_sandbox_without_a_pod_is_told(self) -> None:
        found = picture(claim(reason="SandboxNotReady"), owned=[of_claim(ready=False)])
        assert texts(found, Topic.POD) == ["There is no pod for it."]

    def test_a_sandbox_of_somebody_else_is_not_taken_for_its_own(self) -> None:
        alien = as_view(a_sandbox("w9", pool="pool"), Sandbox)
        assert texts(picture(owned=[alien]), Topic.SANDBOX) == []


class TestRecord:
    def test_a_standby_is_no_place_to_ask(self) -> None:
        (text,) = texts(picture(record=record(leading=False)), Topic.RECORD)
        assert "m0 is a standby" in text

    def test_its_place_in_line_is_told(self) -> None:
        found = picture(record=record(Step("waiting", T0), ahead=4))
        assert "4 claims are before it" in texts(found, Topic.RECORD)[0]

    def test_that_it_yields_to_warm_claims_is_told(self) -> None:
        yields = Step(YIELDS, T0, facts={"in_line": 7})
        (text,) = texts(picture(record=record(yields)), Topic.RECORD)
        assert "in line to start cold" in text
        goes_on = picture(record=record(yields, Step("cold_started", T0)))
        assert texts(goes_on, Topic.RECORD) == []

    def test_a_leader_that_knows_nothing_says_so(self) -> None:
        assert "has no steps of this claim" in texts(picture(record=record()), Topic.RECORD)[0]


def test_what_could_not_be_read_is_told() -> None:
    assert texts(picture(gaps=["pool x: 403"]), Topic.GAP) == ["pool x: 403"]


def test_events_come_oldest_first_with_their_count() -> None:
    def event(at: str | None, reason: str, series: EventSeries | None = None) -> ToldEvent:
        meta = ObjectMeta(name=reason)
        return ToldEvent(meta, at, "Normal", reason, "note", Regarding("c-uid"), series)

    found = picture(
        events=[event("2026-01-02T00:00:00Z", "B", EventSeries(3)), event(None, "Z"),
                event("2026-01-01T00:00:00Z", "A")]
    )  # fmt: skip
    assert explain(found).events == [
        "- Normal Z: note",
        "2026-01-01T00:00:00Z Normal A: note",
        "2026-01-02T00:00:00Z Normal B (x3): note",
    ]
