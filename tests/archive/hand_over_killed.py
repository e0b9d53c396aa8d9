"""Converts a spool, killed at every moment of it, and goes on after that: no row lost or doubled.

    python hand_over_killed.py FOLDER

It prints one JSON object: at how many moments it was killed, and what was wrong after which.
A process of its own, since only one without threads may fork.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from pathlib import Path

from tests.archive.archives import archived
from tests.archive.killing import killed_at
from tests.archive.spools import HOUR_US, NOON_US, a_row, a_writer

from warmclaim.archive.convert import convert_closed
from warmclaim.archive.spool_reader import Skipped, spooled
from warmclaim.archive.target import open_target

ROWS = [
    a_row(f"{day}-{node}-{number}", node=node, end_us=NOON_US + 24 * day * HOUR_US)
    for day in range(2)
    for node in ("n1", "n2")
    for number in range(2)
]
UIDS = {row.uid for row in ROWS}


def convert(folder: Path) -> None:
    convert_closed(folder / "spool", open_target(str(folder / "target")))


def begin(folder: Path) -> None:
    """An archive with one row in it, and a spool of a writer that ended and one that was killed."""
    (folder / "target").mkdir(parents=True)
    ended, killed = a_writer(folder / "spool"), a_writer(folder / "spool")
    ended.write(ROWS[:1])
    ended.close()
    convert(folder)
    ended.write(ROWS[1:6])
    ended.close()
    killed.write(ROWS[6:])


def found_wrong(folder: Path, *, is_done: bool) -> list[str]:
    """An archive may be read at any time; what it has not is still in the spool."""
    in_archive = Counter(row.uid for row in archived(folder / "target"))
    skipped = Skipped()
    in_spool = Counter(row.uid for row in spooled(folder / "spool", skipped))
    wrong = [f"{uid} is doubled" for uid, times in in_archive.items() if times > 1]
    wrong += [f"{uid} is doubled in the spool" for uid, times in in_spool.items() if times > 1]
    wrong += [f"{uid} is lost" for uid in UIDS - {*in_archive, *in_spool}]
    if is_done:
        wrong += [f"{uid} is not archived" for uid in UIDS - {*in_archive}]
        wrong += [f"{uid} is still spooled" for uid in in_spool]
        left = [path.name for path in folder.rglob("*") if path.name.endswith((".part", ".jsonl"))]
        wrong += [f"{name} is left" for name in left]
    return wrong if skipped == Skipped() else [*wrong, str(skipped)]


def child(work: Callable[[], object]) -> None:
    """Do it in a process of its own, so that this one stays without threads."""
    killed_at(0, work)


def moments(folder: Path, twice: Iterable[int]) -> tuple[int, list[str]]:
    """Killed once at each moment; and at each of `twice` moments of the run after that."""
    wrong: list[str] = []
    for moment in count(1):
        for again in (0, *twice):
            place = folder / f"{moment}-{again}"
            child(partial(begin, place))
            was_killed = killed_at(moment, partial(convert, place))
            wrong += looked_at(place, f"{moment}", is_done=not was_killed)
            if was_killed and again:
                was_killed_again = killed_at(again, partial(convert, place))
                wrong += looked_at(place, f"{moment}, {again}", is_done=not was_killed_again)
            child(partial(convert, place))
            wrong += looked_at(place, f"{moment}, {again}, end", is_done=True)
            shutil.rmtree(place)
            if not was_killed:
                return moment - 1, wrong
    raise AssertionError("never comes here")


def looked_at(place: Path, when: str, *, is_done: bool) -> list[str]:
    report = place / "report"

    def look() -> None:
        report.write_text(json.dumps(found_wrong(place, is_done=is_done)))

    child(look)
    return [f"killed at {when}: {one}" for one in json.loads(report.read_text())]


def main() -> None:
    folder, *twice = sys.argv[1:]
    killed, wrong = moments(Path(folder), map(int, twice))
    print(json.dumps({"killed": killed, "wrong": wrong}))


if __name__ == "__main__":
    main()
