"""WaitingLine: the claims that wait for a member of a pool, oldest first."""

import itertools
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

from sortedcontainers import SortedDict

from warmqueue.keys import PoolKey

C = TypeVar("C", bound=Hashable)


class _Ticket(NamedTuple):
    pool: PoolKey
    number: int


class WaitingLine(Generic[C]):
    """One line per pool, first come first served; a claim stands in at most one.

    Reading from a line leaves it as it is: a claim leaves when it has got its member, not
    when it is told that there may be one. In the costs, n is claims in a line.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._tickets: dict[C, _Ticket] = {}
        # Sorted, not a plain dict: a dict walks over everything that left from its front.
        self._lines: dict[PoolKey, SortedDict[int, C]] = {}

    def __len__(self) -> int:
        """Claims in all lines. O(1)."""
        return len(self._tickets)

    def __contains__(self, claim: object) -> bool:
        """Whether the claim waits, in whatever line. O(1)."""
        return claim in self._tickets

    def join(self, pool: PoolKey, claim: C) -> int:
        """Wait for a member of the pool; returns the claims ahead, 0 when it is next.

        A claim that is in this line keeps its place; one in another line leaves that and
        joins this at the end. O(log n).
        """
        ticket = self._tickets.get(claim)
        if ticket is None or ticket.pool != pool:
            self.leave(claim)
            ticket = self._tickets[claim] = _Ticket(pool, next(self._numbers))
            self._lines.setdefault(pool, SortedDict())[ticket.number] = claim
        return self._lines[pool].bisect_left(ticket.number)

    def leave(self, claim: C) -> bool:
        """Wait no longer; False when it did not. O(log n)."""
        ticket = self._tickets.pop(claim, None)
        if ticket is None:
            return False
        line = self._lines[ticket.pool]
        del line[ticket.number]
        if not line:
            del self._lines[ticket.pool]
        return True

    def next_for(self, pool: PoolKey, count: int = 1) -> list[C]:
        """Up to `count` claims that wait longest for the pool, oldest first. O(count)."""
        line = self._lines.get(pool)
        return [] if line is None else list(itertools.islice(line.values(), max(count, 0)))

    def position(self, claim: C) -> int | None:
        """Claims ahead of this one in its line; None when it does not wait. O(log n)."""
        ticket = self._tickets.get(claim)
        return None if ticket is None else self._lines[ticket.pool].bisect_left(ticket.number)

    def pool_of(self, claim: C) -> PoolKey | None:
        """The pool a claim waits for; None when it does not wait. O(1)."""
        ticket = self._tickets.get(claim)
        return None if ticket is None else ticket.pool

    def length(self, pool: PoolKey) -> int:
        """Claims that wait for the pool. O(1)."""
        line = self._lines.get(pool)
        return 0 if line is None else len(line)

    def pools(self) -> list[PoolKey]:
        """The pools that are waited for. O(pools)."""
        return list(self._lines)

    def check(self) -> None:
        """Compare lines and tickets; AssertionError on a difference. O(n) over all lines."""
        found: dict[C, _Ticket] = {}
        for pool, line in self._lines.items():
            assert len(line) > 0, f"the line of {pool} is empty and was not dropped"
            for number, claim in line.items():
                assert claim not in found, f"{claim} stands twice"
                found[claim] = _Ticket(pool, number)
        assert found == self._tickets, "the lines hold other claims than the tickets"
