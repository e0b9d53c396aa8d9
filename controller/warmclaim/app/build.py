"""Builds the manager from settings and the outside, and runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from prometheus_client import CollectorRegistry

from warmclaim import __version__
from warmclaim.api.meta import ObjectKey
from warmclaim.app.caches import Caches
from warmclaim.app.claims_first import ClaimsFirst
from warmclaim.app.crew import (
    CLAIM,
    CLAIM_MARKS,
    LEGACY_POLICY,
    POOL,
    SANDBOX,
    TEMPLATE,
    Crew,
)
from warmclaim.app.diagnostics import ClaimDiagnostics
from warmclaim.app.election import LeaseElection
from warmclaim.app.gauges import sample_controllers, tier_rows
from warmclaim.app.muted_events import MutedEvents
from warmclaim.app.needs import seal_secret_of
from warmclaim.app.operator_events import OperatorEvents
from warmclaim.app.outside import Outside
from warmclaim.app.seal_keeper import SealKeeper
from warmclaim.app.snapshot import Snapshots, SnapshotSources
from warmclaim.controllers.blueprints import Blueprints
from warmclaim.controllers.claim import ClaimReconciler
from warmclaim.controllers.claim_events import ClaimEvents
from warmclaim.controllers.claim_history import ClaimHistory
from warmclaim.controllers.claim_journal import ClaimJournal, JournalledPasses
from warmclaim.controllers.claim_marks import ClaimMarksReconciler, wake_for_marks
from warmclaim.controllers.claim_records import ClaimRecords
from warmclaim.controllers.claim_sight import ClaimCaches
from warmclaim.controllers.claim_telemetry import ClaimTelemetry
from warmclaim.controllers.hand_over import HandOver
from warmclaim.controllers.pool import PoolCaches, PoolReconciler
from warmclaim.controllers.pool_events import PoolEvents
from warmclaim.controllers.pool_telemetry import PoolTelemetry
from warmclaim.controllers.sandbox import SandboxReconciler
from warmclaim.controllers.sandbox_wakeups import SandboxCaches, SandboxWakeups
from warmclaim.controllers.seals import Seals
from warmclaim.controllers.template import (
    LegacyPolicyReconciler,
    TemplateCaches,
    TemplateReconciler,
)
from warmclaim.controllers.template_events import TemplateEvents
from warmclaim.controllers.warm_index import WarmIndex
from warmclaim.domain.sandbox_marks import gauge_labels
from warmclaim.kube.client import ApiClient
from warmclaim.kube.event_recorder import EventRecorder
from warmclaim.kube.informer import Informer
from warmclaim.kube.outage import Outage
from warmclaim.kube.permissions import Permissions
from warmclaim.runtime.manager import Manager, NoElection, Part
from warmclaim.settings import Settings
from warmclaim.telemetry.metrics import BuildInfo, Metrics
from warmclaim.telemetry.observers import PassMetrics, RequestMetrics
from warmclaim.telemetry.tracing import NO_TRACE, Spans, Trace, no_spans
from warmqueue import Lane, WarmDirectory

MARKS_WORKERS = 2  # nobody waits for what is noted on served claims


class App:
    """One controller manager. Building it sends no request; `run` does."""

    def __init__(
        self,
        settings: Settings,
        outside: Outside,
        registry: CollectorRegistry | None = None,
        spans: Spans = no_spans,
        trace: Trace = NO_TRACE,
    ) -> None:
        self.settings = settings
        self._outside = outside
        self._trace = trace
        self.metrics = Metrics(registry or CollectorRegistry(), outside.clock)
        self.metrics.set_build_info(BuildInfo(__version__))
        self._claims_first = ClaimsFirst(
            outside.clock, refill_requests_max=settings.api.refill_connections_max
        )
        self.outage = Outage(outside.clock)
        self.permissions = Permissions(outside.clock)
        self.client = ApiClient(
            outside.transport,
            clock=outside.clock,
            observer=trace.requests(RequestMetrics(self.metrics, outside.server)),
            timeout_s=settings.api.request_timeout_s,
            outage=self.outage,
            permissions=self.permissions,
            refill=self._claims_first.window,
        )
        self.caches = Caches(self.client, outside.clock, outside.rng, settings)
        self.warm = WarmDirectory()
        self._passes = PassMetrics(self.metrics)
        self._kept: dict[str, Callable[[], int]] = {}
        self.election = (
            LeaseElection(self.client, outside, settings, self.metrics)
            if settings.lease.enabled
            else NoElection()
        )
        self.manager = Manager(self.election)
        self._before_watching: list[Part] = []
        self._crew = Crew(
            self.manager,
            self.caches,
            self.outage,
            self._passes,
            spans,
            self._claims_first.gate.turn,
            outside.clock,
            self._kept,
        )
        self.outage.on_end(self._crew.hasten)
        self.permissions.on_granted(self._crew.hasten)
        self._events = self._recorder()
        self._diagnostics: ClaimDiagnostics | None = None
        self._journal: ClaimJournal | None = None
        told = OperatorEvents(self._events, settings, outside)
        self.permissions.on_missing(told.permission_missing)
        self._seals: Seals | None = None
        self.seal_keeper: SealKeeper | None = None
        if (secret := seal_secret_of(settings)) is not None:
            self._add_seal(secret, told.seal_unusable)
        self._build()

    def before_watching(self, part: Part) -> None:
        """Have `part` return before anything is listed: what older objects need to be readable."""
        self._before_watching.append(part)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; then everything is stopped, the lease released."""
        await self.manager.run(stop)

    @property
    def is_leading(self) -> bool:
        """Whether this process acts now."""
        return not isinstance(self.election, LeaseElection) or self.election.elector.is_working

    def diagnose(self, path: str) -> bytes | None:
        """JSON for a path below /debug/; None for one that is not known."""
        return self._diagnostics.answer(path) if self._diagnostics else None

    @cached_property
    def snapshots(self) -> Snapshots:
        """Of this manager, for who asks."""
        sources = SnapshotSources(
            self.settings,
            self._outside,
            self.caches.informers,
            self._crew.controllers,
            self.warm,
            self._journal,
            lambda: self.is_leading,
            self.is_serving_claims,
        )
        return Snapshots(sources)

    def readiness(self) -> dict[str, Callable[[], str | None]]:
        """For each cache, what keeps it from being ready. A standby with warm caches is ready."""
        return {name: partial(self.caches.problem, name) for name in self.caches.informers}

    def permissions_missing(self) -> list[str]:
        """What an operator must grant, one line each; the rest works without it."""
        return [str(missing) for missing in self.permissions.missing()]

    def remembered(self) -> dict[str, int]:
        """How many things are kept of single objects, beyond the caches, by what keeps them. Each
        number is bounded by the objects that live: one that is not is a leak. O(controllers)."""
        return {name: count() for name, count in self._kept.items()}

    @cached_property
    def _blueprints(self) -> Blueprints:
        made = Blueprints(self.caches.templates)
        self._kept["blueprints"] = lambda: len(made)
        return made

    async def _watch(self, informer: Informer[Any]) -> None:
        for part in self._before_watching:
            await part()
        await informer.run()

    def _build(self) -> None:
        builders = {
            "claim": self._add_claims,
            "pool": self._add_pools,
            "sandbox": self._add_sandboxes,
            "template": self._add_templates,
        }
        for name, build in builders.items():
            if name in self.settings.controllers:
                build()
        for name, informer in self.caches.informers.items():
            self.manager.add(f"watch {name}", partial(self._watch, informer))
        self.manager.add("outage probe", partial(self.outage.run, self.caches.is_served))
        self.manager.add_leader("events", self._events.run)
        self.metrics.watch_staleness_s.read_from(self.caches.staleness_rows)
        window = self._claims_first.window
        self.metrics.refill_requests_max.read_from(lambda: [((), float(window.size))])
        self.metrics.objects_skipped.read_from(self.caches.skipped_rows)
        if self.settings.controllers - {"template"}:  # all others read them anyway
            sandboxes = self.caches.sandboxes.store
            self.metrics.sandboxes.count_from(lambda: map(gauge_labels, sandboxes.values()))
        sample_controllers(self.metrics.manager, self._crew.controllers)

    def _recorder(self) -> EventRecorder:
        recorder = EventRecorder(
            self.client,
            clock=self._outside.clock,
            rng=self._outside.rng,
            instance=self._outside.identity,
            gate=self._claims_first.gate.turn,
            on_drop=self.metrics.events_dropped.inc,
        )
        self._kept["event series"] = lambda: recorder.remembered
        return recorder

    def _add_seal(self, secret: ObjectKey, on_problem: Callable[[str], None]) -> None:
        self._seals = seals = Seals(self._outside.clock)
        keeper = SealKeeper(self.client, self._outside.clock, secret, seals, on_problem)
        self.manager.add("seal", keeper.run)
        self.before_watching(keeper.wait_first)
        self.seal_keeper = keeper

    def _add_claims(self) -> None:
        settings, clock = self.settings.claims, self._outside.clock
        caches = ClaimCaches(
            self.caches.claims, self.caches.sandboxes, self.caches.pools, self.caches.templates
        )
        waiting, cold_starts = self._claims_first.waiting, self._claims_first.cold_starts
        hand_over = HandOver(self.client, caches.claims, caches.sandboxes, self._trace)
        reporter = self._events.of("sandboxclaim-controller")
        events = MutedEvents() if settings.events_disabled else reporter
        self._journal = journal = ClaimJournal(caches.claims, self.warm, clock)
        telemetry = ClaimTelemetry(self.metrics, events, clock, journal, self._trace)
        reconciler = ClaimReconciler(
            caches,
            self._blueprints,
            hand_over,
            self.warm,
            waiting,
            cold_starts,
            telemetry,
            clock,
            settings,
            self._outside.label_domains,
            self._seals,
        )
        passes = JournalledPasses(self._passes, journal)
        queue = self._crew.add(
            CLAIM, caches, reconciler, settings.workers, reconciler.forget_gone, passes
        )
        reconciler.looked = queue.looked
        reconciler.took = self._claims_first.shortage.took
        self._claims_first.watch(self._crew.controllers[CLAIM])
        self.manager.add_leader("cold starts", cold_starts.run)
        self.metrics.cold_starts_waiting.read_from(lambda: [((), float(len(cold_starts)))])
        self._kept["cold starts in line"] = lambda: len(cold_starts)
        self._kept["claim journal"] = lambda: len(journal)
        wiring = ClaimEvents(caches, queue, self.warm, waiting, reconciler.records)
        index = WarmIndex(
            caches,
            self.warm,
            on_candidate=wiring.candidate_arrived,
            on_refused=telemetry.refused_member,
            seals=self._seals,
        )
        self._diagnostics = ClaimDiagnostics(
            caches.claims.store,
            journal,
            waiting,
            index.unsealed_of,
            self._outside.identity,
            lambda: self.is_leading,
        )
        self._kept["unsealed members"] = lambda: len(index)
        self._add_claim_history(caches, reconciler.records)
        self.metrics.pool_sandboxes.read_from(partial(tier_rows, self.warm))
        self._add_claim_marks(caches, reconciler.records)
        self._kept["claim records"] = lambda: len(reconciler.records)
        self._kept["waiting claims"] = lambda: len(waiting)
        self._kept["warm sandboxes"] = lambda: len(self.warm)

    def _add_claim_history(self, caches: ClaimCaches, records: ClaimRecords) -> None:
        if (history := self._outside.history) is None:
            return
        ClaimHistory(
            caches.claims,
            caches.sandboxes,
            records,
            history,
            lambda: self.is_leading,
            self._outside.clock,
            __version__,
        )

    def _add_claim_marks(self, caches: ClaimCaches, records: ClaimRecords) -> None:
        clock, claims = self._outside.clock, caches.claims
        reconciler = ClaimMarksReconciler(
            self.client,
            claims,
            caches.sandboxes,
            records,
            self._claims_first.marks_gate.turn,
            clock,
            notes_times=not self.settings.claims.observability_disabled,
        )
        queue = self._crew.add(
            CLAIM_MARKS, caches, reconciler, MARKS_WORKERS, lambda key: key not in claims.store
        )
        wake_for_marks(claims, queue)

    def _add_pools(self) -> None:
        settings, read = self.settings.pools, self.caches
        caches = PoolCaches(read.pools, read.sandboxes, read.templates)
        reconciler = PoolReconciler(
            self.client,
            caches,
            self._blueprints,
            PoolTelemetry(self._events.of("sandboxwarmpool-controller"), settings),
            self._claims_first.refill_gate.turn,
            self._outside.clock,
            settings,
            self._seals,
        )
        gone = reconciler.forget_gone
        queue = self._crew.add(POOL, caches, reconciler, settings.workers, gone)
        memories = reconciler.memories
        wiring = PoolEvents(caches, queue, memories.sandbox_changed)
        if self._seals is not None:
            self._seals.on_change(wiring.wake_all)
        self._kept["pool memories"] = lambda: len(memories)
        self._kept["pool members"] = lambda: memories.members
        self._kept["pools caught up"] = lambda: reconciler.caught_up

    def _add_sandboxes(self) -> None:
        settings = self.settings.sandboxes
        read = self.caches
        caches = SandboxCaches(read.sandboxes, read.pods, read.services, read.volumes)
        events = self._events.of("sandbox-controller")

        def enqueue(key: ObjectKey, lane: Lane, after_s: float) -> None:
            self._crew.controllers[SANDBOX].queue.add(key, lane=lane, after_s=after_s)

        clock, gate = self._outside.clock, self._claims_first.refill_gate
        reconciler = SandboxReconciler(
            self.client,
            caches,
            events,
            enqueue,
            gate.turn,
            clock,
            settings,
            has_turns=gate.is_open,
        )
        queue = self._crew.add(
            SANDBOX, caches, reconciler, settings.workers, reconciler.forget_gone
        )
        reconciler.looked, reconciler.is_wanted = queue.looked, queue.is_wanted
        SandboxWakeups(caches, enqueue, queue.core.is_worked, reconciler.interim_left_s)
        self._kept["sandbox memories"] = lambda: reconciler.remembered

    def _add_templates(self) -> None:
        workers = self.settings.templates.workers
        caches = TemplateCaches(self.caches.templates, self.caches.network_policies)
        events = self._events.of("sandboxtemplate-controller")
        reconciler = TemplateReconciler(self.client, caches, events)
        templates, policies = caches.templates.store, caches.policies.store
        queue = self._crew.add(
            TEMPLATE, caches, reconciler, workers, lambda key: key not in templates
        )
        legacy = self._crew.add(
            LEGACY_POLICY,
            caches,
            LegacyPolicyReconciler(self.client, caches.policies),
            workers,
            lambda key: key not in policies,
        )
        TemplateEvents(caches, queue, legacy)

    def is_serving_claims(self) -> bool:
        """Whether what can wait should, for claims that get their sandboxes now."""
        return self._claims_first.is_serving()
