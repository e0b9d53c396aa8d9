"""Errors of the test control plane, and the one bounded wait they come from."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

_TAIL_BYTES = 16_384


class ControlPlaneError(Exception):
    """A component did not do what was asked of it; the text ends with the tail of its log."""


def log_tail(path: Path, lines: int = 25) -> str:
    """Last lines of a log file, or a word on why there are none. Never raises OSError."""
    try:
        with path.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(0, log.tell() - _TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except OSError as error:
        return f"(no log: {error})"
    return "\n".join(text.splitlines()[-lines:]) or "(empty log)"


def single_errors(error: BaseException) -> list[BaseException]:
    """Each error that a group holds, however deep; an error that is no group is alone."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    inner = cast("BaseExceptionGroup[BaseException]", error).exceptions
    return [single for one in inner for single in single_errors(one)]


def wait_until(
    what: str,
    condition: Callable[[], str | None],
    *,
    timeout_s: float,
    log: Path | None = None,
    interval_s: float = 0.02,
) -> None:
    """Poll until the condition returns None; anything else it returns is what is still missing.

    Blocks the calling thread; a test with a running event loop hands it to a thread.

    Raises:
        ControlPlaneError: not within `timeout_s` seconds. Names `what`, the last thing missing
            and the tail of `log`.
    """
    deadline = time.monotonic() + timeout_s
    while (missing := condition()) is not None:
        if time.monotonic() >= deadline:
            tail = f"\n--- tail of {log.name}\n{log_tail(log)}" if log else ""
            raise ControlPlaneError(f"{what}: not within {timeout_s:g} s: {missing}{tail}")
        time.sleep(interval_s)
