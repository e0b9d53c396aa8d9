"""Names and the annotation of durable create reservations."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmclaim.domain.reservation import (
    Reservation,
    member_name,
    ordinal_of,
    parse_reservation,
    rebuilt,
)

POOL_NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,100}[a-z0-9])?", fullmatch=True)
ORDINALS = st.integers(min_value=0, max_value=36**6 - 1)


@given(POOL_NAMES, st.uuids(), ORDINALS)
def test_a_member_name_is_a_label_value_and_tells_its_ordinal(
    pool: str, uid: object, ordinal: int
) -> None:
    name = member_name(pool, str(uid), ordinal)
    assert len(name) <= 63
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name)
    assert "-" not in name.rpartition("-")[2]
    assert ordinal_of(pool, str(uid), name) == ordinal


@given(POOL_NAMES, st.uuids(), st.lists(ORDINALS, unique=True, min_size=2, max_size=2))
def test_two_ordinals_have_two_names(pool: str, uid: object, ordinals: list[int]) -> None:
    first, second = (member_name(pool, str(uid), ordinal) for ordinal in ordinals)
    assert first != second


def test_a_pool_made_again_gives_other_names() -> None:
    assert member_name("pool", "uid-1", 0) != member_name("pool", "uid-2", 0)


@pytest.mark.parametrize(
    "name",
    ["pool", "pool-", "pool-abcde", "other-zzzzz0", "pool-00000!", "-", "", "pool-00000" + "z" * 9],
)
def test_a_foreign_name_has_no_ordinal(name: str) -> None:
    assert ordinal_of("pool", "uid", name) is None


@given(st.integers(0, 1000), st.integers(0, 300), st.integers(0, 1000), st.integers(0, 2**31))
def test_the_annotation_is_read_as_it_was_written(
    first: int, size: int, replicas: int, turn: int
) -> None:
    reservation = Reservation(first, first + size, replicas, turn)
    assert parse_reservation(reservation.encode()) == reservation


@given(st.integers(0, 1000), POOL_NAMES, st.integers(0, 2**63), st.integers(0, 2**31))
def test_what_is_to_be_taken_in_is_read_as_it_was_written(
    end: int, name: str, version: int, turn: int
) -> None:
    reservation = Reservation(end, end, 5, turn, f"{name}@{version}")
    assert parse_reservation(reservation.encode()) == reservation
    assert reservation.taken_over().takes_in == reservation.takes_in


@pytest.mark.parametrize("turn", [0, 1, 2**31 - 1, 2**31])
def test_a_batch_taken_over_is_the_same_one_with_another_text(turn: int) -> None:
    reservation = Reservation(0, 3, 3, turn)
    taken = parse_reservation(reservation.taken_over().encode())
    assert taken is not None
    assert taken.ordinals == reservation.ordinals
    assert taken.encode() != reservation.encode()


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{}",
        "[]",
        "null",
        '{"first":0,"end":1}',
        '{"first":"0","end":1,"replicas":1}',
        '{"first":1,"end":0,"replicas":1}',
        '{"first":-1,"end":0,"replicas":1}',
        '{"first":0,"end":1,"replicas":-1}',
        '{"first":0,"end":1,"replicas":1,"more":1}',
        '{"first":0,"end":1,"replicas":1,"turn":-1}',
        '{"first":0,"end":1,"replicas":1,"turn":2147483649}',
        '{"first":0,"end":99999999999,"replicas":1}',
        '{"first":10,"end":4107,"replicas":1}',
        '{"first":0,"end":1.5,"replicas":1}',
        '{"first":0,"end":1,"replicas":1,"takesIn":"pool-abcde@5"}',
        '{"first":1,"end":1,"replicas":1,"takesIn":"pool-abcde"}',
        '{"first":1,"end":1,"replicas":1,"takesIn":"@5"}',
        '{"first":1,"end":1,"replicas":1,"takesIn":"../x@5"}',
        '{"first":1,"end":1,"replicas":1,"takesIn":"pool-abcde@"}',
        '{"first":1,"end":1,"replicas":1,"takesIn":"' + "p" * 300 + '@5"}',
        "{" * 1000,
        "\ud800",
    ],
)
def test_an_odd_annotation_is_no_reservation(text: str | None) -> None:
    assert parse_reservation(text) is None


def test_a_lost_annotation_is_rebuilt_past_all_names_in_use() -> None:
    used = [member_name("pool", "uid", ordinal) for ordinal in (0, 7, 3)]
    assert rebuilt("pool", "uid", [*used, "other", "pool-xyz"], 5) == Reservation(8, 8, 5)
    assert rebuilt("pool", "uid", [], 5) == Reservation(0, 0, 5)
