"""One phase: what it asks for, what is noted while it goes on, and what ends it."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from warmclaim.loadtest.failures import RefusedError
from warmclaim.loadtest.look import Look
from warmclaim.loadtest.profile import Delete, Deploy, Phase, Profile, Scale
from warmclaim.loadtest.profiler import profiled
from warmclaim.loadtest.record import STACKS, Record
from warmclaim.loadtest.result import Milestone, PhaseResult
from warmclaim.loadtest.scene import Scene
from warmclaim.loadtest.schedule import Due, send


@dataclass(slots=True)
class PhaseRun:
    """Carries out phases on a scene, one after the other."""

    profile: Profile
    scene: Scene
    look: Look
    record: Record
    results: list[PhaseResult] = field(default_factory=list[PhaseResult])
    """Of each phase that was begun; that of one that failed has what was found until then."""
    dues: dict[str, Due] = field(default_factory=dict[str, Due])
    """Of each claim that was sent, by its name."""
    sent_s: dict[str, float] = field(default_factory=dict[str, float])
    """When its POST began, in monotonic seconds."""
    stacks_of: int | None = None
    """The process whose CPU profile is taken, in each phase."""
    folder: Path = Path()
    """Where that goes."""
    waits_for: str = ""
    """The condition that is waited for, for those who watch."""

    async def carry_out(self, phase: Phase) -> None:
        """Ask, then wait for every condition.

        Raises TimeoutError where a condition does not hold in time, and as `Wire.send` does, in
        groups.
        """
        at_s = self.scene.at_s()
        result = PhaseResult(name=phase.title, kind=phase.kind, begun_s=at_s, ended_s=at_s)
        self.results.append(result)
        self.record.write("phase", at_s, name=phase.title, kind=phase.kind)
        asked, before = await self.look.requests(), self.look.usage()
        try:
            async with self._profiled(phase):
                await self._ask(phase, result)
                await self._wait(phase, result)
        finally:
            after = self.look.usage()
            result.ended_s = self.scene.at_s()
            self.record.write("end", result.ended_s, name=phase.title)
            result.nodes = self._nodes()
        if before is not None and after is not None:
            result.cpu_s = round(after.cpu_s - before.cpu_s, 3)
            result.rss_bytes = after.rss_bytes
        total = await self.look.requests()
        if asked is not None and total is not None:
            result.requests = dict((total - asked).most_common())
            result.requests_from = "metrics"

    def _profiled(self, phase: Phase) -> AbstractAsyncContextManager[None]:
        if self.stacks_of is None:
            return nullcontext()
        return profiled(self.stacks_of, self.folder / STACKS.format(phase=phase.title))

    async def _ask(self, phase: Phase, result: PhaseResult) -> None:
        scene = self.scene
        match phase:
            case Deploy():
                names = self.profile.pool_names
                scene.pools = await scene.actor.deploy(names, phase.members_each)
            case Scale():
                await scene.actor.scale(scene.pools, phase.members_each)
            case Delete():
                await scene.actor.delete()
            case _:
                await self._send(phase.dues(self.profile.pool_names), result)

    async def _send(self, dues: tuple[Due, ...], result: PhaseResult) -> None:
        if not dues:
            return
        await self.scene.actor.prepare()
        client = self.scene.stage.client
        client.queued_s_max = 0.0

        async def create(due: Due) -> None:
            self.dues[due.name], self.sent_s[due.name] = due, time.monotonic()
            result.sent += 1
            self.scene.claims_wanted += 1
            try:
                await self.scene.actor.create(due)
            except RefusedError as error:
                self.scene.claims_wanted -= 1
                result.refused[str(error.code)] = result.refused.get(str(error.code), 0) + 1

        self._reached(result, "first claim")
        sent = await send(dues, create)
        result.late_ms_max = round(sent.late_s_max * 1000, 1)
        result.queued_ms_max = round(client.queued_s_max * 1000, 1)
        self._reached(result, "last claim answered")

    async def _wait(self, phase: Phase, result: PhaseResult) -> None:
        for condition in phase.until:
            self.waits_for = condition.title
            told = await condition.met(self.scene)
            self._reached(result, condition.title, **told)

    def _reached(self, result: PhaseResult, name: str, **told: float) -> None:
        at_s = self.scene.at_s()
        result.milestones.append(Milestone(at_s, name, told))
        self.record.write("milestone", at_s, phase=result.name, name=name, **told)

    def _nodes(self) -> dict[str, int]:
        sandboxes = self.scene.stage.ledger.sandboxes.values()
        return dict(Counter(one.node for one in sandboxes if not one.is_gone and one.node))
