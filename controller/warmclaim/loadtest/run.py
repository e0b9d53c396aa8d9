"""A whole run: stage, controller, phases, and what it came to, in files of a folder."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from warmclaim import __version__
from warmclaim.errors import UsageError
from warmclaim.kube.config import Connection
from warmclaim.loadtest.actors import Client, Limit
from warmclaim.loadtest.claims import enter_claims
from warmclaim.loadtest.failures import problem_of
from warmclaim.loadtest.look import Look
from warmclaim.loadtest.phases import PhaseRun
from warmclaim.loadtest.process import Command, Controller, running
from warmclaim.loadtest.profile import Profile, SteadyState
from warmclaim.loadtest.record import LOG, SUMMARY, Record
from warmclaim.loadtest.requests import Audit
from warmclaim.loadtest.result import CONTROLLER, LIMIT, RunResult
from warmclaim.loadtest.scene import Scene
from warmclaim.loadtest.stage import staged

SAMPLE_S = 0.25
GONE_S_MAX = 120.0
"""How long the end of the namespace is waited for."""

Show = Callable[[PhaseRun], None]
"""Is shown how far a run is, four times a second."""
Judge = Callable[[PhaseRun], Iterable[str]]
"""Is asked at the end of each phase which promises were broken, beyond those of the ledger."""


def lenient(_: PhaseRun) -> tuple[str, ...]:
    """The judge who asks for no more than the ledger does."""
    return ()


@dataclass(frozen=True)
class Plan:
    """What is run, and where. `serves` is `controller` or `limit`: then there is none, and the load
    generator does its writes itself. Without a `command` the controller is one that runs already;
    `metrics` (HOST:PORT) and `pid` say where that can be seen."""

    profile: Profile
    connection: Connection
    namespace: str
    serves: str = CONTROLLER
    command: Command | None = None
    metrics: str = ""
    pid: int | None = None
    audit_log: Path | None = None
    audit_user: str = ""
    has_cpu_profile: bool = False


async def run(plan: Plan, folder: Path, show: Show, judge: Judge = lenient) -> RunResult:
    """Carry out the plan; `folder`, which must exist, gets the time line and the summary.

    What was made in the cluster is deleted at the end, however that comes. What ends a run before
    its time stands in the result's `problem`. Raises UsageError for what fails before the first
    phase: an address, a right, a definition or a program that is missing.
    """
    audit = Audit(plan.audit_log, plan.audit_user) if plan.audit_log else None
    result = _result(plan)
    with Record(folder) as record:
        try:
            async with _scenery(plan, folder, record) as (phases, controller):
                result.phases = phases.results
                wall_s = time.time() - phases.scene.at_s()
                await _carried_out(plan, phases, controller, show, judge, result)
                enter_claims(phases)
                result.breaches += phases.scene.stage.ledger.breaches
                if audit is not None:
                    await _enter_requests(audit, plan.namespace, result, wall_s)
            result.exit_code = None if controller is None else controller.exit_code
        except UsageError:
            raise
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            if not result.phases:
                raise UsageError(_hint(problem)) from None
            result.problem = result.problem or problem
    (folder / SUMMARY).write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    return result


def _hint(problem: str) -> str:
    if "/sandboxtemplates: 404" not in problem:
        return problem
    return "the cluster has no sandboxtemplates; `warmclaim crds | kubectl apply -f -` defines them"


def _result(plan: Plan) -> RunResult:
    return RunResult(
        profile=plan.profile.name,
        about=plan.profile.about,
        serves=plan.serves,
        command="" if plan.command is None or plan.serves == LIMIT else str(plan.command),
        namespace=plan.namespace,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        machine=f"{os.cpu_count()} cores, {platform.system()} {platform.release()},"
        f" {platform.python_implementation()} {platform.python_version()}",
    )


@asynccontextmanager
async def _scenery(
    plan: Plan, folder: Path, record: Record
) -> AsyncGenerator[tuple[PhaseRun, Controller | None]]:
    """The controller, if it is ours, and the stage; taken down in the other order, so that the
    controller sees its objects go."""
    async with AsyncExitStack() as stack:
        controller, look = None, Look()
        if plan.serves == CONTROLLER:
            look = Look(plan.metrics, plan.pid)
            if plan.command is not None:
                controller = await stack.enter_async_context(running(plan.command, folder / LOG))
                look = Look(plan.command.metrics or plan.metrics, controller.pid)
        await stack.enter_async_context(look)
        stage = await stack.enter_async_context(
            staged(
                plan.namespace,
                plan.connection,
                plan.connection,
                image=plan.profile.image,
                gone_s_max=GONE_S_MAX,
            )
        )
        limit = Limit(stage, plan.profile.claims_by_pool())
        scene = Scene(stage, limit if plan.serves == LIMIT else Client(stage), look)
        phases = PhaseRun(plan.profile, scene, look, record)
        if plan.has_cpu_profile:
            phases.stacks_of, phases.folder = look.pid, folder
        yield phases, controller


async def _carried_out(
    plan: Plan,
    phases: PhaseRun,
    controller: Controller | None,
    show: Show,
    judge: Judge,
    result: RunResult,
) -> None:
    """All phases, while samples are taken and the controller is watched. What goes wrong becomes
    the result's problem, so that what was found until then is kept."""
    try:
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(_sampled(phases, show))]
            if controller is not None:
                beside.append(group.create_task(controller.ended()))
            for phase in plan.profile.phases:
                if plan.serves == LIMIT and isinstance(phase, SteadyState):
                    continue  # nobody is there to be at rest
                await phases.carry_out(phase)
                result.breaches += judge(phases)
            for task in beside:
                task.cancel()
    except Exception as error:
        problem = problem_of(error)
        if problem is None:
            raise
        result.problem = f"phase {phases.results[-1].name}: {problem}"


async def _sampled(phases: PhaseRun, show: Show) -> None:
    """Note and show how far the run is, until cancelled."""
    while True:
        scene, ledger = phases.scene, phases.scene.stage.ledger
        usage = phases.look.usage()
        told: dict[str, float] = {
            "claims_sent": scene.claims_wanted,
            "claims_ready": ledger.ready_claims,
            "members": sum(ledger.members(pool.uid) for pool in scene.pools),
            "members_ready": sum(ledger.ready_members(pool.uid) for pool in scene.pools),
        }
        if usage is not None:
            told |= {"cpu_s": round(usage.cpu_s, 3), "rss_bytes": usage.rss_bytes}
            if phases.results:
                phase = phases.results[-1]
                phase.rss_bytes_max = max(phase.rss_bytes_max or 0, usage.rss_bytes)
        phases.record.write("sample", scene.at_s(), **told)
        show(phases)
        await asyncio.sleep(SAMPLE_S)


async def _enter_requests(audit: Audit, namespace: str, result: RunResult, wall_s: float) -> None:
    """Requests by the audit log, which sees those of all programs, instead of by the metrics."""
    spans = [(wall_s + one.begun_s, wall_s + one.ended_s) for one in result.phases]
    for phase, counts in zip(result.phases, await audit.counted(namespace, spans), strict=True):
        phase.requests = dict(counts.most_common())
        phase.requests_from = "audit log"
