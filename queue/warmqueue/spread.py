"""NodeSpread: which entry to give so that what remains is spread over the nodes.

One spread holds the entries of one readiness tier. Two indexes are kept in step by
the same few lines: per node the arrivals in order, and over all nodes their ranks.
"""

from typing import NamedTuple

from sortedcontainers import SortedList

from warmqueue.entry import WarmEntry


class NodeRank(NamedTuple):
    """A node's place among the nodes: most entries first, then the oldest entry."""

    remaining_negated: int
    oldest: int
    node: str


class NodeSpread:
    """Entries ordered by the pick rule: fullest node, then oldest; without a node last.

    Arrival numbers are unique (the queue gives them), so no two nodes tie and the
    pick depends on nothing but the entries.
    """

    def __init__(self) -> None:
        self._entries: dict[int, WarmEntry] = {}
        self._lines: dict[str, SortedList[int]] = {}
        self._ranks: SortedList[NodeRank] = SortedList()
        self._nodeless: SortedList[int] = SortedList()

    def __len__(self) -> int:
        """Entries held. O(1)."""
        return len(self._entries)

    def add(self, entry: WarmEntry) -> None:
        """Put an entry in at its place by arrival. O(log entries of its node + log nodes)."""
        self._entries[entry.arrival] = entry
        if entry.node is None:
            self._nodeless.add(entry.arrival)
            return
        line = self._lines.get(entry.node)
        if line is None:
            line = self._lines[entry.node] = SortedList()
        else:
            self._ranks.remove(_rank(entry.node, line))
        line.add(entry.arrival)
        self._ranks.add(_rank(entry.node, line))

    def remove(self, entry: WarmEntry) -> None:
        """Take out an entry, given as it was added; KeyError or ValueError when it is not in.

        O(log entries of its node + log nodes).
        """
        del self._entries[entry.arrival]
        if entry.node is None:
            self._nodeless.remove(entry.arrival)
            return
        line = self._lines[entry.node]
        self._ranks.remove(_rank(entry.node, line))
        line.remove(entry.arrival)
        if line:
            self._ranks.add(_rank(entry.node, line))
        else:
            del self._lines[entry.node]

    def first(self) -> WarmEntry | None:
        """The entry the pick rule names, which stays in; None when empty. O(1)."""
        if self._ranks:
            return self._entries[self._ranks[0].oldest]
        if self._nodeless:
            return self._entries[self._nodeless[0]]
        return None

    def nodes(self) -> dict[str, int]:
        """Entries per node; those without a node are not in it. O(nodes)."""
        return {node: len(line) for node, line in self._lines.items()}

    def count(self, node: str | None) -> int:
        """Entries of a node, or those without one. O(1)."""
        if node is None:
            return len(self._nodeless)
        line = self._lines.get(node)
        return 0 if line is None else len(line)

    def two_fullest(self) -> tuple[int, int]:
        """Entries of the first node by the pick rule, and of the second; 0 where there is none.
        O(1)."""
        ranks = self._ranks
        first = -ranks[0].remaining_negated if ranks else 0
        return first, -ranks[1].remaining_negated if len(ranks) > 1 else 0

    def entries(self) -> list[WarmEntry]:
        """All entries by arrival. O(n log n)."""
        return [self._entries[arrival] for arrival in sorted(self._entries)]

    def check(self) -> None:
        """Recount both indexes from the entries; AssertionError on a difference. O(n log n)."""
        recounted: dict[str | None, list[int]] = {}
        for arrival, entry in self._entries.items():
            assert entry.arrival == arrival, f"{entry} is filed under {arrival}"
            recounted.setdefault(entry.node, []).append(arrival)
        nodeless = sorted(recounted.pop(None, []))
        assert list(self._nodeless) == nodeless, "entries without a node differ"
        assert {node: list(line) for node, line in self._lines.items()} == {
            node: sorted(arrivals) for node, arrivals in recounted.items()
        }, "entries per node differ"
        ranks = sorted(_rank(node, line) for node, line in self._lines.items())
        assert list(self._ranks) == ranks, "ranks of the nodes differ"


def _rank(node: str, line: "SortedList[int]") -> NodeRank:
    return NodeRank(-len(line), line[0], node)
