"""Everybody who watches the managers of a run, besides the judge of commits."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from warmclaim.app import App
from warmclaim.seams import Clock, Transport
from warmclaim.telemetry.tracing import Find, Span
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.sim.barrier import Barrier
from warmclaim.testing.sim.borders import Borders
from warmclaim.testing.sim.bounds import Bounds
from warmclaim.testing.sim.budget import Budget
from warmclaim.testing.sim.canaries import HEARD_SHARE, Silence
from warmclaim.testing.sim.case import Options
from warmclaim.testing.sim.children import Children
from warmclaim.testing.sim.fairness import BATCH_SHARE, Fairness
from warmclaim.testing.sim.fence import Fence
from warmclaim.testing.sim.flights import Flights
from warmclaim.testing.sim.history import Histories, History
from warmclaim.testing.sim.mind import Mind
from warmclaim.testing.sim.notes import Notes
from warmclaim.testing.sim.policies import Policies
from warmclaim.testing.sim.sealing import SealJudge
from warmclaim.testing.sim.tenure import Tenure
from warmclaim.testing.sim.trace import Attribution
from warmclaim.testing.sim.watch_validators import WatchValidators
from warmclaim.testing.sim.wire import Audience, Report, Wire
from warmclaim.testing.store import ObjectStore


class Observers:
    """Makes them and connects them. `report` hears of each breach."""

    def __init__(
        self,
        store: ObjectStore,
        attribution: Attribution,
        clock: Clock,
        options: Options,
        report: Report,
    ) -> None:
        barrier, borders, budget = Barrier(store, report), Borders(report), Budget(options, report)
        self._silence, self._watches = Silence(report), WatchValidators(store, report)
        workers, hide = options.claim_workers, self._watches.is_unreadable
        self._fairness = Fairness(store, workers, report, hide)
        notes, self._mind = Notes(store, report), Mind(store, self._passes_begun, report)
        audience = Audience(
            writes=[barrier, borders, self._silence, budget, self._fairness, notes, self._mind],
            reads=[self._watches, budget],
            answers=[barrier, notes],
        )
        if options.leaders == "elected":
            fence = Fence(options.lease_s[1], report)
            audience.writes.append(fence)
            audience.answers.append(fence)
            tenure = Tenure(clock, max(options.clock_rates), report)
            store.observers.append(tenure.on_commit)
        children = Children(attribution, report)
        policies = Policies(store, attribution, clock, report)
        self._histories = Histories(report)
        store.observers.append(self._histories.on_commit)
        store.observers += [barrier.on_commit, borders.on_commit, self._watches.on_commit]
        store.observers += [notes.on_commit, children.on_commit, policies.on_commit]
        if options.uses.is_sealed:
            store.observers.append(SealJudge(attribution, report).on_commit)
        self._wire = Wire(audience)
        self._flights = Flights(report)
        self._bounds = Bounds(store, report)
        self._hears = options.seed % HEARD_SHARE == 0
        self._has_last_batch = options.seed % BATCH_SHARE == 1

    def tap(
        self, inner: Transport, process: str, clock: Clock, is_out: Callable[[], bool]
    ) -> Transport:
        """The transport to give to a process; `clock` is its own."""
        return self._wire.tap(self._flights.tap(inner, process), process, clock, is_out)

    def spans(self, controller: str, find: Find) -> Span:
        """The spans to give to it."""
        return self._wire.spans(controller, find)

    def history(self, process: str) -> History:
        """Where it is to tell of claims that are gone."""
        return self._histories.of(process)

    def attach(self, process: str, app: App) -> None:
        """Watch the caches of a process that is about to run."""
        self._watches.attach(process, app)
        self._mind.attach(process, app.caches.informers)

    def _passes_begun(self) -> int:
        return self._wire.passes_begun

    @contextmanager
    def hearing(self) -> Generator[None]:
        """Around the run, in a share of the seeds: the logs are looked through."""
        if not self._hears:
            yield
            return
        with self._silence.hearing():
            yield

    def look_back(self, apps: Sequence[App]) -> None:
        """When all is quiet, at the managers that live."""
        self._bounds.look_back(apps)
        for app in apps:
            self._watches.look_back(app.caches.informers)
            if self._hears:
                self._silence.read_metrics(app)

    async def last_batch(self, cluster: Cluster, attribution: Attribution, clock: Clock) -> None:
        """After all that, in a share of the seeds: a last batch of claims, to see that the first
        come are served first."""
        if self._has_last_batch:
            await self._fairness.run(cluster, attribution, clock)
