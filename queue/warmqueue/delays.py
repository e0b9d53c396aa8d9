"""Delays: what becomes due later, by the moment."""

import math
from typing import Generic, TypeVar

from sortedcontainers import SortedDict

from warmqueue.rotation import Ticket

V = TypeVar("V")


class Delays(Generic[V]):
    """Values by ticket. `first_s` is the moment of the first one, inf while there is none: it is
    asked for with every call of a workqueue, so it is kept and not looked up.

    Sorted, not a heap: a value that becomes due sooner moves, it leaves no stale copy behind.
    In the costs, n is values held.
    """

    def __init__(self) -> None:
        self.first_s = math.inf
        self._line: SortedDict[Ticket, V] = SortedDict()

    def __len__(self) -> int:
        """Values held. O(1)."""
        return len(self._line)

    def add(self, ticket: Ticket, value: V) -> None:
        """Hold a value until its ticket is due. O(log n)."""
        self._line[ticket] = value
        self.first_s = min(self.first_s, ticket.due_s)

    def remove(self, ticket: Ticket) -> None:
        """Take one out before its moment; KeyError when it is not held. O(log n)."""
        del self._line[ticket]
        self._look(ticket)

    def pop(self) -> tuple[Ticket, V]:
        """Take the first one out; KeyError when there is none. O(log n)."""
        first = self._line.popitem(0)
        self._look(first[0])
        return first

    def check(self) -> dict[Ticket, V]:
        """All that is held, copied; AssertionError where `first_s` is wrong. O(n)."""
        first_s = min((ticket.due_s for ticket in self._line), default=math.inf)
        assert self.first_s == first_s, f"the first is due at {first_s}, not {self.first_s}"
        return dict(self._line)

    def _look(self, gone: Ticket) -> None:
        if gone.due_s == self.first_s:
            self.first_s = self._line.peekitem(0)[0].due_s if self._line else math.inf
