"""A sandbox's next step, from facts alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.sandbox_objects import (
    NOW,
    POOL,
    SCHEDULED,
    a_pod,
    a_ready_pod,
    a_sandbox,
    a_service,
    owner,
    sandbox_owner,
)

from warmclaim.api.conditions import find
from warmclaim.api.pod import Pod, Service
from warmclaim.api.sandbox import Sandbox, SandboxStatus
from warmclaim.domain.sandbox_children import Child, CreateChild, Problem
from warmclaim.domain.sandbox_decision import (
    AnnotatePodName,
    ChangeChildren,
    Nothing,
    SandboxDecision,
    TakeTurn,
    Wait,
    WriteStatus,
    decide_sandbox,
)
from warmclaim.domain.sandbox_facts import SandboxFacts
from warmclaim.domain.sandbox_status import status_for

STRANGER = a_pod(owned_by=sandbox_owner(name="other", uid="u2"))
POD_CHILD, SERVICE_CHILD = Child("pods", "sb"), Child("services", "sb")
NOW_S = 1714557630.0


def decide(
    sandbox: Sandbox,
    *pods: Pod,
    namesake: Pod | None = None,
    service: Service | None = None,
    refusals: tuple[Problem, ...] = (),
    has_turn: bool = False,
    quiet_s: float = 0.0,
) -> SandboxDecision:
    children = (POD_CHILD, SERVICE_CHILD)
    facts = SandboxFacts(
        sandbox,
        NOW_S,
        pods,
        namesake,
        service,
        tried=dict(zip(children, refusals, strict=False)),
        has_turn=has_turn,
        quiet_s=quiet_s,
    )
    assert facts.now == NOW
    return decide_sandbox(facts)


def created(decision: SandboxDecision) -> set[str]:
    """The kinds that are to be created, and nothing else is to be done."""
    assert isinstance(decision, ChangeChildren)
    assert all(isinstance(step, CreateChild) for step in decision.steps)
    return {step.resource.plural for step in decision.steps}


def showing(pod: Pod | None, problem: Problem | None = None, **body: Any) -> Sandbox:
    """A sandbox whose status already says what there is to say about `pod`."""
    bare = a_sandbox(**body)
    return msgspec.structs.replace(bare, status=status_for(bare, pod, None, problem, NOW))


def written(decision: SandboxDecision) -> SandboxStatus:
    assert isinstance(decision, WriteStatus)
    return decision.status


def ready_words(decision: SandboxDecision) -> tuple[str, str, str]:
    ready = find(written(decision).conditions, "Ready")
    assert ready is not None
    return ready.status, ready.reason, ready.message


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, {"pods"}),
        ({"service": True}, {"pods", "services"}),
        ({"service": False}, {"pods"}),
        ({"service": True, "operatingMode": "Suspended"}, {"services"}),
        ({"shutdownTime": "2024-05-01T10:00:31Z"}, {"pods"}),
        ({"shutdownTime": "no time"}, {"pods"}),
    ],
)
def test_what_is_missing_is_created_at_once(spec: Any, expected: set[str]) -> None:
    assert created(decide(a_sandbox(**spec, annotations={}))) == expected


@pytest.mark.parametrize(
    ("spec", "is_last"),
    [({}, True), ({"shutdownTime": "2024-05-01T10:00:31Z"}, False)],
)
def test_a_status_is_the_last_step_where_nothing_else_is_due(spec: Any, is_last: bool) -> None:
    decision = decide(a_sandbox(**spec), a_pod(), quiet_s=1.5)
    assert isinstance(decision, WriteStatus)
    assert decision.is_last is is_last


def test_only_the_missing_child_is_created() -> None:
    sandbox = a_sandbox(service=True)
    assert created(decide(sandbox, a_pod())) == {"services"}
    assert created(decide(sandbox, service=a_service())) == {"pods"}


def test_a_pool_s_member_waits_for_its_turn_to_get_a_pod_and_not_for_its_service() -> None:
    assert decide(a_sandbox(owned_by=POOL)) == TakeTurn()
    assert created(decide(a_sandbox(owned_by=POOL), has_turn=True)) == {"pods"}
    assert created(decide(a_sandbox(owned_by=POOL, service=True))) == {"services"}


def test_a_deleting_sandbox_is_left_alone() -> None:
    assert decide(a_sandbox(deleting=True)) == Nothing()
    assert decide(a_sandbox(deleting=True, service=True), a_ready_pod()) == Nothing()


def test_a_suspended_sandbox_never_gets_a_pod() -> None:
    sandbox = a_sandbox(operatingMode="Suspended", annotations={})
    assert ready_words(decide(sandbox))[1] == "SandboxSuspended"


def test_a_terminating_pod_is_not_replaced() -> None:
    assert isinstance(decide(a_sandbox(), a_pod(deleting=True)), Wait)


@pytest.mark.parametrize(
    "spec",
    [
        {"podTemplate": "x"},
        {"podTemplate": {"spec": []}},
        {"podTemplate": {"metadata": {"labels": {"a": 1}}}},
        {"volumeClaimTemplates": [None]},
        {"podTemplate": {"spec": {"containers": [{"ports": "80"}]}}, "service": True},
    ],
)
def test_a_spec_that_no_schema_admits_is_said_and_nothing_is_made_of_it(spec: Any) -> None:
    status, reason, message = ready_words(decide(a_sandbox(**spec)))
    assert (status, reason) == ("False", "ReconcilerError")
    assert message.startswith("Error seen: the spec has a shape that its schema forbids: Expected")


def test_a_pod_that_is_there_is_kept_whatever_becomes_of_the_spec() -> None:
    assert written(decide(a_sandbox(podTemplate="x"), a_ready_pod())).pod_ips


@pytest.mark.parametrize(
    ("owned_by", "message"),
    [
        pytest.param(
            sandbox_owner(name="other", uid="u2"),
            'pod "sb" is owned by Sandbox/other (UID: u2), not by sandbox "sb"',
            id="other-sandbox",
        ),
        pytest.param(
            owner("Job", "batch/v1", name="j", uid="u3"),
            'pod "sb" is owned by Job/j (UID: u3), not by sandbox "sb"',
            id="other-kind",
        ),
        pytest.param(
            None,
            'pod "sb" has no owner; labelled agents.x-k8s.io/adoptable: "true", it is taken over',
            id="nobody",
        ),
    ],
)
def test_a_pod_of_somebody_else_is_reported_and_waited_out(owned_by: Any, message: str) -> None:
    pod = a_pod(ready=True, ips=("10.6.6.6",), owned_by=owned_by, labels={})
    unnamed = a_sandbox(annotations={})
    decision = decide(unnamed, namesake=pod)
    assert ready_words(decision) == ("False", "ReconcilerError", f"Error seen: {message}")
    status = written(decision)
    assert status.pod_ips == ()
    stored = msgspec.structs.replace(unnamed, status=status)
    assert decide(stored, namesake=pod) == Nothing()
    assert created(decide(stored)) == {"pods"}


def test_a_pod_of_somebody_else_does_not_keep_the_service_away() -> None:
    decision = decide(a_sandbox(service=True), namesake=STRANGER)
    assert created(decision) == {"services"}


def test_several_pods_are_reported_and_nothing_else_is_done() -> None:
    pods = (a_pod(name="b"), a_pod(name="a"))
    decision = decide(a_sandbox(service=True), *pods)
    assert ready_words(decision) == ("False", "MultiplePods", 'sandbox "sb" owns 2 pods: a, b')
    stored = msgspec.structs.replace(a_sandbox(service=True), status=written(decision))
    assert decide(stored, *pods) == Nothing()


def test_a_long_list_of_pods_is_cut() -> None:
    pods = [a_pod(name=f"p{n}") for n in range(9)]
    assert ready_words(decide(a_sandbox(), *pods))[2].endswith("9 pods: p0, p1, p2, p3, p4, ...")


@pytest.mark.parametrize(
    ("wanted", "owned_by", "expected"),
    [
        pytest.param(True, "sandbox", "Pod is Ready; Service Exists", id="own"),
        pytest.param(None, "sandbox", "Pod is Ready; Service Exists", id="own-kept"),
        pytest.param(None, None, "Pod is Ready", id="nobody's-ignored"),
        pytest.param(False, sandbox_owner(name="o", uid="u2"), "Pod is Ready", id="alien-unwanted"),
        pytest.param(
            True,
            None,
            'Error seen: service "sb" has no owner; labelled agents.x-k8s.io/adoptable: "true", '
            "it is taken over",
            id="nobody's-in-the-way",
        ),
        pytest.param(
            True,
            sandbox_owner(name="o", uid="u2"),
            'Error seen: service "sb" is owned by Sandbox/o (UID: u2), not by sandbox "sb"',
            id="alien-in-the-way",
        ),
        pytest.param(
            None,
            sandbox_owner(name="o", uid="u2"),
            'Error seen: service "sb" is owned by Sandbox/o (UID: u2), not by sandbox "sb"',
            id="alien",
        ),
    ],
)
def test_which_service_is_accepted(wanted: bool | None, owned_by: Any, expected: str) -> None:
    spec: dict[str, Any] = {} if wanted is None else {"service": wanted}
    service = a_service(owned_by, labels={} if owned_by is None else None)
    decision = decide(a_sandbox(**spec), a_ready_pod(), service=service)
    assert ready_words(decision)[2] == expected
    is_accepted = expected.endswith("Service Exists")
    assert written(decision).service == ("sb" if is_accepted else "")


@pytest.mark.parametrize("annotations", [{}, {"agents.x-k8s.io/pod-name": ""}])
def test_the_pod_is_named_where_its_creator_did_not(annotations: dict[str, str]) -> None:
    sandbox = a_sandbox(annotations=annotations)
    assert decide(sandbox, a_pod(name="sb")) == AnnotatePodName("sb")
    assert created(decide(sandbox)) == {"pods"}


def test_an_own_pod_wins_over_another_name_on_the_sandbox() -> None:
    sandbox = a_sandbox(annotations={"agents.x-k8s.io/pod-name": "stale"})
    assert decide(sandbox, a_ready_pod()) == AnnotatePodName("sb")


class TestFewWrites:
    """News on the way to Ready waits; what somebody acts on does not."""

    def test_an_equal_status_is_not_written(self) -> None:
        pod = a_ready_pod()
        assert decide(showing(pod), pod) == Nothing()

    @pytest.mark.parametrize(
        "pod", [a_pod("Pending"), a_pod("Pending", scheduled=SCHEDULED, node="n1"), a_pod()]
    )
    def test_news_of_a_pod_that_is_not_ready_waits(self, pod: Pod) -> None:
        assert decide(a_sandbox(), pod, quiet_s=0.25) == Wait(0.75)
        assert isinstance(decide(a_sandbox(), pod, quiet_s=0.9999), WriteStatus)
        assert isinstance(decide(a_sandbox(), pod, quiet_s=1.5), WriteStatus)

    def test_a_node_name_alone_waits_for_the_next_write(self) -> None:
        shown = showing(a_pod("Pending", scheduled=SCHEDULED))
        pod = a_pod("Pending", scheduled=SCHEDULED, node="n1")
        assert decide(shown, pod, quiet_s=60) == Nothing()

    @pytest.mark.parametrize("before", [None, a_pod("Pending")], ids=["first", "later"])
    def test_ready_is_written_at_once(self, before: Pod | None) -> None:
        sandbox = showing(before) if before else a_sandbox()
        assert written(decide(sandbox, a_ready_pod())).pod_ips == ("10.0.0.7",)

    def test_a_change_of_a_ready_sandbox_is_written_at_once(self) -> None:
        moved = a_pod(ready=True, scheduled=SCHEDULED, ips=("10.0.0.8",), node="n1")
        assert written(decide(showing(a_ready_pod()), moved)).pod_ips == ("10.0.0.8",)

    @pytest.mark.parametrize("pod", [a_pod(ready=False), a_pod("Succeeded"), a_pod("Failed")])
    def test_ready_is_taken_back_at_once(self, pod: Pod) -> None:
        assert ready_words(decide(showing(a_ready_pod()), pod))[0] == "False"

    def test_ready_is_taken_back_before_a_lost_pod_is_replaced(self) -> None:
        decision = decide(showing(a_ready_pod()))
        assert ready_words(decision) == ("False", "DependenciesNotReady", "Pod does not exist")
        stored = msgspec.structs.replace(a_sandbox(), status=written(decision))
        assert created(decide(stored)) == {"pods"}

    @pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
    def test_the_end_of_a_pod_is_written_at_once(self, phase: str) -> None:
        decision = decide(showing(a_pod("Pending")), a_pod(phase))
        assert find(written(decision).conditions, "Finished") is not None

    def test_an_error_is_written_at_once_and_so_is_its_end(self) -> None:
        refused = Problem("refused", hides_pod=True)
        shown = showing(None, refused)
        assert isinstance(decide(showing(None), refusals=(refused,)), WriteStatus)
        assert decide(shown, refusals=(refused,)) == Nothing()
        assert isinstance(decide(shown, a_pod("Pending")), WriteStatus)

    def test_a_refused_child_is_not_asked_for_again_in_the_same_pass(self) -> None:
        refusals = (Problem("pod no", hides_pod=True), Problem("service no"))
        decision = decide(a_sandbox(service=True), refusals=refusals)
        assert ready_words(decision)[2] == "Error seen: pod no\nservice no"

    def test_a_pool_s_member_follows_the_same_rules(self) -> None:
        assert decide(a_sandbox(owned_by=POOL), a_pod("Pending")) == Wait(1.0)
