"""One round: a burst with faults in it, then everything as it should be, quiet, and clean."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from e2e.burst.verdict import shown
from e2e.chaos.audit import Findings
from e2e.chaos.controllers import NAMES, Timing
from e2e.chaos.faults import Fault
from e2e.chaos.load import Load
from e2e.chaos.recovery import Goals, Strike, too_slow
from e2e.chaos.scene import Scene
from e2e.chaos.stored import CLAIMS
from e2e.chaos.strikes import Striker
from e2e.cluster import WARMCLAIM
from e2e.controlplane.failures import single_errors
from e2e.controlplane.objects import create_namespace

from warmclaim.loadtest.audit_log import AuditEvent
from warmclaim.loadtest.objects import (
    PODS,
    POOL,
    POOLS,
    SANDBOXES,
    TEMPLATES,
    path,
    pool_body,
    template_body,
)
from warmclaim.loadtest.waits import until

FILL_S_MAX = 120.0
RECOVER_S_MAX = 120.0
CONVERGE_S_MAX = 180.0
CLEAR_S_MAX = 120.0
QUIET_S = 4.0
QUIET_S_MAX = 60.0
_POLL_S = 0.05
_QUIET_POLL_S = 0.5


@dataclass(frozen=True)
class Sizes:
    """How much is asked for in a round."""

    claims: int = 300
    """Of the burst; the trickle's come besides."""
    rate_per_s: float = 15.0
    """Of the burst: slow enough that it lasts about as long as faults are begun."""
    trickle_per_s: float = 5.0
    pool: int = 100
    """A third of the burst: the rest is for the refill, or for cold starts when that is late."""


@dataclass(slots=True)
class RoundResult:
    """What became of a round; it held if `failures` is empty."""

    number: int
    faults: list[Fault]
    claims: int = 0
    strikes: list[Strike] = field(default_factory=list[Strike])
    notes: list[str] = field(default_factory=list[str])
    findings: Findings = field(default_factory=Findings)
    """What the auditor read of it."""
    failures: list[str] = field(default_factory=list[str])
    steps_s: dict[str, float] = field(default_factory=dict[str, float])
    """How long each step took."""

    @property
    def took_s(self) -> float:
        """The whole round."""
        return sum(self.steps_s.values())


class Round:
    """Plays one round on a scene. What does not hold goes into the result's `failures`, and ends
    the round there: what it leaves behind is evidence."""

    def __init__(self, scene: Scene, number: int, faults: list[Fault], sizes: Sizes) -> None:
        self._scene = scene
        self._sizes = sizes
        self._namespace = f"chaos-{number}"
        self._load = Load(scene.client, self._namespace)
        self.result = RoundResult(number, faults)

    async def play(self, timing: Timing) -> RoundResult:
        """Set up, strike, converge, be quiet, be judged, clear."""
        result, scene = self.result, self._scene
        scene.world.forget_moments()
        scene.notes.clear()
        steps = {
            "fill": self._fill,
            "faults": lambda: self._strike(timing),
            "converge": self._converge,
            "quiet": self._be_quiet,
            "audit": self._be_judged,
            "clear": self._clear,
        }
        for name, step in steps.items():
            begun_s = time.monotonic()
            try:
                await step()
            except TimeoutError as error:
                result.failures.append(f"{name}: {error or 'not in time'}")
            result.steps_s[name] = time.monotonic() - begun_s
            if result.failures:
                break
        if result.failures and "audit" not in result.steps_s:
            await self._be_judged()  # evidence as well
        result.claims, result.notes = len(self._load.names), list(scene.notes)
        if not result.failures:
            result.failures = too_slow(result.strikes, Goals(timing.lease_s))
        return result

    async def _fill(self) -> None:
        """A namespace with a full pool, and both controllers ready."""
        scene, namespace = self._scene, self._namespace
        for name in NAMES:
            await scene.wait_controller(name)
        await asyncio.to_thread(create_namespace, scene.cluster.api, namespace)
        await scene.client.send("POST", path(namespace, TEMPLATES), template_body())
        await scene.client.send("POST", path(namespace, POOLS), pool_body(self._sizes.pool))
        await self._wait_whole(FILL_S_MAX)

    async def _strike(self, timing: Timing) -> None:
        """Claims and faults, until each fault is over and adoption goes on after it."""
        striker = Striker(self._scene, time.monotonic(), timing.watch_silence_s)
        self.result.strikes = striker.strikes
        enough = asyncio.Event()

        def unrecovered() -> str | None:
            striker.note_adoptions()
            left = [str(strike) for strike in striker.strikes if not strike.is_over]
            return "; ".join(left) or None

        async def faults() -> None:
            async with asyncio.TaskGroup() as group:
                for fault in self.result.faults:
                    group.create_task(striker.strike(fault))
            await until("recovery", unrecovered, timeout_s=RECOVER_S_MAX, interval_s=_POLL_S)
            enough.set()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._load.burst(self._sizes.claims, self._sizes.rate_per_s))
                group.create_task(self._load.trickle(self._sizes.trickle_per_s, enough))
                group.create_task(faults())
        except* TimeoutError as errors:
            told = "; ".join(str(error) for error in single_errors(errors))
            raise TimeoutError(told) from errors

    async def _converge(self) -> None:
        """Every claim served, the pool whole, nobody's sandbox left."""
        await self._wait_whole(CONVERGE_S_MAX)

    async def _wait_whole(self, timeout_s: float) -> None:
        world, names = self._scene.world, self._load.names

        def lacking() -> str | None:
            return "; ".join(world.missing(self._namespace, names, POOL)) or None

        await until("convergence", lacking, timeout_s=timeout_s, interval_s=_POLL_S)

    async def _be_quiet(self) -> None:
        """No write of an object for a while. Events are sent slowly and long after; all of them
        are waited for at the end of the run."""
        told = await wait_quiet(self._scene, besides=("leases", "events"))
        if told:
            self._scene.notes.append(f"before it was quiet: {told}")

    async def _be_judged(self) -> None:
        """The auditor's word on everything up to now."""
        self.result.findings = findings = await self._scene.auditor.findings()
        breaches = [str(breach) for breach in findings.breaches]
        if breaches:
            self.result.failures.append(f"auditor: {len(breaches)} breaches\n{shown(breaches)}")
        # An auditor that saw less has proved nothing of the rest.
        if findings.publications < len(self._load.names):
            told = f"{findings.publications} publications of {len(self._load.names)} claims"
            self.result.failures.append(f"auditor: it has read only {told}")

    async def _clear(self) -> None:
        """Leave nothing of the round to the next one."""
        client, namespace = self._scene.client, self._namespace
        options = {"propagationPolicy": "Background"}
        # Claims before sandboxes: no sandbox may be deleted under a claim. Nothing is left to the
        # garbage collector alone, which may just have been started and not know the kinds yet.
        for plural in (CLAIMS, POOLS, SANDBOXES, PODS):
            await client.send("DELETE", path(namespace, plural), options)

        def left() -> str | None:
            return None if self._scene.world.is_empty(namespace) else "objects are left"

        await until("an empty namespace", left, timeout_s=CLEAR_S_MAX, interval_s=_POLL_S)
        await client.send("DELETE", f"/api/v1/namespaces/{namespace}")


async def wait_quiet(
    scene: Scene,
    *,
    besides: Container[str],
    timeout_s: float = QUIET_S_MAX,
    quiet_s: float = QUIET_S,
) -> str:
    """Wait for a stretch in which the controllers write nothing but to the resources `besides`, by
    the API servers' audit logs; returns what they wrote before it.

    Raises TimeoutError when there is none within `timeout_s`.
    """
    cluster = scene.cluster
    second = cluster.second_audit_log
    mark, second_mark, begun_s = cluster.audit_mark(), second.mark(), time.time()
    while True:
        await asyncio.to_thread(cluster.audit_settle)
        events = [
            *await asyncio.to_thread(list, cluster.audit_events(mark)),
            *await asyncio.to_thread(list, second.events(second_mark)),
        ]
        writes = [
            one
            for one in events
            if one.user == WARMCLAIM and one.is_write and one.resource not in besides
        ]
        last_s = max((one.staged_s for one in writes), default=begun_s)
        if time.time() - last_s >= quiet_s:
            return _told(writes)
        if time.time() - begun_s > timeout_s:
            raise TimeoutError(f"writes in {timeout_s:g} s: {_told(writes)}")
        await asyncio.sleep(_QUIET_POLL_S)


def _told(writes: Sequence[AuditEvent]) -> str:
    """How many of which kind, and the last of all; empty for none."""
    if not writes:
        return ""
    kinds = Counter(f"{one.verb} {one.resource} {one.code}" for one in writes)
    told = ", ".join(f"{kind} {count}x" for kind, count in kinds.most_common())
    return f"{told}; the last {writes[-1].verb} {writes[-1].uri}"
