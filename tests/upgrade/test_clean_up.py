"""What the Go controller left on claims and sandboxes is cleaned up, once, when nobody waits."""

from __future__ import annotations

import pytest
from tests.controllers.app_world import AppWorld, virtual
from tests.upgrade.go_objects import ASSIGNED, FIRST_READY, Marks, go_bound, go_claim, go_member

from warmclaim.settings import ClaimSettings
from warmclaim.testing.builders import a_pool, a_template
from warmclaim.testing.json_values import Json

LAUNCH = "agents.x-k8s.io/launch-type"
BOUND, CHOSEN = "pool-b0und", "pool-x7k2p"
NOTE, LABEL = "patch sandboxclaims 200", "patch sandboxes 200"
READY_SINCE: Json = {"metadata": {"annotations": {FIRST_READY: "2026-01-01T00:00:01.5Z"}}}
QUIET = ClaimSettings(events_disabled=True)
OFF = ClaimSettings(events_disabled=True, observability_disabled=True)


def stock(world: AppWorld, *objects: Json) -> None:
    world.put(a_template("python"), a_pool("pool", template="python", replicas=0), *objects)


async def marks_of(world: AppWorld) -> tuple[dict[str, str], dict[str, str]]:
    metadata = (await world.claim("c")).metadata
    return metadata.annotations, metadata.labels


class TestAssignment:
    @pytest.mark.parametrize("settings", [QUIET, OFF], ids=["with notes", "without"])
    @pytest.mark.parametrize("marks", [{"assigned": CHOSEN}, {"legacy": CHOSEN}])
    def test_a_choice_that_did_not_come_true_goes_in_one_patch(
        self, marks: Marks, settings: ClaimSettings
    ) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, go_bound(BOUND), go_claim(sandbox=BOUND, **marks))
            await world.run_for(60)
            annotations, labels = await marks_of(world)
            assert ASSIGNED not in annotations | labels
            assert (FIRST_READY in annotations) is (settings is QUIET)
            assert world.writes() == [NOTE]
            assert world.reads() == 0

        virtual(scenario, claims=settings)

    def test_after_an_unfit_choice_it_goes_with_the_notes_of_the_new_one(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, go_member("pool-aaaaa"), go_bound(CHOSEN, claim="other"))
            world.put(go_claim("other", sandbox=CHOSEN, merge=READY_SINCE))
            await world.run_for(1)
            world.put(go_claim(assigned=CHOSEN))
            await world.served("c")
            await world.run_for(60)
            annotations, _ = await marks_of(world)
            assert ASSIGNED not in annotations
            assert annotations[FIRST_READY] != "unknown"
            assert world.writes() == [LABEL, "patch sandboxclaims/status 200", NOTE]

        virtual(scenario, claims=QUIET)

    @pytest.mark.parametrize(
        ("marks", "writes"),
        [({"assigned": BOUND}, []), ({"legacy": BOUND}, [NOTE])],
        ids=["annotation", "label"],
    )
    def test_one_that_came_true_stays_as_the_annotation(
        self, marks: Marks, writes: list[str]
    ) -> None:
        async def scenario(world: AppWorld) -> None:
            claim = go_claim(sandbox=BOUND, merge=READY_SINCE, **marks)
            stock(world, go_bound(BOUND), claim)
            await world.run_for(60)
            annotations, labels = await marks_of(world)
            assert annotations[ASSIGNED] == BOUND
            assert ASSIGNED not in labels
            assert world.writes() == writes

        virtual(scenario, claims=QUIET)


class TestLaunchType:
    @pytest.mark.parametrize(
        ("name", "marks", "launch"),
        [(BOUND, {}, "warm"), ("c", {}, "cold"), ("c", {"legacy": "c"}, "warm")],
        ids=["another name", "the claim's name", "the claim's name, chosen"],
    )
    def test_a_bound_sandbox_without_one_is_labelled(
        self, name: str, marks: Marks, launch: str
    ) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, go_bound(name, launch=None))
            world.put(go_claim(sandbox=name, merge=READY_SINCE, **marks))
            await world.run_for(60)
            assert (await world.sandbox(name)).metadata.labels[LAUNCH] == launch
            assert world.writes().count(LABEL) == 1
            (body,) = [r.body for r in world.faults.seen if "/sandboxes/" in r.path and r.body]
            labels = f'"labels":{{"{LAUNCH}":"{launch}"}}'
            assert body == f'{{"metadata":{{"uid":"{name}-uid",{labels}}}}}'.encode()

        virtual(scenario, claims=QUIET)

    def test_also_where_the_claim_is_not_ready(self) -> None:
        async def scenario(world: AppWorld) -> None:
            starting = go_bound(BOUND, launch=None, merge={"status": None})
            stock(world, starting, go_claim(sandbox=BOUND))
            await world.run_for(60)
            assert (await world.sandbox(BOUND)).metadata.labels[LAUNCH] == "warm"
            assert not (await world.claim("c")).is_ready

        virtual(scenario, claims=QUIET)

    def test_somebody_elses_sandbox_is_left_alone(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, go_bound(BOUND, launch=None, claim="stranger"))
            world.put(go_claim(sandbox=BOUND))
            await world.run_for(60)
            assert LAUNCH not in (await world.sandbox(BOUND)).metadata.labels
            assert world.writes().count(LABEL) == 0

        virtual(scenario, claims=QUIET)


class TestNothingToDo:
    def test_a_claim_that_was_served_and_noted_costs_no_request(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, go_bound(BOUND, version="v1alpha1"))
            world.put(go_claim(assigned=BOUND, sandbox=BOUND, merge=READY_SINCE))
            await world.run_for(600)
            assert world.writes() == []
            assert world.reads() == 0

        virtual(scenario)
