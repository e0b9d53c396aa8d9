"""A sandbox's next step: facts in, one decision out.

The controller carries a decision out, looks again and asks again, until there is nothing to do
or only to wait. So what one pass does in which order stands here alone:

    take Ready back if it is no longer true -> volumes and Service -> pod -> name the pod -> status

A sandbox that becomes Ready soon after its pod was made costs one status write in its life: news
of the way there (Pending, scheduled, running) is held back until it is `interim_delay_s` old.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from warmclaim.api import names
from warmclaim.api.conditions import FINISHED, READY, Condition, SandboxReason, find
from warmclaim.api.pod import Pod
from warmclaim.api.resources import POD
from warmclaim.api.sandbox import SandboxStatus
from warmclaim.domain.claim_expiry import EXPIRY_LOOK_S_MAX
from warmclaim.domain.sandbox_children import Hold, ReadChild, Step, child_of, hold_of
from warmclaim.domain.sandbox_expiry import (
    ended_status,
    expired_steps,
    is_marked_expired,
    left_s,
)
from warmclaim.domain.sandbox_facts import SandboxFacts, tracked_pod_name
from warmclaim.domain.sandbox_parts import Parts, judge_parts
from warmclaim.domain.sandbox_status import (
    MULTIPLE_PODS,
    expired_status,
    is_suspended,
    status_for,
)

# Timers may fire a hair early; without this a wait of nothing would be asked for again.
_TIMER_SLACK_S: Final = 0.001
_ERRORS: Final = frozenset({SandboxReason.RECONCILER_ERROR.value, MULTIPLE_PODS})


@dataclass(frozen=True, slots=True)
class Nothing:
    """The sandbox is as it should be; an event will tell when that changes."""


@dataclass(frozen=True, slots=True)
class ChangeChildren:
    """Carry these out, all at the same time; there is at least one."""

    steps: Sequence[Step]


@dataclass(frozen=True, slots=True)
class TakeTurn:
    """There is something to do that others come before: look again when its turn has come."""


@dataclass(frozen=True, slots=True)
class AnnotatePodName:
    """Name the pod on the sandbox, where clients look for it; None: name none."""

    pod_name: str | None


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Show this status. `is_last`: then the sandbox is as it should be."""

    status: SandboxStatus
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class DeleteSandbox:
    """Its time is over, and so is its user's interest in it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done yet: look again after that long, or at the next event."""

    after_s: float


SandboxDecision: TypeAlias = (
    Nothing | ChangeChildren | TakeTurn | AnnotatePodName | WriteStatus | DeleteSandbox | Wait
)


def decide_sandbox(facts: SandboxFacts) -> SandboxDecision:
    """The next step for one sandbox. Pure; cost O(its pods + volumes + labels + conditions)."""
    sandbox = facts.sandbox
    if sandbox.metadata.is_deleting:
        return Nothing()
    ends_in_s = left_s(facts)
    if ends_in_s is not None and ends_in_s <= 0:
        return _decide_expired(facts)
    parts = judge_parts(facts)
    if reads := [step for step in parts.steps if isinstance(step, ReadChild)]:
        return ChangeChildren(reads)  # nothing is said of what may be there after all
    status = status_for(
        sandbox,
        parts.pod,
        parts.service,
        parts.problem,
        facts.now,
        cluster_domain=facts.cluster_domain,
    )
    if sandbox.is_ready and not _is_ready(status):
        return WriteStatus(status)  # first: nobody may be given a sandbox that has lost its pod
    if parts.steps:
        return ChangeChildren(parts.steps)
    if parts.is_made_later:
        return TakeTurn()
    pod_name = _pod_name(facts)
    if pod_name != sandbox.metadata.annotations.get(names.ANNOTATION_POD_NAME):
        return AnnotatePodName(pod_name)
    return _decide_status(facts, parts, status, ends_in_s)


def _decide_expired(facts: SandboxFacts) -> SandboxDecision:
    sandbox = facts.sandbox
    if not is_marked_expired(sandbox):
        return WriteStatus(expired_status(sandbox, facts.now, is_ended=False))
    steps = [step for step in expired_steps(facts) if step.child not in facts.tried]
    if steps:
        return ChangeChildren(steps)
    if facts.refusals:
        return Nothing()  # what could not be deleted is tried again; until then it is not done
    if sandbox.spec.shutdown_policy == "Delete":
        return DeleteSandbox()
    ended, old = ended_status(facts), sandbox.status or SandboxStatus()
    return Nothing() if _differ_by_generation_only(old, ended) else WriteStatus(ended)


def _pod_name(facts: SandboxFacts) -> str | None:
    """What the sandbox should say its pod's name is; None for nothing at all."""
    sandbox = facts.sandbox
    noted = sandbox.metadata.annotations.get(names.ANNOTATION_POD_NAME)
    if len(facts.pods) > 1 or facts.tried.get(child_of(POD, tracked_pod_name(sandbox))):
        return noted
    if facts.pods:
        return facts.pods[0].metadata.name
    if is_suspended(sandbox):
        return None
    if facts.namesake is not None:
        # One that may still be authorised must be found again by its name.
        return None if hold_of(sandbox, facts.namesake) is Hold.ALIEN else noted
    return noted if noted == sandbox.metadata.name else None


def _decide_status(
    facts: SandboxFacts, parts: Parts, status: SandboxStatus, ends_in_s: float | None
) -> SandboxDecision:
    news_in_s = _news_in_s(facts, parts.pod, status)
    change_in_s = parts.change_after_s
    if news_in_s is not None and news_in_s <= _TIMER_SLACK_S:
        return WriteStatus(status, is_last=change_in_s is None and ends_in_s is None)
    if change_in_s == 0:
        return TakeTurn()
    ends_in_s = None if ends_in_s is None else min(ends_in_s, EXPIRY_LOOK_S_MAX)
    waits_s = [s for s in (news_in_s, change_in_s, ends_in_s) if s is not None]
    return Wait(min(waits_s)) if waits_s else Nothing()


def _news_in_s(facts: SandboxFacts, pod: Pod | None, status: SandboxStatus) -> float | None:
    """After how long the status is to be written; None if it says all there is to say."""
    old = facts.sandbox.status or SandboxStatus()
    if status == old or _differ_by_generation_only(old, status):
        return None
    if not _is_ready(status) and _differ_by_node_only(old, status):
        return None
    if pod is None or is_suspended(facts.sandbox) or _is_urgent(old, status):
        return 0.0
    return max(facts.interim_delay_s - facts.quiet_s, 0.0)


def _differ_by_generation_only(old: SandboxStatus, new: SandboxStatus) -> bool:
    """Each adoption changes the spec, and nothing that a condition tells of: not worth a write for
    each claim. The next condition that does change takes the generation with it."""
    undated = (_of_no_generation(condition) for condition in new.conditions)
    known = (_of_no_generation(condition) for condition in old.conditions)
    return tuple(undated) == tuple(known) and _without_conditions(new) == _without_conditions(old)


def _of_no_generation(condition: Condition) -> Condition:
    return msgspec.structs.replace(condition, observed_generation=0)


def _without_conditions(status: SandboxStatus) -> SandboxStatus:
    return msgspec.structs.replace(status, conditions=())


def _differ_by_node_only(old: SandboxStatus, new: SandboxStatus) -> bool:
    return msgspec.structs.replace(old, node_name=new.node_name) == new


def _is_urgent(old: SandboxStatus, new: SandboxStatus) -> bool:
    return (
        _is_ready(old)
        or _is_ready(new)
        or _words(find(old.conditions, FINISHED)) != _words(find(new.conditions, FINISHED))
        or _error(old) != _error(new)
    )


def _is_ready(status: SandboxStatus) -> bool:
    ready = find(status.conditions, READY)
    return ready is not None and ready.is_true


def _error(status: SandboxStatus) -> tuple[str, ...] | None:
    ready = find(status.conditions, READY)
    return _words(ready) if ready is not None and ready.reason in _ERRORS else None


def _words(condition: Condition | None) -> tuple[str, ...] | None:
    return (condition.reason, condition.message) if condition else None
