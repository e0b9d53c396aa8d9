"""Every metric: name, labels, buckets. The registry is handed in; nothing here is global.

Three parts: the names of the agent-sandbox API's own controller, that dashboards and load tests
read; the common names of controller managers (`ManagerMetrics`); and `warmclaim_*` for what only
this program has. Label values come from closed sets, save names of namespaces, pools and templates,
whose series are capped (`register.SERIES_MAX`).
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry, Histogram

from warmclaim.domain.eligibility import Refusal
from warmclaim.domain.outcome import Outcome
from warmclaim.seams import Clock
from warmclaim.telemetry.manager_metrics import ManagerMetrics
from warmclaim.telemetry.register import OPEN_SERIES_MAX, Register
from warmqueue import Lane

CLAIM_BUCKETS_MS = (
    100, 250, 500, 750, 1000, 1250, 1500, 2000, 2500, 5000, 10000, 30000, 60000, 120000, 240000,
)  # fmt: skip
CREATION_BUCKETS_MS = (
    50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000, 240000, 300000, 600000,
)  # fmt: skip
STAGE_BUCKETS_S = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
)  # fmt: skip

INVARIANTS = tuple(f"S{number}" for number in range(1, 12))


class Stage(StrEnum):
    """The parts of a claim's way to its sandbox."""

    SEEN_TO_PICKED = "seen_to_picked"
    PICKED_TO_RESERVED = "picked_to_reserved"
    RESERVED_TO_PUBLISHED = "reserved_to_published"
    SEEN_TO_PUBLISHED = "seen_to_published"


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


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, cut off as the API's own controller does."""
    return int(seconds * 1000)


class Metrics:
    """All families on one registry. `open_series_max` bounds what is counted with users' values."""

    def __init__(
        self,
        registry: CollectorRegistry,
        clock: Clock | None = None,
        *,
        open_series_max: int = OPEN_SERIES_MAX,
    ) -> None:
        self.registry = registry
        register = Register(registry, clock, open_series_max=open_series_max)
        self.manager = ManagerMetrics(register)
        self._make_claim_metrics(register)
        self._make_own_metrics(register)
        self._make_history(register)
        self._make_own_gauges(register)
        self._start_closed_series()

    def _make_claim_metrics(self, register: Register) -> None:
        launch = ("launch_type", "sandbox_template")
        self.claim_startup_ms = register.histogram(
            "agent_sandbox_claim_startup_latency_ms",
            "From the admission webhook's mark to Ready of the claim, in milliseconds.",
            launch,
            CLAIM_BUCKETS_MS,
        )
        self.claim_controller_startup_ms = register.histogram(
            "agent_sandbox_claim_controller_startup_latency_ms",
            "From the controller's first sight of the claim to its Ready, in milliseconds.",
            launch,
            CLAIM_BUCKETS_MS,
        )
        self.client_claim_startup_ms = register.histogram(
            "agent_sandbox_client_claim_startup_latency_ms",
            "From the client's mark to Ready of the claim, in milliseconds.",
            launch,
            CLAIM_BUCKETS_MS,
        )
        self.creation_ms = register.histogram(
            "agent_sandbox_creation_latency_ms",
            "From the creation of a sandbox to its Ready, in milliseconds.",
            ("namespace", *launch),
            CREATION_BUCKETS_MS,
        )
        self.claims_created = register.counter(
            "agent_sandbox_claim_creation_total",
            "Claims that were given a sandbox, warm or new.",
            ("namespace", "sandbox_template", "launch_type", "warmpool_name", "pod_condition",
             "created_by"),
        )  # fmt: skip
        self.sandboxes = register.sampled(
            "agent_sandboxes",
            "Sandboxes that exist now.",
            ("namespace", "ready_condition", "expired", "launch_type", "sandbox_template",
             "owned_by", "created_by"),
        )  # fmt: skip
        self._build_info = register.gauge(
            "agent_sandbox_build_info",
            "What runs; always 1.",
            ("git_version", "git_commit", "build_date", "go_version", "compiler", "platform"),
        )

    def _make_own_metrics(self, register: Register) -> None:
        self._stages = register.histogram(
            "warmclaim_claim_stage_seconds",
            "Parts of a claim's way to its sandbox.",
            ("stage",),
            STAGE_BUCKETS_S,
        )
        self._outcomes = register.counter(
            "warmclaim_claim_outcomes_total", "Steps for claims by how they ended.", ("outcome",)
        )
        self.api_requests = register.counter(
            "warmclaim_api_requests_total",
            "Requests to the API server by what they are for.",
            ("verb", "resource", "channel"),
        )
        self.unknown_outcomes = register.counter(
            "warmclaim_unknown_outcomes_total",
            "Writes whose answer was lost.",
            ("verb", "resource"),
        )
        self.reservations_reclaimed = register.total(
            "warmclaim_reservations_reclaimed_total", "Reservations that were never published."
        )
        self.members_refused = register.counter(
            "warmclaim_members_refused_total",
            "Sandboxes that only look like a pool's member, by what gave them away.",
            ("reason",),
        )
        self.objects_skipped = register.sampled(
            "warmclaim_objects_skipped", "Objects that could not be read, so far.", ("resource",)
        )
        self._violations = register.counter(
            "warmclaim_invariant_violations_total",
            "Steps refused because they would break a promise.",
            ("invariant",),
        )
        self.events_dropped = register.total(
            "warmclaim_events_dropped_total", "Kubernetes Events that were not sent."
        )
        self.log_records_dropped = register.total(
            "warmclaim_log_records_dropped_total", "Log records that were not written."
        )

    def _make_history(self, register: Register) -> None:
        self.history_rows = register.sampled(
            "warmclaim_history_rows", "Claims that the history tells of.", (), is_counter=True
        )
        self.history_dropped = register.sampled(
            "warmclaim_history_rows_dropped",
            "Claims that the history does not tell of, by what was in the way.",
            ("cause",),
            is_counter=True,
        )
        self.history_conversions = register.total(
            "warmclaim_history_conversions_total", "Looks for past hours to be archived."
        )
        self.history_failures = register.total(
            "warmclaim_history_conversion_failures_total", "Those that did not end well."
        )

    def _make_own_gauges(self, register: Register) -> None:
        self.loop_lag_s = Histogram(
            "warmclaim_event_loop_lag_seconds",
            "How late the event loop woke a sleeper.",
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self._lane_wait_s = register.histogram(
            "warmclaim_lane_wait_seconds",
            "How long keys that were due waited for a worker, by lane.",
            ("lane",),
            STAGE_BUCKETS_S,
        )
        self.pool_sandboxes = register.sampled(
            "warmclaim_pool_sandboxes",
            "Sandboxes of a pool by how far they are from a claim.",
            ("namespace", "pool", "tier"),
        )
        self.watch_staleness_s = register.sampled(
            "warmclaim_watch_staleness_seconds",
            "Time since a watch last gave a sign of life.",
            ("resource",),
        )
        self.refill_requests_max = register.sampled(
            "warmclaim_refill_requests_max",
            "How many requests of refill may be under way now.",
            (),
        )
        self.cold_starts_waiting = register.sampled(
            "warmclaim_cold_starts_waiting",
            "Claims that wait to start cold, so that warm ones do not wait for them.",
            (),
        )
        self.lease_margin_s = register.sampled(
            "warmclaim_leader_fence_margin_seconds",
            "Time left until this leader must step down, if it cannot renew.",
            ("name",),
        )

    def _start_closed_series(self) -> None:
        """A series that only appears with its first event cannot be alerted on: start at 0."""
        self.outcomes = {outcome: self._outcomes.of(outcome) for outcome in Outcome}
        self.stages = {stage: self._stages.of(stage) for stage in Stage}
        for refusal in Refusal:
            self.members_refused.of(refusal)
        self.violations = {name: self._violations.of(name) for name in INVARIANTS}
        self.lane_wait_s = {lane: self._lane_wait_s.of(lane.name.lower()) for lane in Lane}

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
