"""The manager's side: nothing waits, nothing raises, what is lost is counted."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import monotonic, sleep

import pytest
from tests.archive.spools import HandClock, a_row, read_back, uids

from warmclaim.archive.layout import batches, writers
from warmclaim.archive.spool import RETRY_S, Drop, Spool
from warmclaim.archive.spool_reader import Skipped, spooled

ROOT = Path(__file__).resolve().parents[2]
FLUSH_S = 0.01


def wait(until: Callable[[], bool], timeout_s: float = 20.0) -> None:
    end = monotonic() + timeout_s
    while not until():
        assert monotonic() < end, "it did not come to that"
        sleep(0.005)


@contextmanager
def a_spool(
    folder: Path,
    clock: HandClock | None = None,
    rows_buffered_max: int = 8192,
    bytes_max: int = 0,
) -> Generator[Spool]:
    spool = Spool(
        folder,
        identity="pod",
        clock=clock or HandClock(),
        flush_s=FLUSH_S,
        rows_buffered_max=rows_buffered_max,
        bytes_max=bytes_max,
    )
    try:
        yield spool
    finally:
        spool.close()


def drops(spool: Spool) -> dict[Drop, int]:
    return {cause: count for cause, count in spool.dropped.items() if count}


def test_rows_are_on_disk_soon_and_closed_at_the_end(tmp_path: Path) -> None:
    with a_spool(tmp_path / "not" / "there" / "yet") as spool:
        for number in range(100):
            spool.append(a_row(f"{number:03}"))
        wait(lambda: spool.written == 100)
        assert len(read_back(tmp_path / "not" / "there" / "yet")) == 100
    (writer,) = writers(tmp_path / "not" / "there" / "yet")
    assert [batch.is_open for batch in batches(writer)] == [False]
    assert not drops(spool)


def test_what_was_appended_before_the_end_is_written(tmp_path: Path) -> None:
    spool = Spool(tmp_path, identity="pod", flush_s=1000)
    for number in range(1000):
        spool.append(a_row(str(number)))
    spool.close()
    spool.close()
    assert spool.written == len(read_back(tmp_path)) == 1000
    spool.append(a_row("late"))
    assert drops(spool) == {Drop.BUFFER_FULL: 1}


def test_a_full_buffer_drops_and_counts_and_never_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the disk hangs."""
    go_on, is_hanging = Event(), Event()
    write = os.write

    def hang(handle: int, data: bytes) -> int:
        is_hanging.set()
        assert go_on.wait(20)
        return write(handle, data)

    monkeypatch.setattr(os, "write", hang)
    with a_spool(tmp_path, rows_buffered_max=10) as spool:
        spool.append(a_row("first"))
        assert is_hanging.wait(20)
        for number in range(25):
            spool.append(a_row(str(number)))
        assert len(spool) == 10
        assert drops(spool) == {Drop.BUFFER_FULL: 15}
        go_on.set()
        wait(lambda: spool.written == 11)
    assert len(read_back(tmp_path)) == 11


@pytest.mark.parametrize(
    ("place", "cause"), [("/sys/warmclaim", Drop.NO_PERMISSION), ("/dev/null/x", Drop.OTHER)]
)
def test_a_place_that_cannot_be_written_stops_history_with_one_line(
    place: str, cause: Drop, caplog: pytest.LogCaptureFixture
) -> None:
    clock = HandClock()
    with caplog.at_level(logging.INFO, "warmclaim"), a_spool(Path(place), clock) as spool:
        for number in range(5):
            spool.append(a_row(str(number)))
            wait(lambda sent=number + 1: drops(spool) == {cause: sent})  # type: ignore[misc]
            clock.go(RETRY_S + 1)
    assert len(caplog.records) == 1
    assert "history stops" in caplog.text


def test_it_goes_on_when_the_place_can_be_written_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, clock = tmp_path / "spool", HandClock()
    folder.write_text("in its place")
    with caplog.at_level(logging.INFO, "warmclaim"), a_spool(folder, clock) as spool:
        spool.append(a_row("lost"))
        wait(lambda: drops(spool) == {Drop.OTHER: 1})
        folder.unlink()
        spool.append(a_row("too early"))
        wait(lambda: drops(spool) == {Drop.OTHER: 2})
        assert not folder.exists()
        clock.go(RETRY_S + 1)
        spool.append(a_row("kept"))
        wait(lambda: spool.written == 1)
    assert uids(read_back(folder)) == ["kept"]
    assert [record.message.partition(" until")[0] for record in caplog.records] == [
        "claim history stops",
        "claim history goes on",
    ]


def test_a_row_that_cannot_be_written_at_all_ends_nothing(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool:
        spool.append(a_row("\ud800"))
        wait(lambda: drops(spool) == {Drop.OTHER: 1})
        spool.append(a_row("next"))
        wait(lambda: spool.written == 1)


FULL_DISK = """
import json, resource, sys
from pathlib import Path
from tests.archive.spools import HandClock, a_row
from tests.archive.test_spool import a_spool, drops, wait
from warmclaim.archive.spool import RETRY_S

folder, limit = Path(sys.argv[1]), int(sys.argv[2])
clock = HandClock()
with a_spool(folder, clock) as spool:
    spool.append(a_row("before"))
    wait(lambda: spool.written == 1)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    else:
        (folder / "filler").write_bytes(b"")
        try:
            with (folder / "filler").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(512))
        except OSError:
            pass
    sent = 2000
    for number in range(sent):
        spool.append(a_row(f"{number:04}"))
    wait(lambda: spool.written + sum(drops(spool).values()) == sent + 1)
    lost = drops(spool)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    else:
        (folder / "filler").unlink()
    clock.go(RETRY_S + 1)
    written = spool.written
    spool.append(a_row("after"))
    wait(lambda: spool.written == written + 1)
print(json.dumps([lost, written]))
"""


def filled_up(folder: Path, limit_bytes: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder), str(limit_bytes)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        timeout=50,
        check=True,
    )
    lost, written = json.loads(done.stdout)
    assert lost == {"disk-full": 2001 - written}
    assert lost["disk-full"] > 0
    skipped = Skipped()
    found = uids(spooled(folder, skipped))
    assert {"before", "after"} <= set(found)
    assert len(found) in (written + 1, written + 2)
    assert skipped.torn_lines == 0
    assert skipped.unreadable_lines <= 1


def test_files_that_may_not_grow_count_as_a_full_disk(tmp_path: Path) -> None:
    filled_up(tmp_path / "spool", 100_000)


def test_a_full_disk_loses_what_does_not_fit_and_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    """A real one, where this account may mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this account may not mount a small disk; the test before does without")
    try:
        filled_up(tmp_path, 0)
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


ENDLESS = """
import sys
from itertools import count
from pathlib import Path
from time import sleep
from tests.archive.spools import a_row
from warmclaim.archive.spool import Spool

spool = Spool(Path(sys.argv[1]), identity="pod", flush_s=0.05)
for number in count():
    spool.append(a_row(str(number), node=f"n{number % 50}"))
    if not number % 200:
        print(number, spool.written, flush=True)
        sleep(0.01)
"""


def test_a_kill_loses_what_was_not_flushed_and_nothing_else(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        written = 0
        while written < 4000:
            _, written = map(int, process.stdout.readline().split())
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            written = int(line.split()[1])
    skipped = Skipped()
    found = sorted(int(row.uid) for row in spooled(tmp_path, skipped))
    assert len(found) >= written
    assert len(set(found)) == len(found)
    assert skipped.torn_lines + skipped.unreadable_lines <= 1
