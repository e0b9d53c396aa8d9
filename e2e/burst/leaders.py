"""Processes that stand for one Lease, claims that go on meanwhile, and what the Lease says."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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

_LEASE = "a3317529.agent-sandbox.x-k8s.io"


def lease_path(namespace: str) -> str:
    """Of a manager that runs all controllers."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{_LEASE}"


def holder_of(api: ApiSession, url: str) -> str:
    """Who holds the Lease; "" if nobody, or there is none."""
    try:
        return str(api.get(url)["spec"].get("holderIdentity") or "")
    except ApiError:
        return ""


def candidate(
    cluster: ControlPlane,
    namespace: str,
    folder: Path,
    flags: Sequence[str] = (),
    *,
    roots: Sequence[Path] = (),
) -> ControllerProcess:
    """A process that stands for the Lease in that namespace; of the version whose source roots
    these are, else of this one."""

    def command(kubeconfig: Path, probe_port: int) -> list[str]:
        words = warmclaim_command(kubeconfig, probe_port)
        words.remove("--leader-elect=false")
        # The webhook has one port, and both would want it.
        own = [f"--leader-election-namespace={namespace}", "--enable-webhook=false"]
        there = os.pathsep.join(map(str, roots))
        return [*(["env", f"PYTHONPATH={there}"] if roots else []), *words, *own, *flags]

    return ControllerProcess(cluster.kubeconfig(WARMCLAIM), folder, command)


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


class Stage:
    """A namespace with a pool, and claims that come at a steady rate."""

    def __init__(self, cluster: ControlPlane, namespace: str, members: int) -> None:
        self.cluster, self.api, self.namespace = cluster, cluster.api, namespace
        self.members = members
        self.lease = lease_path(namespace)
        grant(self.api, WARMCLAIM)
        grant_lease(self.api, WARMCLAIM, namespace)
        self.api.create(path(namespace, TEMPLATES), template_body())
        self.api.create(path(namespace, POOLS), pool_body(members))

    def wait_leader(self, after: str = "") -> str:
        """Wait until somebody other than `after` holds the Lease; returns who."""
        url = self.lease
        wait_until(
            "leader",
            lambda: None if holder_of(self.api, url) not in {"", after} else "nobody else",
            timeout_s=30,
        )
        return holder_of(self.api, url)

    def wait_full(self) -> None:
        """Wait until the pool says that it is full."""

        def lacking() -> str | None:
            status: Object = self.api.get(path(self.namespace, POOLS, POOL)).get("status") or {}
            ready = status.get("readyReplicas", 0)
            return None if ready == self.members else f"{ready} of {self.members} ready"

        wait_until("members", lacking, timeout_s=60)

    def claims(self, count: int, every_s: float, at: Callable[[int], None]) -> list[str]:
        """Make so many, telling `at` of each number before; wait until all have a sandbox, and
        return the sandboxes' names."""
        begun_s = time.monotonic()
        for number in range(count):
            at(number)
            time.sleep(max(begun_s + number * every_s - time.monotonic(), 0.0))
            self.api.create(path(self.namespace, CLAIMS), claim_body(f"claim-{number}"))
        wait_until("claims", lambda: self._unserved(count), timeout_s=60)
        return self._sandboxes()

    def _unserved(self, count: int) -> str | None:
        served = len(self._sandboxes())
        return None if served == count else f"{served} of {count} served"

    def _sandboxes(self) -> list[str]:
        claims: list[Object] = self.api.get(path(self.namespace, CLAIMS))["items"]
        statuses: list[Object] = [one["status"] for one in claims if one.get("status")]
        return [str(one["sandbox"]["name"]) for one in statuses if one.get("sandbox")]


def is_adoption(event: AuditEvent) -> bool:
    """Whether it hands a sandbox to a claim, or tells a claim of it."""
    is_patch = event.verb == "patch" and event.code == 200
    kinds = {("sandboxes", ""), ("sandboxclaims", "status")}
    return is_patch and (event.resource, event.subresource) in kinds
