"""Every metric: name, labels, buckets. The registry is handed in; nothing here is global.

Three parts: the names of the agent-sandbox API's own controller, that dashboards and load tests
read; the common names of controller managers; and `warmclaim_*` for what only this program has.
Label values come from closed sets, save names of namespaces, pools and templates, whose series
are capped (see families.Family).
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from warmclaim.domain.outcome import Outcome
from warmclaim.telemetry.families import SERIES_MAX, Family, SampledGauge

CLAIM_BUCKETS_MS = (
    100, 250, 500, 750, 1000, 1250, 1500, 2000, 2500, 5000, 10000, 30000, 60000, 120000, 240000,
)  # fmt: skip
CREATION_BUCKETS_MS = (
    50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000, 240000, 300000, 600000,
)  # fmt: skip
STAGE_BUCKETS_S = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
)  # fmt: skip
RECONCILE_BUCKETS_S = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9,
    1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
)  # fmt: skip
QUEUE_BUCKETS_S = tuple(10.0**exponent for exponent in range(-8, 4))

INVARIANTS = tuple(f"S{number}" for number in range(1, 12))
RECONCILE_RESULTS = ("success", "error", "requeue", "requeue_after")
_OPEN = frozenset({"namespace", "sandbox_template", "warmpool_name", "pool"})


class Stage(StrEnum):
    """The parts of a claim's way to its sandbox."""

    SEEN_TO_PICKED = "seen_to_picked"
    PICKED_TO_RESERVED = "picked_to_reserved"
    RESERVED_TO_PUBLISHED = "reserved_to_published"


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What `agent_sandbox_build_info` says."""

    version: str
    commit: str = "unknown"
    date: str = "unknown"


@dataclass(frozen=True, slots=True)
class ReadyLatencies:
    """How long a claim took, in seconds from each start mark; None where there is no such mark."""

    from_webhook_s: float | None = None
    from_controller_s: float | None = None
    from_client_s: float | None = None
    sandbox_creation_s: float | None = None


@dataclass(frozen=True, slots=True)
class ControllerMetrics:
    """The series of one controller, looked up once."""

    results: dict[str, Counter]
    errors: Counter
    terminal_errors: Counter
    panics: Counter
    timeouts: Counter
    seconds: Histogram
    active_workers: Gauge


@dataclass(frozen=True, slots=True)
class WorkqueueMetrics:
    """The series of one work queue, looked up once."""

    adds: Counter
    retries: Counter
    waited_s: Histogram
    worked_s: Histogram


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, cut off as the API's own controller does."""
    return int(seconds * 1000)


class Metrics:
    """All families on one registry. `series_max` bounds each family with users' label values."""

    def __init__(self, registry: CollectorRegistry, *, series_max: int = SERIES_MAX) -> None:
        # `_created` series have no counterpart in Go's exposition. (The call has no annotations.)
        cast("Callable[[], None]", disable_created_metrics)()
        self.registry = registry
        self._series_max = series_max
        ProcessCollector(registry=registry)
        self._make_claim_metrics()
        self._make_manager_metrics()
        self._make_own_metrics()
        self._make_own_gauges()
        self._start_closed_series()

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Family[Counter]:
        metric = Counter(name, text, labels, registry=self.registry)
        return Family(metric.labels, labels, open_labels=_OPEN, children_max=self._series_max)

    def _total(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Family[Gauge]:
        metric = Gauge(name, text, labels, registry=self.registry)
        return Family(metric.labels, labels, open_labels=_OPEN, children_max=self._series_max)

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...], buckets: Collection[float]
    ) -> Family[Histogram]:
        metric = Histogram(name, text, labels, buckets=tuple(buckets), registry=self.registry)
        # Each child has a series for each bucket, +Inf, the count and the sum.
        children_max = max(self._series_max // (len(buckets) + 3), 1)
        return Family(metric.labels, labels, open_labels=_OPEN, children_max=children_max)

    def _sampled(self, name: str, text: str, labels: tuple[str, ...]) -> SampledGauge:
        gauge = SampledGauge(name, text, labels, series_max=self._series_max)
        self.registry.register(gauge)
        return gauge

    def _make_claim_metrics(self) -> None:
        launch = ("launch_type", "sandbox_template")
        self.claim_startup_ms = self._histogram(
            "agent_sandbox_claim_startup_latency_ms",
            "From the admission webhook's mark to Ready of the claim, in milliseconds.",
            launch,
            CLAIM_BUCKETS_MS,
        )
        self.claim_controller_startup_ms = self._histogram(
            "agent_sandbox_claim_controller_startup_latency_ms",
            "From the controller's first sight of the claim to its Ready, in milliseconds.",
            launch,
            CLAIM_BUCKETS_MS,
        )
        self.client_claim_startup_ms = self._histogram(
            "agent_sandbox_client_claim_startup_latency_ms",
            "From the client's mark to Ready of the claim, in milliseconds.",
            launch,
            CLAIM_BUCKETS_MS,
        )
        self.creation_ms = self._histogram(
            "agent_sandbox_creation_latency_ms",
            "From the creation of a sandbox to its Ready, in milliseconds.",
            ("namespace", *launch),
            CREATION_BUCKETS_MS,
        )
        self.claims_created = self._counter(
            "agent_sandbox_claim_creation_total",
            "Claims that were given a sandbox, warm or new.",
            ("namespace", "sandbox_template", "launch_type", "warmpool_name", "pod_condition",
             "created_by"),
        )  # fmt: skip
        self.sandboxes = self._sampled(
            "agent_sandboxes",
            "Sandboxes that exist now.",
            ("namespace", "ready_condition", "expired", "launch_type", "sandbox_template",
             "owned_by", "created_by"),
        )  # fmt: skip
        self._build_info = self._gauge(
            "agent_sandbox_build_info",
            "What runs; always 1.",
            ("git_version", "git_commit", "build_date", "go_version", "compiler", "platform"),
        )

    def _make_manager_metrics(self) -> None:
        by, queue = ("controller",), ("name", "controller")
        runtime = "controller_runtime_"
        self._reconciles = self._counter(
            f"{runtime}reconcile_total", "Passes by result.", (*by, "result")
        )
        self._errors = self._counter(f"{runtime}reconcile_errors_total", "Failed passes.", by)
        self._terminal = self._counter(
            f"{runtime}terminal_reconcile_errors_total", "Passes that failed for good.", by
        )
        self._panics = self._counter(
            f"{runtime}reconcile_panics_total", "Passes that broke on a mistake of ours.", by
        )
        self._timeouts = self._counter(
            f"{runtime}reconcile_timeouts_total", "Passes cut off by their time limit.", by
        )
        self._pass_s = self._histogram(
            f"{runtime}reconcile_time_seconds", "Time for one pass.", by, RECONCILE_BUCKETS_S
        )
        self._workers = self._gauge(
            f"{runtime}max_concurrent_reconciles", "Workers of a controller.", by
        )
        self._active = self._gauge(f"{runtime}active_workers", "Workers in a pass now.", by)
        self._adds = self._counter("workqueue_adds_total", "Keys added to a queue.", queue)
        self._retries = self._counter("workqueue_retries_total", "Keys put back to retry.", queue)
        self._waited = self._histogram(
            "workqueue_queue_duration_seconds", "Time in the queue.", queue, QUEUE_BUCKETS_S
        )
        self._worked = self._histogram(
            "workqueue_work_duration_seconds", "Time being worked.", queue, QUEUE_BUCKETS_S
        )
        self.workqueue_depth = self._sampled(
            "workqueue_depth", "Keys that wait, by lane.", (*queue, "priority")
        )
        self.workqueue_unfinished_s = self._sampled(
            "workqueue_unfinished_work_seconds", "Summed age of work under way.", queue
        )
        self.workqueue_longest_s = self._sampled(
            "workqueue_longest_running_processor_seconds", "Age of the longest work.", queue
        )
        self.rest_requests = self._counter(
            "rest_client_requests_total",
            "Requests to the API server by status code.",
            ("code", "method", "host"),
        )
        self.leading = self._gauge(
            "leader_election_master_status", "1 while this process holds the Lease.", ("name",)
        )
        self.leader_slow_paths = self._counter(
            "leader_election_slowpath_total",
            "Renewals that first had to read the Lease.",
            ("name",),
        )

    def _make_own_metrics(self) -> None:
        self._stages = self._histogram(
            "warmclaim_claim_stage_seconds",
            "Parts of a claim's way to its sandbox.",
            ("stage",),
            STAGE_BUCKETS_S,
        )
        self._outcomes = self._counter(
            "warmclaim_claim_outcomes_total", "Steps for claims by how they ended.", ("outcome",)
        )
        self.api_requests = self._counter(
            "warmclaim_api_requests_total",
            "Requests to the API server by what they are for.",
            ("verb", "resource", "channel"),
        )
        self.unknown_outcomes = self._counter(
            "warmclaim_unknown_outcomes_total",
            "Writes whose answer was lost.",
            ("verb", "resource"),
        )
        self.reservations_reclaimed = self._total(
            "warmclaim_reservations_reclaimed_total", "Reservations that were never published."
        )
        self.members_refused = self._counter(
            "warmclaim_members_refused_total",
            "Sandboxes that only look like a pool's member, by what gave them away.",
            ("reason",),
        )
        self.objects_skipped = self._sampled(
            "warmclaim_objects_skipped", "Objects that could not be read, so far.", ("resource",)
        )
        self._violations = self._counter(
            "warmclaim_invariant_violations_total",
            "Steps refused because they would break a promise.",
            ("invariant",),
        )
        self.events_dropped = self._total(
            "warmclaim_events_dropped_total", "Kubernetes Events that were not sent."
        )
        self.log_records_dropped = self._total(
            "warmclaim_log_records_dropped_total", "Log records that were not written."
        )

    def _make_own_gauges(self) -> None:
        self.loop_lag_s = Histogram(
            "warmclaim_event_loop_lag_seconds",
            "How late the event loop woke a sleeper.",
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self.pool_sandboxes = self._sampled(
            "warmclaim_pool_sandboxes",
            "Sandboxes of a pool by how far they are from a claim.",
            ("namespace", "pool", "tier"),
        )
        self.watch_staleness_s = self._sampled(
            "warmclaim_watch_staleness_seconds",
            "Time since a watch last gave a sign of life.",
            ("resource",),
        )
        self.lease_margin_s = self._sampled(
            "warmclaim_leader_fence_margin_seconds",
            "Time left until this leader must step down, if it cannot renew.",
            ("name",),
        )

    def _start_closed_series(self) -> None:
        """A series that only appears with its first event cannot be alerted on: start at 0."""
        self.outcomes = {outcome: self._outcomes.of(outcome) for outcome in Outcome}
        self.stages = {stage: self._stages.of(stage) for stage in Stage}
        self.violations = {name: self._violations.of(name) for name in INVARIANTS}

    def set_build_info(self, build: BuildInfo) -> None:
        """Say once what runs."""
        version = f"{sys.implementation.name}{platform.python_version()}"
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(
            platform.machine(), platform.machine()
        )
        system = f"{sys.platform}/{machine}"
        compiler = sys.implementation.name
        labels = (build.version, build.commit, build.date, version, compiler, system)
        self._build_info.of(*labels).set(1)

    def observe_claim_ready(
        self, latencies: ReadyLatencies, *, namespace: str, launch_type: str, template: str
    ) -> None:
        """A claim became Ready for the first time: all four latency histograms at once.

        A start mark that lies in the future is skipped, except the controller's own. About 3 us.
        """
        labels = (launch_type, template)
        if (from_webhook_s := latencies.from_webhook_s) is not None and from_webhook_s >= 0:
            self.claim_startup_ms.of(*labels).observe(milliseconds(from_webhook_s))
        if (from_controller_s := latencies.from_controller_s) is not None:
            self.claim_controller_startup_ms.of(*labels).observe(milliseconds(from_controller_s))
        if (from_client_s := latencies.from_client_s) is not None and from_client_s >= 0:
            self.client_claim_startup_ms.of(*labels).observe(milliseconds(from_client_s))
        if (creation_s := latencies.sandbox_creation_s) is not None and creation_s >= 0:
            self.creation_ms.of(namespace, *labels).observe(milliseconds(creation_s))

    def controller(self, name: str, *, workers: int) -> ControllerMetrics:
        """The series of a controller, all present with 0; `name` as in logs and on dashboards."""
        self._workers.of(name).set(workers)
        return ControllerMetrics(
            results={result: self._reconciles.of(name, result) for result in RECONCILE_RESULTS},
            errors=self._errors.of(name),
            terminal_errors=self._terminal.of(name),
            panics=self._panics.of(name),
            timeouts=self._timeouts.of(name),
            seconds=self._pass_s.of(name),
            active_workers=self._active.of(name),
        )

    def workqueue(self, name: str) -> WorkqueueMetrics:
        """The series of the work queue of the controller `name`, all present with 0."""
        return WorkqueueMetrics(
            adds=self._adds.of(name, name),
            retries=self._retries.of(name, name),
            waited_s=self._waited.of(name, name),
            worked_s=self._worked.of(name, name),
        )
