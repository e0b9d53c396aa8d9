"""Rotation: one lane of a workqueue; namespaces in turn, each first come first served."""

from collections import OrderedDict
from typing import Generic, NamedTuple, TypeVar

from sortedcontainers import SortedDict

V = TypeVar("V")


class Ticket(NamedTuple):
    """A place in line: the moment from which it counts, then the order of asking."""

    due_s: float
    number: int


class Rotation(Generic[V]):
    """Values by namespace. Each turn gives one value, so a namespace with many delays one
    with few by at most one value per turn.

    All values cost the same here, so deficit round robin comes down to a plain one.
    In the costs, n is values of a namespace.
    """

    def __init__(self) -> None:
        # Ordered by turn: the first is served next.
        self._lines: OrderedDict[str, SortedDict[Ticket, V]] = OrderedDict()
        # A line comes and goes with nearly every value, and a new one costs 10 us.
        self._spare: SortedDict[Ticket, V] | None = None
        self._length = 0

    def __len__(self) -> int:
        """Values in all namespaces. O(1)."""
        return self._length

    def add(self, namespace: str, ticket: Ticket, value: V) -> None:
        """Stand in line by ticket; a namespace that had none gets the last turn. O(log n)."""
        line = self._lines.get(namespace)
        if line is None:
            line = self._lines[namespace] = self._new_line()
        assert ticket not in line, f"{ticket} was given twice"
        line[ticket] = value
        self._length += 1

    def _new_line(self) -> SortedDict[Ticket, V]:
        line, self._spare = self._spare, None
        return SortedDict() if line is None else line

    def remove(self, namespace: str, ticket: Ticket) -> V:
        """Leave the line, the namespace keeps its turn; KeyError when not in it. O(log n)."""
        line = self._lines[namespace]
        value = line.pop(ticket)
        self._length -= 1
        if not line:
            self._spare = self._lines.pop(namespace)
        return value

    def first(self) -> tuple[Ticket, V]:
        """What `pop` would give; KeyError when empty. O(1)."""
        for line in self._lines.values():
            return line.peekitem(0)
        raise KeyError("nothing is in line")

    def pop(self) -> tuple[Ticket, V]:
        """Take the oldest of the namespace whose turn it is; KeyError when empty. O(log n)."""
        namespace, line = self._lines.popitem(last=False)
        first = line.popitem(0)
        self._length -= 1
        if line:
            self._lines[namespace] = line
        else:
            self._spare = line
        return first

    def check(self) -> None:
        """Recount; AssertionError on a difference. O(n) over all namespaces."""
        assert all(self._lines.values()), "a namespace is empty and was not dropped"
        assert self._length == sum(map(len, self._lines.values())), "the length differs"
