"""`warmclaim demo`: a run of the demo on this terminal, and its exit code."""

from __future__ import annotations

import asyncio
import signal
import sys

from rich.console import Console

from warmclaim.cli import FAILED, INTERRUPTED, OK, PROGRAM
from warmclaim.errors import ApiError, NotSentError, UnknownOutcomeError
from warmclaim.seams import SystemClock
from warmclaim.testing.demo.process import DemoFailedError
from warmclaim.testing.demo.progress import display
from warmclaim.testing.demo.report import page
from warmclaim.testing.demo.result import Result, encoded
from warmclaim.testing.demo.scenario import Scenario


def run_demo(*, pool: int, burst: int, qps: float, nodes: int, as_json: bool) -> int:
    """Run the demo; the result goes to stdout, with `as_json` everything else to stderr.

    Returns the exit code: failed if a claim was not served or a sandbox was given twice. Raises
    UsageError for numbers out of their limits.
    """
    scenario = Scenario(pool=pool, burst=burst, qps=qps, nodes=nodes)
    scenario.check()
    try:
        result = _run(scenario, Console(stderr=as_json))
    except asyncio.CancelledError:
        return INTERRUPTED
    except (DemoFailedError, ApiError, NotSentError, UnknownOutcomeError) as error:
        print(f"{PROGRAM}: the demo failed: {error}", file=sys.stderr)
        return FAILED
    _print(result, as_json=as_json)
    return OK if result.is_good else FAILED


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
    for problem in result.problems:
        print(f"{PROGRAM}: the demo failed: {problem}", file=sys.stderr)
