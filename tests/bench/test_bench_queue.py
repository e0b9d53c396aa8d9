"""Microseconds per take, beside the naive pick that reads the whole pool.

`make bench` runs all sizes. An ordinary test run takes the two small ones, so that the
benchmark itself does not rot. Nothing here asserts a time: the shape is held by tests/cost.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import pytest
from tests.bench.figures import Figures
from tests.model.naive import NaiveQueue, pick

from warmqueue import SandboxKey, WarmEntry, WarmQueue

pytestmark = pytest.mark.bench

SIZES = [300, 1_000, 10_000, 100_000]
SMOKE_SIZES = SIZES[:2]
NODES_MAX = 5_000
ROUNDS = 7
TAKES = 100  # per round
NAIVE_BUDGET_S = 0.3


def load(offer: Callable[..., None], entries: int) -> int:
    """Offer ready entries on as many nodes as a cluster of that size has; returns the nodes."""
    nodes = min(NODES_MAX, entries // 3)
    for i in range(entries):
        # Multiplied by a prime: neighbours in age are not neighbours in the order of nodes.
        key = SandboxKey("default", f"warm-{i}")
        offer(key, f"uid-{i}", node=f"node-{i * 7919 % nodes}", is_ready=True)
    return nodes


def queue_us(entries: int) -> tuple[int, float, float]:
    """Nodes, and us per take and per take with give_back: medians of the rounds."""
    queue = WarmQueue()
    nodes = load(queue.offer, entries)
    takes: list[float] = []
    rounds: list[float] = []
    for _ in range(ROUNDS):
        start = perf_counter()
        taken = [queue.take() for _ in range(TAKES)]
        middle = perf_counter()
        for one in taken:
            assert one is not None
            one.give_back()
        end = perf_counter()
        takes.append((middle - start) / TAKES * 1e6)
        rounds.append((end - start) / TAKES * 1e6)
    return nodes, median(takes), median(rounds)


def naive_us(entries: int) -> float:
    """us per naive pick: the median of as many as fit the budget, three at least."""
    naive = NaiveQueue()
    load(naive.offer, entries)
    waiting: list[WarmEntry] = [row.entry for row in naive.rows.values()]
    samples: list[float] = []
    while len(samples) < 3 or (sum(samples) < NAIVE_BUDGET_S and len(samples) < TAKES):
        start = perf_counter()
        picked = pick(waiting)
        assert picked is not None
        waiting.remove(picked)
        samples.append(perf_counter() - start)
    return median(samples) * 1e6


def test_bench_take(request: pytest.FixtureRequest, figures: Figures) -> None:
    marks: object = request.config.getoption("markexpr")
    is_chosen = "bench" in str(marks)
    print("\n\n| entries | nodes | take, us | take + give_back, us | naive take, us | ratio |")
    print("|--------:|------:|---------:|---------------------:|---------------:|------:|")
    for entries in SIZES if is_chosen else SMOKE_SIZES:
        nodes, take_us, round_us = queue_us(entries)
        plain_us = naive_us(entries)
        figures.add(
            f"queue, {entries:,} entries",
            take_us=take_us,
            take_and_give_back_us=round_us,
            naive_take_us=plain_us,
            ratio=plain_us / take_us,
        )
        print(
            f"| {entries:7,} | {nodes:5,} | {take_us:8.1f} | {round_us:20.1f}"
            f" | {plain_us:14,.0f} | {plain_us / take_us:4,.0f} x |"
        )
