"""WaitingLine: first come, first served, and nobody stands twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmqueue import PoolKey, WaitingLine

P, Q = PoolKey("ns", "p"), PoolKey("ns", "q")


def line_of(*claims: str) -> WaitingLine[str]:
    line = WaitingLine[str]()
    for claim in claims:
        line.join(P, claim)
    return line


def test_join_tells_how_many_are_ahead() -> None:
    line = line_of()
    assert [line.join(P, claim) for claim in "abc"] == [0, 1, 2]
    assert line.join(Q, "d") == 0
    line.check()


def test_joining_again_keeps_the_place() -> None:
    line = line_of("a", "b", "c")
    assert line.join(P, "a") == 0
    assert line.next_for(P, 9) == ["a", "b", "c"]
    assert len(line) == 3


def test_joining_another_line_leaves_the_first_one() -> None:
    line = line_of("a", "b")
    line.join(Q, "c")
    assert line.join(Q, "a") == 1
    assert (line.next_for(P, 9), line.next_for(Q, 9)) == (["b"], ["c", "a"])
    assert line.pool_of("a") == Q
    line.check()


@pytest.mark.parametrize(
    ("count", "expected"), [(-1, ""), (0, ""), (1, "a"), (2, "ab"), (9, "abc")]
)
def test_next_for_reads_the_oldest_and_leaves_them_in(count: int, expected: str) -> None:
    line = line_of("a", "b", "c")
    assert line.next_for(P, count) == list(expected)
    assert line.length(P) == 3


def test_next_for_reads_one_unless_told_otherwise() -> None:
    assert line_of("a", "b").next_for(P) == ["a"]


def test_leaving_moves_the_others_up() -> None:
    line = line_of("a", "b", "c")
    assert line.leave("b") is True
    assert line.leave("b") is False
    assert (line.position("a"), line.position("b"), line.position("c")) == (0, None, 1)
    assert "b" not in line
    assert line.join(P, "b") == 2


def test_an_empty_line_is_dropped() -> None:
    line = line_of("a")
    assert line.pools() == [P]
    line.leave("a")
    line.check()
    assert line.pools() == []
    assert line.next_for(P) == []
    assert line.length(P) == len(line) == 0
    assert line.pool_of("a") is None


@given(st.lists(st.tuples(st.sampled_from([P, Q, None]), st.sampled_from("abcdef")), max_size=60))
def test_any_joins_and_leaves_agree_with_plain_lists(
    moves: list[tuple[PoolKey | None, str]],
) -> None:
    line = WaitingLine[str]()
    plain: dict[PoolKey, list[str]] = {P: [], Q: []}
    for pool, claim in moves:
        for other, claims in plain.items():
            if claim in claims and other != pool:
                claims.remove(claim)
        if pool is None:
            line.leave(claim)
        else:
            if claim not in plain[pool]:
                plain[pool].append(claim)
            assert line.join(pool, claim) == plain[pool].index(claim)
        line.check()
        for each, claims in plain.items():
            assert line.next_for(each, 99) == claims
            assert [line.position(one) for one in claims] == list(range(len(claims)))
