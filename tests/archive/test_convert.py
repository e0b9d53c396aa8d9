"""Spooled hours become Parquet: every row, one node for each row group, sorted, findable."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from tests.archive.archives import archived, archived_files, groups
from tests.archive.spools import HOUR_US, NOON_US, ROWS, a_row, fill, read_back, uids

from warmclaim.archive import convert as convert_module
from warmclaim.archive import parquet as parquet_module
from warmclaim.archive.convert import Converted, convert_closed
from warmclaim.archive.layout import hour_of
from warmclaim.archive.lines import line
from warmclaim.archive.schema import TIMES
from warmclaim.archive.spool_reader import Skipped
from warmclaim.archive.target import open_target
from warmclaim.domain.claim_history import ClaimRow


def converted(folder: Path) -> Converted:
    (folder / "target").mkdir(exist_ok=True)
    return convert_closed(folder / "spool", open_target(str(folder / "target")))


@settings(deadline=None, max_examples=40)
@given(rows=st.lists(ROWS, max_size=15))
def test_what_is_archived_is_what_was_spooled(
    rows: list[ClaimRow], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    fill(folder / "spool", rows)
    done = converted(folder)
    assert done.rows == len(rows)
    assert sorted(archived(folder / "target"), key=repr) == sorted(rows, key=repr)
    assert read_back(folder / "spool") == []
    for path in archived_files(folder / "target"):
        for group in groups(path):
            assert len({row.node for row in group}) == 1
            assert {f"date={hour_of(row)[:10]}" for row in group} == {path.parent.name}


def many(rows: int, nodes: int = 5) -> list[ClaimRow]:
    return [
        a_row(
            f"{number:05}",
            node=f"n{number % nodes}",
            pool=f"pool-{number * 7 % 3}",
            ready_us=None if number % 11 == 0 else NOON_US + number * 7919 % 1000,
            end_us=NOON_US + number % 3 * HOUR_US,
            candidates_refused={"not-ready": number},
        )
        for number in range(rows)
    ]


def test_a_file_has_a_sorted_row_group_for_each_node_and_says_so(tmp_path: Path) -> None:
    fill(tmp_path / "spool", many(500))
    assert converted(tmp_path).hours == 3
    (path,) = archived_files(tmp_path / "target")
    assert Counter(row.node for group in groups(path) for row in group[:1]) == Counter(
        f"n{number}" for number in range(5)
    )
    for group in groups(path):
        keys = [(row.pool, row.ready_us is None, row.ready_us or 0) for row in group]
        assert keys == sorted(keys)
    with parquet.ParquetFile(str(path)) as file:
        for number in range(file.metadata.num_row_groups):
            described = file.metadata.row_group(number)
            named = [file.schema_arrow.names[it.column_index] for it in described.sorting_columns]
            assert named == ["pool", "ready_us"]
            columns = [described.column(i) for i in range(described.num_columns)]
            by_name = {column.path_in_schema: column for column in columns}
            assert {column.compression for column in columns} == {"ZSTD"}
            assert "RLE_DICTIONARY" in by_name["pool"].encodings
            statistics = by_name["node"].statistics
            assert statistics is not None
            assert statistics.min == statistics.max
            for name in (*TIMES, "uid", "namespace"):
                assert by_name[name].statistics is not None


def asked(query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        return database.execute(query).fetchall()


def test_a_claim_is_found_by_its_uid_without_reading_other_row_groups(tmp_path: Path) -> None:
    """By the bloom filter: all uids lie between the same two, so statistics tell nothing."""
    fill(tmp_path / "spool", [row for row in many(2000) if row.uid != "01000"])
    converted(tmp_path)
    (path,) = archived_files(tmp_path / "target")
    query = f"select bloom_filter_excludes from parquet_bloom_probe('{path}', 'uid', '01000')"
    excludes = [bool(row[0]) for row in asked(query)]
    assert len(excludes) == 5
    assert sum(excludes) >= 3
    query = f"select bloom_filter_excludes from parquet_bloom_probe('{path}', 'uid', '01001')"
    assert [row[0] for row in asked(query)].count(False) >= 1


def test_other_engines_read_it_as_it_is(tmp_path: Path) -> None:
    fill(tmp_path / "spool", many(50))
    converted(tmp_path)
    rows = f"read_parquet('{tmp_path}/target/**/*.parquet', hive_partitioning=true)"
    query = (
        f"select date::varchar, sum(candidates_refused['not-ready'])::int from {rows} group by 1"
    )
    assert asked(query) == [("2026-09-25", sum(range(50)))]


def test_large_archives_are_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_module, "FILE_GROUPS_MAX", 2)
    monkeypatch.setattr(convert_module, "BATCHES_MAX", 2)
    rows = many(60)
    fill(tmp_path / "spool", rows)
    done = converted(tmp_path)
    assert len(done.files) == len(set(done.files)) == len(archived_files(tmp_path / "target")) == 6
    assert uids(archived(tmp_path / "target")) == uids(rows)


def damaged(folder: Path, name: str, change: bytes) -> Path:
    (path,) = folder.glob(f"spool/*/*/{name}")
    path.write_bytes(change)
    return path


def test_unreadable_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    fill(tmp_path / "spool", [a_row("written over")])
    good = line(a_row("good", node="n1"))
    damaged(tmp_path, "n1.jsonl", b"\x00\xff\n" + good + b"{}\n\n" + good[:9])
    done = converted(tmp_path)
    assert done.skipped == Skipped(unreadable_lines=2, torn_lines=1)
    assert uids(archived(tmp_path / "target")) == ["good"]
    assert done.broken == []


def test_rows_that_their_writer_counted_and_that_are_gone_are_told(tmp_path: Path) -> None:
    fill(tmp_path / "spool", [a_row(str(number)) for number in range(5)])
    damaged(tmp_path, "n1.jsonl", line(a_row("0")) + line(a_row("1")))
    assert converted(tmp_path).missing_rows == 3


BROKEN = {
    "foreign lines": ("n1.jsonl", b"once\nupon\n"),
    "binary": ("n1.jsonl", b"\x00" * 100_000),
    "columns": ("columns.json", b"{"),
    "other columns": ("columns.json", b'["a"]'),
    "another node": ("n1.jsonl", line(a_row("elsewhere", node="n2"))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_hour_that_holds_what_is_no_row_is_left_and_the_others_are_not(
    name: str, tmp_path: Path
) -> None:
    fill(tmp_path / "spool", [a_row("bad")])
    path = damaged(tmp_path, *BROKEN[name])
    fill(tmp_path / "spool", [a_row("good")])
    for rows in (1, 0):
        done = converted(tmp_path)
        assert done.rows == rows
        assert len(done.broken) == 1
        assert str(path.parent) in done.broken[0]
        assert path.read_bytes() == BROKEN[name][1]
    assert uids(archived(tmp_path / "target")) == ["good"]


def test_progress_is_told(tmp_path: Path) -> None:
    fill(tmp_path / "spool", many(50))
    (tmp_path / "target").mkdir()
    told: list[tuple[int, int]] = []
    target = open_target(str(tmp_path / "target"))

    def tell(done: int, total: int) -> None:
        told.append((done, total))

    convert_closed(tmp_path / "spool", target, on_progress=tell)
    assert [total for _, total in told] == [50] * 5
    assert [done for done, _ in told] == [10, 20, 30, 40, 50]
