"""The status of a Sandbox beside each single condition, and the patch that writes it."""

from __future__ import annotations

import msgspec
from tests.sandbox_objects import (
    NAME_HASH,
    NOW,
    SCHEDULED,
    UID,
    a_pod,
    a_ready_pod,
    a_sandbox,
    a_service,
)
from tests.sandbox_states import FOREIGN, MANY, RUNNING, SUSPENDED, WITH_SERVICE, shown

from warmclaim.api.conditions import Condition
from warmclaim.api.sandbox import SandboxStatus
from warmclaim.domain.sandbox_status import status_for, status_patch


def test_new_conditions_stand_in_a_fixed_order_with_the_generation() -> None:
    status = status_for(RUNNING, a_pod("Failed"), None, None, NOW)
    types = [condition.type for condition in status.conditions]
    assert types == ["Suspended", "Finished", "PodScheduled", "Ready"]
    assert {condition.observed_generation for condition in status.conditions} == {3}


def test_a_ready_pod_gives_its_addresses_and_node() -> None:
    status = status_for(RUNNING, a_ready_pod(), None, None, NOW)
    assert (status.pod_ips, status.node_name) == (("10.0.0.7",), "n1")
    assert status.selector == f"agents.x-k8s.io/sandbox-name-hash={NAME_HASH}"
    assert (status.service, status.service_fqdn) == ("", "")


def test_nothing_of_a_foreign_pod_is_copied() -> None:
    status = status_for(SUSPENDED, FOREIGN, None, None, NOW)
    assert (status.pod_ips, status.node_name) == ((), "")
    assert status.selector


def test_without_a_pod_the_selector_stays_and_the_address_goes() -> None:
    old = {"podIPs": ["10.0.0.7"], "nodeName": "n1", "selector": "kept"}
    status = status_for(a_sandbox(status=old), None, None, None, NOW)
    assert (status.pod_ips, status.node_name, status.selector) == ((), "", "kept")


def test_a_service_is_named_with_the_cluster_domain() -> None:
    status = status_for(
        WITH_SERVICE, a_ready_pod(), a_service(), None, NOW, cluster_domain="k8s.example"
    )
    assert (status.service, status.service_fqdn) == ("sb", "sb.default.svc.k8s.example")


def test_with_several_pods_the_service_stays_as_it_is_shown() -> None:
    old = {"service": "sb", "serviceFQDN": "sb.default.svc.cluster.local"}
    status = status_for(a_sandbox(status=old), None, None, MANY, NOW)
    assert (status.service, status.service_fqdn) == ("sb", "sb.default.svc.cluster.local")


def test_transition_times_move_only_with_the_condition_s_status() -> None:
    first = status_for(RUNNING, a_pod("Pending"), None, None, NOW)
    later = "2024-05-01T11:00:00Z"
    second = status_for(a_sandbox(status=shown(first)), a_pod(), None, None, later)
    third = status_for(a_sandbox(status=shown(second)), a_ready_pod(), None, None, later)
    times = [
        [condition.last_transition_time for condition in status.conditions]
        for status in (first, second, third)
    ]
    scheduled_at = SCHEDULED["lastTransitionTime"]
    assert times == [[NOW, NOW, NOW], [NOW, NOW, NOW], [NOW, scheduled_at, later]]


def test_the_same_facts_give_an_equal_status() -> None:
    first = status_for(RUNNING, a_ready_pod(), None, None, NOW)
    stored = a_sandbox(status=shown(first))
    again = status_for(stored, a_ready_pod(), None, None, "2030-01-01T00:00:00Z")
    assert again == stored.status


def test_conditions_of_others_survive() -> None:
    mine = {"type": "Mine", "status": "True", "reason": "R", "lastTransitionTime": NOW}
    status = status_for(a_sandbox(status={"conditions": [mine]}), None, None, None, NOW)
    assert [condition.type for condition in status.conditions] == ["Mine", "Suspended", "Ready"]


def test_conditions_that_no_longer_hold_are_removed() -> None:
    first = status_for(RUNNING, a_pod("Failed"), None, None, NOW)
    second = status_for(a_sandbox(status=shown(first)), None, None, None, NOW)
    assert [condition.type for condition in second.conditions] == ["Suspended", "Ready"]


def test_the_first_patch_adds_the_whole_status() -> None:
    status = status_for(RUNNING, a_ready_pod(), None, None, NOW)
    test, add = status_patch(RUNNING, status)
    assert test == {"op": "test", "path": "/metadata/uid", "value": UID}
    assert (add["op"], add["path"]) == ("add", "/status")
    required = {"type", "status", "reason", "message", "lastTransitionTime"}
    assert all(required <= condition.keys() for condition in add["value"]["conditions"])
    assert list(add["value"]["podIPs"]) == ["10.0.0.7"]


def test_a_later_patch_touches_only_what_differs() -> None:
    ready = status_for(RUNNING, a_ready_pod(), None, None, NOW)
    stored = a_sandbox(status=shown(ready))
    moved = msgspec.structs.replace(ready, node_name="n2")
    assert status_patch(stored, moved)[1:] == [
        {"op": "add", "path": "/status/nodeName", "value": "n2"}
    ]
    gone = status_for(stored, None, None, None, NOW)
    assert [(op["op"], op["path"]) for op in status_patch(stored, gone)[1:]] == [
        ("add", "/status/conditions"),
        ("remove", "/status/podIPs"),
        ("remove", "/status/nodeName"),
    ]


def test_an_empty_message_is_written_not_left_out() -> None:
    condition = Condition(type="PodScheduled", status="True", reason="PodScheduled")
    _, add = status_patch(RUNNING, SandboxStatus(conditions=(condition,)))
    assert add["value"]["conditions"][0]["message"] == ""
