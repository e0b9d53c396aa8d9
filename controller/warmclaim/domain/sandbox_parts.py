"""What stands for a sandbox now, what is to be done about it, and what is wrong with it.

Volumes come before the pod, since a pod must never run with somebody else's; the Service stands
beside them. What nobody waits for gives way to claims: everything of a pool's member, and changes
of a pod's metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from warmclaim.api import names
from warmclaim.api.pod import Pod, Service
from warmclaim.api.resources import POD, SERVICE
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.sandbox_children import (
    CreateChild,
    Hold,
    PatchChild,
    Problem,
    ReadChild,
    Step,
    child_of,
    delete_step,
    hold_of,
    not_owned,
)
from warmclaim.domain.sandbox_facts import SandboxFacts, tracked_pod_name
from warmclaim.domain.sandbox_pod import is_pool_member, pod_change, pod_for
from warmclaim.domain.sandbox_service import judge_service
from warmclaim.domain.sandbox_status import MULTIPLE_PODS, is_suspended, was_not_owned
from warmclaim.domain.sandbox_volumes import volume_steps

WRITE_BEHIND_S_MAX: Final = 1.0
"""A change of a pod's metadata waits no longer than this, whatever the window."""

_NAMES_SHOWN_MAX: Final = 5
# Timers may fire a hair early; without this a wait of nothing would be asked for again.
_TIMER_SLACK_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class Parts:
    """`pod` and `service`: those that the status tells of. `steps`: what is to be done now.
    `is_made_later`: something is missing, and others come first. `change_after_s`: when a change
    of the pod's metadata is due; 0 if it only waits for its turn, None if there is none."""

    pod: Pod | None = None
    service: Service | None = None
    steps: Sequence[Step] = ()
    problem: Problem | None = None
    is_made_later: bool = False
    change_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    steps: Sequence[Step] = ()
    problems: Sequence[Problem] = ()


def judge_parts(facts: SandboxFacts) -> Parts:
    """Everything but the status. Cost: O(pods + volumes + labels)."""
    if len(facts.pods) > 1:
        return Parts(problem=_multiple_pods(facts))
    sandbox, own = facts.sandbox, facts.pods[0] if facts.pods else None
    accepted, service = _service(facts)
    volumes = _volumes(facts)
    change_after_s = _change_after_s(facts, own)
    if is_suspended(sandbox):
        pod = _suspended_pod(facts, own)
    elif own is not None:
        pod = _kept_pod(facts, own, is_due=change_after_s == 0.0 and facts.has_turn)
    else:
        pod = _missing_pod(facts, are_volumes_there=not (volumes.steps or volumes.problems))
    problems = [*volumes.problems, *pod.problems, *service.problems]
    steps = [
        step
        for step in (*volumes.steps, *pod.steps, *service.steps)
        if step.child not in facts.tried
    ]
    if any(problem.forbids_all for problem in problems):
        steps = [step for step in steps if not isinstance(step, CreateChild)]
    has_to_wait = is_pool_member(sandbox) and not facts.has_turn
    now = [step for step in steps if not (has_to_wait and _is_workload(step))]
    return Parts(
        pod=own or (facts.namesake if is_suspended(sandbox) else None),
        service=accepted,
        steps=now,
        problem=_joined([*facts.refusals, *problems]),
        is_made_later=len(now) < len(steps),
        change_after_s=change_after_s,
    )


def _is_workload(step: Step) -> bool:
    """Does it put load on the cluster, beyond the request?"""
    return isinstance(step, CreateChild) and step.resource is not SERVICE


def _volumes(facts: SandboxFacts) -> _Part:
    try:
        found = list(volume_steps(facts.sandbox, facts.volumes))
    except msgspec.ValidationError as error:
        return _Part(problems=[_misshapen(error)])
    return _Part(
        [step for step in found if not isinstance(step, Problem)],
        [problem for problem in found if isinstance(problem, Problem)],
    )


def _service(facts: SandboxFacts) -> tuple[Service | None, _Part]:
    sandbox = facts.sandbox
    try:
        view = judge_service(sandbox, facts.service)
    except msgspec.ValidationError as error:
        return None, _Part(problems=[_misshapen(error)])
    was_there = sandbox.status is not None and bool(sandbox.status.service)
    child = child_of(SERVICE, sandbox.metadata.name)
    step = view.step
    if facts.service is None and step is None and was_there and child not in facts.asked:
        step = ReadChild(SERVICE, child)  # it may only have lost its label
    problems = [view.problem] if view.problem is not None else []
    return view.accepted, _Part([step] if step is not None else [], problems)


def _suspended_pod(facts: SandboxFacts, own: Pod | None) -> _Part:
    sandbox = facts.sandbox
    if own is not None:
        return _Part() if own.metadata.is_deleting else _Part([delete_step(POD, own)])
    child = child_of(POD, tracked_pod_name(sandbox))
    # Before it is said to be gone: one that has lost its label is in no cache, and runs on.
    is_unsure = names.ANNOTATION_POD_NAME in sandbox.metadata.annotations or was_not_owned(sandbox)
    has_to_look = is_unsure and facts.namesake is None and child not in facts.asked
    return _Part([ReadChild(POD, child)] if has_to_look else [])


def _kept_pod(facts: SandboxFacts, own: Pod, *, is_due: bool) -> _Part:
    is_tracked = names.LABEL_NAME_HASH in own.metadata.labels
    return _Part([_change(facts.sandbox, own)]) if is_due or not is_tracked else _Part()


def _missing_pod(facts: SandboxFacts, *, are_volumes_there: bool) -> _Part:
    sandbox, namesake = facts.sandbox, facts.namesake
    if namesake is not None:
        if hold_of(sandbox, namesake) is Hold.FREE:
            return _Part([_change(sandbox, namesake)])
        return _Part(problems=[not_owned(POD, namesake, sandbox)])
    tracked = child_of(POD, tracked_pod_name(sandbox))
    if tracked.name != sandbox.metadata.name and tracked not in facts.asked:
        return _Part([ReadChild(POD, tracked)])
    if facts.rival:
        return _Part(problems=[_shared_hash(facts.rival)])
    try:
        body = pod_for(sandbox)
    except msgspec.ValidationError as error:
        return _Part(problems=[_misshapen(error)])
    create = CreateChild(POD, child_of(POD, sandbox.metadata.name), body)
    return _Part([create] if are_volumes_there else [])


def _change(sandbox: Sandbox, pod: Pod) -> PatchChild:
    child = child_of(POD, pod.metadata.name)
    return PatchChild(POD, child, {"metadata": pod_change(sandbox, pod)})


def _change_after_s(facts: SandboxFacts, own: Pod | None) -> float | None:
    if own is None or own.metadata.is_deleting or is_suspended(facts.sandbox):
        return None
    if child_of(POD, own.metadata.name) in facts.tried or not pod_change(facts.sandbox, own):
        return None
    left_s = min(facts.write_behind_s, WRITE_BEHIND_S_MAX) - facts.drift_s
    return left_s if left_s > _TIMER_SLACK_S else 0.0


def _multiple_pods(facts: SandboxFacts) -> Problem:
    found = sorted(pod.metadata.name for pod in facts.pods)
    shown = ", ".join(found[:_NAMES_SHOWN_MAX])
    more = ", ..." if len(found) > _NAMES_SHOWN_MAX else ""
    text = f'sandbox "{facts.sandbox.metadata.name}" owns {len(found)} pods: {shown}{more}'
    return Problem(text, hides_pod=True, reason=MULTIPLE_PODS)


def _shared_hash(rival: str) -> Problem:
    return Problem(
        f'its name has the hash of that of sandbox "{rival}", and Services find pods by it: '
        "another name is needed",
        hides_pod=True,
    )


def _misshapen(error: msgspec.ValidationError) -> Problem:
    """Children cannot be made from it; another spec is an event, so nothing is tried again."""
    text = f"the spec has a shape that its schema forbids: {error}"
    return Problem(text, forbids_all=True)


def _joined(problems: Iterable[Problem]) -> Problem | None:
    different = {problem.message: problem for problem in problems}
    if len(different) <= 1:
        return next(iter(different.values()), None)
    hides_pod = any(problem.hides_pod for problem in different.values())
    return Problem("\n".join(different), hides_pod=hides_pod)
