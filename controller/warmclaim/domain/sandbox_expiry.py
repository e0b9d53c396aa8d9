"""A sandbox's time, and what becomes of it when that is over.

First the status says so, and only then anything is deleted: whoever loses a sandbox can read why.
With the policy Retain the sandbox and its volumes stay; moving its time makes it run again.
"""

from __future__ import annotations

from collections.abc import Iterator

from warmclaim.api.resources import POD, SERVICE
from warmclaim.api.sandbox import Sandbox, SandboxStatus
from warmclaim.api.timestamps import seconds_of
from warmclaim.domain.sandbox_children import (
    ReadChild,
    Step,
    child_of,
    delete_step,
    is_controlled_by,
)
from warmclaim.domain.sandbox_facts import SandboxFacts, tracked_pod_name
from warmclaim.domain.sandbox_status import SANDBOX_EXPIRED, expired_status


def left_s(facts: SandboxFacts) -> float | None:
    """Seconds until its time is over, 0 or less afterwards; None for never."""
    # A time that the server admitted and that is none all the same counts as no time.
    ends_s = seconds_of(facts.sandbox.spec.shutdown_time)
    return None if ends_s is None else ends_s - facts.wall_s


def is_marked_expired(sandbox: Sandbox) -> bool:
    """Does its status say already that its time is over?"""
    return sandbox.ready is not None and sandbox.ready.reason == SANDBOX_EXPIRED


def expired_steps(facts: SandboxFacts) -> Iterator[Step]:
    """What is to be deleted: all of its pods and its Service, never a volume."""
    sandbox = facts.sandbox
    for pod in facts.pods:
        if not pod.metadata.is_deleting:
            yield delete_step(POD, pod)
    service = facts.service
    is_own = service is not None and is_controlled_by(sandbox, service)
    if service is not None and is_own and not service.metadata.is_deleting:
        yield delete_step(SERVICE, service)
    # One that has lost its label is in no cache. What the status still tells of was there.
    status = sandbox.status or SandboxStatus()
    if status.selector and not facts.pods and facts.namesake is None:
        yield from _look(facts, ReadChild(POD, child_of(POD, tracked_pod_name(sandbox))))
    if status.service and service is None:
        yield from _look(facts, ReadChild(SERVICE, child_of(SERVICE, sandbox.metadata.name)))


def ended_status(facts: SandboxFacts) -> SandboxStatus:
    """What the status of an expired sandbox comes to when its children are being deleted."""
    return expired_status(facts.sandbox, facts.now, is_ended=True)


def _look(facts: SandboxFacts, step: ReadChild) -> Iterator[Step]:
    if step.child not in facts.asked:
        yield step
