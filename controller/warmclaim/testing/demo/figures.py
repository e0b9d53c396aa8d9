"""Percentiles and distributions. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of ascending, at least one values: one that did occur."""
    rank = max(math.ceil(percent / 100 * len(ordered)), 1)
    return ordered[rank - 1]


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds."""

    p50: float
    p90: float
    p99: float
    max: float


def latency_of(seconds: Iterable[float]) -> Latency | None:
    """The percentiles of these durations, None without any."""
    ordered = sorted(second * 1000 for second in seconds)
    if not ordered:
        return None
    p50, p90, p99 = (percentile(ordered, percent) for percent in (50, 90, 99))
    return Latency(p50, p90, p99, ordered[-1])


class Bar(NamedTuple):
    """How many nodes have from `least` to `most` sandboxes."""

    least: int
    most: int
    nodes: int


@dataclass(frozen=True, slots=True)
class Spread:
    """How sandboxes lie on nodes. `nodes_by_count`: number of sandboxes -> nodes with that many."""

    total: int
    min: int
    median: int
    max: int
    nodes_by_count: Mapping[int, int]

    def bars(self, bars_max: int) -> list[Bar]:
        """The distribution as at most `bars_max` bars of equal width, empty ones left out."""
        width = math.ceil((self.max - self.min + 1) / bars_max)
        bars: list[Bar] = []
        for least in range(self.min, self.max + 1, width):
            counts = range(least, min(least + width, self.max + 1))
            nodes = sum(self.nodes_by_count.get(count, 0) for count in counts)
            if nodes:
                bars.append(Bar(least, counts[-1], nodes))
        return bars


def spread_of(nodes_of_sandboxes: Iterable[str], nodes: int) -> Spread:
    """The distribution of sandboxes, each named by its node, over `nodes` nodes (at least 1).

    Nodes without any sandbox count as such; a sandbox on no node ("") is left out.
    """
    per_node = Counter(node for node in nodes_of_sandboxes if node)
    counts = sorted([*per_node.values(), *[0] * (nodes - len(per_node))])
    return Spread(
        total=sum(counts),
        min=counts[0],
        median=int(percentile(counts, 50)),
        max=counts[-1],
        nodes_by_count=dict(sorted(Counter(counts).items())),
    )
