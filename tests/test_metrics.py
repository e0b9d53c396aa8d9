"""Metrics: the API's own names, labels and buckets, closed sets from 0, capped open ones."""

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from warmclaim.domain.outcome import Outcome
from warmclaim.telemetry.exposition import exposition
from warmclaim.telemetry.families import OTHER, SampledGauge
from warmclaim.telemetry.metrics import (
    INVARIANTS,
    RECONCILE_RESULTS,
    BuildInfo,
    Metrics,
    ReadyLatencies,
    Stage,
    milliseconds,
)

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
}
CLAIM_BOUNDS = "100 250 500 750 1000 1250 1500 2000 2500 5000 10000 30000 60000 120000 240000 +Inf"
CREATION_BOUNDS = "50 100 250 500 1000 2500 5000 10000 30000 60000 120000 240000 300000 600000 +Inf"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def used(metrics: Metrics) -> dict[str, Metric]:
    """Every family by the name of its samples, each used once."""
    metrics.set_build_info(BuildInfo("v1"))
    metrics.controller("sandboxclaim", workers=50)
    metrics.workqueue("sandboxclaim")
    every = ReadyLatencies(0.1, 0.1, 0.1, 0.1)
    metrics.observe_claim_ready(every, namespace="n", launch_type="warm", template="t")
    metrics.claims_created.of("n", "t", "warm", "p", "ready", "unknown").inc()
    metrics.sandboxes.count_from(lambda: [("n", "true", "false", "warm", "t", "None", "unknown")])
    queue = ("sandboxclaim", "sandboxclaim")
    metrics.workqueue_depth.read_from(lambda: [((*queue, "adoption"), 1.0)])
    metrics.workqueue_unfinished_s.read_from(lambda: [(queue, 1.0)])
    metrics.workqueue_longest_s.read_from(lambda: [(queue, 1.0)])
    metrics.rest_requests.of("200", "PATCH", "h").inc()
    metrics.leading.of("lease").set(1)
    metrics.leader_slow_paths.of("lease").inc()
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
    made = metrics.controller("sandboxwarmpool", workers=3)
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
    metrics = Metrics(CollectorRegistry(), series_max=20)
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


def test_the_cap_of_a_histogram_counts_its_buckets() -> None:
    metrics = Metrics(CollectorRegistry())
    for number in range(3000):
        metrics.creation_ms.of(f"n{number}", "warm", "t").observe(1)
    (family,) = (
        f for f in metrics.registry.collect() if f.name == "agent_sandbox_creation_latency_ms"
    )
    assert len(family.samples) <= 2000 + 17


def test_a_child_is_looked_up_once(metrics: Metrics) -> None:
    assert metrics.api_requests.of("get", "x", "lease") is metrics.api_requests.of(
        "get", "x", "lease"
    )
    with pytest.raises(ValueError, match="label count"):
        metrics.api_requests.of("get")


def test_a_sampled_gauge_adds_up_caps_and_survives_a_failing_source() -> None:
    gauge = SampledGauge("x", "text", ("a",), series_max=2)
    gauge.read_from(lambda: [(("p",), 1.0), (("p",), 2.0), (("q",), 1.0), (("r",), 5.0)])

    def broken() -> list[tuple[tuple[str, ...], float]]:
        raise RuntimeError("cache not there")

    gauge.read_from(broken)
    (family,) = gauge.collect()
    assert {s.labels["a"]: s.value for s in family.samples} == {"p": 3.0, "q": 1.0, OTHER: 5.0}


def test_a_source_that_fails_half_way_exports_nothing_of_its_half() -> None:
    gauge = SampledGauge("x", "text", ("a",))

    def half() -> object:
        yield ("p",)
        raise RuntimeError("gone")

    gauge.count_from(half)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (family,) = gauge.collect()
    assert family.samples == []


def test_registering_asks_no_source(metrics: Metrics) -> None:
    assert [list(f.samples) for f in metrics.sandboxes.describe()] == [[]]
