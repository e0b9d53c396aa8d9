"""W9 and WaitingLine: what a move costs grows like log n, counted at N and 16 N."""

import math
from collections.abc import Callable
from functools import partial

import pytest
from tests.cost.bounds import LINE_BISECTIONS_MAX
from tests.cost.counting import Comparisons, CountedTicket, mean_lines, most_comparisons

from warmqueue import Backoff, Lane, PoolKey, WaitingLine, Workqueue

SMALL, LARGE = 1_000, 16_000
SAMPLES = 60
BUSY_S = 1e6  # by then all that is delayed is due


class Loaded:
    """A workqueue of n keys, half of them delayed; a few namespaces have most of them."""

    def __init__(self, keys: int) -> None:
        self.queue = Workqueue[int](
            namespace_of=lambda key: f"ns{math.isqrt(key) % 50}", backoff=Backoff(cap_s=60)
        )
        for key in range(keys):
            self.queue.add(key, 0.0, after_s=(key % 2) * (1 + key * 7919 % keys))
        self.waiting = iter(range(0, keys, 2 * (keys // (3 * SAMPLES))))
        self.delayed = iter(range(1, keys, 2 * (keys // (3 * SAMPLES))))
        self.new = iter(range(keys, 2 * keys))

    def add_new(self) -> None:
        self.queue.add(next(self.new), 0.0)

    def add_new_for_later(self) -> None:
        self.queue.add(next(self.new), 0.0, after_s=100.5)

    def add_again(self) -> None:
        self.queue.add(next(self.waiting), 0.0)

    def add_more_urgently(self) -> None:
        self.queue.add(next(self.waiting), 0.0, lane=Lane.ADOPTION)

    def add_sooner(self) -> None:
        self.queue.add(next(self.delayed), 0.0)

    def work(self) -> None:
        work = self.queue.next(0.0)
        assert work is not None
        self.queue.done(work.key, 0.0)

    def work_and_retry(self) -> None:
        work = self.queue.next(0.0)
        assert work is not None
        self.queue.retry(work.key, 0.0, lane=Lane.STATUS)
        self.queue.done(work.key, 0.0)

    def due_at(self) -> None:
        assert self.queue.due_at() is not None

    def statistics(self) -> None:
        assert self.queue.statistics().worked == 0


Move = Callable[[Loaded], None]
MOVES: list[Move] = [
    Loaded.add_new,
    Loaded.add_new_for_later,
    Loaded.add_again,
    Loaded.add_more_urgently,
    Loaded.add_sooner,
    Loaded.work,
    Loaded.work_and_retry,
    Loaded.due_at,
    Loaded.statistics,
]
each_move = pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)


@pytest.fixture(autouse=True)
def comparisons(monkeypatch: pytest.MonkeyPatch) -> Comparisons:
    """All comparisons of places in line."""
    counted = Comparisons()
    monkeypatch.setattr(CountedTicket, "comparisons", counted)
    monkeypatch.setattr("warmqueue.workqueue.Ticket", CountedTicket)
    return counted


class TestWorkqueueCost:
    @each_move
    def test_comparisons_of_a_move_grow_like_log_n(
        self, move: Move, comparisons: Comparisons
    ) -> None:
        small, large = (
            most_comparisons(comparisons, partial(move, Loaded(keys)), SAMPLES)
            for keys in (SMALL, LARGE)
        )
        assert large - small <= LINE_BISECTIONS_MAX * math.log2(LARGE / SMALL)
        assert large <= LINE_BISECTIONS_MAX * math.log2(LARGE)

    @each_move
    def test_lines_run_by_a_move_hardly_grow(self, move: Move) -> None:
        small, large = (mean_lines(partial(move, Loaded(keys)), SAMPLES) for keys in (SMALL, LARGE))
        assert large <= 1.25 * small

    def test_keys_that_become_due_at_once_cost_log_n_each(self, comparisons: Comparisons) -> None:
        per_key: list[float] = []
        for keys in (SMALL, LARGE):
            queue = Loaded(keys).queue
            delayed = queue.statistics().delayed
            woken = comparisons.of(partial(queue.next, BUSY_S))
            per_key.append(woken / delayed)
        small, large = per_key
        assert large <= LINE_BISECTIONS_MAX * math.log2(LARGE)
        assert large - small <= LINE_BISECTIONS_MAX * math.log2(LARGE / SMALL)


class LoadedLine:
    """A line of n claims."""

    pool = PoolKey("ns", "p")

    def __init__(self, claims: int) -> None:
        self.line = WaitingLine[int]()
        self.known = iter(range(claims // 2, claims))
        self.new = iter(range(claims, 2 * claims))
        for claim in range(claims):
            self.line.join(self.pool, claim)

    def join(self) -> None:
        assert self.line.join(self.pool, next(self.new)) > 0

    def join_again(self) -> None:
        assert self.line.join(self.pool, next(self.known)) > 0

    def leave(self) -> None:
        assert self.line.leave(next(self.known))

    def position(self) -> None:
        assert self.line.position(next(self.known))

    def next_for(self) -> None:
        assert len(self.line.next_for(self.pool, 10)) == 10


LINE_MOVES: list[Callable[[LoadedLine], None]] = [
    LoadedLine.join,
    LoadedLine.join_again,
    LoadedLine.leave,
    LoadedLine.position,
    LoadedLine.next_for,
]


class TestWaitingLineCost:
    @pytest.mark.parametrize("move", LINE_MOVES, ids=lambda move: move.__name__)
    def test_lines_run_by_a_move_hardly_grow(self, move: Callable[[LoadedLine], None]) -> None:
        small, large = (
            mean_lines(partial(move, LoadedLine(claims)), SAMPLES) for claims in (SMALL, LARGE)
        )
        # At 1,000 the sorted list has one part, and counting those ahead needs no index of parts.
        assert large <= 1.25 * small + 20
