"""The families that controller managers have in common, as dashboards for them know them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, repeat

from prometheus_client import Counter, Histogram

from warmclaim.telemetry.register import Register

RECONCILE_BUCKETS_S = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9,
    1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
)  # fmt: skip
WEBHOOK_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# Multiplied up as Go does it: a bound is a label, and 1e-05 is not 9.999999999999999e-06.
QUEUE_BUCKETS_S = tuple(accumulate(repeat(10.0, 11), lambda bound, by: bound * by, initial=10e-9))

RECONCILE_RESULTS = ("success", "error", "requeue", "requeue_after")


@dataclass(frozen=True, slots=True)
class ControllerMetrics:
    """The series of one controller and its queue, looked up once."""

    results: dict[str, Counter]
    errors: Counter
    terminal_errors: Counter
    panics: Counter
    timeouts: Counter
    seconds: Histogram
    retries: Counter
    waited_s: Histogram
    worked_s: Histogram


class ManagerMetrics:
    """Passes, work queues, requests, the Lease, the webhook."""

    def __init__(self, register: Register) -> None:
        self._make_passes(register)
        self._make_queues(register)
        self._make_webhook(register)
        self.rest_requests = register.counter(
            "rest_client_requests_total",
            "Requests to the API server by status code.",
            ("code", "method", "host"),
        )
        self.leading = register.gauge(
            "leader_election_master_status", "1 while this process holds the Lease.", ("name",)
        )
        self.leader_slow_paths = register.counter(
            "leader_election_slowpath_total",
            "Renewals that first had to read the Lease.",
            ("name",),
        )

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
            retries=self._retries.of(name, name),
            waited_s=self._waited.of(name, name),
            worked_s=self._worked.of(name, name),
        )

    def _make_passes(self, register: Register) -> None:
        by, prefix = ("controller",), "controller_runtime_"
        self._reconciles = register.counter(
            f"{prefix}reconcile_total", "Passes by result.", (*by, "result")
        )
        self._errors = register.counter(f"{prefix}reconcile_errors_total", "Failed passes.", by)
        self._terminal = register.counter(
            f"{prefix}terminal_reconcile_errors_total", "Passes that failed for good.", by
        )
        self._panics = register.counter(
            f"{prefix}reconcile_panics_total", "Passes that broke on a mistake of ours.", by
        )
        self._timeouts = register.counter(
            f"{prefix}reconcile_timeouts_total", "Passes cut off by their time limit.", by
        )
        self._pass_s = register.histogram(
            f"{prefix}reconcile_time_seconds", "Time for one pass.", by, RECONCILE_BUCKETS_S
        )
        self._workers = register.gauge(
            f"{prefix}max_concurrent_reconciles", "Workers of a controller.", by
        )
        self.active_workers = register.sampled(
            f"{prefix}active_workers", "Workers in a pass now.", by
        )

    def _make_queues(self, register: Register) -> None:
        by = ("name", "controller")
        self.workqueue_adds = register.sampled(
            "workqueue_adds", "Keys added that were not queued already.", by, is_counter=True
        )
        self._retries = register.counter("workqueue_retries_total", "Keys put back to retry.", by)
        self._waited = register.histogram(
            "workqueue_queue_duration_seconds", "Time in the queue.", by, QUEUE_BUCKETS_S
        )
        self._worked = register.histogram(
            "workqueue_work_duration_seconds", "Time being worked.", by, QUEUE_BUCKETS_S
        )
        self.workqueue_depth = register.sampled(
            "workqueue_depth", "Keys that wait, by lane.", (*by, "priority")
        )
        self.workqueue_unfinished_s = register.sampled(
            "workqueue_unfinished_work_seconds", "Summed age of work under way.", by
        )
        self.workqueue_longest_s = register.sampled(
            "workqueue_longest_running_processor_seconds", "Age of the longest work.", by
        )

    def _make_webhook(self, register: Register) -> None:
        by, prefix = ("webhook",), "controller_runtime_"
        self.webhook_requests = register.counter(
            f"{prefix}webhook_requests_total", "Conversions by HTTP status.", (*by, "code")
        )
        self.webhook_s = register.histogram(
            f"{prefix}webhook_latency_seconds", "Time for one answer.", by, WEBHOOK_BUCKETS_S
        )
        self.webhook_in_flight = register.gauge(
            f"{prefix}webhook_requests_in_flight", "Requests being answered now.", by
        )
        # There are no admission webhooks here: the first stays 0.
        register.total(
            f"{prefix}webhook_panics_total", "Admission reviews that broke on a mistake."
        )
        self.conversion_panics = register.total(
            f"{prefix}conversion_webhook_panics_total", "Conversions that broke on a mistake."
        )
        self.certificate_reads = register.total(
            "certwatcher_read_certificate_total", "Certificates taken into use, or tried to."
        )
        self.certificate_read_errors = register.total(
            "certwatcher_read_certificate_errors_total", "Certificates that could not be used."
        )
