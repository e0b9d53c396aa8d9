"""`warmclaim demo`: a run of the demo on this terminal, and its exit code."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from rich.console import Console

from warmclaim.cli import FAILED, INTERRUPTED, OK, PROGRAM
from warmclaim.errors import ApiError, NotSentError, UnknownOutcomeError
from warmclaim.seams import SystemClock
from warmclaim.testing.demo.process import DemoFailedError
from warmclaim.testing.demo.progress import display
from warmclaim.testing.demo.report import page
from warmclaim.testing.demo.result import Result, encoded
from warmclaim.testing.demo.scenario import Scenario

WARNINGS_MAX = 5


def run_demo(*, pool: int, burst: int, qps: float, nodes: int, as_json: bool) -> int:
    """Run the demo; the result goes to stdout, with `as_json` everything else to stderr.

    Returns the exit code: failed if a claim was not served or a sandbox was given twice. Raises
    UsageError for numbers out of their limits.
    """
    scenario = Scenario(pool=pool, burst=burst, qps=qps, nodes=nodes)
    scenario.check()
    with _held_back() as warnings:
        try:
            result = _run(scenario, Console(stderr=as_json))
        except asyncio.CancelledError:
            return INTERRUPTED
        except (DemoFailedError, ApiError, NotSentError, UnknownOutcomeError) as error:
            return _failed([str(error)], warnings)
    _print(result, as_json=as_json)
    return OK if result.is_good else _failed(result.problems, warnings)


def _failed(problems: Iterable[str], warnings: Iterable[str]) -> int:
    for problem in problems:
        print(f"{PROGRAM}: the demo failed: {problem}", file=sys.stderr)
    for warning in warnings:
        print(f"{PROGRAM}: in this process: {warning}", file=sys.stderr)
    return FAILED


class _HeldBack(logging.Handler):
    """Keeps the last warnings of the embedded server and the client."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: deque[str] = deque(maxlen=WARNINGS_MAX)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.lines.append(record.getMessage() + (f": {error!r}" if error else ""))


@contextmanager
def _held_back() -> Generator[Iterable[str]]:
    """Warnings logged inside. A server that is stopped in the middle of its work has some, and
    they tell a user nothing unless the demo failed."""
    handler = _HeldBack()
    logging.getLogger().addHandler(handler)
    try:
        yield handler.lines
    finally:
        logging.getLogger().removeHandler(handler)


def _run(scenario: Scenario, console: Console) -> Result:
    import uvloop

    from warmclaim.testing.demo.engine import run_scenario

    async def main() -> Result:
        # SIGINT is the runner's; a terminal that is closed must not leave the manager behind.
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with display(console) as shown:
            return await run_scenario(scenario, shown, SystemClock())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def _print(result: Result, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.buffer.write(encoded(result))
        sys.stdout.flush()
    else:
        Console().print(page(result))
