"""Counting what a move does, without a clock."""

import itertools
import sys
from collections.abc import Callable, Iterator
from statistics import mean
from types import FrameType
from typing import Any, ClassVar

from warmqueue.rotation import Ticket
from warmqueue.spread import NodeRank


class Comparisons:
    """How often two values were compared since the start."""

    def __init__(self) -> None:
        self.count = 0

    def of(self, move: Callable[[], object]) -> int:
        """Comparisons one move makes."""
        before = self.count
        move()
        return self.count - before


class CountedInt(int):
    """An arrival number that reports each comparison."""

    comparisons: ClassVar[Comparisons] = Comparisons()

    def __lt__(self, other: int) -> bool:
        self.comparisons.count += 1
        return super().__lt__(other)

    def __eq__(self, other: object) -> bool:
        self.comparisons.count += 1
        return super().__eq__(other)

    __hash__ = int.__hash__


class CountedRank(NodeRank):
    """A rank that reports each comparison, its parts not counted apart."""

    comparisons: ClassVar[Comparisons] = Comparisons()

    def __lt__(self, other: tuple[Any, ...]) -> bool:
        self.comparisons.count += 1
        return super().__lt__(other)

    def __eq__(self, other: object) -> bool:
        self.comparisons.count += 1
        return super().__eq__(other)

    __hash__ = NodeRank.__hash__


class CountedTicket(Ticket):
    """A ticket that reports each comparison, its parts not counted apart."""

    comparisons: ClassVar[Comparisons] = Comparisons()

    def __lt__(self, other: tuple[Any, ...]) -> bool:
        self.comparisons.count += 1
        return super().__lt__(other)

    def __eq__(self, other: object) -> bool:
        self.comparisons.count += 1
        return super().__eq__(other)

    __hash__ = Ticket.__hash__


def counted_arrivals() -> Iterator[int]:
    return map(CountedInt, itertools.count(1))


def most_comparisons(comparisons: Comparisons, move: Callable[[], object], samples: int) -> int:
    """Comparisons of the dearest of many moves."""
    return max(comparisons.of(move) for _ in range(samples))


def mean_lines(move: Callable[[], object], samples: int) -> float:
    """Python lines a move executes, in whatever module: work that compares nothing shows here.

    A mean, as one move in many splits or joins the parts of a sorted list.
    """
    return mean(_lines_of(move) for _ in range(samples))


def _lines_of(move: Callable[[], object]) -> int:
    count = 0

    def on_line(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        nonlocal count
        count += event == "line"
        return on_line

    previous = sys.gettrace()
    sys.settrace(on_line)
    try:
        move()
    finally:
        sys.settrace(previous)
    return count
