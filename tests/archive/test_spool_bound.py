"""What bounds a spool: the oldest closed hours go, and nothing that somebody works on."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.archive.spools import HOUR_US, NOON_US, HandClock, a_row, a_writer, fill, read_back, uids
from tests.archive.test_spool import a_spool, drops, wait

from warmclaim.archive import disk
from warmclaim.archive.hours import ARCHIVE_LOCK, JOURNAL, Journal
from warmclaim.archive.layout import Batch, batches, writers
from warmclaim.archive.lines import line
from warmclaim.archive.spool import BOUND_S, Drop
from warmclaim.archive.spool_bound import SpoolBound, hours_to_drop

ROW_BYTES = len(line(a_row("0")))


def fill_hours(spool: Path, first: int, last: int) -> None:
    """A writer that ended: a row for each hour, whose uid is its number."""
    fill(spool, [a_row(str(n), end_us=NOON_US + n * HOUR_US) for n in range(first, last)])


def room(rows: int) -> int:
    """The size of so many rows."""
    return rows * ROW_BYTES


@given(
    st.lists(st.integers(0, 100), max_size=8),
    st.integers(0, 300),
    st.integers(0, 500),
)
def test_no_more_goes_than_has_to_and_the_oldest_first(
    sizes: list[int], open_bytes: int, bytes_max: int
) -> None:
    hours = [Batch(f"2026-09-25T{n:02}", n, Path("w"), is_open=False) for n in range(len(sizes))]
    closed = dict(zip(reversed(hours), reversed(sizes), strict=True))
    gone = hours_to_drop(closed, open_bytes, bytes_max)
    assert gone == hours[: len(gone)]
    kept = open_bytes + sum(sizes[len(gone) :])
    assert kept <= bytes_max or len(gone) == len(hours)
    assert not gone or kept + closed[gone[-1]] > bytes_max


def test_the_oldest_hours_go_and_their_rows_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill_hours(tmp_path, 0, 5)
    with caplog.at_level(logging.INFO, "warmclaim"):
        assert SpoolBound(tmp_path, room(3)).keep() == 2
    assert uids(read_back(tmp_path)) == ["2", "3", "4"]
    assert [record.getMessage() for record in caplog.records] == [
        "claim history: the spool is full, its oldest hour was dropped"
    ] * 2
    assert SpoolBound(tmp_path, room(3)).keep() == 0


def test_no_bound_drops_nothing(tmp_path: Path) -> None:
    fill_hours(tmp_path, 0, 2)
    assert SpoolBound(tmp_path, 0).keep() == 0
    assert len(read_back(tmp_path)) == 2


def test_what_is_written_now_is_never_dropped(tmp_path: Path) -> None:
    fill_hours(tmp_path, 5, 6)
    writer = a_writer(tmp_path)
    writer.write([a_row("open", end_us=NOON_US)])
    bound = SpoolBound(tmp_path, 1)
    assert bound.keep() == 1
    assert bound.keep() == 0
    assert uids(read_back(tmp_path)) == ["open"]
    writer.close()
    assert bound.keep() == 1
    assert read_back(tmp_path) == []


def test_several_writers_share_one_bound(tmp_path: Path) -> None:
    clock = HandClock()
    one, two = a_writer(tmp_path, clock), a_writer(tmp_path, clock)
    for number, writer in enumerate((one, two, one, two)):
        writer.write([a_row(str(number), end_us=NOON_US + number * HOUR_US)])
    clock.go(7 * 3600)
    one.close_past()
    two.close_past()
    bounds = [SpoolBound(tmp_path, room(3)), SpoolBound(tmp_path, room(3))]
    assert [bound.keep() for bound in bounds] == [1, 0]
    assert uids(read_back(tmp_path)) == ["1", "2", "3"]
    one.close()
    two.close()


def test_the_hours_of_a_writer_that_was_killed_go_too(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    writer.write([a_row("0"), a_row("1", node="n2")])
    (folder,) = writers(tmp_path)
    (folder / "lock").unlink()
    (folder / "lock").touch()  # as if its process were gone: nobody holds this one
    assert SpoolBound(tmp_path, 1).keep() == 2
    assert read_back(tmp_path) == []


def test_a_new_process_counts_what_is_there(tmp_path: Path) -> None:
    fill_hours(tmp_path, 0, 3)
    clock = HandClock()
    with a_spool(tmp_path, clock, bytes_max=room(2)) as spool:
        wait(lambda: drops(spool) == {Drop.SPOOL_FULL: 1})
        assert uids(read_back(tmp_path)) == ["1", "2"]
        fill_hours(tmp_path, 3, 4)
        clock.go(BOUND_S)
        wait(lambda: drops(spool) == {Drop.SPOOL_FULL: 2})
    assert uids(read_back(tmp_path)) == ["2", "3"]


def test_nothing_goes_while_an_archiver_works(tmp_path: Path) -> None:
    fill_hours(tmp_path, 0, 3)
    bound = SpoolBound(tmp_path, 1)
    lock = disk.Lock(tmp_path / ARCHIVE_LOCK)
    assert bound.keep() == 0
    assert len(read_back(tmp_path)) == 3
    lock.release()
    assert bound.keep() == 3


def test_what_an_archiver_has_not_finished_with_is_left_to_it(tmp_path: Path) -> None:
    fill_hours(tmp_path, 0, 3)
    (writer,) = writers(tmp_path)
    oldest = min(batches(writer))
    journal = Journal("/target", {}, [str(oldest.folder.relative_to(tmp_path))])
    (tmp_path / JOURNAL).write_bytes(msgspec.json.encode(journal))
    assert SpoolBound(tmp_path, 1).keep() == 2
    assert uids(read_back(tmp_path)) == ["0"]


def test_a_journal_that_is_none_stops_it_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill_hours(tmp_path, 0, 3)
    (tmp_path / JOURNAL).write_text("?")
    bound = SpoolBound(tmp_path, 1)
    assert [bound.keep(), bound.keep()] == [0, 0]
    assert len(read_back(tmp_path)) == 3
    (record,) = caplog.records
    assert "is no journal" in record.getMessage()


def test_an_hour_that_cannot_be_looked_at_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill_hours(tmp_path, 0, 4)
    (writer,) = writers(tmp_path)
    oldest = min(batches(writer)).folder
    stat = Path.stat

    def refused(path: Path, *, follow_symlinks: bool = True) -> object:
        if path.parent == oldest:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", refused)
    bound = SpoolBound(tmp_path, room(2))
    assert [bound.keep(), bound.keep()] == [1, 0]
    assert uids(read_back(tmp_path)) == ["0", "2", "3"]
    assert sum("is not kept" in record.getMessage() for record in caplog.records) == 1


def test_rows_that_nobody_counted_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, [a_row("0"), a_row("1"), a_row("2", node="n2")])
    for path in tmp_path.rglob("rows.json"):
        path.unlink()
    assert SpoolBound(tmp_path, 1).keep() == 3


def test_a_file_that_is_not_ours_stays(tmp_path: Path) -> None:
    fill_hours(tmp_path, 0, 1)
    (hour,) = tmp_path.glob("*/*.closed")
    (hour / "notes.txt").write_text("mine")
    bound = SpoolBound(tmp_path, 1)
    assert bound.keep() == 1
    assert bound.keep() == 0
    assert (hour / "notes.txt").read_text() == "mine"
