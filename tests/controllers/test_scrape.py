"""What a manager exports moves with what it does: scrapes before, during and after real work."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.controllers.app_world import (
    NAMESPACE,
    AppWorld,
    always,
    once,
    refusal,
    running,
    virtual,
)

from warmclaim.api import names
from warmclaim.api.timestamps import rfc3339
from warmclaim.app import App
from warmclaim.controllers.template import TemplateReconciler
from warmclaim.errors import UnknownOutcomeError
from warmclaim.seams import Request
from warmclaim.settings import ClaimSettings, LeaseSettings
from warmclaim.telemetry.exposition import exposition
from warmclaim.telemetry.register import CLOSED_SERIES_MAX, OPEN_LABELS, SERIES_MAX
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.virtual_loop import World, run_virtual

FOUR = frozenset({"claim", "pool", "sandbox", "template"})
LEASE = {"name": "a3317529.agent-sandbox.x-k8s.io"}
WARM = {"launch_type": "warm", "sandbox_template": "python"}
COLD = {"launch_type": "cold", "sandbox_template": "python"}
CLAIM = {"controller": "sandboxclaim"}
CLAIM_QUEUE = {"name": "sandboxclaim", **CLAIM}


class Scrape:
    """One scrape, as a Prometheus reads it."""

    def __init__(self, app: App) -> None:
        text = exposition(app.metrics.registry).decode()
        families = text_string_to_metric_families(text)
        self.samples = [sample for family in families for sample in family.samples]

    def sum(self, name: str, /, **labels: str) -> float | None:
        """Sum of the samples with these labels among theirs; None if there are none."""
        found = [
            s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items()
        ]
        return sum(found) if found else None


# What one warm claim and one cold claim move, and by how much; None: by some amount.
MOVED: list[tuple[str, dict[str, str], float | None]] = [
    ("agent_sandbox_claim_startup_latency_ms_count", WARM, 1),
    ("agent_sandbox_claim_controller_startup_latency_ms_count", WARM, 1),
    ("agent_sandbox_client_claim_startup_latency_ms_count", WARM, 1),
    ("agent_sandbox_creation_latency_ms_count", {"namespace": NAMESPACE, **WARM}, 1),
    (
        "agent_sandbox_claim_creation_total",
        {"namespace": NAMESPACE, "warmpool_name": "pool", "pod_condition": "ready",
         "created_by": "python-client", **WARM},
        1,
    ),
    (
        "agent_sandbox_claim_creation_total",
        {"namespace": NAMESPACE, "warmpool_name": "empty", "pod_condition": "not_ready",
         "created_by": "unknown", **COLD},
        1,
    ),
    ("agent_sandboxes", {"namespace": NAMESPACE, "owned_by": "SandboxClaim", **WARM}, 1),
    ("agent_sandboxes", {"namespace": NAMESPACE, "owned_by": "SandboxClaim", **COLD}, 1),
    ("controller_runtime_reconcile_total", {"result": "success", **CLAIM}, None),
    ("controller_runtime_reconcile_total", {"result": "requeue_after", **CLAIM}, 0),
    ("controller_runtime_reconcile_total", {"result": "requeue", **CLAIM}, 0),
    ("controller_runtime_reconcile_total", {"result": "error", **CLAIM}, 0),
    ("controller_runtime_reconcile_time_seconds_count", CLAIM, None),
    ("controller_runtime_reconcile_time_seconds_count", {"controller": "sandbox"}, None),
    ("controller_runtime_reconcile_time_seconds_count", {"controller": "sandboxwarmpool"}, None),
    ("workqueue_adds_total", CLAIM_QUEUE, None),
    ("workqueue_queue_duration_seconds_count", CLAIM_QUEUE, None),
    ("workqueue_work_duration_seconds_count", CLAIM_QUEUE, None),
    ("workqueue_retries_total", CLAIM_QUEUE, 0),
    ("rest_client_requests_total", {"code": "200", "method": "PATCH", "host": "api:6443"}, None),
    ("rest_client_requests_total", {"code": "201", "method": "POST", "host": "api:6443"}, None),
    ("warmclaim_claim_stage_seconds_count", {"stage": "seen_to_picked"}, 1),
    ("warmclaim_claim_stage_seconds_count", {"stage": "picked_to_reserved"}, 1),
    ("warmclaim_claim_stage_seconds_count", {"stage": "reserved_to_published"}, 1),
    ("warmclaim_claim_stage_seconds_count", {"stage": "seen_to_published"}, 2),
    ("warmclaim_claim_outcomes_total", {"outcome": "adopted"}, 1),
    ("warmclaim_claim_outcomes_total", {"outcome": "cold_started"}, 1),
    ("warmclaim_claim_outcomes_total", {"outcome": "published"}, 2),
    ("warmclaim_lane_wait_seconds_count", {"lane": "adoption"}, None),
    (
        "warmclaim_api_requests_total",
        {"verb": "patch", "resource": "sandboxes.agents.x-k8s.io", "channel": "claims"},
        1,
    ),
    (
        "warmclaim_api_requests_total",
        {"verb": "patch", "channel": "claims",
         "resource": "sandboxclaims.extensions.agents.x-k8s.io/status"},
        None,
    ),
]  # fmt: skip

STANDING: list[tuple[str, dict[str, str], float]] = [
    ("agent_sandbox_build_info", {}, 1),
    ("agent_sandboxes", {"owned_by": "SandboxWarmPool", "ready_condition": "true"}, 3),
    ("warmclaim_pool_sandboxes", {"pool": "pool", "tier": "ready"}, 3),
    ("controller_runtime_max_concurrent_reconciles", CLAIM, 50),
    ("controller_runtime_max_concurrent_reconciles", {"controller": "sandboxtemplate"}, 1),
    ("controller_runtime_active_workers", CLAIM, 0),
    ("workqueue_depth", {"priority": "adoption", **CLAIM_QUEUE}, 0),
    ("workqueue_unfinished_work_seconds", CLAIM_QUEUE, 0),
    ("workqueue_longest_running_processor_seconds", CLAIM_QUEUE, 0),
    ("leader_election_master_status", LEASE, 1),
    ("controller_runtime_webhook_panics_total", {}, 0),
    ("controller_runtime_conversion_webhook_panics_total", {}, 0),
    ("certwatcher_read_certificate_total", {}, 0),
    ("warmclaim_reservations_reclaimed_total", {}, 0),
    ("warmclaim_objects_skipped", {}, 0),
]


@pytest.fixture(scope="module")
def scrapes() -> tuple[Scrape, Scrape]:
    """Before and after a warm and a cold claim, on a manager with a Lease and all controllers."""
    taken: list[Scrape] = []

    async def main(world: World) -> None:
        app_world = AppWorld(
            world, server_url="https://api:6443", controllers=FOUR,
            lease=LeaseSettings(namespace=NAMESPACE),
        )  # fmt: skip
        app_world.put(a_template("python"), a_pool("pool", template="python", replicas=3))
        app_world.put(a_pool("empty", template="python", replicas=0))
        async with FakeNodes(app_world.server.cluster, count=3), running(app_world.app):
            await app_world.run_for(20)
            taken.append(Scrape(app_world.app))
            asked = rfc3339(app_world.clock.wall() - 1)
            marks = {
                names.ANNOTATION_CLIENT_REQUESTED: asked,
                names.ANNOTATION_WEBHOOK_OBSERVED: asked,
            }
            labels = {names.LABEL_CREATED_BY: "python-client"}
            merge = {"metadata": {"annotations": marks, "labels": labels}}
            app_world.put(a_claim("warm", pool="pool", merge=merge))
            await app_world.served("warm")
            app_world.put(a_claim("cold", pool="empty"))
            await app_world.served("cold")
            await app_world.run_for(20)
            taken.append(Scrape(app_world.app))

    run_virtual(main)
    return taken[0], taken[1]


@pytest.mark.parametrize(("name", "labels", "by"), MOVED, ids=lambda value: str(value)[:90])
def test_work_moves_each_family(
    scrapes: tuple[Scrape, Scrape], name: str, labels: dict[str, str], by: float | None
) -> None:
    before, after = (scrape.sum(name, **labels) for scrape in scrapes)
    moved = (after or 0.0) - (before or 0.0)
    if by is None:
        assert moved > 0
    else:
        assert moved == by


@pytest.mark.parametrize(("name", "labels", "value"), STANDING, ids=lambda value: str(value)[:90])
def test_each_family_is_there_at_rest(
    scrapes: tuple[Scrape, Scrape], name: str, labels: dict[str, str], value: float
) -> None:
    assert scrapes[1].sum(name, **labels) == value


def test_a_whole_manager_leaves_room_in_the_series_of_closed_sets(
    scrapes: tuple[Scrape, Scrape],
) -> None:
    counted = [s for s in scrapes[1].samples if not s.name.startswith("process_")]
    assert len([s for s in counted if not OPEN_LABELS & set(s.labels)]) <= CLOSED_SERIES_MAX - 100


def test_a_renewal_that_had_to_read_the_lease_first_is_counted() -> None:
    async def main(world: World) -> None:
        app_world = AppWorld(world, lease=LeaseSettings(namespace=NAMESPACE))
        async with running(app_world.app):
            await app_world.run_for(10)
            before = Scrape(app_world.app).sum("leader_election_slowpath_total")
            app_world.faults.before = once(refusal(409, "Conflict"), "PUT", "/leases/")
            await app_world.run_for(10)
            scrape = Scrape(app_world.app)
            assert (before, scrape.sum("leader_election_slowpath_total")) == (0, 1)
            assert scrape.sum("leader_election_master_status") == 1
            assert scrape.sum("rest_client_requests_total", code="409", method="PUT") == 1

    run_virtual(main)


def test_every_watch_tells_how_old_it_is(scrapes: tuple[Scrape, Scrape]) -> None:
    ages = {
        sample.labels["resource"].partition(".")[0]: sample.value
        for sample in scrapes[1].samples
        if sample.name == "warmclaim_watch_staleness_seconds"
    }
    kinds = {"sandboxclaims", "sandboxes", "sandboxwarmpools", "sandboxtemplates", "pods"}
    assert kinds <= set(ages)
    assert all(0 <= age <= 60 for age in ages.values())
    margin = scrapes[1].sum("warmclaim_leader_fence_margin_seconds", **LEASE)
    assert margin is not None
    assert 0 < margin <= 10


class TestWorkUnderWay:
    def test_a_pass_that_takes_long_is_an_active_worker_with_an_age(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template("python"), a_pool("pool", replicas=1))
            world.put(*(a_sandbox(f"w{n}", pool="pool") for n in range(2)))
            await world.run_for(0.1)

            async def slow(request: Request) -> None:
                if request.method == "PATCH":
                    await world.clock.sleep(3)

            world.faults.before = slow
            world.put(a_claim("a", pool="pool"))
            await world.run_for(1)
            world.put(a_claim("b", pool="pool"))
            await world.run_for(1)
            scrape = Scrape(world.app)
            assert scrape.sum("controller_runtime_active_workers", **CLAIM) == 2
            assert scrape.sum("workqueue_unfinished_work_seconds", **CLAIM_QUEUE) == pytest.approx(
                3
            )
            longest = scrape.sum("workqueue_longest_running_processor_seconds", **CLAIM_QUEUE)
            assert longest == pytest.approx(2)
            assert scrape.sum("warmclaim_pool_sandboxes", tier="in_flight") == 2

        virtual(scenario)

    def test_keys_that_wait_for_a_worker_are_counted_by_lane(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template("python"), a_pool("pool", replicas=3))
            world.put(*(a_sandbox(f"w{n}", pool="pool") for n in range(3)))
            await world.run_for(0.1)

            async def slow(request: Request) -> None:
                if request.method == "PATCH":
                    await world.clock.sleep(3)

            world.faults.before = slow
            world.put(*(a_claim(f"c{n}", pool="pool") for n in range(3)))
            await world.run_for(1)
            assert Scrape(world.app).sum("workqueue_depth", priority="adoption") == 2
            await world.run_for(20)
            waited = Scrape(world.app).sum("warmclaim_lane_wait_seconds_sum", lane="adoption")
            assert waited == pytest.approx(6 + 12, abs=0.5)

        virtual(scenario, claims=ClaimSettings(workers=1))


class TestFailures:
    @staticmethod
    def counts(world: AppWorld, controller: str = "sandboxclaim") -> dict[str, float | None]:
        scrape, by = Scrape(world.app), {"controller": controller}
        runtime = "controller_runtime_"
        return {
            "error": scrape.sum(f"{runtime}reconcile_total", result="error", **by),
            "errors": scrape.sum(f"{runtime}reconcile_errors_total", **by),
            "terminal": scrape.sum(f"{runtime}terminal_reconcile_errors_total", **by),
            "panics": scrape.sum(f"{runtime}reconcile_panics_total", **by),
            "timeouts": scrape.sum(f"{runtime}reconcile_timeouts_total", **by),
            "retries": scrape.sum("workqueue_retries_total", **by),
        }

    NONE: dict[str, float | None] = dict.fromkeys(
        ("error", "errors", "terminal", "panics", "timeouts", "retries"), 0.0
    )

    def test_an_error_that_may_pass_is_retried(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template("python"), a_pool("pool"), a_sandbox("w1", pool="pool"))
            await world.run_for(0.1)
            world.faults.before = once(refusal(429, "TooManyRequests"), "PATCH")
            world.put(a_claim("c", pool="pool"))
            await world.served("c")
            one = {"error": 1.0, "errors": 1.0, "retries": 1.0}
            assert self.counts(world) == {**self.NONE, **one}
            assert Scrape(world.app).sum("rest_client_requests_total", code="429") == 1

        virtual(scenario)

    def test_an_error_for_good_is_terminal(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template("python"), a_pool("pool"), a_sandbox("w1", pool="pool"))
            await world.run_for(0.1)
            world.faults.before = always(refusal(400, "BadRequest"), "PATCH")
            world.put(a_claim("c", pool="pool"))
            await world.run_for(5)
            one = {"error": 1.0, "errors": 1.0, "terminal": 1.0}
            assert self.counts(world) == {**self.NONE, **one}

        virtual(scenario)

    @pytest.mark.parametrize(
        ("error", "family"), [(ZeroDivisionError(), "panics"), (TimeoutError(), "timeouts")]
    )
    def test_a_mistake_of_ours_is_a_panic_and_a_time_limit_a_time_out(
        self, error: Exception, family: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(*_: Any) -> None:
            raise error

        async def scenario(world: AppWorld) -> None:
            monkeypatch.setattr(TemplateReconciler, "reconcile", broken)
            world.put(a_template("python"))
            await world.run_for(0.004)
            one = {"error": 1.0, "errors": 1.0, "retries": 1.0, family: 1.0}
            assert self.counts(world, "sandboxtemplate") == {**self.NONE, **one}

        virtual(scenario, controllers=FOUR)

    @pytest.mark.parametrize(
        ("answer", "unknown"),
        [
            (UnknownOutcomeError("lost"), 1.0),
            (refusal(500, "InternalError"), 1.0),
            (refusal(409, "Conflict"), None),
        ],
        ids=["lost", "500", "409"],
    )
    def test_a_write_whose_answer_was_lost_is_counted(
        self, answer: Any, unknown: float | None
    ) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template("python"), a_pool("pool"), a_sandbox("w1", pool="pool"))
            await world.run_for(0.1)
            world.faults.after = once(answer, "PATCH", "/sandboxes/")
            world.put(a_claim("c", pool="pool"))
            await world.served("c")
            scrape = Scrape(world.app)
            assert scrape.sum("warmclaim_unknown_outcomes_total", verb="patch") == unknown

        virtual(scenario)

    def test_a_forged_member_is_counted_by_what_gave_it_away(self) -> None:
        async def scenario(world: AppWorld) -> None:
            forged = a_sandbox("w1", pool="pool")
            forged["metadata"]["labels"][names.LABEL_WARM_POOL] = "other"
            world.put(a_template("python"), a_pool("pool"), forged)
            await world.run_for(1)
            scrape = Scrape(world.app)
            assert (
                scrape.sum("warmclaim_members_refused_total", reason="label_mismatch") is not None
            )

        virtual(scenario)


def test_10_000_namespaces_with_a_pool_each_stay_under_the_cap() -> None:
    async def main(world: World) -> None:
        app_world = AppWorld(world)
        for number in range(10_000):
            place = f"n{number}"
            app_world.put(a_sandbox(f"w{number}", pool=f"p{number}", namespace=place))
            app_world.put(a_pool(f"p{number}", template="python", namespace=place))
        async with running(app_world.app):
            await app_world.run_for(0.5)
            scrape = Scrape(app_world.app)
        own = [sample for sample in scrape.samples if not sample.name.startswith("process_")]
        assert len(own) <= SERIES_MAX
        assert scrape.sum("agent_sandboxes") == 10_000
        assert scrape.sum("warmclaim_pool_sandboxes", tier="ready") == 10_000

    run_virtual(main)
