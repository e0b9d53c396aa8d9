"""The hand-over of spooled hours: no row is lost and none doubled, whatever ends a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.archive.archives import archived, archived_files
from tests.archive.killing import Killer
from tests.archive.spools import HOUR_US, NOON_US, HandClock, a_row, a_writer, fill, read_back, uids

from warmclaim.archive import disk
from warmclaim.archive.convert import convert_closed
from warmclaim.archive.handover import BusyError
from warmclaim.archive.hours import ARCHIVE_LOCK, JOURNAL
from warmclaim.archive.layout import writers
from warmclaim.archive.spool_reader import Skipped, spooled
from warmclaim.archive.target import open_target
from warmclaim.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


class Stopped(BaseException):
    """The run ends here."""


def stop() -> None:
    raise Stopped


def a_target(folder: Path, name: str = "target") -> Path:
    target = folder / name
    target.mkdir(exist_ok=True)
    return target


def convert(spool: Path, target: Path) -> None:
    convert_closed(spool, open_target(str(target)))


def stopped(moment: int, spool: Path, target: Path) -> bool:
    """Convert, stopped at a moment; whether it came to that."""
    with pytest.MonkeyPatch.context() as patch:
        Killer(moment, stop).install(patch.setattr)
        try:
            convert(spool, target)
        except Stopped:
            return True
    return False


@pytest.mark.timeout(600)
def test_a_run_that_is_killed_at_any_moment_is_ended_by_the_next(tmp_path: Path) -> None:
    """With SIGKILL, in real processes. In memory where that is to be had: no disk is waited for."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.archive.hand_over_killed", folder],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            check=True,
        )
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["killed"] > 50


def test_hours_that_close_after_an_interrupted_run_are_not_mixed_into_it(tmp_path: Path) -> None:
    """At every moment: new hours would change what the file of the first is called."""
    moment, was_stopped = 0, True
    while was_stopped:
        moment += 1
        folder = tmp_path / str(moment)
        folder.mkdir()
        spool, target = folder / "spool", a_target(folder)
        fill(spool, [a_row("one"), a_row("two", node="n2")])
        was_stopped = stopped(moment, spool, target)
        fill(spool, [a_row("three")])
        convert(spool, target)
        assert uids(archived(target)) == ["one", "three", "two"]
        assert read_back(spool) == []
    assert moment > 20


def test_the_spool_of_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    spool, target = tmp_path / "spool", a_target(tmp_path)
    writer = a_writer(spool)
    writer.write([a_row("open")])
    convert(spool, target)
    assert archived_files(target) == []
    assert uids(read_back(spool)) == ["open"]
    assert writer.write([a_row("more")]) == (1, None)
    writer.close()
    convert(spool, target)
    assert uids(archived(target)) == ["more", "open"]


def test_a_living_writers_closed_hours_are_taken_and_late_rows_come_later(tmp_path: Path) -> None:
    """A clock that goes back: the rows go to another file of the same day."""
    spool, target, clock = tmp_path / "spool", a_target(tmp_path), HandClock()
    writer = a_writer(spool, clock)
    for turn in range(3):
        writer.write([a_row(f"{turn}-{number}") for number in range(3)])
        clock.go(7200)
        writer.close_past()
        convert(spool, target)
        clock.wall_s -= 7200
    writer.close()
    assert len(archived_files(target)) == 3
    assert len(uids(archived(target))) == len(set(uids(archived(target)))) == 9


def test_what_a_dead_writer_left_is_taken_and_its_directory_goes(tmp_path: Path) -> None:
    spool, target = tmp_path / "spool", a_target(tmp_path)
    code = (
        "import os, sys; from pathlib import Path; from tests.archive.spools import *\n"
        "a_writer(Path(sys.argv[1])).write([a_row('left')]); os.kill(os.getpid(), 9)"
    )
    path = os.pathsep.join(sys.path)
    killed = subprocess.run(
        [sys.executable, "-c", code, str(spool)], cwd=ROOT, env={**os.environ, "PYTHONPATH": path}
    )
    assert killed.returncode == -9
    (hour,) = spool.glob("*/*.open")
    with (hour / "n1.jsonl").open("ab") as file:
        file.write(b'["torn')
    done = convert_closed(spool, open_target(str(target)))
    assert uids(archived(target)) == ["left"]
    assert done.skipped == Skipped(torn_lines=1)
    convert(spool, target)
    assert list(writers(spool)) == []


def test_only_one_run_works_on_a_spool(tmp_path: Path) -> None:
    spool, target = tmp_path / "spool", a_target(tmp_path)
    fill(spool, [a_row()])
    lock = disk.Lock(spool / ARCHIVE_LOCK)
    with pytest.raises(BusyError, match="another run is archiving it"):
        convert(spool, target)
    lock.release()
    convert(spool, target)
    assert len(archived(target)) == 1


def interrupted(spool: Path, target: Path) -> None:
    """Leave a journal: stopped at the first moment after it stands."""
    for moment in range(1, 1000):
        if not stopped(moment, spool, target) or (spool / JOURNAL).exists():
            return


def test_an_interrupted_run_is_not_ended_into_another_target(tmp_path: Path) -> None:
    spool, one, two = tmp_path / "spool", a_target(tmp_path, "one"), a_target(tmp_path, "two")
    fill(spool, [a_row()])
    interrupted(spool, one)
    with pytest.raises(UsageError, match=f"a run to {one} was interrupted"):
        convert(spool, two)
    assert archived_files(two) == []
    assert len(read_back(spool)) == 1
    convert(spool, one)
    assert len(archived(one)) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"target": 1}', b"\xff"])
def test_a_journal_that_is_none_stops_the_run_and_nothing_is_touched(
    content: bytes, tmp_path: Path
) -> None:
    spool, target = tmp_path / "spool", a_target(tmp_path)
    fill(spool, [a_row()])
    (spool / JOURNAL).write_bytes(content)
    with pytest.raises(UsageError, match="is no journal"):
        convert(spool, target)
    assert (spool / JOURNAL).read_bytes() == content
    assert len(read_back(spool)) == 1
    assert archived_files(target) == []


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    spool, target = tmp_path / "spool", a_target(tmp_path)
    fill(spool, [a_row()])
    (hour,) = spool.glob("*/*.closed")
    others = [
        spool / "notes.txt",
        hour / "notes.txt",
        spool / "other" / "x.jsonl",
        target / "x.parquet",
    ]
    others[2].parent.mkdir()
    for path in others:
        path.write_text("mine")
    for _ in range(2):
        convert(spool, target)
    assert [path.read_text() for path in others] == ["mine"] * 4
    assert not list(hour.glob("*.jsonl"))
    others[3].unlink()
    assert len(archived(target)) == 1


def test_a_reader_sees_every_row_while_hours_close_and_go(tmp_path: Path) -> None:
    """What it has begun it reads to the end, or finds it gone to the archive."""
    spool, target, clock = tmp_path / "spool", a_target(tmp_path), HandClock()
    writer = a_writer(spool, clock)
    writer.write([a_row(f"{n}", node=f"n{n}", end_us=NOON_US - n * HOUR_US) for n in range(4)])
    reading = spooled(spool, Skipped())
    seen = [next(reading).uid]
    clock.go(7200)
    writer.close_past()
    seen += [next(reading).uid]
    assert len(set(seen)) == 2
    convert(spool, target)
    assert {*seen, *(row.uid for row in reading)} <= {row.uid for row in archived(target)}
    writer.close()
