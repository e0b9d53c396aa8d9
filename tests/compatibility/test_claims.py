"""Claims, where no other test shows the API's rule."""

from __future__ import annotations

import pytest
from tests.controllers.app_world import (
    CLAIM,
    NAMESPACE,
    SANDBOX,
    AppWorld,
    always,
    no_fault,
    refusal,
    running,
    virtual,
)

from warmclaim.api.claim import Claim
from warmclaim.api.conditions import READY, find
from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import TEMPLATE
from warmclaim.api.template import Template
from warmclaim.domain.blueprint import blueprint_of
from warmclaim.domain.claim_request import why_refused
from warmclaim.domain.pod_metadata import DEFAULT_LABEL_DOMAINS
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template, as_view
from warmclaim.testing.json_values import Json
from warmclaim.testing.virtual_loop import World, run_virtual


def test_a_claim_that_is_bound_is_bound_to_no_other() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool(), a_pool("other"), a_claim("c"))
        world.put(a_sandbox("w1"), a_sandbox("o1", pool="other"))
        assert (await world.served("c")).published == "w1"
        await world.run_for(5)
        before = len(world.writes())
        changed = {"spec": {"warmPoolRef": {"name": "other"}}}
        await world.hand.merge_patch(CLAIM, ObjectKey(NAMESPACE, "c"), changed)
        await world.run_for(60)
        assert (await world.claim("c")).published == "w1"
        assert await world.owned("c") == ["w1"]
        assert [w for w in world.writes()[before:] if "sandboxes" in w] == []

    virtual(scenario)


def test_a_pool_that_recreates_gives_nothing_while_its_template_is_missing() -> None:
    async def scenario(world: AppWorld) -> None:
        recreate = {"spec": {"updateStrategy": {"type": "Recreate"}}}
        world.put(a_pool(merge=recreate), a_sandbox("w1"), a_claim("c"))
        await world.run_for(60)
        ready = find((await world.claim("c")).conditions, READY)
        assert ready is not None
        assert ready.reason == "TemplateNotFound"
        assert await world.owned("c") == []
        world.put(a_template())
        await world.served("c", within_s=1)

    virtual(scenario)


def test_another_pool_gives_its_members_without_one() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_pool(), a_sandbox("w1"), a_claim("c"))
        assert (await world.served("c")).published == "w1"

    virtual(scenario)


def test_an_error_takes_no_published_name_back() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool(), a_sandbox("w1"), a_sandbox("w2"), a_claim("c"))
        given = (await world.served("c")).published
        await world.run_for(5)
        world.faults.before = always(refusal(500, "InternalError"), "GET", "/namespaces/")
        await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, given))
        await world.run_for(120)
        assert (await world.claim("c")).published == given
        world.faults.before = no_fault

        async def is_replaced() -> bool:
            return (await world.claim("c")).published not in ("", given)

        await world.until(is_replaced, within_s=35)

    virtual(scenario)


ENV: Json = {"env": [{"name": "A", "value": "1"}]}
VOLUMES: Json = {"volumeClaimTemplates": [{"metadata": {"name": "x"}, "spec": {}}]}
LABEL = "sandbox.users.io/team"
CLASH: Json = {"additionalPodMetadata": {"labels": {LABEL: "mine"}}}
INVALID: Json = {"additionalPodMetadata": {"labels": {"app": "x"}}}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({**ENV, **VOLUMES, **INVALID}, "InvalidMetadata"),
        ({**ENV, **VOLUMES, **CLASH}, "VolumeClaimTemplatesError"),
        ({**ENV, **CLASH}, "InvalidMetadata"),
        ({**VOLUMES, **CLASH}, "VolumeClaimTemplatesError"),
        (ENV, "EnvVarsInjectionRejected"),
    ],
)
def test_of_several_faults_the_first_to_be_checked_is_named(spec: Json, reason: str) -> None:
    template = as_view(
        a_template(merge={"spec": {"podTemplate": {"metadata": {"labels": {LABEL: "theirs"}}}}}),
        Template,
    )
    claim = as_view(a_claim("c", merge={"spec": spec}), Claim)
    refusal = why_refused(claim, template, blueprint_of(template), DEFAULT_LABEL_DOMAINS)
    assert refusal is not None
    assert refusal.reason == reason


TWICE: Json = {"volumeClaimTemplates": [{"metadata": {"name": "a"}, "spec": {}}] * 2}
OWN: Json = {"additionalPodMetadata": {"labels": {LABEL: "mine"}}}


@pytest.mark.parametrize("spec", [{}, OWN], ids=["plain", "with metadata"])
def test_a_template_with_malformed_volumes_makes_nothing_and_says_so(spec: Json) -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(merge={"spec": TWICE}), a_pool(replicas=0))
        world.put(a_claim("c", merge={"spec": spec}))
        await world.run_for(60)
        ready = find((await world.claim("c")).conditions, READY)
        assert ready is not None
        assert (ready.reason, ready.message) == (
            "VolumeClaimTemplatesError",
            'invalid volume claim templates in template: duplicate name "a"',
        )
        assert world.writes() == ["patch sandboxclaims/status 200"]
        mended: Json = {"spec": {"volumeClaimTemplates": None}}
        await world.hand.merge_patch(TEMPLATE, ObjectKey(NAMESPACE, "python"), mended)
        await world.served("c", within_s=1)

    virtual(scenario)


def test_a_warm_member_is_given_whatever_its_template_has_become() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(merge={"spec": TWICE}), a_pool(), a_sandbox("w1"), a_claim("c"))
        assert (await world.served("c")).published == "w1"

    virtual(scenario)


def test_a_claim_that_waits_is_not_written_to() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template(), a_pool(), a_sandbox("w1", ready=False), a_claim("c"))
        await world.run_for(1.9)
        assert (await world.claim("c")).status is None
        assert world.writes() == []
        await world.served("c")

    virtual(scenario)


def test_after_a_restart_the_members_that_wait_are_known_before_the_first_claim_is_worked() -> None:
    async def main(world: World) -> None:
        app_world = AppWorld(world)
        claims = [a_claim(f"c{number}") for number in range(20)]
        members = [a_sandbox(f"w{number}") for number in range(20)]
        app_world.put(*claims, a_template(), a_pool(replicas=20), *members)
        async with running(app_world.app):
            await app_world.run_for(5)
        given = {(await app_world.claim(f"c{number}")).published for number in range(20)}
        assert given == {f"w{number}" for number in range(20)}
        assert "create sandboxes 201" not in app_world.writes()

    run_virtual(main)
