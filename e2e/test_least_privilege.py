"""Every right of the roles is needed: without any one of them something that a user sees is gone.

Four managers run one controller each, as users with the rights of that part alone. In each round
every one of them lacks one right: what the case says does not come about, is refused, and comes
about when the right is given back. In the end the audit log has a use of each. What belongs to
no controller is shown in the same way, each part by managers of its own.

The admission plug-in OwnerReferencesPermissionEnforcement is on, for the rights on finalizers.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from e2e.cluster import ControlPlane
from e2e.controlplane.api import Object
from e2e.controlplane.failures import wait_until
from e2e.controlplane.ports import draw_ports
from e2e.least.alone import CONTROLLERS as OF_TEMPLATES
from e2e.least.alone import Alone
from e2e.least.claim_cases import CLAIM_CASES, CLAIM_READS
from e2e.least.pool_cases import POOL_CASES, POOL_READS
from e2e.least.proof import CONTROLLERS, HOLD_S, Proof
from e2e.least.rights import Right, right
from e2e.least.sandbox_cases import SANDBOX_CASES, SANDBOX_READS
from e2e.least.seen import forget, kinds_in_snapshot, scraped, trusted
from e2e.least.template_cases import HASH_NOTED, TEMPLATE_CASES, TEMPLATE_READS

from warmclaim.api.event import EVENT
from warmclaim.api.lease import LEASE
from warmclaim.api.names import ANNOTATION_SEAL
from warmclaim.api.resources import (
    CLAIM,
    CUSTOM_RESOURCE,
    NETWORK_POLICY,
    POD,
    POOL,
    SANDBOX,
    SECRET,
    TEMPLATE,
    Resource,
)
from warmclaim.api.review import ACCESS_REVIEW, TOKEN_REVIEW
from warmclaim.app.needs import SEAL_SECRET, Part, Place, table
from warmclaim.domain.network_policy import policy_name
from warmclaim.kube.lease import lease_name
from warmclaim.webhook.pair import SECRET_NAME

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CASES = (*CLAIM_CASES, *POOL_CASES, *SANDBOX_CASES, *TEMPLATE_CASES)
WATCHES = (*CLAIM_READS, *POOL_READS, *SANDBOX_READS, *TEMPLATE_READS)
LISTS = tuple(case.listing() for case in WATCHES if case.needs.permission.verb == "watch")
PLUGIN = "OwnerReferencesPermissionEnforcement"
LEADER, TELLER, OTHER, SILENT, WEBHOOK, TAKER, GUARD, SEALER = ALONE = (
    "alone-leader",
    "alone-teller",
    "alone-other",
    "alone-silent",
    "alone-webhook",
    "alone-taker",
    "alone-guard",
    "alone-sealer",
)
QUIET_S = 61.0
"""A missing permission is told again after a minute."""
SHORT = ("--leader-elect-lease-duration=4s", "--leader-elect-renew-deadline=3s")
SLOW = (
    "--leader-elect-lease-duration=30s",
    "--leader-elect-renew-deadline=25s",
    "--leader-elect-retry-period=10s",
)
WITHIN_S_MAX = 5.0
"""Much less than a standby that does not watch waits between two looks."""


def may(verb: str, kind: Resource[Any], part: Part, place: Place) -> Right:
    return right(part, verb, kind, place=place)


LEASES = [
    may(verb, LEASE, Part.MANAGER, Place.OWN) for verb in ["create", "get", "update", "watch"]
]
EVENTS = [may(verb, EVENT, Part.MANAGER, Place.OWN) for verb in ("create", "patch")]
DEFINITIONS = [may(verb, CUSTOM_RESOURCE, Part.WEBHOOK, Place.CLUSTER) for verb in ("get", "patch")]
SECRETS = [may(verb, SECRET, Part.WEBHOOK, Place.WEBHOOK) for verb in ("get", "create", "patch")]
CERTIFICATES = [*DEFINITIONS, *SECRETS]
SNAPSHOTS = [
    may("list", kind, Part.SNAPSHOT, Place.OBJECTS)
    for kind in (SANDBOX, CLAIM, POOL, TEMPLATE, POD, EVENT)
]
REVIEWS = [
    may("create", kind, Part.ENDPOINTS, Place.CLUSTER) for kind in (TOKEN_REVIEW, ACCESS_REVIEW)
]
KEY = may("get", SECRET, Part.SEAL, Place.SEAL)
OF_MANAGER = (Part.TEMPLATES, Part.OWNERS, Part.MANAGER)
MISSING = right(Part.TEMPLATES, "create", NETWORK_POLICY)


def told(alone: Alone) -> list[Object]:
    url = f"/apis/events.k8s.io/v1/namespaces/{alone.own}/events"
    events: list[Object] = alone.cluster.api.get(url)["items"]
    return [event for event in events if event["reason"] == "PermissionMissing"]


def untold(alone: Alone) -> str | None:
    return None if told(alone) else "no event"


def series(alone: Alone) -> int:
    """How often its one event says that it was seen."""
    (event,) = told(alone)
    found: Object = event.get("series") or {"count": 1}
    return int(found["count"])


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    """One of their own: its definitions come to ask for a conversion."""
    users = dict.fromkeys((*ALONE, *(f"least-{name}" for name in CONTROLLERS.values())), ())
    with ControlPlane(nodes=20, users=users, admission_plugins=[PLUGIN]) as found:
        yield found


@dataclass(frozen=True)
class Tellers:
    """Two managers that have told of the same missing permission once, at `told_s`."""

    one: Alone
    other: Alone
    told_s: float


@pytest.fixture(scope="module")
def tellers(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tellers]:
    """Before all others: what they tell again is told again after a minute."""
    folder = tmp_path_factory.mktemp("tellers")
    both = [Alone(cluster, name, folder, *OF_MANAGER) for name in (TELLER, OTHER)]
    with both[0].process() as one, both[1].process() as other:
        for alone in both:
            alone.user.allow([MISSING])
            alone.scene.template("first")
            wait_until("event", partial(untold, alone), timeout_s=20)
        told_s = time.monotonic()
        for alone in both:
            alone.user.allow()
            made = partial(alone.scene.there, "networkpolicies", policy_name("first"))
            wait_until("policy", made, timeout_s=40)
        yield Tellers(both[0], both[1], told_s)
        assert one.stop() == other.stop() == []


@pytest.fixture(scope="class")
def proof(
    cluster: ControlPlane, tellers: Tellers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proof]:
    """The managers of the controllers run, with all rights."""
    del tellers  # they only have to be first
    made = Proof(cluster, tmp_path_factory.mktemp("least"))
    try:
        made.start()
        yield made
    finally:
        made.close()


def test_every_right_of_the_controllers_has_its_case() -> None:
    rights = {(need.part, need.permission) for need in table() if need.part in CONTROLLERS}
    rights |= {(need.part, need.permission) for need in table() if need.part is Part.OWNERS}
    shown = {(case.needs.part, case.needs.permission) for case in (*CASES, *WATCHES, *LISTS)}
    assert shown == rights


def test_every_right_of_the_manager_is_shown_here() -> None:
    others = set(Part) - CONTROLLERS.keys() - {Part.OWNERS}
    rights = {(need.part, need.permission) for need in table(OF_TEMPLATES) if need.part in others}
    shown = {
        (one.part, one.permission)
        for one in (*LEASES, *EVENTS, *CERTIFICATES, *SNAPSHOTS, *REVIEWS, KEY)
    }
    assert shown == rights


class TestControllers:
    """The four managers see all namespaces, so they are gone before the tests after these."""

    def test_without_any_one_right_something_does_not_come_about(self, proof: Proof) -> None:
        running = proof.prepared((*CASES, *WATCHES, *LISTS))
        for row in proof.rounds(running):
            proof.show(row)
        proof.show_shut()

    def test_no_right_is_unused(self, proof: Proof) -> None:
        assert proof.unused() == []


def test_without_a_right_on_its_lease_nobody_leads_or_is_late(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    alone = Alone(cluster, LEADER, tmp_path, *OF_MANAGER)
    scene = alone.scene
    for needs in LEASES[:3]:
        name = needs.permission.verb
        lacking = partial(HASH_NOTED.lacking, scene, name)
        alone.show(needs, lacking, partial(scene.template, name), *SHORT)
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{alone.own}/leases"
    lease = f"{leases}/{lease_name(OF_TEMPLATES)}"

    def watched(mark: int, code: int) -> str | None:
        seen = {
            e.code for e in alone.user.events(mark) if (e.verb, e.resource) == ("watch", "leases")
        }
        return None if code in seen else f"watches: {seen}"

    def led() -> str | None:
        holder = cluster.api.get(lease)["spec"].get("holderIdentity")
        return None if holder else "nobody leads"

    for lacks, code in (([LEASES[3]], 403), ([], 200)):
        alone.user.allow(lacks)
        with alone.process(*SLOW) as leader:
            wait_until("leader", led, timeout_s=WITHIN_S_MAX * 4)
            mark = cluster.audit_mark()
            with alone.process(*SLOW) as standby:
                wait_until("watch", partial(watched, mark, code), timeout_s=WITHIN_S_MAX * 4)
                assert leader.stop() == []
                name = f"handed-over-{code}"
                scene.template(name)
                if lacks:
                    time.sleep(HOLD_S)
                    assert HASH_NOTED.lacking(scene, name) is not None
                else:
                    come = partial(HASH_NOTED.lacking, scene, name)
                    wait_until("hand-over", come, timeout_s=WITHIN_S_MAX, log=standby.log)
                assert standby.stop() == []
    assert alone.user.unused(LEASES) == []


def test_without_the_right_to_make_events_a_missing_permission_is_not_told(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    alone, create = Alone(cluster, SILENT, tmp_path, *OF_MANAGER), EVENTS[0]
    act = partial(alone.scene.template, "first")
    mark = cluster.audit_mark()
    alone.user.allow([MISSING, create])
    with alone.process():
        act()
        alone.wait_refused(create, mark)
        time.sleep(HOLD_S)
        assert told(alone) == []
    alone.user.allow([MISSING])
    with alone.process():
        wait_until("event", partial(untold, alone), timeout_s=20)


def test_without_a_right_of_the_webhook_no_definition_learns_whom_to_trust(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    alone = Alone(cluster, WEBHOOK, tmp_path, Part.TEMPLATES, Part.WEBHOOK)
    api, (port,) = cluster.api, draw_ports(1)
    secrets = f"/api/v1/namespaces/{alone.own}/secrets"
    flags = (
        f"--webhook-port={port}",
        f"--webhook-namespace={alone.own}",
        f"--webhook-cert-dir={tmp_path / 'certs'}",
    )
    for needs in CERTIFICATES:
        forget(api, secrets)
        if needs == SECRETS[-1]:
            kind = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET_NAME}}
            api.create(secrets, kind)
        alone.show(needs, partial(trusted, api), lambda: None, *flags)
    assert alone.user.unused(CERTIFICATES) == []


def test_without_a_right_of_the_snapshot_a_kind_is_not_in_it(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    alone, (port,) = Alone(cluster, TAKER, tmp_path, Part.SNAPSHOT), draw_ports(1)
    wanted = {one.permission.resource for one in SNAPSHOTS}
    for lacks in ([], SNAPSHOTS[:3], SNAPSHOTS[3:]):  # each kind is listed by itself
        alone.user.allow(lacks)
        # One each: a manager takes a snapshot every half minute at most.
        with alone.process(f"--diagnostics-bind-address=127.0.0.1:{port}"):
            taken: list[set[str]] = []

            def deaf(into: list[set[str]] = taken) -> str | None:
                try:
                    into.append(kinds_in_snapshot(port))
                except OSError as error:
                    return str(error)
                return None

            wait_until("a snapshot", deaf, timeout_s=20)
        assert taken[0] & wanted == wanted - {one.permission.resource for one in lacks}
    assert alone.user.unused(SNAPSHOTS) == []


def test_without_the_right_to_its_key_no_sealed_member_is_made(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    parts = (Part.POOLS, Part.OWNERS, Part.SEAL)
    alone = Alone(cluster, SEALER, tmp_path, *parts, controllers=frozenset({"pool"}))
    scene, key = alone.scene, {"current": b64encode(b"k" * 32).decode()}
    kind = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SEAL_SECRET}}
    cluster.api.create(f"/api/v1/namespaces/{alone.own}/secrets", {**kind, "data": key})
    scene.template("base")
    flag = f"--sandbox-warm-pool-seal-secret={alone.own}/{SEAL_SECRET}"
    lacking = partial(scene.differs, "sealed", 1)
    alone.show(KEY, lacking, partial(scene.pool, "sealed", 1), flag)
    (member,) = scene.members("sealed")
    assert ANNOTATION_SEAL in member["metadata"]["annotations"]
    assert alone.user.unused([KEY]) == []


def test_without_a_right_of_the_guard_nobody_reads_metrics(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    alone, (port,) = Alone(cluster, GUARD, tmp_path, Part.ENDPOINTS), draw_ports(1)

    def shut() -> str | None:
        try:
            code = scraped(port, cluster.token())
        except OSError as error:
            return str(error)
        return None if code == 200 else f"/metrics answers {code}"

    def wait_503() -> None:
        wait_until("503", lambda: None if "503" in (shut() or "") else "not yet", timeout_s=20)

    flags = ("--metrics-secure", f"--metrics-bind-address=127.0.0.1:{port}")
    for needs in REVIEWS:
        alone.show(needs, shut, wait_503, *flags)
    assert alone.user.unused(REVIEWS) == []


def test_without_the_right_to_change_events_what_goes_on_is_not_counted(
    cluster: ControlPlane, tellers: Tellers
) -> None:
    one, other = tellers.one, tellers.other
    time.sleep(max(tellers.told_s + QUIET_S - time.monotonic(), 0.0))
    mark = cluster.audit_mark()
    one.user.allow([MISSING, EVENTS[1]])
    other.user.allow([MISSING])
    for alone in (one, other):
        alone.scene.template("second")
    one.wait_refused(EVENTS[1], mark)
    wait_until("count", lambda: None if series(other) == 2 else "not counted", timeout_s=20)
    assert series(one) == 1
    assert other.user.unused(EVENTS) == []
