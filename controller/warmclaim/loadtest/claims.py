"""What became of the claims of each phase, from the ledger at the end of a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from warmclaim.loadtest.ledger import ClaimRecord
from warmclaim.loadtest.record import Record
from warmclaim.loadtest.result import PhaseResult, latency_of, windows_of
from warmclaim.loadtest.scene import Scene

WARM, COLD = "warm", "cold"


def enter_claims(
    phases: Iterable[PhaseResult], scene: Scene, sent_s: Mapping[str, float], record: Record
) -> None:
    """Enter latencies and launch types into the phases, and write a line for each claim.

    At the end, since a controller notes its own times on a claim well after its Ready.
    """
    by_phase: defaultdict[str, list[ClaimRecord]] = defaultdict(list)
    for claim in scene.stage.ledger.claims.values():
        by_phase[claim.name.rpartition("-")[0]].append(claim)
    for phase in phases:
        claims = by_phase.get(phase.name, [])
        served = [(one, one.ready_s) for one in claims if one.ready_s is not None]
        phase.client = latency_of([ready_s - sent_s[one.name] for one, ready_s in served])
        phase.windows = windows_of(
            [
                (sent_s[one.name] - scene.begun_s, ready_s - sent_s[one.name])
                for one, ready_s in served
            ]
        )
        phase.controller = latency_of([one.noted_s for one in claims if one.noted_s is not None])
        launches = [_launch(scene, one) for one, _ in served]
        phase.warm, phase.cold = launches.count(WARM), launches.count(COLD)
        for claim in claims:
            _write(record, scene, phase, claim, sent_s[claim.name])


def _launch(scene: Scene, claim: ClaimRecord) -> str:
    sandbox = scene.stage.ledger.sandbox_of(claim)
    return "" if sandbox is None else sandbox.launch_type


def _write(
    record: Record, scene: Scene, phase: PhaseResult, claim: ClaimRecord, sent_s: float
) -> None:
    at_s = sent_s - scene.begun_s
    ready_s = None if claim.ready_s is None else round(claim.ready_s - sent_s, 6)
    sandbox = scene.stage.ledger.sandbox_of(claim)
    record.write(
        "claim",
        at_s,
        phase=phase.name,
        name=claim.name,
        ready_after_s=ready_s,
        controller_s=claim.noted_s,
        launch=_launch(scene, claim),
        node="" if sandbox is None else sandbox.node,
    )
