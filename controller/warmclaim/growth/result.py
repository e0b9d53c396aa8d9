"""What a run of one size came to, and how it compares with the smallest one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar

import msgspec

GROWTH_MAX: Final = 1.3
"""What a claim may take at any size, by what it takes at the smallest one."""


class Simulated(msgspec.Struct, frozen=True, tag="simulated"):
    """One size on virtual time. Costs are the manager's own: seconds of a processor, or lines of
    Python that were run.

    `claim`: of a claim, from its creation until its pool is full again. `end`: of a claim's
    deletion, its sandbox's and pod's. `path_p50`, `path_p99`: of a claim that comes alone, from its
    creation to its Ready. `start`: of the start, for each sandbox that is there. `first`: of a
    claim of the first burst after it, in which pools are taken over. `idle`: of a minute in which
    nothing happens.

    `garbage`: of collections, for each claim made and deleted, by whomever they were caused;
    `pause`: the longest of them. `world` and `loop`: what the embedded server with nodes and load,
    and the event loop, took for each claim made and deleted.

    `memory_bytes` and `blocks`: for each sandbox that waits, of RSS and of Python's allocator, with
    all that a manager has anyhow. `writes`: requests for a change for each claim made and deleted;
    `start_writes`: at the start.
    """

    sandboxes: int
    pools: int
    claims: int
    claim: float
    end: float
    path_p50: float
    path_p99: float
    start: float
    first: float
    idle: float
    garbage: float
    pause: float
    world: float
    loop: float
    memory_bytes: float
    blocks: float
    writes: float
    start_writes: int
    cold: int
    unserved: int


class Real(msgspec.Struct, frozen=True, tag="real"):
    """One size in real time, over HTTP. Seconds.

    `p50`, `p99`: from the POST of a claim to its Ready on a client's watch, by the client's clock.
    `claim`: processor time of the manager's process for each claim, refill and what comes after
    included; `start`: of its whole start. `memory_bytes`: its RSS after the claims.
    """

    sandboxes: int
    pools: int
    claims: int
    p50: float
    p99: float
    claim: float
    start: float
    memory_bytes: int
    cold: int
    unserved: int


Result = Simulated | Real
R = TypeVar("R", Simulated, Real)


class Reference(StrEnum):
    """By which size a figure is judged."""

    LEAST = "the smallest of all"
    SAME_POOLS = "the smallest of as many pools"
    """For what a claim costs with its refill: claims that take their sandboxes from a hundred pools
    make a hundred batches and statuses, where one pool makes one of each."""


class Cost(NamedTuple):
    """A column: the figure times `scale`. It must not grow beyond that of `judged_by`; where that
    is None nobody is blamed. `has_ratio` shows it by the smallest of all."""

    field: str
    head: str
    scale: float = 1.0
    digits: int = 2
    has_ratio: bool = False
    judged_by: Reference | None = None


_MS, _MIB, _KIB = 1e3, 1 / 1024**2, 1 / 1024
_LEAST: Final = (True, Reference.LEAST)
_SAME_POOLS: Final = (True, Reference.SAME_POOLS)

SIMULATED: Final = (
    Cost("claim", "ms a claim", _MS, 2, *_SAME_POOLS),
    Cost("path_p50", "to Ready P50", _MS, 2, *_LEAST),
    Cost("path_p99", "P99", _MS, 2),
    Cost("end", "ms an end", _MS, 2, *_LEAST),
    Cost("start", "start, ms each", _MS, 2, *_LEAST),
    Cost("first", "first burst, ms", _MS, 2),
    Cost("idle", "idle, ms a minute", _MS, 1),
    Cost("memory_bytes", "KiB each", _KIB, 1),
    Cost("writes", "writes", 1.0, 1),
)
LINES: Final = (
    Cost("claim", "lines a claim", 1.0, 0, *_SAME_POOLS),
    Cost("path_p50", "to Ready P50", 1.0, 0, *_LEAST),
    Cost("path_p99", "P99", 1.0, 0),
    Cost("end", "lines an end", 1.0, 0, *_LEAST),
    Cost("start", "start, each", 1.0, 0, *_LEAST),
    Cost("first", "first burst", 1.0, 0),
    Cost("idle", "idle, a minute", 1.0, 0),
    Cost("writes", "writes", 1.0, 1),
)
REAL: Final = (
    Cost("claim", "CPU ms a claim", _MS, 2, *_SAME_POOLS),
    Cost("p50", "P50 ms", _MS, 1, has_ratio=True),
    Cost("p99", "P99 ms", _MS, 1, has_ratio=True),
    Cost("start", "start, CPU s", 1.0, 1),
    Cost("memory_bytes", "RSS MiB", _MIB, 0),
)


def smallest(results: Sequence[R]) -> R:
    """That of the fewest sandboxes, of the fewest pools among those. ValueError for none."""
    return min(results, key=lambda one: (one.sandboxes, one.pools))


def figure_of(result: Result, cost: Cost) -> float:
    """In the column's unit."""
    return float(getattr(result, cost.field)) * cost.scale


def ratio(result: R, reference: R, cost: Cost) -> float:
    """By that of another size; 1 where that is nothing."""
    least = figure_of(reference, cost)
    return figure_of(result, cost) / least if least else 1.0


def problems(results: Sequence[R], costs: Sequence[Cost], most: float = GROWTH_MAX) -> list[str]:
    """What must not be, one line each."""
    found: list[str] = []
    for one in results:
        size = f"{one.sandboxes:,} sandboxes in {one.pools:,} pools"
        if one.unserved or one.cold:
            found.append(f"{size}: {one.unserved} claims not served, {one.cold} not from the pool")
        same = smallest([other for other in results if other.pools == one.pools])
        for cost in costs:
            reference = same if cost.judged_by is Reference.SAME_POOLS else smallest(results)
            grown = ratio(one, reference, cost)
            if cost.judged_by is not None and grown > most:
                by = f"{grown:.2f} times that of {cost.judged_by}, {most} allowed"
                found.append(f"{size}: {cost.head} is {by}")
    return found


def rows(results: Sequence[R], costs: Sequence[Cost]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of a table; a ratio follows each figure that has one."""
    heads = ["sandboxes", "pools"]
    for cost in costs:
        heads += [cost.head, "by least"] if cost.has_ratio else [cost.head]
    lines: list[list[str]] = []
    for one in results:
        cells = [f"{one.sandboxes:,}", f"{one.pools:,}"]
        for cost in costs:
            cells.append(f"{figure_of(one, cost):,.{cost.digits}f}")
            if cost.has_ratio:
                cells.append(f"{ratio(one, smallest(results), cost):.2f}")
        lines.append(cells)
    return heads, lines
