"""What became of the claims of each phase, from the ledger at the end of a run."""

from __future__ import annotations

from collections import defaultdict

from warmclaim.loadtest.ledger import ClaimRecord, SandboxRecord
from warmclaim.loadtest.phases import PhaseRun
from warmclaim.loadtest.result import PhaseResult, latency_of, windows_of
from warmclaim.loadtest.scene import Scene

WARM, COLD = "warm", "cold"


def enter_claims(run: PhaseRun) -> None:
    """Enter latencies and launch types into the phases, and write a line for each claim and for
    each sandbox that was ever Ready.

    At the end, since a controller notes its own times on a claim well after its Ready.
    """
    scene, sent_s = run.scene, run.sent_s
    by_phase: defaultdict[str, list[ClaimRecord]] = defaultdict(list)
    for claim in scene.stage.ledger.claims.values():
        by_phase[claim.name.rpartition("-")[0]].append(claim)
    for phase in run.results:
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
            _write(run, phase, claim)
    for sandbox in scene.stage.ledger.sandboxes.values():
        if sandbox.ready_s is not None:
            _write_sandbox(run, sandbox, sandbox.ready_s)


def _launch(scene: Scene, claim: ClaimRecord) -> str:
    sandbox = scene.stage.ledger.sandbox_of(claim)
    return "" if sandbox is None else sandbox.launch_type


def _write(run: PhaseRun, phase: PhaseResult, claim: ClaimRecord) -> None:
    sent_s = run.sent_s[claim.name]
    sandbox = run.scene.stage.ledger.sandbox_of(claim)
    run.record.write(
        "claim",
        sent_s - run.scene.begun_s,
        phase=phase.name,
        name=claim.name,
        pool=run.dues[claim.name].pool,
        ready_after_s=None if claim.ready_s is None else round(claim.ready_s - sent_s, 6),
        controller_s=claim.noted_s,
        launch=_launch(run.scene, claim),
        sandbox="" if sandbox is None else sandbox.name,
        node="" if sandbox is None else sandbox.node,
        versions_to_ready=claim.versions_to_ready,
    )


def _write_sandbox(run: PhaseRun, sandbox: SandboxRecord, ready_s: float) -> None:
    claim = run.scene.stage.ledger.claims.get(sandbox.given_to)
    run.record.write(
        "sandbox",
        ready_s - run.scene.begun_s,
        name=sandbox.name,
        pool=sandbox.pool,
        node=sandbox.node,
        claim="" if claim is None else claim.name,
    )
