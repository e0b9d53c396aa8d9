"""The files of one writer: which row goes where, what closes when, what a failed write leaves."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.archive.spools import (
    HOUR_US,
    NOON_US,
    ROWS,
    HandClock,
    a_row,
    a_writer,
    fill,
    read_back,
    uids,
)

from warmclaim.archive import disk, spool_files
from warmclaim.archive.layout import Batch, batches, file_name, hour_at, writers
from warmclaim.archive.lines import LINE_BYTES_MAX, line
from warmclaim.archive.spool_reader import Skipped, counted_rows, spooled
from warmclaim.domain.claim_history import ClaimRow


def hours(spool: Path) -> list[Batch]:
    return sorted(batch for writer in writers(spool) for batch in batches(writer))


def names(spool: Path) -> list[str]:
    return [batch.folder.name for batch in hours(spool)]


@settings(deadline=None)
@given(rows=st.lists(ROWS, max_size=20))
def test_what_is_spooled_is_read(
    rows: list[ClaimRow], tmp_path_factory: pytest.TempPathFactory
) -> None:
    spool = tmp_path_factory.mktemp("spool")
    fill(spool, rows)
    key = repr
    assert sorted(read_back(spool), key=key) == sorted(rows, key=key)


HOSTILE = ["", ".", "..", "../up", "/etc/passwd", "a/b", "x" * 300, "Aa", "a\x00b", "=a", "-a"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leaves_its_directory(name: str, tmp_path: Path) -> None:
    fill(tmp_path / "spool", [a_row(node=name)])
    (path,) = tmp_path.rglob("*.jsonl")
    assert path.parent.parent.parent == tmp_path / "spool"
    assert not set(tmp_path.iterdir()) - {tmp_path / "spool"}
    writer = a_writer(tmp_path / "spool", identity=name)
    assert writer.write([a_row()]) == (1, None)
    assert len(list(writers(tmp_path / "spool"))) == 2
    writer.close()


@given(st.lists(st.text(max_size=8), unique=True, max_size=8))
def test_no_two_names_share_a_file(some: list[str]) -> None:
    assert len({file_name(name).lower() for name in some}) == len(some)


def test_a_row_is_in_the_hour_of_its_end(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    ends = [NOON_US - 1, NOON_US, NOON_US + HOUR_US - 1, NOON_US + HOUR_US]
    writer.write([a_row(str(end), end_us=end) for end in ends])
    assert names(tmp_path) == [
        "2026-09-25T11.0.open",
        "2026-09-25T12.1.open",
        "2026-09-25T13.2.open",
    ]
    writer.close()


@pytest.mark.parametrize("wall_s", [-1e30, 1e30, -(2**63) / 1e6, 2**63 / 1e6, -1.0])
def test_any_time_has_an_hour(wall_s: float, tmp_path: Path) -> None:
    (tmp_path / "w" / f"{hour_at(wall_s)}.0.closed").mkdir(parents=True)
    assert len(list(batches(tmp_path / "w"))) == 1


def test_an_hour_closes_when_it_is_over_and_nothing_comes_for_it(tmp_path: Path) -> None:
    clock = HandClock()
    writer = a_writer(tmp_path, clock)
    writer.write([a_row()])
    clock.go(3590)
    writer.close_past()
    assert names(tmp_path) == ["2026-09-25T12.0.open"]
    writer.write([a_row("late")])
    clock.go(20)
    writer.close_past()
    assert names(tmp_path) == ["2026-09-25T12.0.open"]
    clock.go(60)
    writer.close_past()
    assert names(tmp_path) == ["2026-09-25T12.0.closed"]
    assert counted_rows(hours(tmp_path)[0]) == {"n1.jsonl": 2}
    writer.close()


def test_a_clock_that_goes_back_opens_the_hour_again_and_touches_nothing_closed(
    tmp_path: Path,
) -> None:
    clock = HandClock()
    writer = a_writer(tmp_path, clock)
    writer.write([a_row("first")])
    clock.go(3700)
    writer.close_past()
    (closed,) = hours(tmp_path)
    before = (closed.folder / "n1.jsonl").read_bytes()
    clock.wall_s -= 7200
    writer.write([a_row("again"), a_row("before", end_us=NOON_US - HOUR_US)])
    assert names(tmp_path) == [
        "2026-09-25T11.2.open",
        "2026-09-25T12.0.closed",
        "2026-09-25T12.1.open",
    ]
    assert (closed.folder / "n1.jsonl").read_bytes() == before
    assert uids(read_back(tmp_path)) == ["again", "before", "first"]
    clock.go(4 * 3600)
    writer.close_past()
    assert all(not hour.is_open for hour in hours(tmp_path))
    writer.close()


def test_an_hour_of_the_future_closes_too(tmp_path: Path) -> None:
    clock = HandClock()
    writer = a_writer(tmp_path, clock)
    writer.write([a_row(end_us=NOON_US + 1000 * HOUR_US)])
    clock.go(60)
    writer.close_past()
    assert [hour.is_open for hour in hours(tmp_path)] == [False]
    writer.close()


def test_never_more_hours_or_nodes_are_open_than_there_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_files, "NODES_MAX", 3)
    writer = a_writer(tmp_path)
    rows = [
        a_row(f"{hour}-{node}", node=f"n{node}", end_us=NOON_US + hour * HOUR_US)
        for hour in range(12)
        for node in range(7)
    ]
    assert writer.write(rows) == (84, None)
    assert sum(hour.is_open for hour in hours(tmp_path)) == spool_files.HOURS_OPEN_MAX
    assert max(len(list(hour.folder.glob("*.jsonl"))) for hour in hours(tmp_path)) == 3
    assert len(read_back(tmp_path)) == 84
    writer.close()


def test_two_writers_never_share_a_file(tmp_path: Path) -> None:
    one, two = a_writer(tmp_path), a_writer(tmp_path)
    for number in range(3):
        one.write([a_row(f"one-{number}")])
        two.write([a_row(f"two-{number}")])
    assert len(list(tmp_path.rglob("n1.jsonl"))) == 2
    assert len(read_back(tmp_path)) == 6
    one.close()
    two.close()


def test_a_spool_that_somebody_deleted_is_made_again(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    writer = a_writer(spool)
    writer.write([a_row("gone")])
    for path in sorted(spool.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    spool.rmdir()
    assert writer.write([a_row("new")]) == (1, None)
    assert uids(read_back(spool)) == ["new"]
    writer.close()


def test_a_row_longer_than_any_is_left_out(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    assert writer.write([a_row("long", reason="x" * LINE_BYTES_MAX), a_row("ok")]) == (1, None)
    assert uids(read_back(tmp_path)) == ["ok"]
    writer.close()


def short(limit: int) -> Callable[[int, bytes], int]:
    """An `os.write` that fills up: it takes so many bytes more, then none."""
    write, left = os.write, [limit]

    def limited(handle: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(28, "No space left on device")
        taken = write(handle, data[: left[0]])
        left[0] -= taken
        return taken

    return limited


@pytest.mark.parametrize("cut", [1, 10, "line", "line+1", "all-1"])
def test_a_torn_line_is_skipped_and_those_after_it_are_read(
    cut: int | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [a_row("a"), a_row("b")]
    size = len(line(rows[0]))
    limit = {"line": size, "line+1": size + 1, "all-1": 2 * size - 1}.get(str(cut), cut)
    assert isinstance(limit, int)
    writer = a_writer(tmp_path)
    writer.write([a_row("first")])
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short(limit))
        written, error = writer.write(rows)
    whole = limit // size
    assert (written, error is not None) == (whole, True)
    assert writer.write([a_row("after")]) == (1, None)
    skipped = Skipped()
    found = uids(spooled(tmp_path, skipped))
    # A row that lacked nothing but its line end is there in the end, though it was given up.
    kept = (limit + 1) // size
    assert found == sorted(["first", "after", *["a", "b"][:kept]])
    assert skipped.unreadable_lines == (limit % size not in (0, size - 1))
    writer.close()
    assert counted_rows(hours(tmp_path)[0]) == {"n1.jsonl": 2 + whole}


def test_an_hour_closes_on_a_full_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = a_writer(tmp_path)
    writer.write([a_row()])

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(disk, "write_whole", full)
    writer.close()
    (hour,) = hours(tmp_path)
    assert not hour.is_open
    assert counted_rows(hour) is None
    assert uids(read_back(tmp_path)) == ["u"]
