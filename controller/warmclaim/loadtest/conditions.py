"""What must hold before a phase ends. Each condition is data, as in a profile, and can be waited
for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from warmclaim.loadtest.failures import RefusedError
from warmclaim.loadtest.objects import CLAIMS, POOLS, SANDBOXES, Body, path
from warmclaim.loadtest.scene import Scene
from warmclaim.loadtest.waits import until
from warmclaim.loadtest.wire import MERGE_PATCH

DAY_S = 86_400
Seconds = Annotated[float, msgspec.Meta(ge=0, le=DAY_S)]
Told = dict[str, float]
"""What a condition adds to its milestone."""

TOUCHED = "loadtest.warmclaim/touched"
"""The annotation that a trigger sets."""
_SPOILT: Body = {"status": {"selector": None}}
_AT_ONCE = 32
_IDLE_LOOKS = 2
_LOOK_S = 0.2
_QUIET_S = 1.0


class Data(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all parts of a profile: what is not known is refused."""


class Ready(Data, frozen=True, kw_only=True, tag="ready", tag_field="condition"):
    """Objects are ready: all claims sent so far, or of every pool exactly its members."""

    of: Literal["claims", "members"]
    timeout_s: Seconds = 300.0

    @property
    def title(self) -> str:
        return f"{self.of} ready"

    async def met(self, scene: Scene) -> Told:
        """Wait for it. Raises TimeoutError that says what is missing, as all of these do."""
        lacking = scene.claims_lacking if self.of == "claims" else scene.members_lacking
        await until(f"{self.of} ready", lacking, timeout_s=self.timeout_s, interval_s=0.02)
        return {}


class Gone(Data, frozen=True, kw_only=True, tag="gone", tag_field="condition"):
    """Objects are gone: every sandbox and every pod of the run."""

    timeout_s: Seconds = 300.0

    @property
    def title(self) -> str:
        return "all gone"

    async def met(self, scene: Scene) -> Told:
        """Wait for it."""
        await scene.stage.wait_gone(self.timeout_s)
        return {}


class Quiet(Data, frozen=True, kw_only=True, tag="quiet", tag_field="condition"):
    """No claim and no sandbox has changed for a while."""

    for_s: Seconds = _QUIET_S
    timeout_s: Seconds = 300.0

    @property
    def title(self) -> str:
        return f"quiet for {self.for_s:g} s"

    async def met(self, scene: Scene) -> Told:
        """Wait for it."""
        await scene.stage.wait_quiet(self.for_s, self.timeout_s)
        return {}


class Timer(Data, frozen=True, kw_only=True, tag="timer", tag_field="condition"):
    """Time has passed, counted from when the condition before it held."""

    for_s: Seconds

    @property
    def title(self) -> str:
        return f"{self.for_s:g} s passed"

    async def met(self, scene: Scene) -> Told:
        """Wait for it."""
        await asyncio.sleep(self.for_s)
        return {}


class Trigger(Data, frozen=True, kw_only=True, tag="trigger", tag_field="condition"):
    """Every object of a kind was touched by an annotation, and the passes that this causes are
    finished: no object changes any more, and the controller's queues are empty and its workers
    idle, where its metrics or its CPU time can be seen.

    Nobody asks for such an annotation: what this costs is the price of an event that a controller
    has no use for. What a pass costs is told by `Repair`.
    """

    of: Literal["claims", "pools", "sandboxes"]
    timeout_s: Seconds = 300.0

    @property
    def title(self) -> str:
        return f"touched {self.of} looked at"

    async def met(self, scene: Scene) -> Told:
        """Touch, and wait for it. Says how many were touched, and how many passes that caused."""
        ends_s = time.monotonic() + self.timeout_s
        before = await scene.look.passes()
        plural, names = self._targets(scene)
        scene.touches += 1
        body = {"metadata": {"annotations": {TOUCHED: str(scene.touches)}}}
        touched = await _patched(scene, plural, names, body)
        return {"touched": touched} | await _finished(scene, before, ends_s)

    def _targets(self, scene: Scene) -> tuple[str, list[str]]:
        ledger = scene.stage.ledger
        if self.of == "claims":
            return CLAIMS, [one.name for one in ledger.claims.values()]
        if self.of == "pools":
            return POOLS, [pool.name for pool in scene.pools]
        return SANDBOXES, [one.name for one in ledger.sandboxes.values() if not one.is_gone]


class Repair(Data, frozen=True, kw_only=True, tag="repair", tag_field="condition"):
    """The status of every sandbox lost its selector, and the controller has written all of them
    again, and is idle as after a trigger. Whichever controller it is, it has to look at each
    sandbox with its children, and to write once; no claim and no pod is harmed by it."""

    timeout_s: Seconds = 300.0

    @property
    def title(self) -> str:
        return "sandboxes repaired"

    async def met(self, scene: Scene) -> Told:
        """Spoil, and wait for it. Says how many were spoilt, and how many passes that caused.

        The controller may be quicker than the answer to the request that spoils, so the events of
        the watch count, and not what is in the status when all have been sent.
        """
        ends_s = time.monotonic() + self.timeout_s
        ledger, before = scene.stage.ledger, await scene.look.passes()
        wanted = {uid: one.selectors + 1 for uid, one in ledger.sandboxes.items() if one.selector}
        names = [ledger.sandboxes[uid].name for uid in wanted]
        spoilt = await _patched(scene, SANDBOXES, names, _SPOILT, "status")

        def lacking() -> str | None:
            things = ((ledger.sandboxes[uid], count) for uid, count in wanted.items())
            left = sum(one.selectors < count and not one.is_gone for one, count in things)
            return f"{left} of {len(names)} are not" if left else None

        left_s = ends_s - time.monotonic()
        await until(self.title, lacking, timeout_s=left_s, interval_s=0.02)
        return {"spoilt": spoilt} | await _finished(scene, before, ends_s)


Condition = Ready | Gone | Quiet | Timer | Trigger | Repair


async def _patched(
    scene: Scene, plural: str, names: Iterable[str], body: Body, subresource: str = ""
) -> int:
    """Send each object this merge patch; how many were there to take it."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> bool:
        async with gate:
            try:
                target = path(scene.stage.namespace, plural, name, subresource)
                await scene.stage.client.send("PATCH", target, body, MERGE_PATCH)
            except RefusedError as error:
                if error.code != 404:
                    raise
                return False
            return True

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(name)) for name in names]
    return sum(task.result() for task in tasks)


async def _finished(scene: Scene, before: float | None, ends_s: float) -> Told:
    """Wait until nothing changes and the controller is idle; the passes since it had made `before`,
    if that can be seen. Raises TimeoutError."""
    await scene.stage.wait_quiet(_QUIET_S, ends_s - time.monotonic())
    await _idle(scene, ends_s)
    after = await scene.look.passes()
    return {} if before is None or after is None else {"passes": after - before}


async def _idle(scene: Scene, ends_s: float) -> None:
    """Wait until the controller was seen idle twice. Raises TimeoutError."""
    seen = 0
    while seen < _IDLE_LOOKS:
        busy = await scene.look.busy()
        seen = 0 if busy else seen + 1
        if time.monotonic() > ends_s:
            raise TimeoutError(f"the controller is not done with what was touched: {busy}")
        await asyncio.sleep(_LOOK_S)
