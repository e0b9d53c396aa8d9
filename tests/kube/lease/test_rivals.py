"""Leader election: of three candidates under faults, never two believe that they lead."""

import asyncio
import random
from typing import Any

import pytest
from tests.kube.lease_server import Candidate, LeaseServer, SimClock, settle

from warmclaim.seams import Request

FAULTS = (
    "",
    "",
    "",
    "",
    "hang",
    "hang for ever",
    "lose answer",
    "late",
    "reset",
    "500",
    "409",
    "429",
)


@pytest.mark.parametrize("seed", range(40))
async def test_of_three_candidates_never_two_believe_they_lead(seed: int) -> None:
    chance = random.Random(seed)
    clock = SimClock()
    server = LeaseServer(clock)
    candidates = [Candidate(server, who, wind_up_s=chance.choice([0, 1])) for who in "abc"]
    tasks = [asyncio.create_task(candidate.run_for_ever()) for candidate in candidates]

    def fault_of(candidate: Candidate, rate: float) -> Any:
        def fault(request: Request) -> str:
            word = chance.choice(FAULTS) if chance.random() < rate else ""
            # The leader's fence bears a transport that forgets its time limit; a follower waits.
            return "hang" if word == "hang for ever" and not candidate.elector.is_leader else word

        return fault

    def check() -> None:
        believing = [c.who for c in candidates if c.elector.is_leader]
        assert len(believing) <= 1, f"{believing} at {clock.now_s}"

    for _ in range(12):
        for candidate in candidates:
            candidate.link.fault = fault_of(candidate, chance.choice([0.0, 0.0, 0.3, 0.9]))
        clock.wall_s += chance.choice([0.0, 0.0, 3600.0, -3600.0])
        await clock.advance(chance.uniform(1.0, 25.0), each=check)
    for candidate in candidates:
        candidate.link.fault = lambda request: ""
    await clock.advance(45.0, each=check)
    assert sum(candidate.works for candidate in candidates) == 1, "and then one does lead"
    for task in tasks:
        task.cancel()
    await clock.advance(2.0)
    await asyncio.gather(*tasks, return_exceptions=True)
    for candidate in candidates:
        await candidate.link.close()
    await settle()
