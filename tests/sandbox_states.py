"""Sandboxes, pods and problems that a status is made of, and what one shows."""

from __future__ import annotations

from typing import Any

from tests.sandbox_objects import (
    a_pod,
    a_sandbox,
    sandbox_owner,
)

from warmclaim.api.conditions import find
from warmclaim.api.sandbox import SandboxStatus
from warmclaim.domain.sandbox_children import Problem
from warmclaim.domain.sandbox_status import status_patch

RUNNING = a_sandbox()
RUNNING_ONLY = a_pod(ready=True)
WITH_SERVICE = a_sandbox(service=True)
WITHOUT_SERVICE = a_sandbox(service=False)


SUSPENDED = a_sandbox(operatingMode="Suspended")


FOREIGN = a_pod(owned_by=sandbox_owner(uid="other"), ready=True, ips=("10.6.6.6",), node="n6")


ERROR = Problem("no\nluck")


POD_ERROR = Problem("no pod", hides_pod=True)


MANY = Problem("two pods", hides_pod=True, reason="MultiplePods")


def words(status: SandboxStatus, type_: str) -> tuple[str, str, str] | None:
    condition = find(status.conditions, type_)
    return (condition.status, condition.reason, condition.message) if condition else None


def shown(status: SandboxStatus) -> dict[str, Any]:
    """As stored: the server keeps members that views leave out."""
    stored: dict[str, Any] = status_patch(RUNNING, status)[1]["value"]
    return stored
