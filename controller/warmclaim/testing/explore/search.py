"""All orders of a scope: in parts, in one process or several, counted and proved complete."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from math import prod
from typing import Final, Literal, TypeAlias

from warmclaim.testing.explore.orders import leaves, split
from warmclaim.testing.explore.race import Losses, Order, Race, Scope, all_losses, no_losses
from warmclaim.testing.explore.worlds import WORLDS
from warmclaim.testing.jobs import spread
from warmclaim.testing.sim.dice import Dice

LossMode: TypeAlias = Literal["none", "drawn", "all"]
SHARE: Final = 16
_FAILURES_KEPT: Final = 3
_SPLIT_DEPTH: Final = 5
"""Two choices at each of five steps: some thirty parts, and the longest is not half of all."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched: a scope, with the losses that are allowed, one in an order.

    `drawn`: every order without a loss, and of the losses one in `share`, by the seed, each with
    all orders that go on from it.
    """

    scope: Scope
    losses: LossMode = "none"
    seed: int = 0
    share: int = SHARE

    def run(self, prefix: Sequence[str], *, has_words: bool = False) -> Order:
        """One order: the given choices, then the first one offered."""
        world = WORLDS[self.scope.world]
        race = Race(self.scope, world, prefix, losses=self._rule(), has_words=has_words)
        return race.run()

    def _rule(self) -> Losses:
        if self.losses == "drawn":
            return partial(_is_drawn, Dice(self.seed), str(self.scope), 1 / self.share)
        return all_losses if self.losses == "all" else no_losses


def _is_drawn(dice: Dice, scope: str, chance: float, order: str, choice: str) -> bool:
    return dice.chance(f"{scope} {order}{choice}", chance)


@dataclass(slots=True)
class Tally:
    """What a search came to.

    `covered` is the share of the tree of choices that the orders cover: at each choice every
    branch has an equal part of what its node has. It is 1 if and only if none was left out, since
    no order comes twice (`leaves` goes from each to the next).
    """

    orders: int = 0
    with_loss: int = 0
    calls: int = 0
    commits: int = 0
    longest: int = 0
    cpu_s: float = 0.0
    covered: Fraction = Fraction(0)
    endings: Counter[str] = field(default_factory=Counter[str])
    unsafe: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def count(self, order: Order) -> None:
        """One more order."""
        self.orders += 1
        self.with_loss += any(choice[-1] in "-+" for choice in order.taken)
        self.calls += order.calls
        self.commits += order.commits
        self.longest = max(self.longest, len(order.taken))
        self.covered += Fraction(1, prod(len(choices) for choices in order.offered))
        self.endings[order.ending] += 1
        if order.failure:
            self.unsafe += 1
            if len(self.failures) < _FAILURES_KEPT:
                self.failures.append((str(order), order.failure))

    def add(self, other: Tally) -> None:
        """The orders of another part."""
        self.orders += other.orders
        self.with_loss += other.with_loss
        self.calls += other.calls
        self.commits += other.commits
        self.longest = max(self.longest, other.longest)
        self.cpu_s += other.cpu_s
        self.covered += other.covered
        self.endings += other.endings
        self.unsafe += other.unsafe
        self.failures = (self.failures + other.failures)[:_FAILURES_KEPT]


def search_part(search: Search, root: tuple[str, ...]) -> Tally:
    """All orders that begin with `root`."""
    tally, began = Tally(), time.process_time()
    for order in leaves(search.run, root):
        tally.count(order)
    tally.cpu_s = time.process_time() - began
    return tally


def search_all(
    search: Search, *, jobs: int = 1, on_part: Callable[[Tally], None] = lambda _: None
) -> Tally:
    """All orders. `on_part` hears of the sum so far. Cost: some 4 ms of processor for each."""
    whole = Tally()
    roots = split(search.run, _SPLIT_DEPTH)
    for part in spread(partial(search_part, search), roots, jobs=jobs, together=1):
        whole.add(part)
        on_part(whole)
    return whole


def shrunk(search: Search, order: Sequence[str]) -> Order:
    """The failing order with the shortest beginning that still fails if everything after it goes
    on as it likes: the first choice offered each time. With its trace."""
    for length in range(len(order)):
        if search.run(order[:length]).failure:
            return search.run(order[:length], has_words=True)
    return search.run(order, has_words=True)
