"""What a claim shows: of its sandbox, and of what it lacks."""

from __future__ import annotations

import msgspec
import pytest
from tests.controllers.app_world import NAMESPACE, SANDBOX, AppWorld, virtual
from tests.views import NOW
from tests.views import a_claim as claim_view
from tests.views import a_condition as condition_view
from tests.views import a_sandbox as sandbox_view

from warmclaim.api.claim import Claim
from warmclaim.api.conditions import FINISHED, READY, Condition, find
from warmclaim.api.meta import ObjectKey
from warmclaim.api.sandbox import SandboxStatus
from warmclaim.domain.claim_status import mirrored_status
from warmclaim.testing.builders import a_claim, a_condition, a_pool, a_sandbox, a_template
from warmclaim.testing.json_values import Json

LATER = "2026-01-01T00:01:00Z"
ENDED = condition_view(
    type=FINISHED, reason="PodSucceeded", message="m", observed_generation=7,
    last_transition_time=LATER,
)  # fmt: skip


def shown(*conditions: Condition, before: tuple[Condition, ...] = ()) -> tuple[Condition, ...]:
    """The conditions of a claim whose sandbox has these; `before`: what it showed."""
    claim = claim_view(published="warm", generation=4)
    assert claim.status is not None
    status = msgspec.structs.replace(claim.status, conditions=before or claim.status.conditions)
    sandbox = msgspec.structs.replace(
        sandbox_view(owner=claim), status=SandboxStatus(conditions=conditions)
    )
    return mirrored_status(msgspec.structs.replace(claim, status=status), sandbox, NOW).conditions


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        ("True", "DependenciesReady", "Pod is Ready"),
        ("False", "DependenciesNotReady", "Pod does not exist"),
        ("False", "SandboxSuspended", "Sandbox is suspended"),
        ("False", "PodFailed", "Pod failed"),
        ("False", "PodSucceeded", "Pod completed successfully"),
        ("False", "MultiplePods", "two"),
        ("Unknown", "Mine", ""),
    ],
)
def test_ready_is_the_sandboxs_with_the_claims_generation(
    status: str, reason: str, message: str
) -> None:
    theirs = condition_view(
        status, reason=reason, message=message, observed_generation=9, last_transition_time=LATER
    )
    (ready,) = shown(theirs)
    kept = {"last_transition_time": "2026-01-01T00:00:05Z"} if status == "True" else {}
    assert ready == msgspec.structs.replace(theirs, observed_generation=4, **kept)


def test_finished_is_the_sandboxs_word_for_word_and_goes_with_it() -> None:
    finished, ready = shown(condition_view(), ENDED)
    assert finished == ENDED
    assert find(shown(condition_view(), before=(ready, finished)), FINISHED) is None


def events(world: AppWorld) -> list[tuple[str, str, str, str]]:
    found = (commit.object for commit in world.server.cluster.store.scan("events.events.k8s.io"))
    return [(e["type"], e["reason"], e["action"], e["note"]) for e in found]


def ready_of(claim: Claim) -> tuple[str, str, str]:
    ready = find(claim.conditions, READY)
    assert ready is not None
    return ready.status, ready.reason, ready.message


def test_a_missing_template_is_said_and_its_arrival_wakes_the_claim() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_pool("pool", template="gone", replicas=0), a_claim("c"))
        await world.run_for(3)
        assert ready_of(await world.claim("c")) == (
            "False",
            "TemplateNotFound",
            'SandboxTemplate "gone" not found',
        )
        writes = len(world.writes())
        await world.run_for(600)
        assert len(world.writes()) == writes
        world.put(a_template("gone"))
        await world.served("c", within_s=1)

    virtual(scenario)


@pytest.mark.parametrize(
    ("stock", "event"),
    [
        (
            [a_sandbox("w1", pool="pool")],
            ("Normal", "SandboxAdopted", "Adoption", 'Adopted warm pool Sandbox "w1"'),
        ),
        ([], ("Normal", "SandboxProvisioned", "Provisioning", 'Created Sandbox "c"')),
    ],
    ids=["warm", "cold"],
)
def test_an_event_says_where_the_sandbox_came_from(
    stock: list[Json], event: tuple[str, str, str, str]
) -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool(replicas=len(stock)), *stock, a_claim("c"))
        await world.served("c")
        await world.run_for(5)
        assert events(world) == [event]

    virtual(scenario)


def test_a_change_of_the_sandbox_is_shown_with_one_write() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool(), a_sandbox("w1"), a_claim("c"))
        await world.served("c")
        await world.run_for(5)
        before = len(world.writes())
        lost = a_condition(READY, "False", reason="DependenciesNotReady", message="Pod is gone")
        patch: Json = {"status": {"conditions": [lost], "podIPs": ["10.9.9.9"]}}
        key = ObjectKey(NAMESPACE, "w1")
        await world.hand.merge_patch(SANDBOX, key, patch, subresource="status")
        await world.run_for(5)
        claim = await world.claim("c")
        assert ready_of(claim) == ("False", "DependenciesNotReady", "Pod is gone")
        assert claim.status is not None
        assert claim.status.sandbox is not None
        assert (claim.published, claim.status.sandbox.pod_ips) == ("w1", ("10.9.9.9",))
        assert world.writes()[before:] == ["patch sandboxclaims/status 200"]

    virtual(scenario)


def test_a_claim_with_a_taken_name_says_so_and_touches_nothing() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool(replicas=0), a_sandbox("c", pool=None), a_claim("c"))
        await world.run_for(30)
        status, reason, message = ready_of(await world.claim("c"))
        assert (status, reason) == ("False", "ReconcilerError")
        assert message.startswith('Error seen: sandbox "c" ')
        assert (await world.sandbox("c")).metadata.owner_references == ()
        await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, "c"))
        await world.served("c", within_s=1)

    virtual(scenario)
