"""Volumes, takeover, suspension, expiry and late changes of metadata, from facts alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.sandbox_objects import (
    CLAIM,
    NOW,
    POOL,
    TEMPLATE,
    TRACKING,
    a_pod,
    a_ready_pod,
    a_sandbox,
    a_service,
    a_volume_claim,
    sandbox_owner,
)

from warmclaim.api.pod import Pod
from warmclaim.api.sandbox import Sandbox, SandboxStatus
from warmclaim.domain.claim_expiry import EXPIRY_LOOK_S_MAX
from warmclaim.domain.sandbox_children import Child, Problem, Step
from warmclaim.domain.sandbox_decision import (
    AnnotatePodName,
    ChangeChildren,
    DeleteSandbox,
    Nothing,
    SandboxDecision,
    TakeTurn,
    Wait,
    WriteStatus,
    decide_sandbox,
)
from warmclaim.domain.sandbox_facts import SandboxFacts, tracked_pod_name
from warmclaim.domain.sandbox_status import status_for

NOW_S = 1714557630.0
POD, SERVICE, VOLUME = (
    Child("pods", "sb"),
    Child("services", "sb"),
    Child("persistentvolumeclaims", "data-sb"),
)
DATA: Any = [{"metadata": {"name": "data"}, "spec": {}}]
STRANGER = sandbox_owner(name="other", uid="u2")
PAST, SOON, LATE = "2024-05-01T10:00:30Z", "2024-05-01T10:00:40Z", "2025-05-01T10:00:30Z"
REFUSED = Problem("no")


def decide(sandbox: Sandbox, *pods: Pod, **facts: Any) -> SandboxDecision:
    return decide_sandbox(SandboxFacts(sandbox, NOW_S, pods, **facts))


def steps(decision: SandboxDecision) -> list[str]:
    """ "create pods/sb", and so on."""
    assert isinstance(decision, ChangeChildren), decision
    return [_word(step) for step in decision.steps]


def _word(step: Step) -> str:
    verb = type(step).__name__.removesuffix("Child").lower()
    return f"{verb} {step.child.plural}/{step.child.name}"


def settled(pod: Pod | None, **body: Any) -> Sandbox:
    """A sandbox whose status says all there is to say."""
    bare = a_sandbox(**body)
    return msgspec.structs.replace(bare, status=status_for(bare, pod, None, None, NOW))


class TestVolumes:
    """Before the pod; the Service beside them."""

    @pytest.mark.parametrize(
        ("found", "expected"),
        [
            pytest.param(None, ["create persistentvolumeclaims/data-sb"], id="missing"),
            pytest.param(a_volume_claim(), ["create pods/sb"], id="own"),
            pytest.param(
                a_volume_claim(owned_by=None),
                ["patch persistentvolumeclaims/data-sb"],
                id="nobody's-and-tracked",
            ),
            pytest.param(
                a_volume_claim(labels={}),
                ["patch persistentvolumeclaims/data-sb"],
                id="own-without-its-label",
            ),
        ],
    )
    def test_the_next_step(self, found: Any, expected: list[str]) -> None:
        volumes = {"data-sb": found} if found else {}
        sandbox = a_sandbox(volumeClaimTemplates=DATA)
        assert steps(decide(sandbox, volumes=volumes)) == expected
        with_service = a_sandbox(volumeClaimTemplates=DATA, service=True)
        more = steps(decide(with_service, volumes=volumes))
        assert more == [*expected, "create services/sb"]

    @pytest.mark.parametrize(
        "found", [a_volume_claim(owned_by=STRANGER), a_volume_claim(owned_by=None, labels={})]
    )
    def test_somebody_else_s_keeps_the_pod_away(self, found: Any) -> None:
        sandbox = a_sandbox(volumeClaimTemplates=DATA)
        assert isinstance(decide(sandbox, volumes={"data-sb": found}), WriteStatus)

    def test_a_refused_one_keeps_the_pod_away_and_is_not_tried_twice(self) -> None:
        sandbox = a_sandbox(volumeClaimTemplates=DATA)
        assert isinstance(decide(sandbox, tried={VOLUME: REFUSED}), WriteStatus)


class TestMissingPod:
    """Which pod becomes the sandbox's."""

    def test_a_free_one_is_taken_over(self) -> None:
        assert steps(decide(a_sandbox(), namesake=a_pod(owned_by=None))) == ["patch pods/sb"]

    def test_a_noted_name_that_no_cache_knows_is_looked_up_once(self) -> None:
        sandbox = a_sandbox(annotations={"agents.x-k8s.io/pod-name": "older"})
        assert steps(decide(sandbox)) == ["read pods/older"]
        asked = frozenset({Child("pods", "older")})
        assert steps(decide(sandbox, asked=asked)) == ["create pods/sb"]

    @pytest.mark.parametrize("noted", ["", "NOT/A NAME", "../x", "x" * 300])
    def test_what_is_no_name_is_not_looked_up(self, noted: str) -> None:
        assert tracked_pod_name(a_sandbox(annotations={"agents.x-k8s.io/pod-name": noted})) == "sb"

    def test_a_name_of_nothing_is_taken_away(self) -> None:
        sandbox = a_sandbox(annotations={"agents.x-k8s.io/pod-name": "older"})
        asked, tried = frozenset({Child("pods", "older")}), {POD: REFUSED}
        assert decide(sandbox, asked=asked, tried=tried) == AnnotatePodName(None)

    def test_two_names_of_one_hash(self) -> None:
        decision = decide(a_sandbox(), rival="other")
        assert isinstance(decision, WriteStatus)


class TestSuspension:
    """The pod goes; before it is said to be gone it is looked for."""

    def test_each_step(self) -> None:
        sandbox = a_sandbox(operatingMode="Suspended")
        assert steps(decide(sandbox, a_pod())) == ["delete pods/sb"]
        assert isinstance(decide(sandbox, a_pod(deleting=True)), WriteStatus)
        assert steps(decide(sandbox)) == ["read pods/sb"]
        assert decide(sandbox, asked=frozenset({POD})) == AnnotatePodName(None)
        unnamed = a_sandbox(operatingMode="Suspended", annotations={})
        assert isinstance(decide(unnamed), WriteStatus)

    def test_ready_is_taken_back_before_the_pod_is_deleted(self) -> None:
        pod = a_ready_pod()
        ready = settled(pod)
        spec = msgspec.structs.replace(ready.spec, operating_mode="Suspended")
        sandbox = msgspec.structs.replace(ready, spec=spec)
        assert isinstance(decide(sandbox, pod), WriteStatus)

    def test_a_malformed_spec_does_not_keep_the_pod(self) -> None:
        sandbox = a_sandbox(operatingMode="Suspended", volumeClaimTemplates="x")
        assert steps(decide(sandbox, a_pod())) == ["delete pods/sb"]


class TestExpiry:
    """First it is said, then done."""

    @staticmethod
    def marked(policy: str = "Retain", *, ended: bool = False) -> Sandbox:
        sandbox = a_sandbox(shutdownTime=PAST, shutdownPolicy=policy)
        decision = decide(sandbox)
        assert isinstance(decision, WriteStatus)
        rest = SandboxStatus() if ended else SandboxStatus(selector="x", service="sb")
        status = msgspec.structs.replace(rest, conditions=decision.status.conditions)
        return msgspec.structs.replace(sandbox, status=status)

    @pytest.mark.parametrize("policy", ["Retain", "Delete"])
    def test_what_is_deleted(self, policy: str) -> None:
        sandbox = self.marked(policy)
        pods = (a_pod(), a_pod(name="twin"), a_pod(name="going", deleting=True))
        found = steps(decide(sandbox, *pods, service=a_service()))
        assert found == ["delete pods/sb", "delete pods/twin", "delete services/sb"]
        assert steps(decide(sandbox, service=a_service(STRANGER))) == ["read pods/sb"]
        assert steps(decide(sandbox)) == ["read pods/sb", "read services/sb"]

    def test_what_could_not_be_deleted_stops_the_rest(self) -> None:
        sandbox = self.marked("Delete")
        tried = {POD: REFUSED, SERVICE: None}
        assert decide(sandbox, a_pod(), service=a_service(), tried=tried) == Nothing()

    def test_how_it_ends(self) -> None:
        done: Any = {"tried": {POD: None, SERVICE: None}, "service": a_service()}
        assert decide(self.marked("Delete"), a_pod(), **done) == DeleteSandbox()
        decision = decide(self.marked(), a_pod(), **done)
        assert isinstance(decision, WriteStatus)
        assert decision.status == self.marked(ended=True).status
        assert decide(self.marked(ended=True)) == Nothing()

    @pytest.mark.parametrize(("end", "wait_s"), [(SOON, 10.0), (LATE, EXPIRY_LOOK_S_MAX)])
    def test_until_then_it_waits_and_looks_at_the_clock_now_and_then(
        self, end: str, wait_s: float
    ) -> None:
        pod = a_ready_pod()
        assert decide(settled(pod, shutdownTime=end), pod) == Wait(wait_s)

    def test_no_other_wait_makes_it_late(self) -> None:
        pod = a_pod("Pending")
        assert decide(a_sandbox(shutdownTime=SOON), pod, interim_delay_s=60.0) == Wait(10.0)


class TestLateChanges:
    """A pod's metadata: after the status, in its turn, after the window."""

    CHANGED = a_sandbox(owned_by=CLAIM, template={"metadata": {"labels": {"a": "1"}}, **TEMPLATE})

    def facts(self, **facts: Any) -> SandboxFacts:
        pod = a_ready_pod()
        status = status_for(self.CHANGED, pod, None, None, NOW)
        sandbox = msgspec.structs.replace(self.CHANGED, status=status)
        return SandboxFacts(sandbox, NOW_S, (pod,), **facts)

    @pytest.mark.parametrize(
        ("window_s", "drift_s", "expected"),
        [
            (0.0, 0.0, TakeTurn()),
            (0.5, 0.2, Wait(0.3)),
            (0.5, 0.4999, TakeTurn()),
            (0.5, 0.6, TakeTurn()),
            (60.0, 0.2, Wait(0.8)),
            (60.0, 1.0, TakeTurn()),
        ],
    )
    def test_when_it_is_due(self, window_s: float, drift_s: float, expected: Any) -> None:
        facts = self.facts(write_behind_s=window_s, drift_s=drift_s)
        assert decide_sandbox(facts) == expected
        decision = decide_sandbox(replace(facts, has_turn=True))
        if expected == TakeTurn():
            assert steps(decision) == ["patch pods/sb"]
        else:
            assert decision == expected

    def test_news_goes_first(self) -> None:
        facts = self.facts()
        moved = a_pod(ready=True, ips=("10.0.0.8",), node="n1")
        assert isinstance(decide_sandbox(replace(facts, pods=(moved,))), WriteStatus)

    def test_it_is_not_tried_twice(self) -> None:
        assert decide_sandbox(self.facts(has_turn=True, tried={POD: None})) == Nothing()

    def test_a_lost_tracking_label_waits_for_nothing(self) -> None:
        pod = a_pod(labels={})
        assert steps(decide(a_sandbox(), pod, write_behind_s=1.0)) == ["patch pods/sb"]

    @pytest.mark.parametrize("owned_by", [POOL, CLAIM, None])
    def test_a_pod_as_it_should_be_is_left_alone(self, owned_by: Any) -> None:
        pod = a_ready_pod()
        assert pod.metadata.labels == TRACKING
        assert decide(settled(pod, owned_by=owned_by), pod) == Nothing()
