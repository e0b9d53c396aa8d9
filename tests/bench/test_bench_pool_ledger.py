"""What looking at a pool costs, beside a recount of all its members at each look.

`make bench` runs all sizes; an ordinary test run takes the small one, so that the benchmark itself
does not rot. Nothing here asserts a time: the shape is held by tests/cost.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

import pytest
from tests.bench.figures import Figures
from tests.model.naive_pool import NaivePool

from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.pool_ledger import PoolIdentity, PoolLedger
from warmclaim.testing.builders import a_sandbox, as_view

pytestmark = pytest.mark.bench

SIZES = [100, 300, 1_000]
SMOKE_SIZES = SIZES[:1]
LOOKS = 5
CHANGES_FOR_EACH_LOOK = 10
"""Events of 200 ms make one pass: a fill at 50 members a second."""

POOL = PoolIdentity("default", "pool-uid")
GRACE_S = 300.0


def some_members(count: int) -> list[Sandbox]:
    return [as_view(a_sandbox(f"w{number}"), Sandbox) for number in range(count)]


def settled_us(found: list[Sandbox]) -> tuple[float, float]:
    """us for one look at a pool that is as it should be: the ledger's, the recount's."""
    ledger, naive = PoolLedger(POOL, GRACE_S), NaivePool(POOL.namespace, POOL.uid, GRACE_S)
    for sandbox in found:
        ledger.see(sandbox.metadata.key, sandbox, 0.0)

    def look() -> None:
        assert (ledger.counts.ready, ledger.stale, ledger.progress(1.0).held) == (
            len(found),
            [],
            {},
        )

    def recount() -> None:
        naive.note(found, 1.0)
        naive.look(found, 1.0)

    return _us(look), _us(recount)


def fill_us(found: list[Sandbox]) -> tuple[float, float]:
    """us for a whole fill, a look after every few members: the ledger's, the recount's."""
    ledger, naive = PoolLedger(POOL, GRACE_S), NaivePool(POOL.namespace, POOL.uid, GRACE_S)
    start = perf_counter()
    for number, sandbox in enumerate(found):
        ledger.see(sandbox.metadata.key, sandbox, 0.0)
        if number % CHANGES_FOR_EACH_LOOK == 0:
            ledger.progress(1.0)
    middle = perf_counter()
    for number in range(0, len(found), CHANGES_FOR_EACH_LOOK):
        naive.note(found[:number], 0.0)
        naive.look(found[:number], 1.0)
    end = perf_counter()
    return (middle - start) * 1e6, (end - middle) * 1e6


def _us(move: Callable[[], object]) -> float:
    samples: list[float] = []
    for _ in range(LOOKS):
        start = perf_counter()
        move()
        samples.append(perf_counter() - start)
    return median(samples) * 1e6


def test_bench_looks_at_a_pool(request: pytest.FixtureRequest, figures: Figures) -> None:
    marks: object = request.config.getoption("markexpr")
    is_chosen = "bench" in str(marks)
    print(
        "\n\n| members | settled look, us | recount, us | ratio | fill, ms | recounts, ms | ratio |"
    )
    print("|--------:|-----------------:|------------:|------:|---------:|-------------:|------:|")
    for members in SIZES if is_chosen else SMOKE_SIZES:
        found = some_members(members)
        look_us, recount_us = settled_us(found)
        looks_us, recounts_us = fill_us(found)
        figures.add(
            f"pool ledger, {members:,} members",
            look_us=look_us,
            recount_us=recount_us,
            looks_of_a_fill_us=looks_us,
            recounts_of_a_fill_us=recounts_us,
        )
        print(
            f"| {members:7,} | {look_us:16.1f} | {recount_us:11,.0f}"
            f" | {recount_us / look_us:,.0f} x | {looks_us / 1e3:8.1f}"
            f" | {recounts_us / 1e3:12,.1f} | {recounts_us / looks_us:3,.0f} x |"
        )
