"""Everybody who watches the managers of a run, besides the judge of commits."""

from __future__ import annotations

from collections.abc import Callable

from warmclaim.seams import Clock, Transport
from warmclaim.telemetry.tracing import Span
from warmclaim.testing.sim.barrier import Barrier
from warmclaim.testing.sim.case import Options
from warmclaim.testing.sim.fence import Fence
from warmclaim.testing.sim.wire import Listener, Report, Wire
from warmclaim.testing.store import ObjectStore


class Observers:
    """Makes them and connects them. `report` hears of each breach."""

    def __init__(self, store: ObjectStore, clock: Clock, options: Options, report: Report) -> None:
        barrier = Barrier(store, report)
        listeners: list[Listener] = [barrier]
        if options.leaders == "elected":
            listeners.append(Fence(clock, options.lease_s[1], report))
        store.observers.append(barrier.on_commit)
        self._wire = Wire(clock, listeners)

    def tap(self, inner: Transport, process: str, is_out: Callable[[], bool]) -> Transport:
        """The transport to give to a process."""
        return self._wire.tap(inner, process, is_out)

    def spans(self, controller: str) -> Span:
        """The spans to give to it."""
        return self._wire.spans(controller)
