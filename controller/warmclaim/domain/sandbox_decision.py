"""A sandbox's next step: facts in, one decision out.

The controller carries a decision out, looks again and asks again, until there is nothing to do
or only to wait. So what one pass does in which order stands here alone:

    take Ready back if it is no longer true -> create what is missing -> name the pod -> status

A sandbox that becomes Ready soon after its pod was made costs one status write in its life: news
of the way there (Pending, scheduled, running) is held back until it is `interim_delay_s` old.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from warmclaim.api import names
from warmclaim.api.conditions import FINISHED, READY, Condition, SandboxReason, find
from warmclaim.api.meta import Object
from warmclaim.api.pod import Pod, Service
from warmclaim.api.sandbox import Sandbox, SandboxStatus
from warmclaim.api.timestamps import seconds_of
from warmclaim.domain.sandbox_pod import check_shape, is_controlled_by, volume_names
from warmclaim.domain.sandbox_service import service_ports
from warmclaim.domain.sandbox_status import MULTIPLE_PODS, Problem, is_suspended, status_for

_NAMES_SHOWN_MAX = 5
# Timers may fire a hair early; without this a wait of nothing would be asked for again.
_TIMER_SLACK_S = 0.001
_ERRORS = frozenset({SandboxReason.RECONCILER_ERROR.value, MULTIPLE_PODS})


@dataclass(frozen=True, slots=True)
class SandboxFacts:
    """What `decide_sandbox` looks at.

    `pods`: those that the sandbox controls, terminating ones too. `namesake`: a pod of the
    sandbox's name that it does not control. `service`: the Service of its name, whoever owns it.
    `refusals`: what went wrong in this pass when children were created; creates are not repeated.
    `quiet_s`: seconds since the pod was made or first seen, or since the last status write.
    `now`: wall time as the API writes it.
    """

    sandbox: Sandbox
    pods: Sequence[Pod]
    namesake: Pod | None
    service: Service | None
    refusals: Sequence[Problem]
    quiet_s: float
    now: str
    interim_delay_s: float = 1.0
    cluster_domain: str = "cluster.local"


@dataclass(frozen=True, slots=True)
class Nothing:
    """The sandbox is as it should be; an event will tell when that changes."""


@dataclass(frozen=True, slots=True)
class CreateChildren:
    """Create those that are wanted, at the same time; at least one is."""

    pod: bool
    service: bool


@dataclass(frozen=True, slots=True)
class AnnotatePodName:
    """Name the pod on the sandbox, where clients look for it."""

    pod_name: str


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Show this status."""

    status: SandboxStatus


@dataclass(frozen=True, slots=True)
class Wait:
    """There is news, not worth a write yet: look again after that long, or at the next event."""

    after_s: float


SandboxDecision: TypeAlias = Nothing | CreateChildren | AnnotatePodName | WriteStatus | Wait


@dataclass(frozen=True, slots=True)
class _Children:
    """What stands for the sandbox now, what is missing, and what is wrong."""

    pod: Pod | None = None
    service: Service | None = None
    missing: CreateChildren | None = None
    problem: Problem | None = None


def decide_sandbox(facts: SandboxFacts) -> SandboxDecision:
    """The next step for one sandbox. Pure; cost O(its pods + its conditions)."""
    sandbox = facts.sandbox
    if not is_served(sandbox, facts.now):
        return Nothing()
    children = _judge(facts)
    status = status_for(
        sandbox,
        children.pod,
        children.service,
        children.problem,
        facts.now,
        cluster_domain=facts.cluster_domain,
    )
    if sandbox.is_ready and not _is_ready(status):
        return WriteStatus(status)  # first: nobody may be given a sandbox that has lost its pod
    if children.missing is not None:
        return children.missing
    is_named = bool(sandbox.metadata.annotations.get(names.ANNOTATION_POD_NAME))
    if children.pod is not None and not is_named and is_controlled_by(sandbox, children.pod):
        return AnnotatePodName(children.pod.metadata.name)
    return _decide_status(facts, children.pod, status)


def is_served(sandbox: Sandbox, now: str) -> bool:
    """Is there anything to do for it? Not while it is deleted, nor after its shutdown time.

    What expiry asks for is not carried out yet, but an expired sandbox gets no new pod.
    """
    if sandbox.metadata.is_deleting:
        return False
    # A time that the server admitted and that is none all the same counts as no time.
    ends_s, now_s = seconds_of(sandbox.spec.shutdown_time), seconds_of(now)
    return ends_s is None or now_s is None or now_s < ends_s


def not_owned(kind: str, child: Object, sandbox: Sandbox) -> Problem:
    """`child` has the name that the sandbox's own needs, and belongs to somebody else."""
    meta, owner = child.metadata, child.metadata.controller_owner()
    if owner is None:
        text = f'{kind} "{meta.name}" has no owner, and this version adopts none; delete it'
    elif is_controlled_by(sandbox, child):
        # Only what carries the label is watched, so it cannot be followed.
        text = f'{kind} "{meta.name}" has lost its label {names.LABEL_NAME_HASH}'
    else:
        by = f"{owner.kind}/{owner.name} (UID: {owner.uid})"
        text = f'{kind} "{meta.name}" is owned by {by}, not by sandbox "{sandbox.metadata.name}"'
    return Problem(text, hides_pod=kind == "pod")


def _judge(facts: SandboxFacts) -> _Children:
    sandbox = facts.sandbox
    if len(facts.pods) > 1:
        return _Children(problem=_multiple_pods(facts))
    own = facts.pods[0] if facts.pods else None
    service, service_problem = _accepted(sandbox, facts.service)
    needs_service = sandbox.spec.service is True and service is None
    shape_problem = _misshapen(sandbox) if own is None or needs_service else None
    if shape_problem is not None:
        return _Children(pod=own, service=service, problem=shape_problem)
    if is_suspended(sandbox):
        pod, pod_problem = own or facts.namesake, None
    elif own is None and volume_names(sandbox):
        text = "this version does not create volumes (spec.volumeClaimTemplates), so no pod either"
        return _Children(service=service, problem=Problem(text))
    else:
        pod, pod_problem = own, None
        if own is None and facts.namesake is not None:
            pod_problem = not_owned("pod", facts.namesake, sandbox)
    problems = [p for p in (pod_problem, *facts.refusals, service_problem) if p is not None]
    wanted = CreateChildren(
        pod=pod is None and pod_problem is None and not is_suspended(sandbox),
        service=needs_service and service_problem is None,
    )
    is_missing = (wanted.pod or wanted.service) and not facts.refusals
    return _Children(pod, service, wanted if is_missing else None, _joined(problems))


def _misshapen(sandbox: Sandbox) -> Problem | None:
    """Children cannot be made from it; another spec is an event, so nothing is tried again."""
    try:
        check_shape(sandbox)
        if sandbox.spec.service is True:
            service_ports(sandbox.spec.pod_template)
    except msgspec.ValidationError as error:
        return Problem(f"the spec has a shape that its schema forbids: {error}")
    return None


def _accepted(sandbox: Sandbox, service: Service | None) -> tuple[Service | None, Problem | None]:
    if service is None or sandbox.spec.service is False:
        return None, None
    if is_controlled_by(sandbox, service):
        return service, None
    if service.metadata.controller_owner() is None and sandbox.spec.service is None:
        return None, None
    return None, not_owned("service", service, sandbox)


def _multiple_pods(facts: SandboxFacts) -> Problem:
    found = sorted(pod.metadata.name for pod in facts.pods)
    shown = ", ".join(found[:_NAMES_SHOWN_MAX])
    more = ", ..." if len(found) > _NAMES_SHOWN_MAX else ""
    text = f'sandbox "{facts.sandbox.metadata.name}" owns {len(found)} pods: {shown}{more}'
    return Problem(text, hides_pod=True, reason=MULTIPLE_PODS)


def _joined(problems: Sequence[Problem]) -> Problem | None:
    if len(problems) <= 1:
        return problems[0] if problems else None
    text = "\n".join(problem.message for problem in problems)
    return Problem(text, hides_pod=any(problem.hides_pod for problem in problems))


def _decide_status(facts: SandboxFacts, pod: Pod | None, status: SandboxStatus) -> SandboxDecision:
    old = facts.sandbox.status or SandboxStatus()
    if status == old or _differ_by_generation_only(old, status):
        return Nothing()
    if not _is_ready(status) and _differ_by_node_only(old, status):
        return Nothing()
    left_s = facts.interim_delay_s - facts.quiet_s
    if pod is None or left_s <= _TIMER_SLACK_S or _is_urgent(old, status):
        return WriteStatus(status)
    return Wait(left_s)


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
