"""The controllers of one manager: how each is added, when it begins, and who is hastened first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from warmclaim.api.meta import ObjectKey
from warmclaim.app.caches import Caches, informers_of
from warmclaim.app.subjects import finder
from warmclaim.kube.informer import Informer
from warmclaim.kube.outage import Outage
from warmclaim.runtime.async_workqueue import AsyncWorkqueue
from warmclaim.runtime.controller import Controller, PassObserver
from warmclaim.runtime.manager import Manager
from warmclaim.runtime.reconciler import Reconciler
from warmclaim.seams import Clock
from warmclaim.telemetry.observers import PassMetrics
from warmclaim.telemetry.tracing import Spans
from warmqueue import Backoff, Workqueue

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Names that dashboards know (the label `controller`).
CLAIM, POOL, SANDBOX = "sandboxclaim", "sandboxwarmpool", "sandbox"
TEMPLATE = "sandboxtemplate"
LEGACY_POLICY = "legacy-networkpolicy"  # ours alone, as the next one
CLAIM_MARKS = "claim-marks"

RETRY_BASE_S, RETRY_CAP_S = 0.005, 30.0

CLAIMS_AHEAD_S = 0.1
"""After an outage the claims that failed in it come first; the other kinds so much later."""


class Crew:
    """All of them, by name. `turn` is awaited before any but that of claims begins a term; `kept`
    hears how much each of them keeps."""

    def __init__(
        self,
        manager: Manager,
        caches: Caches,
        outage: Outage,
        passes: PassMetrics,
        spans: Spans,
        turn: Callable[[], Awaitable[None]],
        clock: Clock,
        kept: dict[str, Callable[[], int]],
    ) -> None:
        self._manager = manager
        self._caches = caches
        self._outage = outage
        self._passes = passes
        self._spans = spans
        self._turn = turn
        self._clock = clock
        self._kept = kept
        self.controllers: dict[str, Controller[ObjectKey]] = {}

    def add(
        self,
        name: str,
        caches: DataclassInstance,
        reconciler: Reconciler[ObjectKey],
        workers: int,
        forget_gone: Callable[[ObjectKey], bool],
        observer: PassObserver | None = None,
    ) -> AsyncWorkqueue[ObjectKey]:
        """A controller that runs while this process leads. `caches` is the record of those that it
        reads. Returns its queue."""
        core: Workqueue[ObjectKey] = Workqueue(
            namespace_of=lambda key: key.namespace,
            backoff=Backoff(base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S),
        )
        queue = AsyncWorkqueue(core, self._clock, forget_gone=forget_gone)
        controller = Controller(
            name,
            reconciler,
            queue,
            workers=workers,
            clock=self._clock,
            observer=observer or self._passes,
            span=self._spans(name, finder(self._caches, name)),
            has_recovered_since=self._outage.has_ended_since,
        )
        self.controllers[name] = controller
        self._passes.add_controller(name, workers=workers)
        part = partial(self._run, controller, informers_of(caches))
        self._manager.add_leader(name, part)
        self._kept[f"{name} keys"] = lambda: len(core)
        self._kept[f"{name} back-offs"] = lambda: core.statistics().failing
        return queue

    async def _run(
        self, controller: Controller[ObjectKey], caches: Sequence[Informer[Any]]
    ) -> None:
        """Run it for a term, from when the caches that it reads are full: a kind that cannot be
        read holds up nobody else. When the term begins, every object there is waits for its first
        pass: the claims that wait for a sandbox come before all others."""
        for informer in caches:
            await informer.wait_synced()
        if controller.name != CLAIM:
            await self._turn()
        await controller.run()

    def hasten(self) -> None:
        """What waits for a retry is tried now: what it failed for is over."""
        for name, controller in self.controllers.items():
            controller.hasten(0.0 if name == CLAIM else CLAIMS_AHEAD_S)
