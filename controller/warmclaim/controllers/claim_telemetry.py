"""What is counted, logged and told about a claim; all of it after the write it speaks of."""

from __future__ import annotations

import logging
from typing import Protocol

from warmclaim.api import names
from warmclaim.api.claim import Claim
from warmclaim.api.conditions import READY, find
from warmclaim.api.meta import Object
from warmclaim.api.resources import CLAIM, Resource
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.timestamps import seconds_of
from warmclaim.controllers.claim_journal import TEXT_CHARS_MAX, ClaimJournal
from warmclaim.controllers.claim_records import ClaimRecord
from warmclaim.domain import adoption
from warmclaim.domain.claim_marks import observed_since_s
from warmclaim.domain.claim_steps import YIELDS
from warmclaim.domain.eligibility import Refusal, pool_owner
from warmclaim.domain.outcome import Outcome
from warmclaim.domain.sandbox_marks import launch_type_of
from warmclaim.domain.sandbox_pod import normalised_created_by
from warmclaim.seams import Clock
from warmclaim.telemetry.metrics import Metrics, ReadyLatencies, Stage
from warmclaim.telemetry.tracing import NO_TRACE, Trace

_log = logging.getLogger("warmclaim.claim")


class Events(Protocol):
    """Emits Kubernetes Events later, in the lowest lane, or never; must not block or raise."""

    def normal(
        self, resource: Resource[Object], regarding: Object, reason: str, action: str, note: str
    ) -> None:
        """Something went as it should."""
        ...

    def warning(
        self, resource: Resource[Object], regarding: Object, reason: str, action: str, note: str
    ) -> None:
        """Something needs a person's eye."""
        ...


class ClaimTelemetry:
    """One method for each thing worth telling; no decision is made here."""

    def __init__(
        self,
        metrics: Metrics,
        events: Events,
        clock: Clock,
        journal: ClaimJournal,
        trace: Trace = NO_TRACE,
    ) -> None:
        self._metrics = metrics
        self._events = events
        self._clock = clock
        self._journal = journal
        self._trace = trace

    def outcome(self, outcome: Outcome) -> None:
        """Count how a step ended."""
        self._metrics.outcomes[outcome].inc()
        if outcome is Outcome.RECLAIMED:
            self._metrics.reservations_reclaimed.inc()

    def waiting(self, claim: Claim, left_s: float) -> None:
        """A member is on its way, and the claim waits for it, for so long at most."""
        self.outcome(Outcome.WAITING)
        self._journal.note(claim.metadata.key, Outcome.WAITING, at_most_s=round(left_s, 3))

    def yielding(self, claim: Claim, in_line: int) -> None:
        """The claim is to start cold, and waits for its turn as one of so many."""
        self._journal.note(claim.metadata.key, YIELDS, in_line=in_line)

    def passed_over(
        self, claim: Claim, record: ClaimRecord, sandbox: str, refusal: Refusal | None
    ) -> None:
        """A candidate was taken out of the warm queue and may not be handed out; None if it is gone
        or another one by now."""
        if refusal is not None:
            self.refused_member(refusal)
        word = refusal or Outcome.GHOST
        record.passed_over(word)
        self._journal.note(claim.metadata.key, "passed_over", sandbox=sandbox, why=word)

    def picked(self, claim: Claim, sandbox: Sandbox) -> None:
        """The sandbox was taken out of the warm queue for the claim, to be reserved next."""
        self._journal.picked(claim, sandbox)

    def reserved(
        self, claim: Claim, sandbox: Sandbox, record: ClaimRecord, outcome: Outcome
    ) -> None:
        """A reservation was answered. `sandbox` is the view from before it."""
        self.outcome(outcome)
        name, node = sandbox.metadata.name, sandbox.node or ""
        self._journal.note(claim.metadata.key, outcome, sandbox=name)
        if outcome is not Outcome.ADOPTED:
            _log.info(
                "sandbox not won",
                extra={**_fields(claim), "sandbox": name, "outcome": outcome},
            )
            return
        picked_s, reserved_s = record.picked_s, record.reserved_s
        if picked_s is not None and reserved_s is not None:
            self._metrics.stages[Stage.SEEN_TO_PICKED].observe(picked_s - record.seen_s)
            self._metrics.stages[Stage.PICKED_TO_RESERVED].observe(reserved_s - picked_s)
            self._trace.span("pick", record.seen_s, picked_s, sandbox=name, node=node)
            self._trace.span("reserve", picked_s, reserved_s, sandbox=name)
        pool = pool_owner(sandbox)
        self._count_created(claim, sandbox, names.WARM, pool.name if pool else "")

    def refused_member(self, refusal: Refusal) -> None:
        """A sandbox looked like a pool's member and is none: forged, or left by an older pool."""
        self._metrics.members_refused.of(refusal).inc()

    def cold_started(self, claim: Claim, sandbox: Sandbox) -> None:
        """A sandbox was created for the claim alone."""
        self.outcome(Outcome.COLD_STARTED)
        name = sandbox.metadata.name
        self._journal.note(claim.metadata.key, Outcome.COLD_STARTED, sandbox=name)
        _log.info("cold start", extra={**_fields(claim), "sandbox": name})
        self._count_created(claim, sandbox, names.COLD, claim.spec.warm_pool_ref.name)
        self._events.normal(
            CLAIM, claim, "SandboxProvisioned", "Provisioning", f'Created Sandbox "{name}"'
        )

    def status_written(
        self,
        claim: Claim,
        decision: adoption.StatusDecision,
        record: ClaimRecord,
        sandbox: Sandbox | None,
    ) -> None:
        """A status is stored. `claim` is the view from before, `sandbox` the one it shows."""
        match decision:
            case adoption.Publish():
                self._published(claim, decision.sandbox, record)
            case adoption.Mirror():
                self._step(claim, Outcome.MIRRORED)
            case adoption.Unpublish():
                self._step(claim, Outcome.UNPUBLISHED, sandbox=claim.published)
                _log.warning("published sandbox is gone", extra=_fields(claim))
            case adoption.Expire():
                self._step(claim, Outcome.EXPIRED)
                _log.info("claim expired", extra=_fields(claim))
                self._events.normal(CLAIM, claim, "ClaimExpired", "Claim Expired", "Claim expired")
            case adoption.ReportFailure(status):
                ready = find(status.conditions, READY)
                text, reason = (ready.message, ready.reason) if ready else ("", "")
                self._step(claim, Outcome.REFUSED, reason=reason, message=text[:TEXT_CHARS_MAX])
                _log.info("claim refused: %s", text, extra={**_fields(claim), "reason": reason})
        if sandbox is not None and not claim.is_ready and sandbox.is_ready:
            self._became_ready(claim, sandbox, record)

    def deleting(self, claim: Claim) -> None:
        """An expired claim is about to be deleted."""
        policy = claim.spec.lifecycle.shutdown_policy if claim.spec.lifecycle else ""
        note = f"Deleting Claim (ShutdownPolicy={policy})"
        self._events.normal(CLAIM, claim, "ClaimExpired", "Deleting", note)

    def _step(self, claim: Claim, outcome: Outcome, **facts: str) -> None:
        self.outcome(outcome)
        self._journal.note(claim.metadata.key, outcome, **facts)

    def _published(self, claim: Claim, sandbox: Sandbox, record: ClaimRecord) -> None:
        name, now_s = sandbox.metadata.name, self._clock.monotonic()
        if record.reserved_s is not None:
            self._metrics.stages[Stage.RESERVED_TO_PUBLISHED].observe(now_s - record.reserved_s)
            self._trace.span("publish", record.reserved_s, now_s, sandbox=name)
        self._metrics.stages[Stage.SEEN_TO_PUBLISHED].observe(now_s - record.seen_s)
        if context := self._trace.context():
            # An earlier pass may have reserved it: the claim's is the one that its sandbox carries.
            carried = sandbox.metadata.annotations.get(names.ANNOTATION_TRACE_CONTEXT)
            record.trace_context = carried or context
        since_ms = round((now_s - record.seen_s) * 1000, 1)
        self.outcome(Outcome.PUBLISHED)
        self._journal.note(
            claim.metadata.key, Outcome.PUBLISHED, sandbox=name, since_seen_ms=since_ms
        )
        is_warm = launch_type_of(sandbox) == names.WARM
        _log.info(
            "published",
            extra={
                **_fields(claim),
                "sandbox": name,
                "node": sandbox.node or "",
                "launch_type": launch_type_of(sandbox),
                "since_seen_ms": since_ms,
            },
        )
        if is_warm:
            note = f'Adopted warm pool Sandbox "{name}"'
            self._events.normal(CLAIM, claim, "SandboxAdopted", "Adoption", note)

    def _became_ready(self, claim: Claim, sandbox: Sandbox, record: ClaimRecord) -> None:
        annotations = claim.metadata.annotations
        # Once in its life: another process may have measured it, or was to and did not.
        if record.is_measured or record.ready_s is None:
            return
        if names.ANNOTATION_FIRST_READY in annotations:
            return
        record.is_measured = True
        ahead_s = self._clock.wall() - self._clock.monotonic()
        ready_s, seen_s = record.ready_s + ahead_s, record.seen_s + ahead_s
        ready = sandbox.ready
        latencies = ReadyLatencies(
            from_webhook_s=_since(annotations.get(names.ANNOTATION_WEBHOOK_OBSERVED), ready_s),
            from_controller_s=ready_s - observed_since_s(claim, seen_s),
            from_client_s=_since(annotations.get(names.ANNOTATION_CLIENT_REQUESTED), ready_s),
            sandbox_creation_s=_since(
                sandbox.metadata.creation_timestamp,
                seconds_of(ready.last_transition_time if ready else None),
            ),
        )
        self._metrics.observe_claim_ready(
            latencies,
            namespace=claim.metadata.namespace,
            launch_type=launch_type_of(sandbox),
            template=_template(sandbox),
        )

    def _count_created(self, claim: Claim, sandbox: Sandbox, launch: str, pool: str) -> None:
        created_by = claim.metadata.labels.get(names.LABEL_CREATED_BY, "")
        self._metrics.claims_created.of(
            claim.metadata.namespace,
            _template(sandbox),
            launch,
            pool,
            "ready" if sandbox.is_ready else "not_ready",
            normalised_created_by(created_by),
        ).inc()


def _fields(claim: Claim) -> dict[str, str]:
    return {"claim": str(claim.metadata.key), "pool": claim.spec.warm_pool_ref.name}


def _template(sandbox: Sandbox) -> str:
    return sandbox.metadata.annotations.get(names.ANNOTATION_TEMPLATE_REF) or "__unknown__"


def _since(start: str | None, end_s: float | None) -> float | None:
    start_s = seconds_of(start)
    return None if start_s is None or end_s is None else end_s - start_s
