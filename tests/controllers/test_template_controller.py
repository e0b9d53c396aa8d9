"""The template controller: label, NetworkPolicy, and the policies of older versions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.controllers.app_world import NAMESPACE, AppWorld, once, refusal, running, virtual

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import LABEL_TEMPLATE_REF, name_hash
from warmclaim.api.resources import CLAIM, NETWORK_POLICY, TEMPLATE
from warmclaim.domain.network_policy import policy_name
from warmclaim.errors import UnknownOutcomeError
from warmclaim.seams import Request, Response
from warmclaim.settings import LeaseSettings
from warmclaim.testing.builders import a_claim, a_template, an_object, an_owner
from warmclaim.testing.json_values import Json
from warmclaim.testing.virtual_loop import World, run_virtual

ONLY: dict[str, Any] = {"controllers": frozenset({"template"})}
KEY = ObjectKey(NAMESPACE, "web-network-policy")
UNMANAGED = {"spec": {"networkPolicyManagement": "Unmanaged"}}


def stored(world: AppWorld, name: str = KEY.name) -> Json:
    """The policy as the server has it, {} where there is none."""
    found = world.server.cluster.store.get(str(NETWORK_POLICY), f"{NAMESPACE}/{name}")
    return found.object if found else {}


def a_policy(name: str, owner: Json | None) -> Json:
    owners = {"ownerReferences": [owner]} if owner else {}
    spec: Json = {"podSelector": {}, "policyTypes": ["Ingress"]}
    return an_object(NETWORK_POLICY, name, merge={"metadata": owners, "spec": spec})


def events(world: AppWorld) -> list[tuple[str, str]]:
    found = world.server.cluster.store.scan("events.events.k8s.io")
    return [(commit.object["reason"], commit.object["note"]) for commit in found]


def test_a_new_template_costs_two_writes_and_then_none() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template("web"))
        await world.run_for(2)
        template = await world.hand.get(TEMPLATE, ObjectKey(NAMESPACE, "web"))
        assert template.metadata.labels[LABEL_TEMPLATE_REF] == name_hash("web")
        assert stored(world)
        assert world.writes() == ["patch sandboxtemplates 200", "create networkpolicies 201"]
        await world.run_for(600)
        assert len(world.writes()) == 2
        assert world.reads() == 0

    virtual(scenario, **ONLY)


def test_an_edit_reaches_the_policy() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template("web"))
        await world.run_for(1)
        world.put(a_template("web", merge={"spec": {"networkPolicy": {"egress": [{}]}}}))
        await world.run_for(1)
        assert stored(world)["spec"]["egress"] == [{}]
        world.put(a_template("web", merge=UNMANAGED))
        await world.run_for(1)
        assert not stored(world)

    virtual(scenario, **ONLY)


def test_a_policy_that_somebody_edits_or_deletes_comes_back() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template("web"))
        await world.run_for(1)
        made = stored(world)
        edit: Json = {"spec": {"egress": [{}]}}
        await world.hand.merge_patch(NETWORK_POLICY, KEY, edit)
        await world.run_for(1)
        assert stored(world)["spec"] == made["spec"]
        await world.hand.delete(NETWORK_POLICY, KEY)
        await world.run_for(1)
        assert stored(world)["spec"] == made["spec"]

    virtual(scenario, **ONLY)


def test_somebody_elses_policy_is_left_alone_told_of_once_and_replaced_when_it_goes() -> None:
    async def scenario(world: AppWorld) -> None:
        alien = a_policy(KEY.name, None)
        world.put(alien, a_template("web"))
        await world.run_for(300)
        assert stored(world)["spec"] == alien["spec"]
        assert [reason for reason, _ in events(world)] == ["NetworkPolicyNotControlled"]
        await world.hand.delete(NETWORK_POLICY, KEY)
        await world.run_for(1)
        assert stored(world)["metadata"]["ownerReferences"][0]["kind"] == "SandboxTemplate"

    virtual(scenario, **ONLY)


def test_a_deletion_that_met_a_conflict_is_tried_again() -> None:
    async def scenario(world: AppWorld) -> None:
        world.faults.before = once(refusal(409, "Conflict"), "DELETE", "/networkpolicies/")
        world.put(a_claim("one"), a_policy(policy_name("one"), an_owner(CLAIM, "one")))
        await world.run_for(1)
        assert not stored(world, policy_name("one"))
        assert world.writes() == ["delete networkpolicies 200"]
        assert world.reads() == 1

    virtual(scenario, **ONLY)


def undone(value: Json) -> Response:
    """The answer to a write that a webhook has undone."""
    return Response(200, msgspec.json.encode(value), {"content-type": "application/json"})


def test_a_label_that_a_webhook_undid_is_written_again() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template("web"))
        found = world.server.cluster.store.get(str(TEMPLATE), f"{NAMESPACE}/web")
        assert found is not None
        world.faults.before = once(undone(found.object), "PATCH", "/sandboxtemplates/")
        await world.run_for(1)
        template = await world.hand.get(TEMPLATE, ObjectKey(NAMESPACE, "web"))
        assert template.metadata.labels[LABEL_TEMPLATE_REF] == name_hash("web")

    virtual(scenario, **ONLY)


def test_what_the_answer_about_the_label_brings_counts_for_the_policy() -> None:
    async def scenario(world: AppWorld) -> None:
        edits = [a_template("web", merge={"spec": {"networkPolicyManagement": "Unmanaged"}})]

        async def edit(request: Request) -> None:
            if request.method == "PATCH" and "/sandboxtemplates/" in request.path and edits:
                world.put(edits.pop())

        world.faults.before = edit
        world.put(a_template("web"))
        await world.run_for(5)
        assert not edits
        assert not [line for line in world.writes() if line.startswith("create networkpolicies")]

    virtual(scenario, **ONLY)


def test_a_policy_that_a_webhook_undid_is_written_again() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template("web"))
        await world.run_for(1)
        world.faults.before = once(undone(stored(world)), "PATCH", "/networkpolicies/")
        world.put(a_template("web", merge={"spec": {"networkPolicy": {"egress": [{}]}}}))
        await world.run_for(1)
        assert stored(world)["spec"]["egress"] == [{}]

    virtual(scenario, **ONLY)


def test_a_standby_keeps_nothing_of_objects_that_came_and_went() -> None:
    async def scenario(world: AppWorld) -> None:
        _, standby = world.another("standby", lease=LeaseSettings(), **ONLY)
        await world.run_for(1)  # the first one leads
        async with running(standby):
            for name in ("one", "two"):
                world.put(a_template(name), a_claim(name))
                world.put(a_policy(policy_name(f"old-{name}"), an_owner(CLAIM, f"old-{name}")))
            await world.run_for(1)
            assert standby.remembered()["sandboxtemplate keys"] == 2
            for name in ("one", "two"):
                await world.hand.delete(TEMPLATE, ObjectKey(NAMESPACE, name))
                await world.hand.delete(NETWORK_POLICY, ObjectKey(NAMESPACE, policy_name(name)))
            await world.run_for(1)
            kept = {name: count for name, count in standby.remembered().items() if count}
            assert kept == {}
            assert world.writes("standby") == []

    virtual(scenario, lease=LeaseSettings(), **ONLY)


def test_policies_of_older_versions_are_removed() -> None:
    async def scenario(world: AppWorld) -> None:
        ours = a_policy(policy_name("one"), an_owner(CLAIM, "one"))
        other = a_policy("of-a-user", an_owner(CLAIM, "one"))
        world.put(a_claim("one"), ours, other)
        await world.run_for(1)
        assert not stored(world, policy_name("one"))
        assert stored(world, "of-a-user")
        assert world.writes() == ["delete networkpolicies 200"]

    virtual(scenario, **ONLY)


@pytest.mark.parametrize("code", [500, 503])
@pytest.mark.parametrize("words", [("POST", "networkpolicies"), ("PATCH", "sandboxtemplates")])
def test_a_refused_write_is_tried_again(code: int, words: tuple[str, ...]) -> None:
    async def scenario(world: AppWorld) -> None:
        world.faults.before = once(refusal(code, "InternalError"), *words)
        world.put(a_template("web"))
        await world.run_for(5)
        assert stored(world)

    virtual(scenario, **ONLY)


def test_a_create_whose_answer_was_lost_is_read_back() -> None:
    async def scenario(world: AppWorld) -> None:
        world.faults.after = once(UnknownOutcomeError("reset"), "POST", "networkpolicies")
        world.put(a_template("web"))
        await world.run_for(5)
        assert stored(world)
        assert world.writes().count("create networkpolicies 201") == 1
        assert world.reads() == 1

    virtual(scenario, **ONLY)


def test_rules_that_the_server_refuses_are_told_of_and_tried_once_a_minute() -> None:
    async def scenario(world: AppWorld) -> None:
        invalid = refusal(422, "Invalid", "spec.egress: bad cidr")

        async def strike(request: Any) -> Any:
            return invalid if "networkpolicies" in request.path else None

        world.faults.before = strike
        world.put(a_template("web"))
        await world.run_for(299)
        ((reason, note),) = events(world)
        assert (reason, "bad cidr" in note) == ("NetworkPolicyFailed", True)
        tries = [r for r in world.faults.seen if r.method == "POST" and "polic" in r.path]
        assert 4 <= len(tries) <= 6

    virtual(scenario, **ONLY)


def test_a_template_that_goes_takes_nothing_with_it_by_our_hand() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_template("web"))
        await world.run_for(1)
        before = world.writes()
        await world.hand.delete(TEMPLATE, ObjectKey(NAMESPACE, "web"))
        await world.run_for(5)
        assert world.writes() == before  # the garbage collector's work

    virtual(scenario, **ONLY)


def test_after_a_restart_nothing_is_written() -> None:
    async def main(world: World) -> None:
        app_world = AppWorld(world, **ONLY)
        app_world.put(a_template("web"))
        async with running(app_world.app):
            await app_world.run_for(2)
        _, again = app_world.another("second", **ONLY)
        async with running(again):
            await app_world.run_for(60)
        assert app_world.writes("second") == []

    run_virtual(main)
