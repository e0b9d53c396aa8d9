"""The command line: flags to settings to app.

Each sub-command imports what it needs when it is called, so that `--help` and `run` start quickly.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from warmclaim.errors import UsageError

PROGRAM = "warmclaim"
OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done, failed, bad input, stopped by Ctrl-C."""


def main(argv: Sequence[str] | None = None) -> int:
    """The console script `warmclaim`; `argv` without the program's name. Returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)

    def body() -> int:
        from warmclaim.cli.commands import invoke

        return invoke(arguments)

    return guarded(PROGRAM, body)


def guarded(program: str, body: Callable[[], int]) -> int:
    """The exit code of `body`; a UsageError becomes one line on stderr and `USAGE`."""
    try:
        return body()
    except UsageError as error:
        return refuse(program, str(error))
    except KeyboardInterrupt:
        return INTERRUPTED


def refuse(program: str, problem: str) -> int:
    """Say on one line of stderr what the user has to change; returns `USAGE`."""
    print(f"{program}: {' '.join(problem.split())}", file=sys.stderr)
    return USAGE
