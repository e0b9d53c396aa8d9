"""Nothing that somebody writes into the Lease ends the manager or makes it ask faster."""

from __future__ import annotations

import pytest
from tests.hostile import leases
from tests.hostile.inputs import Input
from tests.hostile.judge import log_problem
from tests.hostile.leases import LEADS
from tests.hostile.world import GOOD, HostileWorld

from warmclaim.kube.lease_record import FOREIGN_DURATION_S_MAX, LEASE_NAME
from warmclaim.settings import LeaseSettings
from warmclaim.testing.virtual_loop import World, run_virtual

LEASE = LeaseSettings(enabled=True, namespace=GOOD)
MARGIN_S = 20.0


@pytest.mark.parametrize("one", leases.inputs(), ids=str)
def test_the_lease_is_taken_in_time_or_waited_for(one: Input) -> None:
    async def main(loop: World) -> None:
        world = HostileWorld(loop, lease=LEASE)
        ground = world.ground(GOOD, replicas=1)
        steps = one.build(ground)
        await world.do(ground, steps[:1])  # what is found at the start
        async with world:
            await world.do(ground, steps[1:])
            await world.run_for(FOREIGN_DURATION_S_MAX + MARGIN_S)
            world.good_claim("claim")
            await world.run_for(MARGIN_S)
            assert world.is_up
            assert world.is_leading == (one.expect is LEADS)
            assert ("claim" in world.published_s) == (one.expect is LEADS)
            if one.expect is not LEADS:
                assert sum("out of reach" in line for line in world.log.lines) == 1
            assert not [line for line in world.log.lines if log_problem(line)]
            asked = sum(request.path.endswith(LEASE_NAME) for request in world.wire.seen)
            # A lost write is read back: two requests a try, one try in two seconds.
            assert asked <= 2 * world.clock.monotonic() / LEASE.retry_period_s

    run_virtual(main)
