"""What the facts of a cluster come to: one finding each, and a fix where something is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from warmclaim.domain.preflight import (
    MINOR_LEAST,
    MINOR_TRIED,
    SKEW_S_MAX,
    Facts,
    Finding,
    KindFacts,
    LeaseFacts,
    Level,
    PermissionFacts,
    ServerFacts,
    WebhookFacts,
    findings,
    is_ready,
    unreachable,
)

SERVER = ServerFacts("https://server", "v1.36.3", 36, 0.2, True, True)
KIND = KindFacts("sandboxes.agents.x-k8s.io", frozenset({"v1beta1"}), ("v1beta1",), "")
SERVICE = "agent-sandbox-system/agent-sandbox-webhook-service"
ASKING = replace(KIND, converter=SERVICE, trusts=b"pem\n")
WELL = Facts(
    server=SERVER,
    kinds=[KIND],
    permissions=[PermissionFacts("list pods", ("sandbox controller",), True)],
    lease=LeaseFacts("ns/lease", "m0"),
    webhook=WebhookFacts(True, SERVICE),
)


def only(facts: Facts, check: str) -> Finding:
    (found,) = [one for one in findings(facts) if one.check == check]
    return found


def test_where_all_is_well_each_line_says_so_and_none_has_a_fix() -> None:
    found = findings(WELL)
    assert {one.level for one in found} == {Level.OK}
    assert not any(one.fix for one in found)
    assert is_ready(found)


@pytest.mark.parametrize(
    ("minor", "level"),
    [
        (MINOR_LEAST - 1, Level.PROBLEM),
        (MINOR_LEAST, Level.OK),
        (MINOR_TRIED, Level.OK),
        (MINOR_TRIED + 1, Level.NOTE),
        (None, Level.OK),
    ],
)
def test_the_minor_version_decides(minor: int | None, level: Level) -> None:
    facts = replace(WELL, server=replace(SERVER, minor=minor))
    assert only(facts, "server").level is level
    assert is_ready(findings(facts)) == (level is not Level.PROBLEM)


@pytest.mark.parametrize("sign", [1, -1])
def test_clocks_that_differ_by_much_are_a_problem(sign: int) -> None:
    near = replace(WELL, server=replace(SERVER, ahead_s=sign * SKEW_S_MAX))
    assert only(near, "clock").level is Level.OK
    far = only(replace(WELL, server=replace(SERVER, ahead_s=sign * (SKEW_S_MAX + 1))), "clock")
    assert far.level is Level.PROBLEM
    assert f"6s {'ahead of' if sign > 0 else 'behind'} this one" in far.text
    assert "NTP" in far.fix
    untold = only(replace(WELL, server=replace(SERVER, ahead_s=None)), "clock")
    assert untold.level is Level.NOTE


def test_what_the_server_cannot_do_is_a_note_and_says_what_happens_instead() -> None:
    old = replace(WELL, server=replace(SERVER, has_watch_list=False, has_policies=False))
    assert "read in pages instead" in only(old, "watch-list").text
    assert "RBAC alone" in only(old, "admission policies").text
    assert is_ready(findings(old))
    unknown = replace(WELL, server=replace(SERVER, has_watch_list=None, has_policies=None))
    assert not {"watch-list", "admission policies"} & {one.check for one in findings(unknown)}


def test_a_kind_that_is_not_served_in_our_version_is_a_problem() -> None:
    gone = only(replace(WELL, kinds=[replace(KIND, served=frozenset())]), "definitions")
    assert (gone.level, gone.fix) == (Level.PROBLEM, "kubectl apply -k config/crd")
    old = only(replace(WELL, kinds=[replace(KIND, served=frozenset({"v1alpha1"}))]), "definitions")
    assert old.text.endswith("not served as v1beta1, only v1alpha1")


def test_objects_stored_in_the_old_version_need_somebody_who_converts() -> None:
    stored = replace(KIND, stored=("v1alpha1", "v1beta1"))
    nobody = only(replace(WELL, kinds=[stored]), "definitions")
    assert nobody.level is Level.PROBLEM
    assert "config/with-v1alpha1" in nobody.fix
    asking = replace(stored, converter=SERVICE)
    assert only(replace(WELL, kinds=[asking]), "definitions").level is Level.OK
    off = replace(WELL, kinds=[asking], webhook=WebhookFacts(False, SERVICE))
    assert only(off, "definitions").level is Level.NOTE
    assert not [one for one in findings(off) if one.check == "webhook"]


def test_a_definition_that_may_not_be_read_is_judged_by_what_is_served() -> None:
    found = only(replace(WELL, kinds=[replace(KIND, stored=None, converter=None)]), "definitions")
    assert found == Finding("definitions", Level.OK, f"{KIND.name} is served as v1beta1")


def test_each_missing_permission_is_a_line_that_names_who_needs_it() -> None:
    lacking = [
        PermissionFacts("list pods at the cluster scope", ("sandbox controller",), False),
        PermissionFacts("patch x", ("claim controller", "pool controller"), False),
        PermissionFacts("get y", ("manager",), False, "503"),
        PermissionFacts("get z", ("manager",), True),
    ]
    found = [
        one for one in findings(replace(WELL, permissions=lacking)) if one.check == "permissions"
    ]
    assert [one.text for one in found] == [
        "may not list pods at the cluster scope, which the sandbox controller must",
        "may not patch x, which the claim controller and the pool controller must",
        "whether it may get y could not be asked: 503",
    ]
    assert all(one.level is Level.PROBLEM and one.fix for one in found)


@pytest.mark.parametrize(
    ("lease", "level", "words"),
    [
        (None, Level.NOTE, "no leader election"),
        (LeaseFacts("ns/l"), Level.OK, "the first manager makes it"),
        (LeaseFacts("ns/l", ""), Level.OK, "ns/l is free"),
        (LeaseFacts("ns/l", "m1"), Level.OK, "held by m1"),
        (LeaseFacts("ns/l", problem="403"), Level.PROBLEM, "cannot be read: 403"),
    ],
)
def test_the_lease(lease: LeaseFacts | None, level: Level, words: str) -> None:
    found = only(replace(WELL, lease=lease), "lease")
    assert found.level is level
    assert words in found.text


@pytest.mark.parametrize(
    ("webhook", "level", "words"),
    [
        (WebhookFacts(True, SERVICE), Level.OK, "the first manager makes it"),
        (WebhookFacts(True, SERVICE, True, None, "", b"pem"), Level.OK, "valid and trusted"),
        (WebhookFacts(True, SERVICE, True, None, "", b"other"), Level.PROBLEM, "does not trust"),
        (WebhookFacts(True, SERVICE, True, "it is not valid now"), Level.PROBLEM, "not valid now"),
        (WebhookFacts(True, SERVICE, problem="403"), Level.PROBLEM, "cannot be read: 403"),
    ],
)
def test_the_certificate_where_a_kind_asks_for_it(
    webhook: WebhookFacts, level: Level, words: str
) -> None:
    found = only(replace(WELL, kinds=[ASKING], webhook=webhook), "webhook")
    assert found.level is level
    assert words in found.text


def test_another_service_that_is_asked_is_told() -> None:
    other = replace(ASKING, converter="elsewhere/service")
    facts = replace(
        WELL, kinds=[other], webhook=WebhookFacts(True, SERVICE, True, None, "", b"pem")
    )
    first, *_ = [one for one in findings(facts) if one.check == "webhook"]
    assert first.text == f"{KIND.name} asks elsewhere/service to convert, not {SERVICE}"


def test_what_could_not_be_asked_is_said() -> None:
    assert only(replace(WELL, gaps=["x: timeout"]), "not asked").text == "x: timeout"
    assert not is_ready([unreachable("https://server", "refused")])
