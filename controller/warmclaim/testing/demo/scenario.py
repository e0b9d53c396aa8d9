"""What a run of the demo asks for, with its limits, and the objects it sends. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from warmclaim.api.resources import CLAIM, POOL, TEMPLATE, Resource
from warmclaim.api.timestamps import rfc3339
from warmclaim.errors import UsageError
from warmclaim.testing.json_values import Json

NAMESPACE = "default"
NAME = "demo"
"""Name of the template and of the pool; the claims are NAME-0 and so on."""

EXPIRING = "demo-expiring"
"""The claim with a lifetime, sent when everything else was measured."""

LIFETIME_S = 1.0
"""Its least lifetime; a shutdownTime is of whole seconds."""

IMAGE = "sandbox.example/python:3"

PODS_PER_NODE = 110
POD_START_S = (0.3, 1.0)
"""Least and longest time that a fake kubelet takes to have a pod Ready."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """`pool` sandboxes are kept warm on `nodes` nodes; `burst` claims come, `qps` in a second."""

    pool: int = 200
    burst: int = 100
    qps: float = 50.0
    nodes: int = 100

    def check(self) -> None:
        """Raise UsageError for the first value that is out of its limits."""
        for option, value, most in (
            ("pool", self.pool, 2000),
            ("burst", self.burst, 2000),
            ("nodes", self.nodes, 1000),
        ):
            if not 1 <= value <= most:
                raise UsageError(f"--{option} must be from 1 to {most}, not {value}")
        if not (math.isfinite(self.qps) and 1 <= self.qps <= 1000):
            raise UsageError(f"--qps must be from 1 to 1000, not {self.qps:g}")
        room = PODS_PER_NODE * self.nodes
        if self.pool + self.burst > room:
            raise UsageError(
                f"--pool and --burst need room for {self.pool + self.burst} sandboxes,"
                f" --nodes {self.nodes} has it for {room}"
            )

    @property
    def claim_names(self) -> tuple[str, ...]:
        """The claims in the order in which they are sent."""
        return tuple(f"{NAME}-{number}" for number in range(self.burst))

    def due_s(self, number: int) -> float:
        """Seconds after the first claim at which claim `number` is sent, whatever became of the
        ones before: an open loop, so that a slow server is not spared."""
        return number / self.qps


def template() -> Json:
    """The blueprint of the pool's sandboxes."""
    container: Json = {"name": "sandbox", "image": IMAGE}
    spec: Json = {"automountServiceAccountToken": False, "containers": [container]}
    return _object(TEMPLATE, NAME, {"podTemplate": {"spec": spec}})


def pool(scenario: Scenario) -> Json:
    """The warm pool."""
    spec: Json = {"replicas": scenario.pool, "sandboxTemplateRef": {"name": NAME}}
    return _object(POOL, NAME, spec)


def claim(name: str) -> Json:
    """One claim on the pool."""
    return _object(CLAIM, name, {"warmPoolRef": {"name": NAME}})


def expiring_claim(shutdown_wall_s: int) -> Json:
    """A claim that is deleted at that time, with its sandbox."""
    lifecycle: Json = {"shutdownTime": rfc3339(shutdown_wall_s), "shutdownPolicy": "Delete"}
    return _object(CLAIM, EXPIRING, {"warmPoolRef": {"name": NAME}, "lifecycle": lifecycle})


def _object(resource: Resource[object], name: str, spec: Json) -> Json:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }
