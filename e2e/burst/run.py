"""A shipped profile with one burst, run by the load test and judged by what a client can see."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from e2e.burst import claim_requests, verdict
from e2e.burst.claim_requests import Handed
from e2e.burst.verdict import Problems, Start, judge
from e2e.burst.wires import connected
from e2e.cluster import ADMIN, WARMCLAIM, ControlPlane

from warmclaim.loadtest.audit_log import AuditEvent
from warmclaim.loadtest.phases import PhaseRun
from warmclaim.loadtest.process import command_of
from warmclaim.loadtest.profile import Profile
from warmclaim.loadtest.result import CONTROLLER, LIMIT, RunResult
from warmclaim.loadtest.run import Plan, run

_NUMBERS = itertools.count(1)


def controller_command(
    cluster: ControlPlane, *flags: str, lease: str = "--leader-elect=false"
) -> str:
    """The command line of warmclaim from this environment, as the load test takes it; without a
    Lease, unless `lease` says otherwise. The controller has fewer rights than the load generator:
    its own user."""
    return (
        f"{sys.executable} -m warmclaim run --kubeconfig={cluster.kubeconfig(WARMCLAIM)} {lease}"
        " --health-probe-bind-address={health} --metrics-bind-address={metrics}"
        f" {' '.join(flags)}"
    ).strip()


@dataclass
class Judge:
    """Looks on at the end of each phase: the pool as it was before the burst, and what became of
    it. `problems` is complete when the run is over and `hear` was called."""

    cluster: ControlPlane
    problems: Problems = field(default_factory=Problems)
    _start: Start = field(default_factory=Start)
    _handed: list[Handed] = field(default_factory=list[Handed])
    _mark: int = 0
    _ended_s: float = 0.0

    def __call__(self, phases: PhaseRun) -> list[str]:
        """What was broken in the phase that has ended."""
        ledger, phase = phases.scene.stage.ledger, phases.results[-1]
        (pool,) = phases.scene.pools
        if phase.kind == "deploy":
            self._start = Start.of(ledger, pool.uid)
            self._mark = self.cluster.audit_mark()
        if phase.kind != "burst":
            return []
        size = phases.scene.actor.members_wanted(pool)
        self.problems = judge(ledger, list(phases.dues), pool.uid, size, self._start)
        self._ended_s = time.time()
        for claim in ledger.claims.values():
            sandbox = ledger.sandbox_of(claim)
            if claim.ready_s is not None and sandbox is not None:
                self._handed.append(Handed(claim.name, sandbox.name, claim.versions_to_ready))
        return [text for found in self.problems.values() for text in found]

    def hear(self, result: RunResult, namespace: str) -> None:
        """What only the end tells: the audit log, and how the controller ended."""
        unjudged = [f"not judged: {result.problem}"]
        self.problems = dict.fromkeys(verdict.PROPERTIES, unjudged) | self.problems
        self.problems |= _judge_requests(self._requests(namespace), self._handed)
        code = result.exit_code
        self.problems[verdict.EXIT] = [] if code == 0 else [f"it ended with exit code {code}"]
        self.problems[verdict.END] = [result.problem] if result.problem else []

    def _requests(self, namespace: str) -> list[AuditEvent]:
        """Those of the burst that are about this namespace or about none."""
        self.cluster.audit_settle()
        return [
            one
            for one in self.cluster.audit_events(self._mark)
            if one.namespace in ("", namespace) and one.received_s <= self._ended_s
        ]


def _judge_requests(events: list[AuditEvent], handed: list[Handed]) -> Problems:
    """Hold the audit log against what a warm claim may cost."""
    paths = claim_requests.claim_paths(events, handed, WARMCLAIM)
    return {
        verdict.WRITES: list(claim_requests.problems(paths)),
        verdict.LISTS: list(claim_requests.lists(events, WARMCLAIM)),
    }


def run_limit(cluster: ControlPlane, profile: Profile, folder: Path) -> RunResult:
    """The load with no controller running. Blocks; raises as `loadtest.run.run` does."""
    folder.mkdir(parents=True)
    plan = _plan(cluster, profile, LIMIT)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(plan, folder, _unseen))


def run_controller(
    cluster: ControlPlane, profile: Profile, folder: Path
) -> tuple[RunResult, Problems]:
    """The same load with the controller under test, and what did not hold. As above."""
    folder.mkdir(parents=True)
    judge, plan = Judge(cluster), _plan(cluster, profile, CONTROLLER)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(run(plan, folder, _unseen, judge))
    judge.hear(result, plan.namespace)
    return result, judge.problems


def _plan(cluster: ControlPlane, profile: Profile, serves: str) -> Plan:
    kubeconfig = str(cluster.kubeconfig(WARMCLAIM))
    return Plan(
        profile,
        connected(cluster.server, cluster.token(ADMIN), cluster.ca_file),
        f"warmclaim-loadtest-burst-{next(_NUMBERS)}",
        serves=serves,
        command=command_of(controller_command(cluster), kubeconfig),
        audit_log=cluster.audit_log.path,
        audit_user=WARMCLAIM,
    )


def _unseen(_: PhaseRun) -> None:
    """Nobody watches."""
