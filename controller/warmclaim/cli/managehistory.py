"""The claim history of a running manager: its spool, and the child processes that archive it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from warmclaim.app import App
from warmclaim.archive.extra import is_here
from warmclaim.archive.spool import Spool
from warmclaim.errors import UsageError
from warmclaim.seams import Clock, Rng
from warmclaim.settings import HistorySettings
from warmclaim.telemetry.logs import fields
from warmclaim.telemetry.metrics import Metrics

SPOOL_FOLDER: Final = "spool"
ARCHIVE_FOLDER: Final = "archive"
"""Both within --claim-history-dir."""

ARCHIVE_S_MAX: Final = 3600.0
"""A child that takes longer is ended. It begins anew the next time, and loses nothing."""
NICENESS: Final = 10
_SAID_BYTES_MAX: Final = 4_096

_log = logging.getLogger(__name__)


class ManagerHistory:
    """Rows go to `spool`; while the process leads, its past hours are archived.

    In child processes, of the lowest priority that matters: Arrow would hold the event loop, and
    what it takes of memory is given back.
    """

    def __init__(self, settings: HistorySettings, spool: Spool, clock: Clock) -> None:
        self.spool = spool
        self._settings = settings
        self._clock = clock

    def attach(self, app: App) -> None:
        """Tell the app's metrics of it, and have it archived while the app leads."""
        spool, metrics = self.spool, app.metrics
        metrics.history_rows.read_from(lambda: [((), spool.written)])
        metrics.history_dropped.read_from(
            lambda: [((cause,), count) for cause, count in spool.dropped.items()]
        )
        if is_here("pyarrow"):
            app.manager.add_leader("claim history", lambda: self._archive_for_ever(metrics))
        else:
            _log.warning(
                "claim history is spooled and not archived: pip install 'warmclaim[archive]'"
            )

    def close(self) -> None:
        """Write what is there; waits for two seconds at most."""
        self.spool.close()

    async def _archive_for_ever(self, metrics: Metrics) -> None:
        while True:
            await self._clock.sleep(self._settings.archive_every_s)
            metrics.history_conversions.inc()
            if problem := await said_by(archive_command(self._settings)):
                metrics.history_failures.inc()
                _log.warning("claim history was not archived", extra=fields(problem=problem))


def open_history(
    settings: HistorySettings, identity: str, clock: Clock, rng: Rng
) -> ManagerHistory | None:
    """The history that the flags ask for; None for none. Raises UsageError where its folder cannot
    be made."""
    if not settings.directory:
        return None
    folder = Path(settings.directory)
    wanted = [folder / SPOOL_FOLDER] + ([] if settings.target else [folder / ARCHIVE_FOLDER])
    try:
        for path in wanted:
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--claim-history-dir {folder}: {error.strerror}") from None
    plain = identity.replace("_", "-")  # else the folder has a digest for a name
    spool = Spool(
        folder / SPOOL_FOLDER,
        identity=plain,
        clock=clock,
        rng=rng,
        bytes_max=settings.spool_bytes_max,
    )
    return ManagerHistory(settings, spool, clock)


def archive_command(settings: HistorySettings) -> list[str]:
    """The command line that archives what these settings keep."""
    folder = Path(settings.directory)
    command = [sys.executable, "-P", "-m", "warmclaim", "archive"]
    command += ["--spool", str(folder / SPOOL_FOLDER)]
    command += ["--to", settings.target or str(folder / ARCHIVE_FOLDER)]
    if settings.keep_days_max:
        command += ["--keep-days", str(settings.keep_days_max)]
    if settings.keep_bytes_max:
        command += ["--keep-size", str(settings.keep_bytes_max)]
    return command


async def said_by(command: Sequence[str]) -> str:
    """Run a child that others come before; "" if it ended well, else the last line that it said.

    Never longer than ARCHIVE_S_MAX; one that is cancelled ends its child and waits for that.
    """
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        return f"no process could be made: {error.strerror}"
    try:
        with suppress(OSError):  # it may have ended already
            os.setpriority(os.PRIO_PROCESS, child.pid, NICENESS)
        async with asyncio.timeout(ARCHIVE_S_MAX):
            said = await _last_line(child)
            code = await child.wait()
    except TimeoutError:
        return f"not within {ARCHIVE_S_MAX:g} s"
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return (said or f"exit code {code}") if code else ""


async def _last_line(child: asyncio.subprocess.Process) -> str:
    assert child.stderr is not None
    said = b""
    while piece := await child.stderr.read(_SAID_BYTES_MAX):
        said = (said + piece)[-_SAID_BYTES_MAX:]
    return said.decode(errors="replace").strip().rpartition("\n")[2]
