"""Flags of the Go manager whose effect no other test shows."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controllers.app_world import NAMESPACE, POOL, SANDBOX, AppWorld, virtual

from warmclaim.cli.goflags import parse_settings
from warmclaim.kube.lease_record import LEASE_NAME
from warmclaim.settings import LeaseSettings
from warmclaim.testing.builders import (
    a_condition,
    a_pool,
    a_sandbox,
    a_stray,
    a_template,
    an_owner,
)

EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
LEASES = "leases.coordination.k8s.io"


def given(*argv: str) -> dict[str, Any]:
    """The settings of a manager that runs one controller, started with these flags."""
    settings = parse_settings(["--leader-elect=false", *argv], dropin=False).settings
    names = ("controllers", "lease", "pools", "claims", "sandboxes")
    return {name: getattr(settings, name) for name in names}


def test_the_lease_has_the_apis_name_and_times() -> None:
    times = LeaseSettings()
    assert (times.duration_s, times.renew_deadline_s, times.retry_period_s) == (15, 10, 2)

    async def scenario(world: AppWorld) -> None:
        await world.run_for(1)
        lease = world.server.cluster.store.get(LEASES, f"{NAMESPACE}/{LEASE_NAME}")
        assert lease is not None
        assert LEASE_NAME == "a3317529.agent-sandbox.x-k8s.io"
        assert lease.object["spec"]["leaseDurationSeconds"] == 15

    virtual(scenario, lease=times, controllers=frozenset({"claim", "pool", "sandbox"}))


@pytest.mark.parametrize(("flag", "mark"), [("true", "true"), ("false", None)])
def test_eviction_of_waiting_pods_can_be_switched_off(flag: str, mark: str | None) -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool())
        await world.run_for(5)
        (made,) = world.server.cluster.store.scan(str(SANDBOX))
        metadata = made.object["spec"]["podTemplate"]["metadata"]
        assert metadata.get("annotations", {}).get(EVICT) == mark

    virtual(scenario, **given("--controllers=pool", f"--enable-warm-pool-eviction={flag}"))


@pytest.mark.parametrize("size", [3, 100])
def test_a_batch_is_as_large_as_the_flag_allows(size: int) -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool(replicas=10))
        await world.run_for(10)
        batches = [w for w in world.writes() if w.startswith("patch sandboxwarmpools ")]
        assert len(batches) == -(-10 // size)
        assert world.writes().count("create sandboxes 201") == 10

    virtual(scenario, **given("--controllers=pool", f"--sandbox-warm-pool-max-batch-size={size}"))


def test_the_grace_is_as_long_as_the_flag_says() -> None:
    async def scenario(world: AppWorld) -> None:
        slow = a_sandbox("slow", ready=False)
        slow["status"] = {"conditions": [a_condition("Ready", "False")]}
        world.put(a_template(), a_pool(), slow)
        await world.run_for(8)
        assert await world.exists(SANDBOX, "slow")
        await world.run_for(6)
        assert not await world.exists(SANDBOX, "slow")

    flag = "--sandbox-warm-pool-readiness-grace-period=10s"
    virtual(scenario, **given("--controllers=pool", flag))


@pytest.mark.parametrize(("interval_s", "looks"), [(10, 10), (50, 2)])
def test_held_members_are_looked_at_as_often_as_the_flag_says(interval_s: int, looks: int) -> None:
    async def scenario(world: AppWorld) -> None:
        held = a_stray("held")  # of the template's blueprint, as the pool would make it
        held["metadata"]["ownerReferences"] = [an_owner(POOL, "pool")]
        held["status"] = {
            "conditions": [
                a_condition("Ready", "False"),
                a_condition("PodScheduled", "False", reason="Unschedulable"),
            ]
        }
        world.put(a_template(), a_pool(), held)
        await world.run_for(20)
        before = passes(world)
        await world.run_for(10 * 10 + 1)
        assert abs(passes(world) - before - looks) <= 1
        assert await world.exists(SANDBOX, "held")

    flags = (
        "--sandbox-warm-pool-readiness-grace-period=5s",
        f"--sandbox-warm-pool-unschedulable-recheck-interval={interval_s}s",
    )
    virtual(scenario, **given("--controllers=pool", *flags))


def passes(world: AppWorld) -> float:
    """Passes over pools so far."""
    labels = {"controller": "sandboxwarmpool"}
    name = "controller_runtime_reconcile_time_seconds_count"
    return world.app.metrics.registry.get_sample_value(name, labels) or 0.0
