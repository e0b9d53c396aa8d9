"""The files that one writer of a spool has open. Blocks; belongs to one thread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from errno import ENOSPC
from os import strerror
from pathlib import Path
from typing import Final

import msgspec

from warmclaim.archive import disk
from warmclaim.archive.layout import (
    COLUMNS_FILE,
    COUNTS_FILE,
    LOCK_FILE,
    Batch,
    file_name,
    hour_at,
    hour_of,
    lines_file,
)
from warmclaim.archive.lines import LINE_BYTES_MAX, columns_line, line
from warmclaim.domain.claim_history import ClaimRow
from warmclaim.seams import Clock

HOURS_OPEN_MAX: Final = 8
"""A clock that jumps makes many hours at once; the one that was idle longest is closed."""
NODES_MAX: Final = 10_000
"""Nodes in one open hour, whose rows are counted in memory: a megabyte."""
IDLE_S: Final = 60.0
"""An hour that is not now is closed when nothing came for it this long."""


@dataclass
class _OpenHour:
    batch: Batch
    used_s: float
    rows: dict[str, int] = field(default_factory=dict[str, int])
    torn: set[str] = field(default_factory=set[str])
    """Files that may end within a line, since a write to them failed."""


class SpoolFiles:
    """A writer's directory and its open hours. At most HOURS_OPEN_MAX * NODES_MAX counts."""

    def __init__(
        self, spool: Path, *, identity: str, token: Callable[[], str], clock: Clock
    ) -> None:
        self._spool = spool
        self._identity = file_name(identity)
        self._token = token
        self._clock = clock
        self._lock: disk.Lock | None = None
        self._writer = spool
        self._hours: dict[str, _OpenHour] = {}
        self._serial = 0

    def write(self, rows: Sequence[ClaimRow]) -> tuple[int, OSError | None]:
        """Append rows; how many were written, and the error after which nothing more was tried.

        A row that is longer than any row can be is left out.
        """
        by_file: defaultdict[tuple[str, str], list[bytes]] = defaultdict(list)
        for row in rows:
            text = line(row)
            if len(text) <= LINE_BYTES_MAX:
                by_file[hour_of(row), lines_file(row.node)].append(text)
        written = 0
        try:
            self._settle()
            for (hour, name), lines in by_file.items():
                taken = self._append(hour, name, lines)
                written += taken
                if taken < len(lines):
                    return written, OSError(ENOSPC, strerror(ENOSPC))
        except OSError as error:
            return written, error
        return written, None

    def close_past(self) -> None:
        """Close the hours that are over. Raises OSError."""
        now_s, current = self._clock.monotonic(), hour_at(self._clock.wall())
        for hour, it in list(self._hours.items()):
            if hour != current and now_s - it.used_s >= IDLE_S:
                self._close(hour)

    def close(self) -> None:
        """Close every hour and give the directory up. Raises OSError."""
        if self._lock is None:
            return
        try:
            for hour in list(self._hours):
                self._close(hour)
        finally:
            self._lock.release()
            self._lock = None
            self._hours.clear()

    def _settle(self) -> None:
        """Have a directory of our own, locked before anybody else can see it.

        It is made anew where somebody deleted it.
        """
        if self._lock is not None:
            if (self._writer / LOCK_FILE).exists():
                return
            self._lock.release()
            self._lock = None
            self._hours.clear()
        name = f"{self._identity}.{self._token()}"
        hidden = self._spool / f".{name}"
        disk.make_folder(hidden)
        lock = disk.Lock(hidden / LOCK_FILE)
        try:
            self._writer = self._spool / name
            disk.rename(hidden, self._writer)
        except OSError:
            lock.release()
            raise
        self._lock = lock

    def _append(self, hour: str, name: str, lines: Sequence[bytes]) -> int:
        """How many lines a file took. What it took of a further one is left as a torn line."""
        it = self._opened(hour, name)
        mend = b"\n" if name in it.torn else b""
        data = mend + b"".join(lines)
        it.torn.add(name)
        taken = disk.append(it.batch.folder / name, data)
        if taken == len(data):
            it.torn.discard(name)
        rows = data[len(mend) : taken].count(b"\n")
        it.rows[name] = it.rows.get(name, 0) + rows
        it.used_s = self._clock.monotonic()
        return rows

    def _opened(self, hour: str, name: str) -> _OpenHour:
        it = self._hours.get(hour)
        if it is not None and len(it.rows) >= NODES_MAX and name not in it.rows:
            self._close(hour)
            it = None
        if it is not None:
            return it
        if len(self._hours) >= HOURS_OPEN_MAX:
            self._close(min(self._hours, key=lambda one: self._hours[one].used_s))
        return self._open(hour)

    def _open(self, hour: str) -> _OpenHour:
        batch = Batch(hour, self._serial, self._writer, is_open=True)
        disk.make_folder(batch.folder)
        disk.write_whole(batch.folder / COLUMNS_FILE, columns_line())
        # Only now: one that could not be opened is tried again under its number.
        self._serial += 1
        self._hours[hour] = _OpenHour(batch, self._clock.monotonic())
        return self._hours[hour]

    def _close(self, hour: str) -> None:
        """For good: what comes late for this hour opens another batch of it."""
        it = self._hours[hour]
        with suppress(OSError):
            # A full disk is emptied by archiving what is closed; without counts it can be read too.
            disk.write_whole(it.batch.folder / COUNTS_FILE, msgspec.json.encode(it.rows))
        disk.rename(it.batch.folder, it.batch.closed.folder)
        del self._hours[hour]
