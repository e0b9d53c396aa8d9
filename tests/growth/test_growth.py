"""What a claim costs does not grow with the pools, counted in lines of Python that were run."""

from __future__ import annotations

import pytest

from warmclaim.api.pool import Pool
from warmclaim.controllers.pool_members import PoolMemories, PoolMemory
from warmclaim.growth.meter import LinesRun
from warmclaim.growth.result import LINES, Simulated, problems
from warmclaim.growth.simulated import Load, simulate
from warmclaim.growth.stock import Size

pytestmark = pytest.mark.timeout(300)

LOAD = Load(singles=5, bursts=1, burst=16)
SMALL, LARGE, MANY_POOLS = Size(64, 1), Size(1024, 1), Size(256, 16)
"""A burst leaves each more than half full: refill asks nobody for its turn in an emptier one, which
makes a claim there 0.94 of one here."""
MOST = 1.03
"""Lines are the same at each run, but for some 0.3 % that a process does once: a look at each of
the 1,024 members in each pass of their pool makes 1.07."""


def run(size: Size) -> Simulated:
    gauge = LinesRun()
    with gauge.counting():
        return simulate(size, LOAD, lambda _: None, gauge)


@pytest.fixture(scope="module")
def small() -> Simulated:
    return run(SMALL)


def test_a_claim_costs_the_same_in_a_pool_of_sixteen_times_the_size(small: Simulated) -> None:
    assert problems([small, run(LARGE)], LINES, MOST) == []


def test_a_claim_costs_little_more_where_each_one_is_of_another_pool(small: Simulated) -> None:
    # The members that claims took are made anew in one batch for each pool, no more for all.
    assert problems([small, run(MANY_POOLS)], LINES) == []


def test_a_walk_over_the_members_in_each_pass_is_found(
    small: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = PoolMemories.of

    def looks_at_all(self: PoolMemories, pool: Pool) -> PoolMemory:
        memory = look(self, pool)
        assert sum(1 for _ in memory.ledger.members) == len(memory.ledger)
        return memory

    monkeypatch.setattr(PoolMemories, "of", looks_at_all)
    found = problems([small, run(LARGE)], LINES, MOST)
    assert any("lines a claim is" in problem for problem in found)
