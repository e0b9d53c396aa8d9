"""Claims that the Go controller left half served: which sandbox they get, in order.

The name in the status; the sandbox that was chosen; one under the claim's own name; a new pick.
"""

from __future__ import annotations

import pytest
from tests.controllers.app_world import NAMESPACE, SANDBOX, AppWorld, virtual
from tests.upgrade.go_objects import VERSIONS, Marks, Version, go_bound, go_claim, go_member

from warmclaim.api.meta import ObjectKey
from warmclaim.testing.builders import a_claim, a_pool, a_template
from warmclaim.testing.json_values import Json

TWO_WRITES = ["patch sandboxes 200", "patch sandboxclaims/status 200"]
CHOSEN = "pool-x7k2p"
EARLIER = {"metadata": {"creationTimestamp": "2025-12-31T00:00:00Z"}}

MEMBER = "agents.x-k8s.io/warm-pool-sandbox"

MARKS: list[Marks] = [
    {"assigned": CHOSEN},
    {"legacy": CHOSEN},
    {"assigned": CHOSEN, "legacy": "pool-other"},
]


def stock(world: AppWorld, *sandboxes: Json, replicas: int = 2) -> None:
    world.put(a_template("python"), a_pool("pool", template="python", replicas=replicas))
    world.put(*sandboxes)


class TestChosenMember:
    """It is still the pool's, and may be had: it comes before any other."""

    @pytest.mark.parametrize("marks", MARKS, ids=["annotation", "label", "both"])
    @pytest.mark.parametrize("version", VERSIONS)
    def test_it_is_taken_in_preference_to_a_new_pick(self, marks: Marks, version: Version) -> None:
        async def scenario(world: AppWorld) -> None:
            earlier = go_member("pool-aaaaa", version=version, merge=EARLIER)
            stock(world, earlier, go_member(CHOSEN, version=version))
            await world.run_for(0.1)
            world.put(go_claim(**marks))
            assert (await world.served("c")).published == CHOSEN
            assert world.writes()[:2] == TWO_WRITES
            assert world.reads() == 0
            world.app.warm.check()
            assert len(world.app.warm) == 1

        virtual(scenario)

    def test_it_is_taken_before_it_has_an_address(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, go_member("pool-aaaaa"), go_member(CHOSEN, has_address=False))
            await world.run_for(0.1)
            world.put(go_claim(assigned=CHOSEN))
            claim = await world.served("c", within_s=1)
            assert claim.published == CHOSEN
            assert not claim.is_ready

        virtual(scenario)

    def test_its_owner_is_then_this_claim_in_the_present_version(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, go_member(CHOSEN, version="v1alpha1"))
            world.put(go_claim(assigned=CHOSEN))
            await world.served("c")
            meta = (await world.sandbox(CHOSEN)).metadata
            (owner,) = meta.owner_references
            assert (owner.kind, owner.api_version) == (
                "SandboxClaim",
                "extensions.agents.x-k8s.io/v1beta1",
            )
            gone = ("warm-pool-sandbox", "sandbox-pod-template-hash", "sandbox-template-hash")
            assert not {f"agents.x-k8s.io/{name}" for name in gone} & meta.labels.keys()

        virtual(scenario)

    def test_it_is_kept_for_nobody_whose_claim_may_have_no_warm_sandbox(self) -> None:
        async def scenario(world: AppWorld) -> None:
            policy = {"spec": {"envVarsInjectionPolicy": "Allowed"}}
            world.put(a_template("python", merge=policy), a_pool("pool", template="python"))
            world.put(go_member(CHOSEN))
            await world.run_for(0.1)
            env = {"spec": {"env": [{"name": "A", "value": "1"}]}}
            world.put(go_claim(assigned=CHOSEN, merge=env))
            assert (await world.served("c")).published == "c"

        virtual(scenario)


class TestNamedFirst:
    """What is this claim's already."""

    @pytest.mark.parametrize("marks", MARKS, ids=["annotation", "label", "both"])
    @pytest.mark.parametrize("version", VERSIONS)
    def test_the_chosen_one_that_is_the_claims_is_published(
        self, marks: Marks, version: Version
    ) -> None:
        async def scenario(world: AppWorld) -> None:
            cold = go_bound("c", launch="cold", version=version, merge=EARLIER)
            stock(world, go_member("pool-aaaaa"), cold, go_bound(CHOSEN, version=version))
            world.put(go_claim(**marks))
            await world.until(lambda: world.is_published("c"), within_s=1)
            assert (await world.claim("c")).published == CHOSEN
            assert world.writes()[:1] == ["patch sandboxclaims/status 200"]

        virtual(scenario)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_one_under_the_claims_own_name_is_published(self, version: Version) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(
                world,
                go_member("pool-aaaaa"),
                go_bound("c", launch="cold", version=version),
            )
            world.put(go_claim())
            assert (await world.served("c")).published == "c"

        virtual(scenario)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_the_name_in_the_status_stands_whatever_was_chosen(self, version: Version) -> None:
        async def scenario(world: AppWorld) -> None:
            bound = go_bound("pool-bound", version=version)
            stock(world, bound, go_member(CHOSEN, version=version))
            world.put(go_claim(assigned=CHOSEN, sandbox="pool-bound"))
            await world.run_for(30)
            assert (await world.claim("c")).published == "pool-bound"
            assert await world.owned("c") == ["pool-bound"]

        virtual(scenario)


class TestUnfit:
    """The chosen one cannot be had: as if none had been chosen."""

    @pytest.mark.parametrize(
        "there",
        [
            [],
            [go_bound(CHOSEN, claim="other"), a_claim("other", sandbox=CHOSEN)],
            [go_member(CHOSEN, pool="elsewhere"), a_pool("elsewhere")],
            [go_member(CHOSEN, merge={"metadata": {"ownerReferences": None}})],
            [go_member(CHOSEN, merge={"metadata": {"labels": {MEMBER: None}}})],
        ],
        ids=["gone", "another claim's", "another pool's", "nobody's", "no member by label"],
    )
    def test_a_new_one_is_picked(self, there: list[Json]) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, go_member("pool-aaaaa"), *there)
            await world.run_for(0.1)
            world.put(go_claim(assigned=CHOSEN))
            assert (await world.served("c")).published == "pool-aaaaa"

        virtual(scenario)

    @pytest.mark.parametrize("name", ["../secrets", "Pool_X", "x" * 5000, "pool-x7k2p/status"])
    def test_what_is_no_name_is_no_hint(self, name: str) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, go_member("pool-aaaaa"))
            world.put(go_claim(assigned=name))
            assert (await world.served("c")).published == "pool-aaaaa"
            assert world.reads() == 0

        virtual(scenario)

    def test_a_stale_one_is_passed_over_where_the_pool_recreates(self) -> None:
        async def scenario(world: AppWorld) -> None:
            old = {"spec": {"podTemplate": {"spec": {"containers": [{"name": "old"}]}}}}
            recreates = {"spec": {"updateStrategy": {"type": "Recreate"}}}
            stock(world, go_member(CHOSEN, merge=old), go_member("pool-aaaaa"))
            world.put(a_pool("pool", template="python", replicas=2, merge=recreates))
            await world.run_for(0.1)
            world.put(go_claim(assigned=CHOSEN))
            assert (await world.served("c")).published == "pool-aaaaa"

        virtual(scenario)

    def test_one_that_another_claim_is_about_to_get_is_left_to_it(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, go_member(CHOSEN), go_member("pool-zzzzz"))
            await world.run_for(0.1)
            world.put(a_claim("first", pool="pool"), go_claim(assigned=CHOSEN))
            first, second = await world.served("first"), await world.served("c")
            assert {first.published, second.published} == {CHOSEN, "pool-zzzzz"}
            assert world.writes().count("patch sandboxes 200") == 2

        virtual(scenario)


class TestEnd:
    """What an older version made goes with what it was made for."""

    @pytest.mark.parametrize("version", VERSIONS)
    def test_the_sandbox_of_an_expired_claim_is_deleted(self, version: Version) -> None:
        async def scenario(world: AppWorld) -> None:
            life = {"shutdownTime": "2025-12-31T00:00:00Z", "shutdownPolicy": "Retain"}
            stock(world, go_bound("pool-bound", version=version))
            world.put(go_claim(sandbox="pool-bound", merge={"spec": {"lifecycle": life}}))
            await world.run_for(5)
            assert not await world.exists(SANDBOX, "pool-bound")
            assert not (await world.claim("c")).is_ready

        virtual(scenario)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_bound_sandbox_that_vanishes_is_replaced(self, version: Version) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, go_bound(CHOSEN, version=version), go_member("pool-aaaaa"))
            world.put(go_claim(assigned=CHOSEN, sandbox=CHOSEN))
            await world.run_for(1)
            await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, CHOSEN))

            async def is_replaced() -> bool:
                return (await world.claim("c")).published == "pool-aaaaa"

            await world.until(is_replaced, within_s=5)

        virtual(scenario)
