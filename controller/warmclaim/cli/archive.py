"""`warmclaim archive`: the claim history's closed hours become Parquet files."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from warmclaim.archive.extra import need
from warmclaim.cli import OK
from warmclaim.errors import UsageError
from warmclaim.seams import SystemClock

if TYPE_CHECKING:
    from warmclaim.archive.convert import Converted, Progress
    from warmclaim.archive.retention import Retired


def archive(
    *, spool: Path, to: str, keep_days: int | None, keep_bytes: int | None, as_json: bool
) -> int:
    """Convert, then retain; returns the exit code. Raises UsageError."""
    need("pyarrow", "warmclaim archive")
    from warmclaim.archive.convert import convert_closed, only_archiving
    from warmclaim.archive.retention import Retired, retain
    from warmclaim.archive.target import open_target

    only_archiving()
    try:
        target = open_target(to)
        with _progress() as on_progress:
            done = convert_closed(spool, target, on_progress=on_progress)
        retired = Retired()
        if keep_days is not None or keep_bytes is not None:
            today = datetime.fromtimestamp(SystemClock().wall(), UTC).date()
            retired = retain(target, today=today, days_max=keep_days, size_bytes_max=keep_bytes)
    except OSError as error:
        raise UsageError(_plain(error)) from None
    print(_as_json(done, retired) if as_json else _as_text(done, retired, str(target)))
    if done.broken:
        more = f" (and {len(done.broken) - 1} more)" if len(done.broken) > 1 else ""
        raise UsageError(f"{done.broken[0]}{more}; its hour was left as it is: mend or move it")
    return OK


def size_bytes(text: str) -> int:
    """A size such as 500, 64K, 20G, 1Ti (K and Ki are both 1,024). Raises UsageError."""
    units = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
    number = text.strip().lower().removesuffix("b").removesuffix("i")
    unit = number[-1:] if number[-1:].isalpha() else ""
    digits = number.removesuffix(unit)
    if unit not in units or not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise UsageError(f"--keep-size {text[:64]!r} is no size; write for example 20G")
    return int(digits) << 10 * units[unit]


def _plain(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}; what was not yet archived is still in the spool"


def _as_json(done: Converted, retired: Retired) -> str:
    found: dict[str, Any] = {**asdict(done), "retired": asdict(retired)}
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def _as_text(done: Converted, retired: Retired, target: str) -> str:
    said = [f"{done.rows:,} claims of {done.hours} hours in {len(done.files)} files to {target}"]
    if done.rows:
        said.append(f"{done.size_bytes:,} bytes, {done.size_bytes / done.rows:.0f} for a claim")
    for count, what in (
        (done.skipped.unreadable_lines, "unreadable lines skipped"),
        (done.skipped.torn_lines, "torn lines skipped"),
        (done.missing_rows, "rows missing in the spool"),
        (retired.files, f"old files deleted, {retired.size_bytes:,} bytes"),
    ):
        if count:
            said.append(f"{count:,} {what}")
    return "; ".join(said)


def _progress() -> AbstractContextManager[Progress]:
    """A bar on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        return nullcontext(lambda done, total: None)
    return _Bar()


class _Bar(AbstractContextManager["Progress"]):
    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("archiving"),
            BarColumn(),
            MofNCompleteColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self._show

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def _show(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=max(done, total) or None)
