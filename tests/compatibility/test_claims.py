"""Claims, where no other test shows the API's rule."""

from __future__ import annotations

from tests.controllers.app_world import CLAIM, NAMESPACE, AppWorld, virtual

from warmclaim.api.meta import ObjectKey
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template


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
