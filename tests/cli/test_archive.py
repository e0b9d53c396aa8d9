"""`warmclaim archive`: what it says, its exit codes, and that bad input changes nothing."""

from __future__ import annotations

import gc
import json
import os
import pty
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pyarrow as pa
import pytest
from tests.archive.archives import archived, archived_files
from tests.archive.spools import NOON_US, a_row, fill, read_back

from warmclaim.archive import disk, extra
from warmclaim.archive.hours import ARCHIVE_LOCK, JOURNAL
from warmclaim.cli import OK, USAGE, main

Capture = pytest.CaptureFixture[str]
DAY_US = 24 * 3600 * 1_000_000


@pytest.fixture(autouse=True)
def own_process() -> Generator[None]:
    """The command sets its process up for itself."""
    thresholds, pool = gc.get_threshold(), pa.default_memory_pool()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    pa.set_memory_pool(pool)


class Place:
    """A spool of two rows, and a target."""

    def __init__(self, folder: Path) -> None:
        self.spool, self.target = folder / "spool", folder / "target"
        self.target.mkdir()
        fill(self.spool, [a_row("one"), a_row("two", node="n2")])

    def archive(self, *more: str) -> int:
        words = ["archive", "--spool", str(self.spool), "--to", str(self.target), *more]
        return main(words)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_it_says_in_one_line_what_it_did(place: Place, capsys: Capture) -> None:
    assert place.archive() == OK
    out, err = capsys.readouterr()
    (path,) = archived_files(place.target)
    size = path.stat().st_size
    assert out == (
        f"2 claims of 1 hours in 1 files to {place.target};"
        f" {size:,} bytes, {size / 2:.0f} for a claim\n"
    )
    assert err == ""
    assert place.archive() == OK
    assert capsys.readouterr().out == f"0 claims of 0 hours in 0 files to {place.target}\n"


def test_it_says_it_to_programs(place: Place, capsys: Capture) -> None:
    assert place.archive("-o", "json", "--keep-days", "36500") == OK
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == 2
    assert found["files"] == [
        str(path.relative_to(place.target)) for path in archived_files(place.target)
    ]
    assert found["skipped"] == {"unreadable_lines": 0, "torn_lines": 0}
    assert found["retired"] == {"files": 0, "size_bytes": 0}


def test_skipped_lines_are_told(place: Place, capsys: Capture) -> None:
    for path in place.spool.rglob("n1.jsonl"):
        path.write_bytes(path.read_bytes() + b"{}\n[")
    assert place.archive() == OK
    assert "; 1 unreadable lines skipped; 1 torn lines skipped\n" in capsys.readouterr().out


@pytest.mark.parametrize("size", ["0", "0K", "0gib"])
def test_files_beyond_the_size_go(place: Place, size: str, capsys: Capture) -> None:
    assert place.archive("--keep-size", size) == OK
    assert archived_files(place.target) == []
    assert "1 old files deleted" in capsys.readouterr().out


def test_files_beyond_the_days_go_and_those_within_stay(place: Place) -> None:
    fill(place.spool, [a_row("today", end_us=4_000_000_000 * 1_000_000)])
    assert place.archive("--keep-days", "1", "--keep-size", "1T") == OK
    assert [row.uid for row in archived(place.target)] == ["today"]


REFUSED = {
    "no such spool": (["--spool", "{folder}/none"], "there is no such directory"),
    "spool is a file": (["--spool", "{folder}/file"], "there is no such directory"),
    "no such target": (["--to", "{folder}/none"], "is not there; make it first"),
    "target is a file": (["--to", "{folder}/file"], "is no directory; make it first"),
    "no such kind": (["--to", "ftp://x/y"], "Unrecognized filesystem"),
    "size": (["--keep-size", "lots"], "--keep-size 'lots' is no size"),
    "negative size": (["--keep-size", "-1"], "--keep-size '-1' is no size"),
    "digits of others": (["--keep-size", "\u0661"], "is no size"),
    "days": (["--keep-days", "0"], "--keep-days"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_said_in_one_line_and_changes_nothing(
    name: str, place: Place, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "file").write_text("x")
    words, problem = REFUSED[name]
    before = sorted(tmp_path.rglob("*"))
    assert place.archive(*(word.format(folder=tmp_path) for word in words)) == USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert problem in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert len(read_back(place.spool)) == 2


def test_a_broken_hour_is_said_and_left_and_the_rest_is_archived(
    place: Place, capsys: Capture
) -> None:
    for path in place.spool.rglob("n1.jsonl"):
        path.write_bytes(b"foreign\n")
    fill(place.spool, [a_row("good", end_us=NOON_US - DAY_US)])
    assert place.archive() == USAGE
    out, err = capsys.readouterr()
    assert out.startswith("1 claims")
    assert "n1.jsonl has not one line that can be read; its hour was left as it is" in err
    assert err.count("\n") == 1
    assert [row.uid for row in archived(place.target)] == ["good"]
    assert len(list(place.spool.rglob("*.jsonl"))) == 2


def test_another_run_and_a_foreign_journal_are_said(place: Place, capsys: Capture) -> None:
    lock = disk.Lock(place.spool / ARCHIVE_LOCK)
    assert place.archive() == USAGE
    assert "another run is archiving it" in capsys.readouterr().err
    lock.release()
    (place.spool / JOURNAL).write_text("x")
    assert place.archive() == USAGE
    assert "is no journal of an archive run" in capsys.readouterr().err
    assert len(read_back(place.spool)) == 2


def test_without_permission_it_says_so_and_nothing_is_deleted(
    place: Place, tmp_path: Path, capsys: Capture
) -> None:
    """A place that nobody may write, not even root."""
    assert place.archive("--to", "/sys/kernel") == USAGE
    err = capsys.readouterr().err
    assert "what was not yet archived is still in the spool" in err
    assert err.count("\n") == 1
    assert len(read_back(place.spool)) == 2
    assert place.archive() == OK
    assert len(archived(place.target)) == 2


def test_without_the_extra_it_says_what_to_install(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def nothing_found(package: str) -> None:
        return None

    monkeypatch.setattr(extra, "find_spec", nothing_found)
    assert place.archive() == USAGE
    said = "warmclaim: warmclaim archive needs pyarrow: pip install 'warmclaim[archive]'\n"
    assert capsys.readouterr().err == said


WITHOUT_ARROW = """
import sys
sys.modules["pyarrow"] = sys.modules["duckdb"] = None
import warmclaim.archive.spool, warmclaim.archive.spool_reader, warmclaim.app.build
"""


def test_the_managers_side_needs_no_extra() -> None:
    subprocess.run(
        [sys.executable, "-c", WITHOUT_ARROW],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )


def test_progress_is_shown_on_a_terminal_alone(place: Place) -> None:
    leader, terminal = pty.openpty()
    words = ["archive", "--spool", str(place.spool), "--to", str(place.target)]
    done = subprocess.run(
        [sys.executable, "-m", "warmclaim", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=terminal,
        check=True,
    )
    os.close(terminal)
    shown = os.read(leader, 65_536)
    os.close(leader)
    assert b"archiving" in shown
    assert done.stdout.startswith(b"2 claims of 1 hours")
