"""All rounds on one control plane, and what is said and kept of them."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from e2e.chaos.auditor import AuditError
from e2e.chaos.controllers import Timing
from e2e.chaos.faults import Kind, draw_round
from e2e.chaos.recovery import Goals, rows, table
from e2e.chaos.round import Round, RoundResult, Sizes, wait_quiet
from e2e.chaos.scene import staged
from e2e.cluster import COMPONENTS, ControlPlane
from e2e.controlplane.commands import SECOND_API_SERVER
from e2e.controlplane.failures import log_tail, single_errors

SEED = 3478
"""Its first five rounds have every kind of fault but the standby's kill, and those kinds that have
a goal at times at which nothing else disturbs them."""
ROUNDS_PER_CONTROL_PLANE = 25
"""etcd keeps the whole history for the auditor, about 30 MB for each round, and stops at 2 GB."""
EVENTS_S_MAX = 300.0
"""A controller holds back a thousand Events, and sends at most twenty a second when it is idle."""
LAST_QUIET_S = 8.0
"""Longer than a lease: some renewals are in it, and nothing else."""
OUT = Path(__file__).resolve().parent.parent.parent / "out" / "chaos"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is asked for. The same seed gives the same faults at the same times."""

    seed: int = SEED
    rounds: int = 5
    first_round: int = 0
    first_fault: Kind | None = None
    sizes: Sizes = field(default_factory=Sizes)
    timing: Timing = field(default_factory=Timing)
    nodes: int = 50


class ChaosRun:
    """Plays a plan. Ends with the first round that fails: the next would begin in its ruins."""

    def __init__(self, plan: Plan, say: Say = print) -> None:
        self._plan = plan
        self._say = say
        self.results: list[RoundResult] = []
        self.failures: list[str] = []

    def play(self) -> None:
        """Play all rounds, and end everything, whatever happens.

        Raises ControlPlaneError when a control plane cannot be started, KeyboardInterrupt.
        """
        end = self._plan.first_round + self._plan.rounds
        for first in range(self._plan.first_round, end, ROUNDS_PER_CONTROL_PLANE):
            if not self.failures:
                self._play_on_one(range(first, min(end, first + ROUNDS_PER_CONTROL_PLANE)))

    def _play_on_one(self, numbers: range) -> None:
        """Play these rounds on a control plane of their own."""
        with (
            tempfile.TemporaryDirectory(prefix="warmclaim-chaos-") as folder,
            ControlPlane(nodes=self._plan.nodes, keeps_history=True) as cluster,
        ):
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(self._play_rounds(numbers, cluster, Path(folder)))
            except (AuditError, TimeoutError, ExceptionGroup) as error:
                broken = single_errors(error)
                self.failures += [f"broken by {type(one).__name__}: {one}" for one in broken]
            if self.failures:
                self._keep_evidence(cluster, Path(folder))

    async def _play_rounds(self, numbers: range, cluster: ControlPlane, folder: Path) -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        plan = self._plan
        async with staged(cluster, folder, plan.timing) as scene:
            for number in numbers:
                faults = draw_round(plan.seed, number, plan.first_fault)
                self._say(f"round {number}: {', '.join(str(fault) for fault in faults)}")
                played = Round(scene, number, faults, plan.sizes)
                self.results.append(played.result)
                result = await played.play(plan.timing)
                self._say(_shown(result))
                self.failures += [f"round {number}: {text}" for text in result.failures]
                if result.failures:
                    return
            try:
                told = await wait_quiet(
                    scene, besides=("leases",), timeout_s=EVENTS_S_MAX, quiet_s=LAST_QUIET_S
                )
                self._say(f"quiet for {LAST_QUIET_S:g} s; before that: {told or 'nothing'}")
            except TimeoutError as error:
                self.failures.append(f"not quiet after all rounds: {error}")

    def summary(self) -> str:
        """The recovery table, what the auditors read, and the verdict."""
        goals = Goals(self._plan.timing.lease_s)
        lines = [table(rows([result.strikes for result in self.results], goals))]
        read = [result.findings for result in self.results]
        lines.append(
            f"  auditor: {sum(one.commits for one in read)} commits, "
            f"{sum(one.adoptions for one in read)} adoptions, "
            f"{sum(one.cold_starts for one in read)} cold starts, "
            f"{sum(one.publications for one in read)} publications, "
            f"{sum(len(one.breaches) for one in read)} breaches of S1-S7"
        )
        verdict = "FAILED" if self.failures else "held"
        lines.append(f"  {len(self.results)} rounds of seed {self._plan.seed}: {verdict}")
        return "\n".join(lines + [f"  {failure}" for failure in self.failures])

    def as_json(self) -> str:
        """The same for a program, one object."""
        return json.dumps(self._report(), indent=1)

    def _report(self) -> dict[str, Any]:
        goals = Goals(self._plan.timing.lease_s)
        return {
            "plan": asdict(self._plan),
            "failures": self.failures,
            "recovery": [
                asdict(row) | {"is_held": row.is_held}
                for row in rows([result.strikes for result in self.results], goals)
            ],
            "rounds": [_as_dict(result) for result in self.results],
        }

    def _keep_evidence(self, cluster: ControlPlane, folder: Path) -> None:
        """Copy what explains a failure to a folder that stays, and say where it is."""
        number = self.results[-1].number if self.results else self._plan.first_round
        target = OUT / f"seed-{self._plan.seed}-round-{number}"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder, target)
        (target / "report.json").write_text(self.as_json())
        for component in (*COMPONENTS, SECOND_API_SERVER):
            tail = log_tail(cluster.logs(component), lines=200)
            (target / f"{component}.tail.log").write_text(tail)
        self._say(f"FAILED; faults, findings and logs are in {target}")


def _as_dict(result: RoundResult) -> dict[str, Any]:
    findings = {name: getattr(result.findings, name) for name in result.findings.__struct_fields__}
    breaches = [str(breach) for breach in result.findings.breaches]
    strikes = [asdict(one) | {"recovery_s": one.recovery_s} for one in result.strikes]
    return {
        "number": result.number,
        "faults": [str(fault) for fault in result.faults],
        "claims": result.claims,
        "strikes": strikes,
        "notes": result.notes,
        "findings": findings | {"breaches": breaches},
        "failures": result.failures,
        "steps_s": result.steps_s,
    }


def _shown(result: RoundResult) -> str:
    steps = ", ".join(f"{name} {took_s:.1f}" for name, took_s in result.steps_s.items())
    lines = [
        *(f"  {strike}" for strike in result.strikes),
        *(f"  note: {note}" for note in result.notes),
        f"  {result.claims} claims, {result.took_s:.1f} s ({steps})",
        *(f"  FAILED: {failure}" for failure in result.failures),
    ]
    return "\n".join(lines)
