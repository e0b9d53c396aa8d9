"""Metrics: the API's own names, labels and buckets, closed sets from 0, capped open ones."""

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from warmclaim.domain.eligibility import Refusal
from warmclaim.domain.outcome import Outcome
from warmclaim.telemetry.exposition import exposition
from warmclaim.telemetry.families import IDLE_ROUNDS, OTHER, ROUND_S, Sampled
from warmclaim.telemetry.manager_metrics import RECONCILE_RESULTS
from warmclaim.telemetry.metrics import (
    INVARIANTS,
    BuildInfo,
    Metrics,
    ReadyLatencies,
    Stage,
    milliseconds,
)
from warmclaim.telemetry.register import OPEN_ROWS_MAX, SERIES_MAX

LAUNCH = {"launch_type", "sandbox_template"}
COMPAT_LABELS = {
    "agent_sandbox_claim_startup_latency_ms": LAUNCH,
    "agent_sandbox_claim_controller_startup_latency_ms": LAUNCH,
    "agent_sandbox_client_claim_startup_latency_ms": LAUNCH,
    "agent_sandbox_creation_latency_ms": {"namespace"} | LAUNCH,
    "agent_sandbox_claim_creation_total": {"namespace", "warmpool_name", "pod_condition"}
    | {"created_by"}
    | LAUNCH,
    "agent_sandboxes": {"namespace", "ready_condition", "expired", "owned_by", "created_by"}
    | LAUNCH,
    "agent_sandbox_build_info": {"git_version", "git_commit", "build_date", "go_version"}
    | {"compiler", "platform"},
    "controller_runtime_reconcile_total": {"controller", "result"},
    "controller_runtime_reconcile_errors_total": {"controller"},
    "controller_runtime_terminal_reconcile_errors_total": {"controller"},
    "controller_runtime_reconcile_panics_total": {"controller"},
    "controller_runtime_reconcile_timeouts_total": {"controller"},
    "controller_runtime_reconcile_time_seconds": {"controller"},
    "controller_runtime_max_concurrent_reconciles": {"controller"},
    "controller_runtime_active_workers": {"controller"},
    "workqueue_depth": {"name", "controller", "priority"},
    "workqueue_adds_total": {"name", "controller"},
    "workqueue_queue_duration_seconds": {"name", "controller"},
    "workqueue_work_duration_seconds": {"name", "controller"},
    "workqueue_unfinished_work_seconds": {"name", "controller"},
    "workqueue_longest_running_processor_seconds": {"name", "controller"},
    "workqueue_retries_total": {"name", "controller"},
    "rest_client_requests_total": {"code", "method", "host"},
    "leader_election_master_status": {"name"},
    "leader_election_slowpath_total": {"name"},
    "controller_runtime_webhook_requests_total": {"webhook", "code"},
    "controller_runtime_webhook_latency_seconds": {"webhook"},
    "controller_runtime_webhook_requests_in_flight": {"webhook"},
    "controller_runtime_webhook_panics_total": set[str](),
    "controller_runtime_conversion_webhook_panics_total": set[str](),
    "certwatcher_read_certificate_total": set[str](),
    "certwatcher_read_certificate_errors_total": set[str](),
}
CLAIM_BOUNDS = "100 250 500 750 1000 1250 1500 2000 2500 5000 10000 30000 60000 120000 240000 +Inf"
QUEUE_BOUNDS = (
    "1e-08 1e-07 1e-06 9.999999999999999e-06 9.999999999999999e-05 0.001 0.01 0.1 1 10 100 1000"
    " +Inf"
)
WEBHOOK_BOUNDS = "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf"
PASS_BOUNDS = (
    "0.005 0.01 0.025 0.05 0.1 0.15 0.2 0.25 0.3 0.35 0.4 0.45 0.5 0.6 0.7 0.8 0.9 1 1.25 1.5 1.75"
    " 2 2.5 3 3.5 4 4.5 5 6 7 8 9 10 15 20 25 30 40 50 60 +Inf"
)
CREATION_BOUNDS = "50 100 250 500 1000 2500 5000 10000 30000 60000 120000 240000 300000 600000 +Inf"


class HandClock:
    """A clock that moves when told."""

    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        self.now_s += delay_s


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def used(metrics: Metrics) -> dict[str, Metric]:
    """Every family by the name of its samples, each used once."""
    metrics.set_build_info(BuildInfo("v1"))
    manager = metrics.manager
    manager.controller("sandboxclaim", workers=50)
    every = ReadyLatencies(0.1, 0.1, 0.1, 0.1)
    metrics.observe_claim_ready(every, namespace="n", launch_type="warm", template="t")
    metrics.claims_created.of("n", "t", "warm", "p", "ready", "unknown").inc()
    metrics.sandboxes.count_from(lambda: [("n", "true", "false", "warm", "t", "None", "unknown")])
    queue = ("sandboxclaim", "sandboxclaim")
    manager.workqueue_depth.read_from(lambda: [((*queue, "adoption"), 1.0)])
    for per_queue in (manager.workqueue_adds, manager.workqueue_unfinished_s):
        per_queue.read_from(lambda: [(queue, 1.0)])
    manager.workqueue_longest_s.read_from(lambda: [(queue, 1.0)])
    manager.active_workers.read_from(lambda: [(queue[:1], 1.0)])
    manager.rest_requests.of("200", "PATCH", "h").inc()
    manager.leading.of("lease").set(1)
    manager.leader_slow_paths.of("lease").inc()
    manager.webhook_requests.of("/convert", "200").inc()
    manager.webhook_s.of("/convert").observe(0.1)
    manager.webhook_in_flight.of("/convert").set(0)
    found: dict[str, Metric] = {}
    for family in metrics.registry.collect():
        suffix = "_total" if family.type == "counter" else ""
        found[family.name + suffix] = family
    return found


@pytest.mark.parametrize("name", COMPAT_LABELS)
def test_names_and_labels_are_those_of_the_go_manager(metrics: Metrics, name: str) -> None:
    family = used(metrics)[name]
    assert {frozenset(s.labels) - {"le"} for s in family.samples} == {
        frozenset(COMPAT_LABELS[name])
    }


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("agent_sandbox_claim_startup_latency_ms", CLAIM_BOUNDS),
        ("agent_sandbox_claim_controller_startup_latency_ms", CLAIM_BOUNDS),
        ("agent_sandbox_client_claim_startup_latency_ms", CLAIM_BOUNDS),
        ("agent_sandbox_creation_latency_ms", CREATION_BOUNDS),
        ("controller_runtime_reconcile_time_seconds", PASS_BOUNDS),
        ("workqueue_queue_duration_seconds", QUEUE_BOUNDS),
        ("workqueue_work_duration_seconds", QUEUE_BOUNDS),
        ("controller_runtime_webhook_latency_seconds", WEBHOOK_BOUNDS),
    ],
)
def test_bucket_bounds_are_written_as_go_writes_them(
    metrics: Metrics, name: str, bounds: str
) -> None:
    used(metrics)
    text = exposition(metrics.registry).decode()
    lines = [line for line in text.splitlines() if line.startswith(name + "_bucket")]
    assert [line.split('le="')[1].split('"')[0] for line in lines] == bounds.split()
    assert 'le="0.005"' in text


def test_nothing_is_exported_that_go_does_not_know_as_a_form(metrics: Metrics) -> None:
    used(metrics)
    assert b"_created" not in exposition(metrics.registry).replace(b"created_by", b"")


def test_outcome_labels_are_precisely_the_closed_set_and_start_at_0(metrics: Metrics) -> None:
    for name, label, words in (
        ("warmclaim_claim_outcomes", "outcome", set(Outcome)),
        ("warmclaim_invariant_violations", "invariant", set(INVARIANTS)),
    ):
        (family,) = (f for f in metrics.registry.collect() if f.name == name)
        assert {sample.labels[label] for sample in family.samples} == words
        assert {sample.value for sample in family.samples} == {0.0}
    assert set(metrics.outcomes) == set(Outcome)
    assert set(metrics.stages) == set(Stage)


def test_the_series_of_a_controller_start_at_0(metrics: Metrics) -> None:
    made = metrics.manager.controller("sandboxwarmpool", workers=3)
    assert tuple(made.results) == RECONCILE_RESULTS
    value = metrics.registry.get_sample_value
    controller = {"controller": "sandboxwarmpool"}
    assert value("controller_runtime_max_concurrent_reconciles", controller) == 3
    labels = {**controller, "result": "requeue_after"}
    assert value("controller_runtime_reconcile_total", labels) == 0
    assert value("controller_runtime_reconcile_time_seconds_count", controller) == 0


def test_latencies_are_whole_milliseconds_cut_off(metrics: Metrics) -> None:
    assert milliseconds(0.0019) == 1
    seen = ReadyLatencies(from_controller_s=0.2509)
    metrics.observe_claim_ready(seen, namespace="n", launch_type="warm", template="t")
    labels = {"launch_type": "warm", "sandbox_template": "t"}
    name = "agent_sandbox_claim_controller_startup_latency_ms"
    assert metrics.registry.get_sample_value(f"{name}_sum", labels) == 250


def test_a_start_mark_that_is_missing_or_in_the_future_is_skipped(metrics: Metrics) -> None:
    future = ReadyLatencies(-1.0, -1.0, -1.0, -1.0)
    metrics.observe_claim_ready(future, namespace="n", launch_type="cold", template="t")
    metrics.observe_claim_ready(ReadyLatencies(), namespace="n", launch_type="cold", template="t")
    counts = {
        family.name: sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name.endswith("_count") and sample.labels.get("launch_type") == "cold"
    }
    # Only the controller's own mark has no guard against the future.
    assert counts == {"agent_sandbox_claim_controller_startup_latency_ms": 1.0}


def test_too_many_label_values_of_users_are_counted_under_one_name() -> None:
    metrics = Metrics(CollectorRegistry(), open_series_max=20)
    for number in range(100):
        labels = (f"n{number}", "t", "warm", "p", "ready", "unknown")
        metrics.claims_created.of(*labels).inc()
    metrics.claims_created.of("n99", "t2", "cold", "p", "not_ready", "unknown").inc()
    (family,) = (f for f in metrics.registry.collect() if f.name == "agent_sandbox_claim_creation")
    assert len(family.samples) == 22
    folded = {s.labels["launch_type"]: s for s in family.samples if s.labels["namespace"] == OTHER}
    assert folded["warm"].value == 80
    assert folded["warm"].labels["sandbox_template"] == OTHER
    assert folded["warm"].labels["pod_condition"] == "ready"
    assert folded["cold"].value == 1


def exported(metrics: Metrics) -> list[str]:
    """The series, as a scrape counts them."""
    lines = exposition(metrics.registry).decode().splitlines()
    return [line for line in lines if not line.startswith(("#", "process_"))]


def fill_closed(metrics: Metrics) -> None:
    """Every series whose labels come from closed sets."""
    used(metrics)
    controllers = ("sandboxclaim", "sandboxwarmpool", "sandbox", "sandboxtemplate", "c5", "c6")
    for name in controllers:
        metrics.manager.controller(name, workers=1)
    rows = [((name, name, lane), 1.0) for name in controllers for lane in "abcde"]
    metrics.manager.workqueue_depth.read_from(lambda: rows)
    kinds = [f"kind{number}" for number in range(11)]
    for sampled in (metrics.watch_staleness_s, metrics.objects_skipped):
        sampled.read_from(lambda: [((kind,), 1.0) for kind in kinds])
    for kind in kinds:
        for verb in ("get", "list", "watch", "create", "patch", "delete"):
            metrics.api_requests.of(verb, kind, "claims").inc()
        metrics.unknown_outcomes.of("patch", kind).inc()
    for code in range(400, 430):
        metrics.manager.rest_requests.of(str(code), "PATCH", "h").inc()
    for refusal in Refusal:
        metrics.members_refused.of(refusal).inc()


def test_g14_10_000_namespaces_stay_under_the_cap_and_no_claim_is_left_uncounted() -> None:
    metrics = Metrics(CollectorRegistry())
    fill_closed(metrics)
    every = ReadyLatencies(0.1, 0.1, 0.1, 0.1)
    names = [f"n{number}" for number in range(10_000)]
    rows = [((name, "p", tier), 1.0) for name in names for tier in ("ready", "held")]
    metrics.pool_sandboxes.read_from(lambda: rows)
    marks = [(n, "true", "false", "warm", n, "SandboxClaim", "unknown") for n in names]
    metrics.sandboxes.count_from(lambda: marks)
    for number, name in enumerate(names):
        launch, condition = ("warm", "ready") if number % 2 else ("cold", "not_ready")
        metrics.observe_claim_ready(every, namespace=name, launch_type=launch, template=name)
        metrics.claims_created.of(name, name, launch, name, condition, "controller").inc()
    assert len(exported(metrics)) <= SERIES_MAX
    totals = dict.fromkeys(
        (
            "agent_sandbox_claim_creation_total",
            "agent_sandboxes",
            "agent_sandbox_creation_latency_ms_count",
            "warmclaim_pool_sandboxes",
        ),
        0.0,
    )
    for sample in (sample for family in metrics.registry.collect() for sample in family.samples):
        if sample.name in totals:
            totals[sample.name] += sample.value
    assert list(totals.values()) == [10_001, 10_001, 10_001, 20_000]  # and one each of `used`


def test_what_is_sampled_may_use_the_room_that_nobody_counts_in() -> None:
    metrics = Metrics(CollectorRegistry(), open_series_max=100)
    rows = [((f"n{number}", "p", "ready"), 1.0) for number in range(1_000)]
    metrics.pool_sandboxes.read_from(lambda: rows)

    def named() -> int:
        (family,) = metrics.pool_sandboxes.collect()
        return sum(sample.labels["namespace"] != OTHER for sample in family.samples)

    assert named() == OPEN_ROWS_MAX + 50
    for number in range(200):
        metrics.claims_created.of(f"n{number}", "t", "warm", "p", "ready", "unknown").inc()
    assert named() == OPEN_ROWS_MAX


def test_series_that_nobody_counted_in_for_an_hour_give_way_to_new_ones() -> None:
    clock = HandClock()
    metrics = Metrics(CollectorRegistry(), clock, open_series_max=2)
    created = metrics.claims_created

    def count(namespace: str) -> None:
        created.of(namespace, "t", "warm", "p", "ready", "unknown").inc()

    def names() -> set[str]:
        (family,) = (f for f in metrics.registry.collect() if f.name.endswith("claim_creation"))
        return {s.labels["namespace"] for s in family.samples if s.name.endswith("_total")}

    count("busy")
    count("deleted")
    for _ in range(IDLE_ROUNDS):
        clock.now_s += ROUND_S
        count("busy")
        count("new")
    assert names() == {"busy", "deleted", OTHER}, "not before an hour has passed"
    clock.now_s += ROUND_S
    count("busy")
    count("new")
    assert names() == {"busy", "new", OTHER}
    clock.now_s += 100 * ROUND_S
    assert names() == {"busy", "new", OTHER}, "without want nothing is dropped"


def test_a_child_is_looked_up_once(metrics: Metrics) -> None:
    assert metrics.api_requests.of("get", "x", "lease") is metrics.api_requests.of(
        "get", "x", "lease"
    )
    with pytest.raises(ValueError, match="label count"):
        metrics.api_requests.of("get")


def test_a_sampled_gauge_adds_up_caps_and_survives_a_failing_source() -> None:
    gauge = Sampled("x", "text", ("a",), open_labels=("a",), rows_max=lambda: 2)
    gauge.read_from(lambda: [(("p",), 1.0), (("p",), 2.0), (("q",), 1.0), (("r",), 5.0)])

    def broken() -> list[tuple[tuple[str, ...], float]]:
        raise RuntimeError("cache not there")

    gauge.read_from(broken)
    (family,) = gauge.collect()
    assert {s.labels["a"]: s.value for s in family.samples} == {"p": 3.0, "q": 1.0, OTHER: 5.0}


def test_a_source_that_fails_half_way_exports_nothing_of_its_half() -> None:
    gauge = Sampled("x", "text", ("a",), rows_max=lambda: 9)

    def half() -> object:
        yield ("p",)
        raise RuntimeError("gone")

    gauge.count_from(half)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (family,) = gauge.collect()
    assert family.samples == []


def test_registering_asks_no_source(metrics: Metrics) -> None:
    assert [list(f.samples) for f in metrics.sandboxes.describe()] == [[]]
