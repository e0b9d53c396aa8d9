"""P4: what a move costs grows like log n. Counted at N and 16 N, so no machine is too slow.

A move that reads the pool costs 16 times as much at 16 N. One that bisects makes log2 16 = 4
more comparisons for each bisection, and runs about the same lines of Python.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from tests.cost.bounds import BISECTIONS_MAX
from tests.cost.counting import (
    Comparisons,
    CountedInt,
    CountedRank,
    counted_arrivals,
    mean_lines,
    most_comparisons,
)
from tests.model.naive import pick

from warmqueue import PoolKey, SandboxKey, WarmDirectory, WarmEntry, WarmQueue

SMALL, LARGE = 1_000, 16_000
SAMPLES = 60


class Loaded:
    """A queue of n entries in two tiers, spread unevenly over n / 10 nodes and none."""

    def __init__(self, entries: int) -> None:
        self.queue = WarmQueue(arrivals=counted_arrivals())
        self.nodes = entries // 10
        keys = [SandboxKey("ns", f"s{i}") for i in range(entries)]
        for i, key in enumerate(keys):
            self.offer(key, i * i % self.nodes, is_ready=i % 4 != 0)
        self.others = iter(keys[5 :: entries // (2 * SAMPLES)])

    def offer(self, key: SandboxKey, node: int, *, is_ready: bool = True, uid: str = "u") -> None:
        name = f"n{node}" if node % 10 else None
        self.queue.offer(key, uid, node=name, is_ready=is_ready)

    def change_node(self) -> None:
        self.offer(next(self.others), 77)

    def change_readiness(self) -> None:
        key = next(self.others)
        entry = self.queue.entry_of(key)
        assert entry is not None
        self.queue.offer(key, "u", node=entry.node, is_ready=not entry.is_ready)

    def recreate(self) -> None:
        self.offer(next(self.others), 33, uid="new")

    def hold(self) -> None:
        self.queue.hold(next(self.others), "u", node=None)

    def forget(self) -> None:
        assert self.queue.forget(next(self.others))

    def take(self) -> None:
        assert self.queue.take() is not None

    def take_and_give_back(self) -> None:
        taken = self.queue.take()
        assert taken is not None
        taken.give_back()

    def take_and_settle(self) -> None:
        taken = self.queue.take()
        assert taken is not None
        taken.settle()

    def depth(self) -> None:
        assert self.queue.depth().waiting

    def statistics(self) -> None:
        assert self.queue.statistics().total == len(self.queue)


Move = Callable[[Loaded], None]
MOVES: list[Move] = [
    Loaded.change_node,
    Loaded.change_readiness,
    Loaded.recreate,
    Loaded.hold,
    Loaded.forget,
    Loaded.take,
    Loaded.take_and_give_back,
    Loaded.take_and_settle,
    Loaded.depth,
    Loaded.statistics,
]
each_move = pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)


@pytest.fixture(autouse=True)
def comparisons(monkeypatch: pytest.MonkeyPatch) -> Comparisons:
    """All comparisons of arrivals and of ranks, in one count."""
    counted = Comparisons()
    monkeypatch.setattr(CountedInt, "comparisons", counted)
    monkeypatch.setattr(CountedRank, "comparisons", counted)
    monkeypatch.setattr("warmqueue.spread.NodeRank", CountedRank)
    return counted


class TestP4Cost:
    @each_move
    def test_comparisons_of_a_move_grow_like_log_n(
        self, move: Move, comparisons: Comparisons
    ) -> None:
        small, large = (
            most_comparisons(comparisons, partial(move, Loaded(entries)), SAMPLES)
            for entries in (SMALL, LARGE)
        )
        assert large - small <= BISECTIONS_MAX * math.log2(LARGE / SMALL)
        assert large <= BISECTIONS_MAX * math.log2(LARGE)

    @each_move
    def test_lines_run_by_a_move_hardly_grow(self, move: Move) -> None:
        small, large = (
            mean_lines(partial(move, Loaded(entries)), SAMPLES) for entries in (SMALL, LARGE)
        )
        assert large <= 1.25 * small

    def test_in_a_directory_a_move_runs_as_many_lines_whatever_the_pools(self) -> None:
        lines: list[float] = []
        for pools in (SMALL // 10, LARGE // 10):
            directory = WarmDirectory()
            keys = [SandboxKey("ns", f"s{i}") for i in range(2 * pools)]
            for i, key in enumerate(keys):
                pool = PoolKey("ns", f"p{i % pools}")
                directory.offer(pool, key, "u", node="n", is_ready=True)
            moved = iter(keys)

            def move_to_another_pool(
                directory: WarmDirectory = directory, moved: Iterator[SandboxKey] = moved
            ) -> None:
                directory.offer(PoolKey("ns", "p0"), next(moved), "u", node="n", is_ready=True)

            lines.append(mean_lines(move_to_another_pool, SAMPLES))
        small, large = lines
        assert large <= 1.25 * small


def test_the_counters_see_a_pick_that_reads_the_pool(comparisons: Comparisons) -> None:
    """Else the tests above would pass for lack of sight."""
    small, large = (
        [
            WarmEntry(SandboxKey("ns", str(n)), "u", str(n % 100), True, CountedInt(n))
            for n in range(entries)
        ]
        for entries in (SMALL, LARGE)
    )
    assert comparisons.of(lambda: pick(large)) > 10 * comparisons.of(lambda: pick(small)) > 0
    assert mean_lines(lambda: pick(large), 1) > 10 * mean_lines(lambda: pick(small), 1)
