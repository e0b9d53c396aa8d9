"""NodeSpread: the fullest node, then the oldest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.model.naive import pick

from warmqueue import SandboxKey, WarmEntry
from warmqueue.spread import NodeSpread


def entry(arrival: int, node: str | None) -> WarmEntry:
    return WarmEntry(SandboxKey("ns", f"s{arrival}"), "uid", node, True, arrival)


def spread_of(*nodes: str | None) -> NodeSpread:
    """Entries that arrived in this order on these nodes, numbered from 1."""
    spread = NodeSpread()
    for arrival, node in enumerate(nodes, start=1):
        spread.add(entry(arrival, node))
    return spread


def drain(spread: NodeSpread) -> list[int]:
    picked: list[int] = []
    while (first := spread.first()) is not None:
        spread.check()
        spread.remove(first)
        picked.append(first.arrival)
    spread.check()
    return picked


@pytest.mark.parametrize(
    ("nodes", "order"),
    [
        pytest.param("", [], id="empty"),
        pytest.param("a", [1], id="one"),
        pytest.param("aaa", [1, 2, 3], id="one node: oldest first"),
        pytest.param("abb", [2, 1, 3], id="fullest node first, then a tie to the older"),
        pytest.param("abab", [1, 2, 3, 4], id="equal nodes take turns"),
        pytest.param("bbaab", [1, 2, 3, 4, 5], id="the count is of what remains"),
        pytest.param("-a-", [2, 1, 3], id="without a node comes last, oldest first"),
        pytest.param("---", [1, 2, 3], id="all without a node: oldest first"),
    ],
)
def test_entries_come_out_in_the_order_of_the_rule(nodes: str, order: list[int]) -> None:
    assert drain(spread_of(*(None if node == "-" else node for node in nodes))) == order


def test_an_older_entry_that_comes_later_still_goes_first() -> None:
    spread = NodeSpread()
    for arrival in (5, 3, 4):
        spread.add(entry(arrival, "a"))
    assert drain(spread) == [3, 4, 5]


def test_first_leaves_the_entry_in() -> None:
    spread = spread_of("a")
    assert spread.first() == spread.first() == entry(1, "a")
    assert len(spread) == 1


def test_nodes_counts_what_has_a_node() -> None:
    spread = spread_of("a", "b", "a", None)
    assert spread.nodes() == {"a": 2, "b": 1}
    spread.remove(entry(2, "b"))
    assert spread.nodes() == {"a": 2}
    assert len(spread) == 3


@pytest.mark.parametrize(
    ("nodes", "counts"),
    [
        pytest.param("", (0, 0), id="empty"),
        pytest.param("--", (0, 0), id="without a node"),
        pytest.param("aa-", (2, 0), id="one node"),
        pytest.param("abbcccb", (3, 3), id="equal ones"),
        pytest.param("abbccc", (3, 2), id="three nodes"),
    ],
)
def test_the_two_fullest_nodes_are_counted(nodes: str, counts: tuple[int, int]) -> None:
    spread = spread_of(*(None if node == "-" else node for node in nodes))
    assert spread.two_fullest() == counts


def test_entries_lists_them_by_arrival() -> None:
    assert [e.arrival for e in spread_of("b", None, "a").entries()] == [1, 2, 3]


@pytest.mark.parametrize("node", ["a", None])
def test_removing_what_is_not_in_is_an_error_and_changes_nothing(node: str | None) -> None:
    spread = spread_of(node)
    with pytest.raises(KeyError):
        spread.remove(entry(2, node))
    spread.check()
    assert drain(spread) == [1]


def test_check_finds_what_a_wrong_removal_broke() -> None:
    spread = spread_of("a", "b", "a")
    with pytest.raises(ValueError, match="not in list"):
        spread.remove(entry(1, "b"))  # it came in on node a
    with pytest.raises(AssertionError):
        spread.check()


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=30), st.data())
def test_any_entries_in_any_order_come_out_as_the_naive_rule_says(
    nodes: list[str | None], data: st.DataObject
) -> None:
    waiting = [entry(arrival, node) for arrival, node in enumerate(nodes)]
    spread = NodeSpread()
    for one in data.draw(st.permutations(waiting)):
        spread.add(one)
    while waiting:
        expected = pick(waiting)
        assert expected is not None
        assert spread.first() == expected
        spread.remove(expected)
        waiting.remove(expected)
    assert spread.first() is None
