"""SIGTERM to the leader of two processes: the other goes on, and how soon is printed.

Times are never asserted: the machine is shared.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from e2e.burst.process import ControllerProcess, warmclaim_command
from e2e.burst.rights import grant, grant_lease
from e2e.cluster import WARMCLAIM, ControlPlane
from e2e.controlplane.api import ApiError, ApiSession, Object
from e2e.controlplane.failures import wait_until

from warmclaim.loadtest.audit_log import AuditEvent
from warmclaim.loadtest.objects import (
    CLAIMS,
    POOL,
    POOLS,
    TEMPLATES,
    claim_body,
    path,
    pool_body,
    template_body,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

MEMBERS = 40
CLAIMS_MADE = 60
CLAIM_EVERY_S = 0.03
LEASE = "a3317529.agent-sandbox.x-k8s.io"


@dataclass
class LeaseLog:
    """Reads the Lease over and over, and keeps when its holder changed, as POSIX times."""

    api: ApiSession
    url: str
    holders: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    transitions: int = 0

    def run(self, stop: threading.Event) -> None:
        """Read until `stop`."""
        while not stop.wait(0.01):
            spec: Object = self.api.get(self.url)["spec"]
            holder = str(spec.get("holderIdentity") or "")
            self.transitions = int(spec.get("leaseTransitions") or 0)
            if not self.holders or self.holders[-1][1] != holder:
                self.holders.append((time.time(), holder))

    def since(self, holder: str, after_s: float) -> float:
        """When this one began to hold it."""
        return next(at_s for at_s, who in self.holders if who == holder and at_s >= after_s)

    def left(self, holder: str, after_s: float) -> float:
        """When this one held it no longer. Between two reads it may have been free and taken."""
        return next(at_s for at_s, who in self.holders if who != holder and at_s >= after_s)


def holder_of(api: ApiSession, url: str) -> str:
    """Who holds the Lease; "" if nobody, or there is none."""
    try:
        return str(api.get(url)["spec"].get("holderIdentity") or "")
    except ApiError:
        return ""


def candidate(cluster: ControlPlane, namespace: str, folder: Path) -> ControllerProcess:
    """A process that stands for the Lease in that namespace."""

    def command(kubeconfig: Path, probe_port: int) -> list[str]:
        flags = warmclaim_command(kubeconfig, probe_port)
        flags.remove("--leader-elect=false")
        # The webhook has one port, and both would want it.
        return [*flags, f"--leader-election-namespace={namespace}", "--enable-webhook=false"]

    return ControllerProcess(cluster.kubeconfig(WARMCLAIM), folder, command)


def status_of(thing: Object) -> Object:
    """Its status, if it has one."""
    status: Object = thing.get("status") or {}
    return status


def unserved(api: ApiSession, namespace: str, count: int) -> str | None:
    """What is missing until so many claims have their sandbox."""
    claims: list[Object] = api.get(path(namespace, CLAIMS))["items"]
    served = sum(bool(status_of(claim).get("sandbox")) for claim in claims)
    return None if served == count else f"{served} of {count} served"


def ready_members(api: ApiSession, namespace: str) -> str | None:
    """What is missing until the pool is full."""
    ready = status_of(api.get(path(namespace, POOLS, POOL))).get("readyReplicas", 0)
    return None if ready == MEMBERS else f"{ready} of {MEMBERS} ready"


@pytest.fixture
def pair(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> Iterator[tuple[ControllerProcess, ControllerProcess]]:
    """The leader and its standby, both with warm caches, and a full pool."""
    api = control_plane.api
    grant(api, WARMCLAIM)
    grant_lease(api, WARMCLAIM, namespace)
    api.create(path(namespace, TEMPLATES), template_body())
    api.create(path(namespace, POOLS), pool_body(MEMBERS))
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LEASE}"
    with contextlib.ExitStack() as processes:
        leader = processes.enter_context(candidate(control_plane, namespace, tmp_path / "a"))
        wait_until("leader", lambda: None if holder_of(api, lease) else "nobody", timeout_s=30)
        # Not both at once: which of them leads is to be known.
        standby = processes.enter_context(candidate(control_plane, namespace, tmp_path / "b"))
        standby.wait_ready()
        wait_until("members", lambda: ready_members(api, namespace), timeout_s=60)
        yield leader, standby


def test_after_sigterm_the_standby_goes_on(
    control_plane: ControlPlane,
    namespace: str,
    pair: tuple[ControllerProcess, ControllerProcess],
    capsys: pytest.CaptureFixture[str],
) -> None:
    leader, _ = pair
    api = control_plane.api
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LEASE}"
    first = holder_of(api, lease)
    mark, stop = control_plane.audit_mark(), threading.Event()
    log = LeaseLog(control_plane.session("admin"), lease)
    reading = threading.Thread(target=log.run, args=(stop,))
    reading.start()
    asked_s, stopping = 0.0, threading.Thread()
    ending: list[str] = []
    for number in range(CLAIMS_MADE):
        if number == CLAIMS_MADE // 3:
            asked_s = time.time()
            stopping = threading.Thread(target=lambda: ending.extend(leader.stop()))
            stopping.start()
        api.create(path(namespace, CLAIMS), claim_body(f"claim-{number}"))
        time.sleep(CLAIM_EVERY_S)
    wait_until("claims", lambda: unserved(api, namespace, CLAIMS_MADE), timeout_s=30)
    stopping.join()
    stop.set()
    reading.join()
    log.api.close()
    control_plane.audit_settle()
    events = [e for e in control_plane.audit_events(mark) if e.user == WARMCLAIM]

    assert ending == [], "the leader ended well"
    second = log.holders[-1][1]
    assert second not in {"", first}
    assert log.transitions == 1
    freed_s, taken_s = log.left(first, asked_s), log.since(second, asked_s)
    went_on_s = min(e.received_s for e in events if is_adoption(e) and e.received_s > freed_s)
    with capsys.disabled():
        print(
            f"\nafter SIGTERM: lease free {freed_s - asked_s:.3f} s, "
            f"taken {taken_s - asked_s:.3f} s, adoption goes on {went_on_s - asked_s:.3f} s"
        )


def test_the_role_lets_a_standby_watch_its_lease_and_no_other(
    control_plane: ControlPlane,
    namespace: str,
    pair: tuple[ControllerProcess, ControllerProcess],
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


def is_adoption(event: AuditEvent) -> bool:
    """Whether it hands a sandbox to a claim, or tells a claim of it."""
    is_patch = event.verb == "patch" and event.code == 200
    kinds = {("sandboxes", ""), ("sandboxclaims", "status")}
    return is_patch and (event.resource, event.subresource) in kinds
