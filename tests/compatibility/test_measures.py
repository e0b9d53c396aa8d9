"""What is measured of claims and sandboxes, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controllers.app_world import NAMESPACE, SANDBOX, AppWorld, virtual

from warmclaim.api.meta import ObjectKey
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.sandbox_marks import gauge_labels
from warmclaim.telemetry.exposition import exposition
from warmclaim.testing.builders import a_claim, a_condition, a_pool, a_sandbox, a_template, as_view
from warmclaim.testing.json_values import Json

WARM = {"launch_type": "warm", "sandbox_template": "python"}
MADE, READY = "2026-01-01T00:00:00Z", "2026-01-01T00:00:07Z"
NOT_READY: Json = {"conditions": [a_condition("Ready", "False")]}
EXPIRED: Json = {"conditions": [a_condition("Ready", "False", reason="SandboxExpired")]}


def marked(**metadata: Any) -> Json:
    return {"metadata": metadata}


@pytest.mark.parametrize(
    ("sandbox", "labels"),
    [
        (
            a_sandbox("w", merge=marked(annotations={"agents.x-k8s.io/sandbox-template-ref": "t"})),
            ("default", "true", "false", "warm", "t", "SandboxWarmPool", "unknown"),
        ),
        (
            a_sandbox("c", claim="c", ready=False),
            ("default", "false", "false", "cold", "unknown", "SandboxClaim", "unknown"),
        ),
        (
            a_sandbox(
                "s",
                pool=None,
                merge=marked(labels={"agents.x-k8s.io/created-by": "go-client"}),
            ),
            ("default", "true", "false", "cold", "unknown", "None", "go-client"),
        ),
        (
            a_sandbox(
                "e",
                pool=None,
                merge={
                    "status": EXPIRED,
                    **marked(labels={"agents.x-k8s.io/created-by": "me & my"}),
                },
            ),
            ("default", "false", "true", "cold", "unknown", "None", "unknown"),
        ),
    ],
)
def test_a_sandbox_is_counted_by_its_marks(sandbox: Json, labels: tuple[str, ...]) -> None:
    assert gauge_labels(as_view(sandbox, Sandbox)) == labels


def a_member(ready_at: str = READY, *, claim: str | None = None) -> Json:
    ready = {**a_condition("Ready"), "lastTransitionTime": ready_at}
    return a_sandbox(
        "w1",
        claim=claim,
        merge={
            "metadata": {
                "creationTimestamp": MADE,
                "labels": {"agents.x-k8s.io/launch-type": "warm"},
                "annotations": {"agents.x-k8s.io/sandbox-template-ref": "python"},
            },
            "status": {"conditions": [ready], "podIPs": ["10.0.0.1"]},
        },
    )


def value(world: AppWorld, name: str, **labels: str) -> float | None:
    return world.app.metrics.registry.get_sample_value(name, labels)


@pytest.mark.parametrize(
    ("ready_at", "total"), [(READY, 7000.0), (MADE, 0.0), ("2025-12-31T23:59:59Z", None)]
)
def test_creation_is_from_the_sandboxs_birth_to_its_readiness(
    ready_at: str, total: float | None
) -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool(), a_member(ready_at))
        await world.run_for(20)
        world.put(a_claim("c"))
        await world.served("c")
        name = "agent_sandbox_creation_latency_ms_sum"
        assert value(world, name, namespace=NAMESPACE, **WARM) == total

    virtual(scenario)


STARTUP = "agent_sandbox_claim_controller_startup_latency_ms_count"


def test_a_claim_is_measured_once_however_often_it_becomes_ready() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool(), a_member(), a_claim("c"))
        await world.served("c")
        key, ready = ObjectKey(NAMESPACE, "w1"), a_member()["status"]
        for status in (NOT_READY, ready) * 2:
            await world.run_for(5)
            await world.hand.merge_patch(SANDBOX, key, {"status": status}, subresource="status")
        await world.run_for(5)
        assert value(world, STARTUP, **WARM) == 1

    virtual(scenario)


def test_a_claim_that_was_measured_before_is_not_measured_again() -> None:
    async def scenario(world: AppWorld) -> None:
        noted = {"agents.x-k8s.io/claim-first-ready-at": "2026-01-01T00:00:08Z"}
        world.put(a_template(), a_pool(replicas=0), a_member(claim="c"))
        lost: Json = {"conditions": [a_condition("Ready", "False")], "sandbox": {"name": "w1"}}
        world.put(a_claim("c", merge={"metadata": {"annotations": noted}, "status": lost}))
        await world.run_for(5)
        assert (await world.claim("c")).is_ready
        assert value(world, STARTUP, **WARM) is None

    virtual(scenario)


CREATED = "agent_sandbox_claim_creation_total"


def test_a_reservation_that_is_only_finished_is_not_counted_as_made() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool(replicas=0), a_member(claim="c"), a_claim("c"))
        await world.served("c")
        counted = [
            sample
            for family in world.app.metrics.registry.collect()
            for sample in family.samples
            if sample.name == CREATED
        ]
        assert counted == []

    virtual(scenario)


def test_the_process_is_measured_and_nothing_of_go_is_claimed() -> None:
    async def scenario(world: AppWorld) -> None:
        text = exposition(world.app.metrics.registry).decode()
        families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
        assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= families
        assert not any(family.startswith("go_") for family in families)

    virtual(scenario)
