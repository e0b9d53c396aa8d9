"""The bookkeeping of the burst test: it must see what a broken controller would do."""

from __future__ import annotations

import pytest
from e2e.burst import verdict
from e2e.burst.claim_requests import Handed, claim_paths, lists, problems, writes_by_kind
from e2e.burst.verdict import Start, judge, shown, used_per_node

from warmclaim.loadtest.audit_log import AuditEvent
from warmclaim.loadtest.ledger import DELETED, Ledger
from warmclaim.loadtest.percentiles import nearest_rank
from warmclaim.loadtest.views import (
    CLAIM_KIND,
    LAUNCH_TYPE,
    POOL_KIND,
    Condition,
    Metadata,
    Named,
    Owner,
    Status,
    Thing,
)

POOL = "uid-pool"


def claim(name: str, sandbox: str = "", *, ready: bool | None = None) -> Thing:
    """A claim `name` with uid `uid-<name>`."""
    said = {True: "True", False: "False", None: ""}[ready]
    conditions = (Condition("Ready", said, "Reason", "text"),) if said else ()
    status = Status(conditions, Named(sandbox) if sandbox else None)
    return Thing(Metadata(name, f"uid-{name}"), status)


def sandbox(
    name: str,
    *,
    owner: tuple[str, str] = (POOL_KIND, "pool"),
    node: str = "n1",
    launch: str = "warm",
    deleting: bool = False,
) -> Thing:
    """A Ready sandbox `name` with uid `uid-<name>`, owned by (kind, name)."""
    owners = (Owner(owner[0], owner[1], f"uid-{owner[1]}", True),)
    stamp = "2026-01-01T00:00:00Z" if deleting else None
    meta = Metadata(name, f"uid-{name}", "", stamp, {LAUNCH_TYPE: launch}, owners)
    return Thing(meta, Status((Condition("Ready", "True"),), None, node))


def to_claim(name: str) -> tuple[str, str]:
    return CLAIM_KIND, name


def served(count: int = 2, nodes: int = 2, spares: int = 2) -> tuple[Ledger, Start]:
    """A ledger of a faultless run: claims c0.. were given s0.., spares replaced them."""
    ledger = Ledger()
    for number in range(count + spares):
        ledger.sandbox_event("ADDED", sandbox(f"s{number}", node=f"n{number % nodes}"), 0.1)
    start = Start.of(ledger, POOL)
    for number in range(count):
        name, given = f"c{number}", f"s{number}"
        ledger.claim_event("ADDED", claim(name), 1.0)
        one = sandbox(given, owner=to_claim(name), node=f"n{number % nodes}")
        ledger.sandbox_event("MODIFIED", one, 1.1)
        ledger.claim_event("MODIFIED", claim(name, given, ready=True), 1.2)
        ledger.sandbox_event("ADDED", sandbox(f"r{number}"), 1.3)
    return ledger, start


def verdicts(ledger: Ledger, start: Start, claims: int = 2, size: int = 4) -> dict[str, list[str]]:
    names = [f"c{number}" for number in range(claims)]
    return {name: found for name, found in judge(ledger, names, POOL, size, start).items() if found}


def test_a_faultless_run_has_no_breach() -> None:
    ledger, start = served()
    assert verdicts(ledger, start) == {}
    assert ledger.ready_claims == 2
    assert ledger.claims["uid-c0"].versions_to_ready == 1


def test_a_sandbox_given_to_two_claims_is_named_with_both() -> None:
    ledger, start = served()
    ledger.sandbox_event("MODIFIED", sandbox("s0", owner=to_claim("c1")), 2.5)
    (told, second) = verdicts(ledger, start)[verdict.ONCE][:2]
    assert told == "2.500 s: sandbox s0 was given to two claims: c0, then c1"
    assert second == "2.500 s: claim c1 was given 2: s1, s0"


def test_a_sandbox_that_goes_back_to_a_pool_is_a_breach() -> None:
    ledger, _ = served()
    ledger.sandbox_event("MODIFIED", sandbox("s0"), 3.0)
    assert ledger.breaches == ["3.000 s: sandbox s0 went back to pool pool"]


def test_a_cold_sandbox_beside_a_warm_one_is_a_second_one() -> None:
    ledger, _ = served()
    ledger.sandbox_event("ADDED", sandbox("c0", owner=to_claim("c0"), launch="cold"), 3.0)
    assert ledger.breaches == ["3.000 s: claim c0 was given 2: s0, c0"]


@pytest.mark.parametrize("after", ["", "s9"], ids=["taken back", "changed"])
def test_a_published_name_stays(after: str) -> None:
    ledger, _ = served()
    ledger.claim_event("MODIFIED", claim("c0", after, ready=True), 3.0)
    assert ledger.breaches == [f"3.000 s: claim c0 published 's0', now {after!r}"]


def test_a_sandbox_published_by_two_claims_is_a_breach() -> None:
    ledger = Ledger()
    for name in ("a", "b"):
        ledger.claim_event("ADDED", claim(name, "same", ready=True), 1.0)
    assert ledger.breaches == ["1.000 s: sandbox same is published by two claims: a and b"]


def test_a_claim_that_was_ready_stays_so() -> None:
    ledger, _ = served()
    ledger.claim_event("MODIFIED", claim("c0", "s0", ready=False), 3.0)
    assert ledger.breaches == ["3.000 s: claim c0 was Ready, now Ready=False Reason: text"]
    assert ledger.ready_claims == 2


def test_the_peak_counts_members_being_deleted_and_keeps_the_worst_moment() -> None:
    ledger, start = served(0, spares=4)
    ledger.sandbox_event("MODIFIED", sandbox("s0", deleting=True), 5.0)
    ledger.sandbox_event("ADDED", sandbox("s4"), 6.0)
    ledger.sandbox_event(DELETED, sandbox("s0", deleting=True), 7.0)
    assert ledger.members(POOL) == ledger.ready_members(POOL) == 4
    assert verdicts(ledger, start, 0)[verdict.CEILING] == ["5 members of 4 at 6.000 s"]
    assert ledger.existing() == 4


def test_a_pool_below_its_size_is_told_with_its_counts() -> None:
    ledger, start = served()
    ledger.sandbox_event(DELETED, sandbox("r0"), 2.0)
    ledger.sandbox_event("MODIFIED", sandbox("r1", deleting=True), 2.0)
    assert verdicts(ledger, start)[verdict.SIZE] == ["3 members, 2 of them Ready, of 4"]


def test_a_claim_that_is_not_ready_is_told_with_its_condition() -> None:
    ledger, start = served()
    ledger.claim_event("ADDED", claim("c2", ready=False), 1.0)
    told = verdicts(ledger, start, 4)
    assert told[verdict.READY] == [
        "claim c3 was never seen",
        "claim c2: Ready=False Reason: text",
    ]
    assert told[verdict.WARM] == ["claim c2 owned no sandbox"]


def test_a_cold_start_is_told() -> None:
    ledger, start = served()
    ledger.claim_event("ADDED", claim("c2", "c2", ready=True), 1.0)
    ledger.sandbox_event("ADDED", sandbox("c2", owner=to_claim("c2"), launch="cold"), 1.0)
    assert verdicts(ledger, start, 3)[verdict.WARM] == ["claim c2 got c2, launch type 'cold'"]


def test_a_published_sandbox_that_is_not_owned_is_told() -> None:
    ledger, start = served()
    ledger.claim_event("ADDED", claim("c2", "s3", ready=True), 1.0)
    told = verdicts(ledger, start, 3)
    assert told[verdict.ONCE] == ["claim c2 published 's3' and owns ''"]


def uneven(*newcomers: float) -> list[str]:
    """What is said of s0..s5 on n0..n2, two each, of which n0 loses two and n1 one at 5 s, after
    members became Ready at these times."""
    ledger = Ledger()
    for number in range(6):
        ledger.sandbox_event("ADDED", sandbox(f"s{number}", node=f"n{number % 3}"), 0.1)
    start = Start.of(ledger, POOL)
    for number, ready_s in enumerate(newcomers):
        ledger.sandbox_event("ADDED", sandbox(f"x{number}", node="n0"), ready_s)
    for number, name in enumerate(("s0", "s3", "s1")):
        one = sandbox(name, owner=to_claim(f"c{number}"), node=start.nodes[f"uid-{name}"])
        ledger.sandbox_event("MODIFIED", one, 5.0)
    assert used_per_node(ledger, start) == {"n0": 2, "n1": 1, "n2": 0}
    return judge(ledger, [], POOL, 6, start)[verdict.SPREAD]


def test_uneven_use_of_nodes_is_told_by_how_many_nodes_lost_how_many() -> None:
    lost = "1 nodes had 2, lost 0; 1 nodes had 2, lost 1; 1 nodes had 2, lost 2"
    assert uneven() == [f"members of the start that were given: {lost}; 0 newcomers"]


def test_each_member_that_comes_during_the_burst_may_move_one_pick() -> None:
    assert uneven(4.9) == []
    assert uneven(5.1)[0].endswith("; 0 newcomers")


def test_members_without_a_node_at_the_start_are_told() -> None:
    ledger = Ledger()
    ledger.sandbox_event("ADDED", sandbox("s0", node=""), 0.0)
    start = Start.of(ledger, POOL)
    assert judge(ledger, [], POOL, 1, start)[verdict.SPREAD] == [
        "1 members had no node at the start"
    ]


def test_a_sandbox_may_be_seen_before_the_claim_that_owns_it() -> None:
    ledger = Ledger()
    ledger.sandbox_event("ADDED", sandbox("s0"), 0.0)
    ledger.sandbox_event("MODIFIED", sandbox("s0", owner=to_claim("c0")), 1.0)
    ledger.claim_event("ADDED", claim("c0"), 1.1)
    ledger.claim_event("MODIFIED", claim("c0", "s0", ready=True), 1.2)
    record = ledger.claims["uid-c0"]
    assert (record.given, record.versions_to_ready, ledger.breaches) == (["uid-s0"], 1, [])


def test_long_lists_of_problems_are_cut() -> None:
    assert shown([str(n) for n in range(12)]).splitlines()[-2:] == ["9", "... and 2 more"]


# --- percentiles ---


@pytest.mark.parametrize(
    ("percent", "value"), [(50, 5), (51, 6), (90, 9), (99, 10), (100, 10), (1, 1)]
)
def test_nearest_rank_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert nearest_rank([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], percent) == value


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_nonsense_has_no_percentile(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="no "):
        nearest_rank(values, percent)


# --- requests of a claim's path ---


def request(
    at_s: float,
    verb: str,
    resource: str,
    name: str,
    *,
    user: str = "us",
    code: int = 200,
    subresource: str = "",
    stage: str = "ResponseComplete",
) -> AuditEvent:
    """A request read at `at_s` and answered 0.1 s later."""
    return AuditEvent(
        "id", stage, user, "agent", verb, f"/{resource}/{name}", "group", resource, subresource,
        "ns", name, code, at_s, at_s + 0.1,
    )  # fmt: skip


CREATED = request(0.0, "create", "sandboxclaims", "c", user="client", code=201)
RESERVED = request(1.0, "patch", "sandboxes", "s")
PUBLISHED = request(2.0, "patch", "sandboxclaims", "c", subresource="status")
LATER = request(3.0, "patch", "sandboxes", "s", subresource="status")


def judged(*events: AuditEvent, versions: int = 1) -> list[str]:
    return list(problems(claim_paths(events, [Handed("c", "s", versions)], "us")))


def test_two_writes_are_right_whatever_comes_after_ready_or_concerns_others() -> None:
    alien = request(1.5, "patch", "sandboxes", "s", user="kubelet")
    other = request(1.5, "patch", "sandboxes", "t")
    assert judged(LATER, PUBLISHED, CREATED, RESERVED, alien, other) == []


@pytest.mark.parametrize(
    ("extra", "counts"),
    [
        (request(1.5, "get", "sandboxclaims", "c"), "2 writes, 1 reads"),
        (request(1.5, "patch", "sandboxes", "s", subresource="status"), "3 writes, 0 reads"),
        (request(0.5, "patch", "sandboxclaims", "c", code=409), "3 writes, 0 reads"),
    ],
    ids=["read", "status", "conflict"],
)
def test_anything_more_on_the_way_is_told(extra: AuditEvent, counts: str) -> None:
    (told,) = judged(CREATED, RESERVED, extra, PUBLISHED)
    assert told.startswith(f"claim c: {counts}: ")


def test_an_earlier_status_is_on_the_way_and_the_ready_one_is_its_end() -> None:
    failed = request(0.5, "patch", "sandboxclaims", "c", subresource="status")
    (told,) = judged(CREATED, failed, RESERVED, PUBLISHED, versions=2)
    assert told.startswith("claim c: 3 writes, 0 reads: ")


@pytest.mark.parametrize("events", [(RESERVED, PUBLISHED), (CREATED, RESERVED)])
def test_a_path_whose_end_is_not_in_the_log_is_told(events: tuple[AuditEvent, ...]) -> None:
    assert judged(*events) == ["claim c: its creation or its Ready is not in the audit log"]


def test_lists_and_writes_are_counted_by_user() -> None:
    events = [request(1.0, "list", "pods", ""), request(1.0, "list", "pods", "", user="x"), LATER]
    assert list(lists(events, "us")) == ["/pods/ -> 200"]
    assert writes_by_kind(events, "us") == {"patch sandboxes/status": 1}
