"""One profile, run twice on the same control plane: at its limit, and with the controller."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

from e2e.burst import claim_requests, verdict
from e2e.burst.claim_requests import Handed
from e2e.burst.process import CommandLine, ControllerProcess, Sample, warmclaim_command
from e2e.burst.profiles import Profile
from e2e.burst.result import BurstFigures, ControllerResult, LimitResult
from e2e.burst.verdict import Problems, Start, judge
from e2e.burst.wires import connected
from e2e.cluster import ADMIN, WARMCLAIM, ControlPlane

from warmclaim.loadtest.audit_log import AuditEvent
from warmclaim.loadtest.ledger import Ledger, told
from warmclaim.loadtest.limit import HandOver, fill
from warmclaim.loadtest.objects import CLAIMS, POOL, claim_body, path
from warmclaim.loadtest.schedule import Due, Sent, even, send
from warmclaim.loadtest.stage import Stage, staged

FILL_S_MAX = 120.0
_NUMBERS = itertools.count(1)
READY_S_MAX = 60.0
AFTER_S = 5.0
"""How long the controller is still watched once the pool is full again: late work counts too."""


def _staged(cluster: ControlPlane, purpose: str) -> contextlib.AbstractAsyncContextManager[Stage]:
    """The stage in a namespace of its own, with the admin as the client."""
    client, controller = (
        connected(cluster.server, cluster.token(user), cluster.ca_file)
        for user in (ADMIN, WARMCLAIM)
    )
    return staged(f"{purpose}-{next(_NUMBERS)}", client, controller)


def _dues(profile: Profile) -> tuple[Due, ...]:
    return even(profile.claim_names, [POOL], profile.rate_per_s)


async def run_limit(cluster: ControlPlane, profile: Profile) -> LimitResult:
    """Claims served by the generator itself, with no controller running.

    Raises:
        TimeoutError: a step did not end in time.
        RefusedError: the API server refused something; in an ExceptionGroup.
    """
    async with _staged(cluster, "limit") as stage:
        pool = await stage.create_pool(profile.pool)
        begun = time.monotonic()
        members = await fill(stage.controller, stage.namespace, pool, profile.pool)
        fill_s = time.monotonic() - begun
        await stage.wait_members(pool.uid, profile.pool, FILL_S_MAX)
        for wire in (stage.client, stage.controller):
            await wire.open_connections()
        await stage.wait_quiet()
        served = HandOver(stage.client, stage.controller, stage.namespace, {pool.name: members})
        sent = await send(_dues(profile), served.create)
        await stage.wait_claims(profile.claims, READY_S_MAX)
        latencies_s = latencies(stage.ledger, sent)
        await stage.clear()
    return LimitResult(latencies_s, fill_s, sent.late_s_max)


async def run_controller(
    cluster: ControlPlane,
    profile: Profile,
    log_dir: Path,
    command: CommandLine = warmclaim_command,
) -> ControllerResult:
    """The same load with the controller under test; it fills the pool, and is ended at the end.

    What does not hold stands in the result's `problems`. Raises as `run_limit` does where a run
    cannot go on, and ControlPlaneError when the controller does not become ready or ends.
    """
    async with _staged(cluster, "burst") as stage:
        with ControllerProcess(cluster.kubeconfig(WARMCLAIM), log_dir, command) as controller:
            run = _Run(cluster, profile, stage, controller)
            try:
                return await run.whole()
            except TimeoutError as error:
                error.add_note(f"--- tail of the controller's log\n{controller.tail()}")
                raise


@dataclass(slots=True)
class _Run:
    """The steps of a run with a controller."""

    cluster: ControlPlane
    profile: Profile
    stage: Stage
    controller: ControllerProcess

    async def whole(self) -> ControllerResult:
        """Fill, burst, judge, clear, stop."""
        start_s = await asyncio.to_thread(self.controller.wait_ready)
        begun = time.monotonic()
        pool_uid = await self._fill()
        fill_s = time.monotonic() - begun
        await self.stage.client.open_connections()
        await self.stage.wait_quiet()
        figures, problems = await self._measure(pool_uid)
        clear_s = await self.stage.clear()
        problems[verdict.EXIT] = await asyncio.to_thread(self.controller.stop)
        tail = self.controller.tail()
        return ControllerResult(figures, start_s, fill_s, clear_s, problems, tail)

    async def _fill(self) -> str:
        """Create the pool and wait until all members are Ready; the pool's uid."""
        pool = await self.stage.create_pool(self.profile.pool)
        await self.stage.wait_members(pool.uid, self.profile.pool, FILL_S_MAX)
        return pool.uid

    async def _measure(self, pool_uid: str) -> tuple[BurstFigures, Problems]:
        """The load, up to the moment when nothing more should happen, and what it came to."""
        ledger, profile = self.stage.ledger, self.profile
        start = Start.of(ledger, pool_uid)
        mark = await asyncio.to_thread(self.cluster.audit_mark)
        before = self.controller.sample()
        sent, served = await self._burst(pool_uid)
        refill_s = time.monotonic() - served.at_s
        await asyncio.sleep(AFTER_S)
        after = self.controller.sample()
        problems = judge(ledger, profile.claim_names, pool_uid, profile.pool, start)
        events = await asyncio.to_thread(self._requests, mark)
        figures = BurstFigures(
            latencies_s=latencies(ledger, sent),
            late_s_max=sent.late_s_max,
            refill_s=refill_s,
            cpu_s=after.cpu_s - before.cpu_s,
            served_s=served.at_s - before.at_s,
            served_cpu_s=served.cpu_s - before.cpu_s,
            served_core_wait_s=served.core_wait_s - before.core_wait_s,
            rss_bytes=after.rss_bytes,
            peak_rss_bytes=self.controller.peak_rss_bytes(),
            writes=claim_requests.writes_by_kind(events, WARMCLAIM),
            refused=claim_requests.refused_by_kind(events, WARMCLAIM),
        )
        return figures, problems | _judge_requests(ledger, events)

    async def _burst(self, pool_uid: str) -> tuple[Sent, Sample]:
        """Send the claims and wait for the refill; when they were sent, and what the controller
        had used when the last was Ready."""
        sent = await send(_dues(self.profile), self._create)
        # What is missing in the end is for the verdict to say, with everything else.
        with contextlib.suppress(TimeoutError):
            await self.stage.wait_claims(self.profile.claims, READY_S_MAX)
        served = self.controller.sample()
        with contextlib.suppress(TimeoutError):
            await self.stage.wait_members(pool_uid, self.profile.pool, FILL_S_MAX)
        return sent, served

    async def _create(self, due: Due) -> None:
        body = claim_body(due.name)
        await self.stage.client.send("POST", path(self.stage.namespace, CLAIMS), body)

    def _requests(self, mark: int) -> list[AuditEvent]:
        """All requests since the mark that are about this namespace or about none. Blocks."""
        self.cluster.audit_settle()
        here = {"", self.stage.namespace}
        return [one for one in self.cluster.audit_events(mark) if one.namespace in here]


def latencies(ledger: Ledger, sent: Sent) -> list[float]:
    """Seconds from each claim's creation sent to its Ready seen, for those that became Ready.

    Raises:
        TimeoutError: none did; names the first claim's last word.
    """
    ready = [one for one in ledger.claims.values() if one.ready_s is not None]
    if not ready:
        said = told(next((one.ready for one in ledger.claims.values()), None))
        raise TimeoutError(f"no claim became Ready; the first is {said}")
    return [one.ready_s - sent.at_s[one.name] for one in ready if one.ready_s is not None]


def _judge_requests(ledger: Ledger, events: list[AuditEvent]) -> Problems:
    """Hold the audit log against what a warm claim may cost."""
    handed: list[Handed] = []
    for claim in ledger.claims.values():
        sandbox = ledger.sandbox_of(claim)
        if claim.ready_s is not None and sandbox is not None:
            handed.append(Handed(claim.name, sandbox.name, claim.versions_to_ready))
    paths = claim_requests.claim_paths(events, handed, WARMCLAIM)
    return {
        verdict.WRITES: list(claim_requests.problems(paths)),
        verdict.LISTS: list(claim_requests.lists(events, WARMCLAIM)),
    }
