"""Closed hours of a spool become Parquet files, one row group for each node."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby, islice
from pathlib import Path
from typing import Final

import pyarrow as pa

from warmclaim.archive.columns import columns_of_node
from warmclaim.archive.groups import row_groups
from warmclaim.archive.handover import Handover
from warmclaim.archive.layout import Batch
from warmclaim.archive.parquet import FileSeries
from warmclaim.archive.spool_reader import BrokenSpoolError, HourReader, Skipped, counted_rows
from warmclaim.archive.target import Target
from warmclaim.telemetry.logs import fields

BATCHES_MAX: Final = 256
"""Hours of one day that become files together; more are taken in turns."""

GC_OBJECTS: Final = 50_000

_log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Told the rows done, and those there are in all as far as their writers said."""


@dataclass
class Converted:
    """What a run did."""

    rows: int = 0
    files: list[str] = field(default_factory=list[str])
    """Their names under the target."""
    size_bytes: int = 0
    hours: int = 0
    skipped: Skipped = field(default_factory=Skipped)
    missing_rows: int = 0
    """Rows that a writer counted and that are no longer there."""
    broken: list[str] = field(default_factory=list[str])
    """Why hours were left as they are, one line each."""


def only_archiving() -> None:
    """Set up a process that does nothing else: a quarter less memory, a tenth less work."""
    # mimalloc, the default, keeps what was freed.
    pa.set_memory_pool(pa.system_memory_pool())
    # Rows come and go by the thousand and hold no cycles.
    gc.freeze()
    gc.set_threshold(GC_OBJECTS)


def convert_closed(
    spool: Path, target: Target, *, on_progress: Progress = lambda done, total: None
) -> Converted:
    """Archive every closed hour. Memory: one row group and its encoding.

    Blocks, some 3 us for a row. An hour that holds what is no row is left as it is, and told in
    `broken`. Raises UsageError, BusyError where another run is at it, OSError.
    """
    done = Converted()
    with Handover(spool, target) as handover:
        handover.recover()
        closed = handover.closed()
        total = sum(_counted(batch) for batch in closed)
        for _, day in groupby(closed, key=lambda batch: batch.day):
            while some := list(islice(day, BATCHES_MAX)):
                _Conversion(handover, done, lambda rows: on_progress(rows, total)).run(some)
    return done


class _Conversion:
    """Hours of one day on their way."""

    def __init__(
        self, handover: Handover, done: Converted, on_progress: Callable[[int], None]
    ) -> None:
        self._handover = handover
        self._done = done
        self._on_progress = on_progress
        self._skipped = Skipped()
        self._rows = 0

    def run(self, hours: list[Batch]) -> None:
        """Convert and hand over. Where one is broken it is left, and the others begin anew."""
        while hours:
            self._skipped, self._rows = Skipped(), 0
            self._handover.clear_work()
            try:
                made = self._made(hours)
            except BrokenSpoolError as error:
                self._done.broken.append(str(error))
                _log.error("claim history: an hour was left: %s", error)
                hours.remove(error.batch)
                continue
            expected = sum(map(_counted, hours))
            size_bytes = sum((self._handover.work / name).stat().st_size for name in made)
            self._handover.hand_over(made, hours)
            self._count(made, hours, size_bytes, expected)
            return

    def _made(self, hours: Sequence[Batch]) -> dict[str, str]:
        """The files' names in the work folder, and under the target."""
        rows = sum(map(_counted, hours))
        readers = [HourReader(batch, self._skipped) for batch in hours]
        nodes = sorted({name for reader in readers for name in reader.names()})
        made = FileSeries(self._handover.work, rows_for_each_node=rows // max(1, len(nodes)))
        with made:
            for node in nodes:
                for table in row_groups(columns_of_node(node, readers), self._handover.work):
                    made.add(table)
                    self._rows += table.num_rows
                    del table
                self._on_progress(self._done.rows + self._rows)
        stem = _stem(hours)
        return {
            path.name: f"date={hours[0].day}/{stem}-{number}.parquet"
            for number, path in enumerate(made.paths)
        }

    def _count(
        self, made: dict[str, str], hours: Sequence[Batch], size_bytes: int, expected: int
    ) -> None:
        done, skipped = self._done, self._skipped
        missing = max(0, expected - self._rows - skipped.unreadable_lines - skipped.torn_lines)
        done.rows += self._rows
        done.files.extend(made.values())
        done.size_bytes += size_bytes
        done.hours += len(hours)
        done.skipped.unreadable_lines += skipped.unreadable_lines
        done.skipped.torn_lines += skipped.torn_lines
        done.missing_rows += missing
        if skipped.unreadable_lines or missing:
            _log.warning(
                "claim history: spooled rows could not be read",
                extra=fields(
                    day=str(hours[0].day), unreadable=skipped.unreadable_lines, missing=missing
                ),
            )


def _counted(batch: Batch) -> int:
    return sum((counted_rows(batch) or {}).values())


def _stem(hours: Sequence[Batch]) -> str:
    """A file name that tells the first hour, and is the same for the same hours alone."""
    digest = sha256("\n".join(batch.name for batch in hours).encode()).hexdigest()[:16]
    return f"claims-{hours[0].hour}-{digest}"
