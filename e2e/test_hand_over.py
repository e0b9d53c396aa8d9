"""The leader of two processes goes, asked to or killed: the other goes on, and how soon is told.

Times are never asserted: the machine is shared. They stand at the end of `make e2e`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e.burst.leaders import LeaseLog, Stage, candidate, holder_of, is_adoption
from e2e.burst.process import ControllerProcess
from e2e.cluster import WARMCLAIM, ControlPlane
from e2e.controlplane.api import ApiError
from e2e.figures import RunFigures

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

MEMBERS = 60
CLAIMS_MADE = 120
CLAIM_EVERY_S = 0.05
LEASE_S = 4.0
SHORT_LEASE = (
    f"--leader-elect-lease-duration={LEASE_S:g}s",
    "--leader-elect-renew-deadline=3s",
    "--leader-elect-retry-period=1s",
)


@dataclass(frozen=True)
class Pair:
    """The leader and its standby, both with warm caches, and a full pool."""

    stage: Stage
    leader: ControllerProcess
    standby: ControllerProcess


@pytest.fixture(params=[()], ids=[""])
def pair(
    request: pytest.FixtureRequest, control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> Iterator[Pair]:
    """Both with the flags that are the parameter."""
    stage = Stage(control_plane, namespace, MEMBERS)
    with contextlib.ExitStack() as processes:
        leader = candidate(control_plane, namespace, tmp_path / "a", request.param)
        processes.enter_context(leader)
        stage.wait_leader()
        # Not both at once: which of them leads is to be known.
        standby = candidate(control_plane, namespace, tmp_path / "b", request.param)
        processes.enter_context(standby)
        standby.wait_ready()
        stage.wait_full()
        yield Pair(stage, leader, standby)


@pytest.mark.parametrize(
    ("pair", "is_killed", "budget_s"),
    [((), False, 1.0), (SHORT_LEASE, True, LEASE_S)],
    ids=["asked to", "killed"],
    indirect=["pair"],
)
def test_when_the_leader_goes_the_standby_goes_on(
    pair: Pair, is_killed: bool, budget_s: float, run_figures: RunFigures
) -> None:
    stage, cluster = pair.stage, pair.stage.cluster
    first = holder_of(stage.api, stage.lease)
    mark, stop = cluster.audit_mark(), threading.Event()
    log = LeaseLog(cluster.session("admin"), stage.lease)
    reading = threading.Thread(target=log.run, args=(stop,))
    reading.start()
    gone_s, ending = 0.0, list[str]()
    stopping = threading.Thread(target=lambda: ending.extend(pair.leader.stop()))

    def at(number: int) -> None:
        nonlocal gone_s
        if number == CLAIMS_MADE // 4:
            gone_s = time.time()
            pair.leader.kill() if is_killed else stopping.start()

    sandboxes = stage.claims(CLAIMS_MADE, CLAIM_EVERY_S, at)
    if not is_killed:
        stopping.join()
    stop.set()
    reading.join()
    log.api.close()
    cluster.audit_settle()
    events = [e for e in cluster.audit_events(mark) if e.user == WARMCLAIM]

    assert ending == [], "the leader ended well"
    assert len(set(sandboxes)) == CLAIMS_MADE, "each has one of its own"
    second = log.holders[-1][1]
    assert second not in {"", first}
    assert log.transitions == 1
    left_s, taken_s = log.left(first, gone_s), log.since(second, gone_s)
    went_on_s = min(e.received_s for e in events if is_adoption(e) and e.received_s > left_s)
    lists = [(e.resource, e.namespace) for e in events if e.verb == "list"]
    # What an older batch of a pool made may not have come by the watch yet: one list of its
    # namespace tells, also of one that an earlier test has left to its end.
    assert {resource for resource, _ in lists} <= {"sandboxes"}
    assert all(namespace for _, namespace in lists)
    assert len(lists) == len(set(lists)), "a standby's caches are warm"
    how = "kill -9, a lease of 4 s" if is_killed else "SIGTERM"
    note = f"free {left_s - gone_s:.3f} s, taken {taken_s - gone_s:.3f} s; claims at 20/s"
    what = f"from {how} to the next adoption"
    run_figures.add("hand-over", what, went_on_s - gone_s, budget_s, "s", note)


def test_the_role_lets_a_standby_watch_its_lease_and_no_other(
    control_plane: ControlPlane, namespace: str, pair: Pair
) -> None:
    del pair  # both run
    control_plane.audit_settle()
    watches = [
        event
        for event in control_plane.audit_events(0, user=WARMCLAIM)
        if event.resource == "leases" and event.verb == "watch" and event.namespace == namespace
    ]
    assert {event.code for event in watches} == {200}
    assert len({event.audit_id for event in watches}) == 1, "one stream for one standby"
    session = control_plane.session(WARMCLAIM)
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    for query in ({"watch": "1"}, {"watch": "1", "fieldSelector": "metadata.name=other"}, {}):
        with pytest.raises(ApiError, match="403"):
            session.get(leases, **query)
    session.close()
