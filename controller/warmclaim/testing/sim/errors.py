"""What the manager logs as its own fault counts as a failure of the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager

# Words of the manager's log that no fault of the outside explains.
_OURS = ("pass crashed", "a subscriber failed", "on_change failed")


class _Listener(logging.Handler):
    def __init__(self, on_failure: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._on_failure = on_failure

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        is_fake = record.name.startswith("warmclaim.testing") and record.exc_info
        if is_fake or any(word in text for word in _OURS):
            error = record.exc_info[1] if record.exc_info else None
            self._on_failure(f"{record.name}: {text} {_place(error)}".strip())


@contextmanager
def watching_errors(on_failure: Callable[[str], None]) -> Generator[None]:
    """Inside, nothing of the package is logged; its own faults go to `on_failure`."""
    logger = logging.getLogger("warmclaim")
    listener = _Listener(on_failure)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(listener)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
        logger.propagate = propagate


def _place(error: BaseException | None) -> str:
    if error is None:
        return ""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
    return f"{error!r}{where}"
