"""A namespace in which the admin and the tenants act: what each behaviour is shown by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from e2e.cluster import ControlPlane
from e2e.controlplane.api import ApiError, Object
from e2e.controlplane.failures import wait_until
from e2e.controlplane.objects import is_ready

from warmclaim.api.names import ANNOTATION_RESERVATION, LABEL_NAME_HASH, name_hash
from warmclaim.domain.reservation import member_name, parse_reservation
from warmclaim.loadtest.objects import (
    CLAIMS,
    EXTENSIONS_API,
    PODS,
    POOLS,
    SANDBOX_API,
    SANDBOXES,
    TEMPLATES,
    claim_body,
    path,
    pod_template,
)

WAIT_S_MAX = 45.0
"""A refused watch or key waits 30 s at most."""
PAST, FUTURE = "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"


class Scene:
    """Objects by plural and name in one namespace; all by the admin."""

    def __init__(self, cluster: ControlPlane, namespace: str) -> None:
        self.api, self.namespace = cluster.api, namespace
        self.log = cluster.logs("kube-apiserver")

    def path(self, plural: str, name: str = "") -> str:
        """Of an object or a collection of any kind that is used here."""
        if plural == "networkpolicies":
            folder = f"/apis/networking.k8s.io/v1/namespaces/{self.namespace}/{plural}"
            return f"{folder}/{name}" if name else folder
        return path(self.namespace, plural, name)

    def find(self, plural: str, name: str) -> Object:
        """The object, empty where there is none."""
        try:
            return self.api.get(self.path(plural, name))
        except ApiError as error:
            if error.code != 404:
                raise
            return {}

    def wait(self, what: str, lacking: Callable[[], str | None]) -> None:
        """Raises ControlPlaneError when it does not come in time."""
        wait_until(what, lacking, timeout_s=WAIT_S_MAX, interval_s=0.03)

    def change(self, plural: str, name: str, body: Object) -> None:
        """A merge patch."""
        self.api.merge(self.path(plural, name), body)

    def delete(self, plural: str, name: str) -> None:
        """At once: pods, too."""
        self.api.request(
            "DELETE", self.path(plural, name), {"gracePeriodSeconds": 0} if plural == PODS else None
        )

    # --- templates and pools

    def template(self, name: str, **spec: Any) -> None:
        body = {"podTemplate": pod_template(), **spec}
        self._create(TEMPLATES, EXTENSIONS_API, "SandboxTemplate", name, body)

    def pool(self, name: str, size: int, template: str = "base") -> None:
        spec = {"replicas": size, "sandboxTemplateRef": {"name": template}}
        self._create(POOLS, EXTENSIONS_API, "SandboxWarmPool", name, spec)

    def full_pool(self, name: str, size: int, template: str = "base") -> None:
        """A pool that has its members, all Ready."""
        self.pool(name, size, template)
        self.wait(f"pool {name}", lambda: self.differs(name, size, are_ready=True))

    def members(self, pool: str) -> list[Object]:
        uid = self.find(POOLS, pool)["metadata"]["uid"]
        return [
            one
            for one in self.api.get(self.path(SANDBOXES))["items"]
            if uid in [owner["uid"] for owner in one["metadata"].get("ownerReferences", [])]
            and "deletionTimestamp" not in one["metadata"]
        ]

    def differs(self, pool: str, size: int, *, are_ready: bool = False) -> str | None:
        """What the pool lacks of that many members."""
        found = self.members(pool)
        count = sum(is_ready(one) for one in found) if are_ready else len(found)
        return None if count == size else f"pool {pool} has {count} of {size}"

    def scale(self, pool: str, size: int) -> None:
        self.change(POOLS, pool, {"spec": {"replicas": size}})

    def next_member(self, pool: str) -> str:
        """The name that the pool gives next."""
        meta = self.find(POOLS, pool)["metadata"]
        reservation = parse_reservation(meta["annotations"][ANNOTATION_RESERVATION])
        assert reservation is not None
        return member_name(pool, meta["uid"], reservation.end)

    # --- claims

    def claim(self, name: str, pool: str) -> None:
        self.api.create(self.path(CLAIMS), claim_body(name, pool))

    def served_claim(self, name: str, pool: str) -> None:
        self.claim(name, pool)
        self.wait(f"claim {name}", lambda: None if self.given(name) else "no sandbox")

    def given(self, claim: str) -> str:
        """The name of its sandbox; "" for none."""
        status: Object = self.find(CLAIMS, claim).get("status", {})
        sandbox: Object = status.get("sandbox", {})
        return str(sandbox.get("name", ""))

    def end(self, claim: str, policy: str, when: str = PAST) -> None:
        """Have its life end then."""
        lifecycle = {"shutdownTime": when, "shutdownPolicy": policy}
        self.change(CLAIMS, claim, {"spec": {"lifecycle": lifecycle}})

    # --- sandboxes and what they consist of

    def sandbox(self, name: str, **spec: Any) -> None:
        body = {"podTemplate": pod_template(), **spec}
        self._create(SANDBOXES, SANDBOX_API, "Sandbox", name, body)

    def ready_sandbox(self, name: str, **spec: Any) -> None:
        self.sandbox(name, **spec)
        self.wait(f"sandbox {name}", lambda: self.unready(name))

    def unready(self, name: str) -> str | None:
        found = self.find(SANDBOXES, name)
        return None if is_ready(found) else f"sandbox {name}: {found.get('status')}"

    def strip(self, plural: str, name: str) -> None:
        """Take the label away by which the manager finds what belongs to a sandbox."""
        self.change(plural, name, {"metadata": {"labels": {LABEL_NAME_HASH: None}}})

    def stripped(self, plural: str, name: str) -> str | None:
        labels = self.find(plural, name).get("metadata", {}).get("labels", {})
        return None if LABEL_NAME_HASH in labels else f"{plural} {name} without the label"

    def second_pod(self, sandbox: str) -> None:
        """Another pod that says it is the sandbox's."""
        owner = {
            "apiVersion": SANDBOX_API,
            "kind": "Sandbox",
            "name": sandbox,
            "uid": self.find(SANDBOXES, sandbox)["metadata"]["uid"],
            "controller": True,
        }
        meta = {
            "name": f"{sandbox}-second",
            "labels": {LABEL_NAME_HASH: name_hash(sandbox)},
            "ownerReferences": [owner],
        }
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod_template()["spec"]}
        self.api.create(self.path(PODS), body)

    # --- everything

    def there(self, plural: str, name: str) -> str | None:
        return None if self.find(plural, name) else f"no {plural} {name}"

    def gone(self, plural: str, name: str) -> str | None:
        meta = self.find(plural, name).get("metadata", {})
        return f"{plural} {name} is there" if meta and "deletionTimestamp" not in meta else None

    def noted(self, plural: str, name: str, annotation: str) -> str | None:
        found = self.find(plural, name).get("metadata", {}).get("annotations", {})
        return None if annotation in found else f"{plural} {name} without {annotation}"

    def told(self, name: str, reason: str, *, count: int = 1, word: str = "") -> str | None:
        """Whether an event of that reason is about an object of that name, so often or more."""
        url = f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events"
        for event in self.api.get(url)["items"]:
            if (event["regarding"]["name"], event["reason"]) != (name, reason):
                continue
            series: Object = event.get("series") or {"count": 1}
            if series["count"] >= count and word in event.get("note", ""):
                return None
        return f"no event {reason} about {name}, {count} times"

    def _create(self, plural: str, api_version: str, kind: str, name: str, spec: Object) -> None:
        body = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}
        self.api.create(self.path(plural), body)
