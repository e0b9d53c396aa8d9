"""A row as a line, and back."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple
from tests.archive.spools import ROWS, a_row

from warmclaim.archive.lines import COLUMNS, LineReader, columns_line, line, row_of
from warmclaim.domain.claim_history import ClaimRow


@given(st.lists(ROWS, max_size=5))
def test_what_is_written_is_read(rows: list[ClaimRow]) -> None:
    reader = LineReader(msgspec.json.decode(columns_line(), type=list[str]))
    block = b"".join(map(line, rows))
    assert block.count(b"\n") == len(rows)
    assert [row_of(values) for values in reader.read(block)] == rows
    assert not reader.unreadable


@pytest.mark.parametrize(
    "bad",
    [
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'["u"]',
        line(a_row("cut"))[:-2],
        line(a_row("more"))[:-2] + b",1]",
        line(a_row("two")).strip() + b"," + line(a_row("in one")).strip(),
        line(a_row("big", attempts=2**63)).strip(),
        line(a_row("text")).strip().replace(b'"served"', b'"other"'),
        b'"\\ud800"',
    ],
)
def test_a_line_that_is_no_row_is_skipped_and_counted(bad: bytes) -> None:
    reader = LineReader(COLUMNS)
    block = line(a_row("one")) + bad + b"\n\n" + line(a_row("two"))
    assert [row_of(values).uid for values in reader.read(block)] == ["one", "two"]
    assert reader.unreadable == 1


def test_a_line_end_within_a_text_is_damage_and_no_comma() -> None:
    reader = LineReader(COLUMNS)
    torn = line(a_row("torn")).replace(b'"team"', b'"te\nam"')
    assert torn.count(b"\n") == 2
    block = line(a_row("one")) + torn + line(a_row("two"))
    assert [row_of(values).uid for values in reader.read(block)] == ["one", "two"]
    assert reader.unreadable == 2


@given(st.lists(ROWS, min_size=1, max_size=3), st.data())
def test_no_cut_of_a_block_makes_a_row_of_what_is_none(
    rows: list[ClaimRow], data: st.DataObject
) -> None:
    """A writer that was stopped within a line, and went on with the next."""
    lines = [line(row) for row in rows]
    torn = data.draw(st.integers(0, len(lines[0]) - 2))
    block = lines[0][:torn] + b"\n" + b"".join(lines[1:])
    reader = LineReader(COLUMNS)
    assert [row_of(values) for values in reader.read(block)] == rows[1:]
    assert reader.unreadable == (torn > 0)


def test_columns_of_another_version_are_taken_by_name() -> None:
    row = a_row("u", attempts=3)
    values = dict(zip(COLUMNS, astuple(row), strict=True))
    del values["controller_version"]
    named = {"new_column": {"any": 1}, **dict(reversed(values.items()))}
    reader = LineReader(list(named))
    found = reader.read(msgspec.json.encode(list(named.values())) + b"\n[1,2]\n")
    assert [row_of(one) for one in found] == [row]
    assert reader.unreadable == 1
