"""One namespace's user: what an owner of claims, pools and sandboxes does, well-meaning or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from e2e.burst.process import ControllerProcess
from e2e.controlplane.api import ApiError, ApiSession, Object
from e2e.controlplane.failures import ControlPlaneError, wait_until
from e2e.controlplane.objects import is_ready

from warmclaim.loadtest.objects import (
    CLAIMS,
    PODS,
    POOLS,
    SANDBOX_API,
    SANDBOXES,
    TEMPLATES,
    claim_body,
    path,
    pod_template,
    pool_body,
    template_body,
)

SERVED_S_MAX = 20.0
_REFUSALS = frozenset({400, 413, 422})
_STAMP = {"lastTransitionTime": "2026-01-01T00:00:00Z"}
_HUGE = {"note": "x" * 250_000}
"""Annotations just below the server's limit of 256 KiB."""
_LONG = "n" * 240
_ODD_CONDITIONS = [
    {"type": type_, "status": status, "reason": "R", "message": "\U0001f4a5" * 10_000, **_STAMP}
    for type_ in ("Ready", "Ready", "x.example/" + "x" * 300)
    for status in ("Unknown", "False", "True")
]


class Tenant:
    """One namespace, as its owner uses it."""

    def __init__(self, api: ApiSession, namespace: str, controller: ControllerProcess) -> None:
        self.api = api
        self.namespace = namespace
        self.controller = controller

    def path(self, plural: str, name: str = "", subresource: str = "") -> str:
        """Path in this namespace, as `profiles.path`."""
        return path(self.namespace, plural, name, subresource)

    def get(self, plural: str, name: str) -> Object:
        """The object. Raises ApiError."""
        return self.api.get(self.path(plural, name))

    def claim(self, name: str, pool: str = "burst") -> None:
        """Create a claim. Raises ApiError."""
        self.api.create(self.path(CLAIMS), claim_body(name, pool))

    def pool(self, size: int, name: str = "burst") -> Object:
        """Create the template, if there is none, and a pool; returns the pool."""
        if self.api.status(self.path(TEMPLATES, "burst")) != 200:
            self.api.create(self.path(TEMPLATES), template_body())
        return self.api.create(self.path(POOLS), pool_body(size, name))

    def wait_pool(self, size: int, name: str = "burst") -> None:
        """Wait until the pool owns so many Ready sandboxes. Its own count would come late."""
        uid = self.get(POOLS, name)["metadata"]["uid"]

        def lacking() -> str | None:
            things = self.api.get(self.path(SANDBOXES))["items"]
            ready = sum(_owned_by(one, uid) and is_ready(one) for one in things)
            return None if ready == size else f"{ready} of {size} Ready"

        self._wait(f"pool {name}", lacking)

    def wait_claim(self, name: str, **want: str) -> Object:
        """Wait until the claim's Ready condition has these values; returns the claim."""

        def lacking() -> str | None:
            ready = condition(self.get(CLAIMS, name), "Ready")
            return None if want.items() <= ready.items() else str(ready)

        self._wait(f"claim {name}", lacking)
        return self.get(CLAIMS, name)

    def wait_served(self, name: str) -> str:
        """Wait until the claim is Ready; returns its sandbox's name."""
        return str(self.wait_claim(name, status="True")["status"]["sandbox"]["name"])

    def refusal(self, plural: str, body: Object, status: Object | None = None) -> str:
        """Create something that the server itself may find too odd; what it said, or nothing."""
        try:
            self.api.create(self.path(plural), body)
            if status is not None:
                target = self.path(plural, body["metadata"]["name"], "status")
                self.api.merge(target, {"status": status})
        except ApiError as error:
            if error.code not in _REFUSALS:
                raise
            return str(error)
        return ""

    def _wait(self, what: str, lacking: Callable[[], str | None]) -> None:
        log = self.controller.log
        try:
            wait_until(what, lacking, timeout_s=SERVED_S_MAX, log=log, interval_s=0.05)
        except ControlPlaneError as error:
            for plural in (SANDBOXES, PODS):
                for thing in self.api.get(self.path(plural))["items"]:
                    error.add_note(f"{plural} {thing['metadata']} {thing.get('status')}")
            raise


def _owned_by(thing: Object, uid: str) -> bool:
    return any(one["uid"] == uid for one in thing["metadata"].get("ownerReferences", []))


def condition(thing: Object, type_: str) -> Object:
    """A condition by type; empty when there is none."""
    conditions: list[Object] = thing.get("status", {}).get("conditions", [])
    nothing: Object = {}
    return next((one for one in conditions if one["type"] == type_), nothing)


def sandbox_body(name: str, **metadata: Any) -> Object:
    """A sandbox as a tenant may create it."""
    meta = {"name": name, **metadata}
    spec = {"podTemplate": pod_template()}
    return {"apiVersion": SANDBOX_API, "kind": "Sandbox", "metadata": meta, "spec": spec}


def ready_status(**more: object) -> Object:
    """The status of a sandbox that is ready to be given, on a node of its own."""
    ready = {"type": "Ready", "status": "True", "reason": "DependenciesReady", "message": ""}
    return {"conditions": [ready | _STAMP], "podIPs": ["10.1.2.3"], "nodeName": "elsewhere", **more}


def odd_objects() -> list[tuple[str, Object, Object | None]]:
    """Objects of each kind that the schema allows, with a status: (plural, body, status)."""
    pool, claim = pool_body(1, "odd"), claim_body("odd", "burst")
    pool["metadata"]["annotations"] = {
        "extensions.agents.x-k8s.io/create-reservation": '{"first":-1,"end":1e9,"replicas":null}'
    }
    claim["metadata"]["annotations"] = _HUGE
    claim["spec"]["lifecycle"] = {"shutdownTime": "0001-01-01T00:00:00+14:00"}
    traced = claim_body("traced", "burst")
    traced["metadata"]["annotations"] = {
        "opentelemetry.io/trace-context": '{"traceparent": [',
        "agents.x-k8s.io/client-first-requested-at": "yesterday",
    }
    mine = sandbox_body("mine", annotations=_HUGE)
    heavy = sandbox_body("heavy")
    heavy["spec"]["podTemplate"]["metadata"]["annotations"] = {"note": "x" * 1_200_000}
    podless = sandbox_body("podless")
    podless["spec"] = {"podTemplate": {"spec": {"containers": []}}, "service": True}
    status: Object = {
        "conditions": _ODD_CONDITIONS,
        "podIPs": ["", "no address"],
        "nodeName": _LONG,
    }
    named: Object = {"conditions": _ODD_CONDITIONS, "sandbox": {"name": "../../x", "podIPs": [""]}}
    counts = {"replicas": 0, "readyReplicas": 2**31 - 1, "selector": _LONG}
    return [
        (SANDBOXES, mine, status),
        (SANDBOXES, heavy, None),
        (SANDBOXES, podless, {"conditions": [], "selector": "\u0000"}),
        (SANDBOXES, sandbox_body(_LONG), status),
        (CLAIMS, claim, named),
        (CLAIMS, traced, None),
        (CLAIMS, claim_body(_LONG, _LONG), named),
        (POOLS, pool, counts),
        (POOLS, pool_body(1, _LONG), counts),
        (TEMPLATES, template_body() | {"metadata": {"name": "t", "annotations": _HUGE}}, None),
    ]
