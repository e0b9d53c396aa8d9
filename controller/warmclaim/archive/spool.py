"""The manager's side of the claim history: finished rows go to disk, and nothing waits for them."""

from __future__ import annotations

import logging
import threading
from collections import deque
from enum import StrEnum
from errno import EACCES, EDQUOT, EFBIG, ENOSPC, EPERM, EROFS
from pathlib import Path
from typing import Final

from warmclaim.archive.spool_bound import SpoolBound
from warmclaim.archive.spool_files import SpoolFiles
from warmclaim.domain.claim_history import ClaimRow
from warmclaim.seams import Clock, Rng, SystemClock, SystemRng
from warmclaim.telemetry.logs import fields

ROWS_BUFFERED_MAX: Final = 8192
"""About a kilobyte each."""
FLUSH_S: Final = 1.0
"""What the death of the process can lose; the machine's own, what is not on its disk yet."""
RETRY_S: Final = 10.0
"""How long nothing is tried after a failed write."""
CLOSE_S_MAX: Final = 2.0
BOUND_S: Final = 60.0
"""Between two looks at the size of the whole spool."""

_TOKEN_CHARS = 10

_log = logging.getLogger(__name__)


class Drop(StrEnum):
    """Why a row is not in the history."""

    BUFFER_FULL = "buffer-full"
    DISK_FULL = "disk-full"
    NO_PERMISSION = "no-permission"
    SPOOL_FULL = "spool-full"
    """It was written, and went as the oldest of too much."""
    OTHER = "other"


_DROPS: Final = {
    **dict.fromkeys((ENOSPC, EDQUOT, EFBIG), Drop.DISK_FULL),
    **dict.fromkeys((EACCES, EPERM, EROFS), Drop.NO_PERMISSION),
}


class Spool:
    """Appends rows to a spool in a thread of its own. All methods may be called from any thread.

    `append` takes a microsecond and never raises. A directory that cannot be written stops the
    history with one line in the log; it is tried again every RETRY_S, and what comes meanwhile is
    counted in `dropped`. Memory: ROWS_BUFFERED_MAX rows.
    """

    def __init__(
        self,
        folder: Path,
        *,
        identity: str,
        clock: Clock | None = None,
        rng: Rng | None = None,
        flush_s: float = FLUSH_S,
        rows_buffered_max: int = ROWS_BUFFERED_MAX,
        bytes_max: int = 0,
    ) -> None:
        """`identity` names this process to people; others that share the folder may have it too.

        `bytes_max` bounds all that lies in the folder; 0 is no bound.
        """
        self.written = 0
        self.dropped: dict[Drop, int] = dict.fromkeys(Drop, 0)
        self._clock = clock or SystemClock()
        chance = rng or SystemRng()
        self._folder = folder
        self._files = SpoolFiles(
            folder,
            identity=identity,
            token=lambda: chance.token(_TOKEN_CHARS),
            clock=self._clock,
        )
        self._bound = SpoolBound(folder, bytes_max)
        self._bounded_s: float | None = None
        self._flush_s = flush_s
        self._rows_max = rows_buffered_max
        self._rows: deque[ClaimRow] = deque()
        self._wake = threading.Event()
        self._is_closed = False
        self._stopped_until_s: float | None = None
        self._stopped_by = Drop.OTHER
        self._thread = threading.Thread(target=self._run, name="claim-history", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Rows that wait to be written."""
        return len(self._rows)

    def append(self, row: ClaimRow) -> None:
        """Take a row, to be on disk within `flush_s`; drop and count it where that cannot be."""
        if self._is_closed or len(self._rows) >= self._rows_max:
            self.dropped[Drop.BUFFER_FULL] += 1
            return
        self._rows.append(row)
        if len(self._rows) * 2 >= self._rows_max:
            self._wake.set()

    def close(self) -> None:
        """Write what is there and close the hours; waits CLOSE_S_MAX at most. May come twice."""
        self._is_closed = True
        self._wake.set()
        self._thread.join(CLOSE_S_MAX)

    def _run(self) -> None:
        while not self._is_closed:
            self._wake.wait(self._flush_s)
            self._wake.clear()
            self._guarded_turn()
            self._keep_bound()
        self._guarded_turn()
        try:
            self._files.close()
        except OSError as error:
            _log.warning("claim history: the spool was not closed: %s", error)

    def _guarded_turn(self) -> None:
        """Nothing that goes wrong with history ends its thread."""
        rows = [self._rows.popleft() for _ in range(len(self._rows))]
        try:
            self._turn(rows)
        except Exception as error:
            self.dropped[Drop.OTHER] += len(rows)
            _log.exception("claim history: rows lost", extra=fields(rows=len(rows), error=error))

    def _keep_bound(self) -> None:
        now_s = self._clock.monotonic()
        if self._bounded_s is not None and now_s - self._bounded_s < BOUND_S:
            return
        self._bounded_s = now_s
        self.dropped[Drop.SPOOL_FULL] += self._bound.keep()

    def _turn(self, rows: list[ClaimRow]) -> None:
        now_s = self._clock.monotonic()
        if self._stopped_until_s is not None and now_s < self._stopped_until_s:
            self.dropped[self._stopped_by] += len(rows)
            return
        written, error = self._files.write(rows) if rows else (0, None)
        if error is None:
            error = self._closed_past()
        self.written += written
        self._note(error, is_proof=written > 0)
        self.dropped[self._stopped_by if error else Drop.OTHER] += len(rows) - written

    def _closed_past(self) -> OSError | None:
        try:
            self._files.close_past()
        except OSError as error:
            return error
        return None

    def _note(self, error: OSError | None, *, is_proof: bool) -> None:
        """Say once that history stops, and once that it goes on."""
        if error is not None:
            if self._stopped_until_s is None:
                _log.error(
                    "claim history stops until its directory can be written: %s",
                    error.strerror or error,
                    extra=fields(directory=str(self._folder)),
                )
            self._stopped_until_s = self._clock.monotonic() + RETRY_S
            self._stopped_by = _DROPS.get(error.errno or 0, Drop.OTHER)
        elif self._stopped_until_s is not None and is_proof:
            self._stopped_until_s = None
            lost = sum(self.dropped.values())
            _log.warning("claim history goes on", extra=fields(rows_dropped_since_start=lost))
