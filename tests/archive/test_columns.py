"""Lines as columns: what is taken for CSV is what JSON says, the rest is left to JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple
from tests.archive.archives import rows_in
from tests.archive.spools import ROWS, a_row, a_writer, fill, uids

from warmclaim.archive import columns
from warmclaim.archive.columns import columns_of_node, plain_columns
from warmclaim.archive.layout import batches, writers
from warmclaim.archive.lines import COLUMNS, LineReader, line, row_of
from warmclaim.archive.schema import SCHEMA, columns_of
from warmclaim.archive.spool_reader import BrokenSpoolError, HourReader, Skipped
from warmclaim.domain.claim_history import ClaimRow

PLAIN = st.builds(
    a_row,
    uid=st.text("0123456789abcdef-", max_size=8),
    pool=st.sampled_from(["", "null", "0", "{}", "[", "]", "a,b", "ä", "#"]),
    reason=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=4),
    ready_us=st.none() | st.integers(-(2**63), 2**63 - 1),
    candidates_refused=st.dictionaries(st.sampled_from(["stale", "gone"]), st.integers(0, 9)),
    controller_version=st.sampled_from(["", "1.0", "]"]),
)


@settings(deadline=None)
@given(st.lists(ROWS | PLAIN, min_size=1, max_size=4))
def test_what_it_takes_is_what_was_written(rows: list[ClaimRow]) -> None:
    found = plain_columns(b"".join(map(line, rows))[:-1])
    if found is not None:
        assert found.schema.equals(SCHEMA)
        assert rows_in(found) == rows


@settings(deadline=None)
@given(st.lists(PLAIN, min_size=1, max_size=3), st.data())
def test_no_cut_of_lines_makes_a_row_of_what_is_none(
    rows: list[ClaimRow], data: st.DataObject
) -> None:
    """A writer that was stopped within a line and went on, a file that lost a part or has zeros."""
    whole = b"".join(map(line, rows))
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(whole) - 1)] * 2)))
    put = data.draw(st.sampled_from([b"", b"\n", b"\0" * (last - first), b" "]))
    lines = (whole[:first] + put + whole[last:]).strip(b"\n")
    found = plain_columns(lines)
    if found is not None:
        assert rows_in(found) == list(map(row_of, LineReader(COLUMNS).read(lines)))


@pytest.mark.parametrize(
    ("was", "torn"),
    [
        (b'"team"', b'team"'),
        (b'"team"', b'"team'),
        (b'"team"', b'te"am'),
        (b'"team"', b'"\nteam"'),
        (b'"team"', b'""team"'),
        (b'["one"', b'["'),
        (b'["one"', b'["o"e"'),
    ],
)
def test_a_text_that_csv_would_take_and_json_would_not_is_left_to_json(
    was: bytes, torn: bytes
) -> None:
    text = line(a_row("one", namespace="team"))[:-1]
    assert text.count(was) == 1
    assert plain_columns(text) is not None
    assert plain_columns(text.replace(was, torn)) is None


def test_it_takes_what_a_manager_writes() -> None:
    rows = [
        a_row("one", ready_us=5, candidates_refused={"not-ready": 3}),
        a_row("two", node="", reason="PodFailed", attempts=2),
        a_row("three", sandbox="ä"),
    ]
    found = plain_columns(b"".join(map(line, rows))[:-1])
    assert found is not None
    assert rows_in(found) == rows


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        line(a_row()).strip() + b"\n\n" + line(a_row()).strip(),
        line(a_row()).strip()[1:],
        line(a_row()).strip()[:-1],
        line(a_row()).strip()[:-2],
        line(a_row("one")).strip().replace(b'"one"', b'"one'),
        line(a_row(controller_version="9")).strip().replace(b'"9"', b"null"),
        b" " + line(a_row()).strip(),
        line(a_row()) + b"\n" + line(a_row()).strip(),
        line(a_row("two")).strip() + b"," + line(a_row("in one")).strip(),
        line(a_row("text")).strip().replace(b'"served"', b'"other"'),
        line(a_row("none")).strip().replace(b'"served"', b"null"),
        line(a_row("none", attempts=77)).strip().replace(b"77", b"null"),
        line(a_row("large", attempts=2**63)).strip(),
        line(a_row("half", attempts=77)).strip().replace(b"77", b"7.7"),
        line(a_row("empty", attempts=77)).strip().replace(b"77", b""),
        line(a_row("map")).strip().replace(b"{}", b"null"),
        line(a_row("map", candidates_refused={"a": 1})).strip().replace(b'"a"', b"a"),
        line(a_row("map", candidates_refused={"a": 77})).strip().replace(b"77", b'"7"'),
        line(a_row("two", candidates_refused={"a": 1, "b": 2})).strip(),
        line(a_row("an end", reason="\n")).strip(),
        line(a_row("a tab", reason="\t")).strip(),
        line(a_row("no text", reason="\N{SNOWMAN}")).strip().replace(b"\xe2\x98\x83", b"\xe2"),
        json.dumps(astuple(a_row("by another tool"))).encode(),
    ],
)
def test_what_is_not_surely_the_same_is_left_to_json(text: bytes) -> None:
    assert plain_columns(text) is None


def hours(spool: Path) -> tuple[list[HourReader], Skipped]:
    skipped = Skipped()
    found = sorted(batch for writer in writers(spool) for batch in batches(writer))
    return [HourReader(batch, skipped) for batch in found], skipped


def rows_of(name: str, found: list[HourReader]) -> list[ClaimRow]:
    return [row for some in columns_of_node(name, found) for row in rows_in(some)]


@settings(deadline=None)
@given(rows=st.lists(ROWS | PLAIN, max_size=8), gathered_bytes=st.integers(1, 2000))
def test_a_nodes_files_are_its_rows(
    rows: list[ClaimRow], gathered_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    spool = tmp_path_factory.mktemp("spool")
    fill(spool, rows)
    found, skipped = hours(spool)
    names = sorted({name for hour in found for name in hour.names()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "GATHERED_BYTES", gathered_bytes)
        read = [
            row for name in names for some in columns_of_node(name, found) for row in rows_in(some)
        ]
    assert sorted(read, key=repr) == sorted(rows, key=repr)
    assert skipped == Skipped()


def test_a_bad_line_costs_itself_and_no_other_file(tmp_path: Path) -> None:
    for uid in ("one", "two", "three"):
        fill(tmp_path, [a_row(uid)])
    second = sorted(tmp_path.glob("*/*/n1.jsonl"))[1]
    second.write_bytes(second.read_bytes() + b"{}\n[")
    found, skipped = hours(tmp_path)
    assert uids(rows_of("n1.jsonl", found)) == ["one", "three", "two"]
    assert skipped == Skipped(unreadable_lines=1, torn_lines=1)


@pytest.mark.parametrize("bad", [b"{}\n", line(a_row(node="n2"))])
def test_the_hour_that_is_no_spool_is_named(bad: bytes, tmp_path: Path) -> None:
    for uid in ("one", "two", "three"):
        fill(tmp_path, [a_row(uid)])
    second = sorted(tmp_path.glob("*/*/n1.jsonl"))[1]
    second.write_bytes(bad)
    found, _ = hours(tmp_path)
    with pytest.raises(BrokenSpoolError, match=r"n1\.jsonl") as caught:
        list(columns_of_node("n1.jsonl", found))
    assert caught.value.batch.folder == second.parent


def test_lines_of_another_version_are_taken_by_name(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    writer.write([a_row("u")])
    writer.close()
    (path,) = tmp_path.glob("*/*/columns.json")
    path.write_text(json.dumps(["later", *COLUMNS]))
    lines = path.with_name("n1.jsonl")
    lines.write_bytes(lines.read_bytes().replace(b"[", b"[1,", 1))
    found, _ = hours(tmp_path)
    (some,) = columns_of_node("n1.jsonl", found)
    assert rows_in(some) == [a_row("u")]
    assert some.schema.equals(columns_of([astuple(a_row("u"))]).schema)
