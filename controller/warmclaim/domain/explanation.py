"""Why a claim is as it is: facts from the API and from the controller's record, told as findings.

Nothing here is asked for; whoever gathers the facts says what could not be had (`Picture.gaps`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from warmclaim.api.claim import Claim
from warmclaim.api.conditions import READY, ClaimReason, Condition, find
from warmclaim.api.event import ToldEvent
from warmclaim.api.names import ANNOTATION_TEMPLATE_REF
from warmclaim.api.pod import Pod
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.timestamps import seconds_of
from warmclaim.domain.claim_steps import YIELDS, ClaimSteps, Step
from warmclaim.domain.eligibility import Refusal, claim_owner, why_not_adoptable
from warmclaim.domain.sandbox_marks import launch_type_of

PICK_RULE: Final = (
    "The rule: ready before not ready, then the node on which most wait, there the oldest."
)

UNSEEN_S: Final = 10.0
"""A claim that shows nothing for longer was seen by no controller."""


class Topic(StrEnum):
    """What a finding is about."""

    VERDICT = "verdict"
    PICK = "pick"
    CLAIM = "claim"
    POOL = "pool"
    SANDBOX = "sandbox"
    POD = "pod"
    RECORD = "record"
    GAP = "gap"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is so; `hint` says what to do about it."""

    topic: Topic
    text: str
    hint: str = ""


class Explanation(msgspec.Struct, frozen=True):
    """The whole answer. The first finding is the verdict; the steps are oldest first."""

    claim: str
    is_ready: bool
    sandbox: str
    findings: list[Finding]
    steps: tuple[Step, ...]
    events: list[str]


@dataclass(frozen=True, slots=True)
class Picture:
    """What could be found out. `members` look like the pool's by their label; `owned` carry the
    claim's uid. `record` is the controller's, None where no controller could be asked."""

    claim: Claim
    pool: Pool | None
    has_template: bool
    members: Sequence[Sandbox]
    owned: Sequence[Sandbox]
    pod: Pod | None
    events: Sequence[ToldEvent]
    record: ClaimSteps | None
    gaps: Sequence[str]
    now_s: float


_HINTS: Final[dict[str, str]] = {
    ClaimReason.WARM_POOL_NOT_FOUND: "create the pool, or name another: it is looked for in the"
    " claim's own namespace",
    ClaimReason.TEMPLATE_NOT_FOUND: "create the template that the pool names",
    ClaimReason.INVALID_METADATA: "change spec.additionalPodMetadata; it is not tried again before",
    ClaimReason.ENV_REJECTED: "change spec.env, or the template's envVarsInjectionPolicy",
    ClaimReason.VOLUME_CLAIM_TEMPLATES: "change spec.volumeClaimTemplates, or the template's"
    " volumeClaimTemplatesPolicy",
    ClaimReason.CLAIM_EXPIRED: "its lifetime is over; make a new claim",
    ClaimReason.SANDBOX_EXPIRED: "the sandbox's own shutdownTime has come; make a new claim",
    ClaimReason.SANDBOX_MISSING: "its sandbox was deleted; another is looked for",
    ClaimReason.RECONCILER_ERROR: "the message is the API server's; it is tried again",
}


def explain(picture: Picture) -> Explanation:
    """Findings in the order in which to read them. O(members + events)."""
    claim = picture.claim
    sandbox = _shown(picture)
    ready = find(claim.conditions, READY)
    findings = [_verdict(picture, ready, sandbox)]
    findings += _pick(picture, sandbox)
    if not claim.is_ready:
        findings += _sandbox(picture, sandbox) if sandbox else _pool(picture)
    findings += _record(picture)
    findings += [Finding(Topic.GAP, text) for text in picture.gaps]
    return Explanation(
        str(claim.metadata.key),
        claim.is_ready,
        claim.published,
        findings,
        _steps(picture),
        [_event(event) for event in sorted(picture.events, key=lambda e: e.event_time or "")],
    )


def _steps(picture: Picture) -> tuple[Step, ...]:
    """Those of this very claim, not of an earlier one under its name."""
    record = picture.record
    return record.steps if record and record.uid == picture.claim.metadata.uid else ()


def _shown(picture: Picture) -> Sandbox | None:
    published = picture.claim.published
    owned = [sandbox for sandbox in picture.owned if _is_owned(picture.claim, sandbox)]
    named = (sandbox for sandbox in owned if sandbox.metadata.name == published)
    return next(named, None) if published else next(iter(owned), None)


def _is_owned(claim: Claim, sandbox: Sandbox) -> bool:
    owner = claim_owner(sandbox)
    return owner is not None and owner.uid == claim.metadata.uid


def _verdict(picture: Picture, ready: Condition | None, sandbox: Sandbox | None) -> Finding:
    claim = picture.claim
    if claim.metadata.is_deleting:
        return Finding(Topic.VERDICT, "The claim is being deleted.")
    if claim.is_ready:
        node = f" on node {sandbox.node}" if sandbox and sandbox.node else ""
        return Finding(Topic.VERDICT, f"Ready: it has sandbox {claim.published}{node}.")
    if ready is not None:
        text = f"Not Ready: {ready.reason}: {ready.message}"
        return Finding(Topic.VERDICT, text, _HINTS.get(ready.reason, ""))
    age_s = picture.now_s - (seconds_of(claim.metadata.creation_timestamp) or picture.now_s)
    if age_s < UNSEEN_S or _steps(picture):
        return Finding(Topic.VERDICT, "Not Ready: it has no sandbox yet, and shows no reason.")
    return Finding(
        Topic.VERDICT,
        f"Not Ready: no controller has said anything of it for {age_s:.0f} s.",
        "is a controller running that leads, with the claim controller (--extensions) and rights"
        " for this namespace?",
    )


def _pick(picture: Picture, sandbox: Sandbox | None) -> list[Finding]:
    """How it came by its sandbox."""
    if sandbox is None:
        return []
    name, kind = sandbox.metadata.name, launch_type_of(sandbox)
    template = sandbox.metadata.annotations.get(ANNOTATION_TEMPLATE_REF, "an unknown template")
    steps = [step for step in _steps(picture) if step.facts.get("sandbox") == name]
    picked = next((step for step in steps if step.step == "picked"), None)
    if kind == "cold":
        text = f"{name} was made for this claim alone, from {template} (a cold start)"
        return [Finding(Topic.PICK, f"{text}: its pool had no warm sandbox to give.")]
    text = f"{name} is warm, from {template}"
    if picked is None:
        return [Finding(Topic.PICK, f"{text}; why this one is not recorded here.")]
    facts = picked.facts
    node = f"node {facts.get('node')}" if facts.get("node") else "no node"
    state = "ready" if facts.get("ready") == "true" else "not ready"
    return [
        Finding(
            Topic.PICK,
            f"{text}. {facts.get('waiting_in_pool')} waited in the pool,"
            f" {facts.get('waiting_on_node')} of them on {node}; it was {facts.get('age_s')} s old"
            f" and {state}. {PICK_RULE}",
        )
    ]


def _sandbox(picture: Picture, sandbox: Sandbox) -> list[Finding]:
    """Why a claim is not Ready that has a sandbox."""
    name, ready = sandbox.metadata.name, sandbox.ready
    if sandbox.metadata.is_deleting:
        return [Finding(Topic.SANDBOX, f"{name} is being deleted.")]
    if ready is None:
        hint = "is a sandbox controller running that leads?"
        return [Finding(Topic.SANDBOX, f"{name} shows no Ready condition.", hint)]
    found = [Finding(Topic.SANDBOX, f"{name} is Ready={ready.status}: {ready.message}")]
    return found if ready.is_true else [*found, *_pod(picture)]


def _pod(picture: Picture) -> list[Finding]:
    pod = picture.pod
    if pod is None:
        return [Finding(Topic.POD, "There is no pod for it.", "kubectl describe the sandbox")]
    text = f"Pod {pod.metadata.name} is {pod.status.phase or 'without a phase'}"
    scheduled = pod.scheduled
    if scheduled is not None and scheduled.status != "True":
        hint = "make room on a node, or correct the template's constraints"
        return [Finding(Topic.POD, f"{text}, not scheduled: {scheduled.message}", hint)]
    return [Finding(Topic.POD, f"{text} on {pod.spec.node_name or 'no node'}.")]


def _pool(picture: Picture) -> list[Finding]:
    """Why a claim has no sandbox."""
    name = picture.claim.spec.warm_pool_ref.name
    if picture.pool is None:
        return [Finding(Topic.POOL, f"There is no pool {name!r}.")]
    template = picture.pool.spec.sandbox_template_ref.name
    found = [] if picture.has_template else [
        Finding(Topic.POOL, f"There is no template {template!r}, so {name} cannot be refilled.")
    ]  # fmt: skip
    unsealed = picture.record.unsealed if picture.record else ()
    states = Counter(_state(sandbox, picture.pool, unsealed) for sandbox in picture.members)
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
    text = f"{name} wants {picture.pool.spec.replicas}; its members: {told}."
    is_short = picture.has_template and not states["ready"]
    hint = "scale the pool up, or wait for its members" if is_short else ""
    return [*found, Finding(Topic.POOL, text, hint)]


def _state(sandbox: Sandbox, pool: Pool, unsealed: Collection[str]) -> str:
    """How far a member is from being handed out, in words. Only the manager knows which bear a
    seal."""
    refusal = why_not_adoptable(sandbox, pool)
    if refusal is None and sandbox.metadata.name in unsealed:
        refusal = Refusal.UNSEALED
    if refusal is not None:
        return f"never to be handed out ({refusal.replace('_', ' ')})"
    if not sandbox.has_address:
        return "without an address yet"
    return "ready" if sandbox.is_ready else "not ready"


def _record(picture: Picture) -> list[Finding]:
    record = picture.record
    if record is None:
        return []
    if not record.is_leading:
        text = f"{record.identity} is a standby: it takes no steps, another process does."
        return [Finding(Topic.RECORD, text, "ask the leader: its name is in the Lease")]
    found: list[Finding] = []
    if record.ahead is not None:
        text = f"It waits in line for a member of its pool; {record.ahead} claims are before it."
        found.append(Finding(Topic.RECORD, text))
    if (steps := _steps(picture)) and steps[-1].step == YIELDS:
        text = "It waits in line to start cold: claims that are served warm would suffer from it."
        found.append(Finding(Topic.RECORD, text, "give it a warm pool of the size that it needs"))
    if not steps:
        text = "The controller has no steps of this claim: it took none since it began to lead,"
        found.append(Finding(Topic.RECORD, f"{text} or other claims took their place."))
    return found


def _event(event: ToldEvent) -> str:
    count = f" (x{event.series.count})" if event.series else ""
    return f"{event.event_time or '-'} {event.type} {event.reason}{count}: {event.note}"
