"""Work on a pool's sandboxes gives way to claims, and keeps nobody while it waits."""

from __future__ import annotations

import pytest
from tests.controllers.sandbox_world import (
    NAMESPACE,
    READY_STATUS,
    a_world,
    refusal,
)
from tests.sandbox_objects import CLAIM, POOL, owner, sandbox_body

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import SANDBOX
from warmclaim.errors import NotSentError
from warmclaim.seams import Request, Response

KEY = ObjectKey(NAMESPACE, "sb")
POST_POD = "create pods 201"
POST_SERVICE = "create services 201"


def is_pod_create(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith("/pods")


class TestGivingWay:
    """Creation for pools yields to claims."""

    async def test_a_pool_s_pod_waits_for_its_turn_and_keeps_nobody(self) -> None:
        async with a_world() as world:
            world.gate.clear()
            await world.create(sandbox_body(owned_by=POOL))
            await world.create(sandbox_body(name="mine", owned_by=CLAIM))
            await world.create(sandbox_body(name="plain"))
            await world.run_for(0.5)
            assert await world.pod() is None
            assert await world.pod("mine") is not None
            assert await world.pod("plain") is not None
            world.gate.set()
            await world.run_for(0.1)
            assert await world.pod() is not None

    async def test_a_service_does_not_wait(self) -> None:
        async with a_world() as world:
            world.gate.clear()
            await world.create(sandbox_body(owned_by=POOL, service=True))
            await world.run_for(0.5)
            assert world.writes() == [POST_SERVICE]

    async def test_an_adopted_sandbox_no_longer_waits(self) -> None:
        async with a_world() as world:
            world.gate.clear()
            await world.create(sandbox_body(owned_by=POOL))
            await world.run_for(0.5)
            adoption = {"metadata": {"ownerReferences": [owner(*CLAIM)]}}
            await world.hand.merge_patch(SANDBOX, KEY, adoption)
            await world.run_for(0.1)
            assert await world.pod() is not None
            world.gate.set()
            await world.run_for(5)
            assert world.writes().count(POST_POD) == 1
            await world.play_kubelet(READY_STATUS)
            await world.run_for(1)
            assert world.reconciler.remembered == 0

    @pytest.mark.parametrize(
        "failure", [NotSentError("connection refused"), refusal(403, "Forbidden")]
    )
    async def test_a_create_that_fails_backs_off_and_needs_no_other_turn(
        self, failure: Exception | Response
    ) -> None:
        async with a_world() as world:
            world.transport.before = lambda r: failure if is_pod_create(r) else None
            await world.create(sandbox_body(owned_by=POOL))
            await world.run_for(10)
            tries = sum(map(is_pod_create, world.transport.requests))
            assert tries <= 12  # 5 ms doubled eleven times make ten seconds
            world.gate.clear()
            world.transport.before = lambda _: None
            await world.run_for(20)
            assert await world.pod() is not None
            await world.play_kubelet(READY_STATUS)
            await world.run_for(1)
            assert world.reconciler.remembered == 0
