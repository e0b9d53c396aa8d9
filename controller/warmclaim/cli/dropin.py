"""`agent-sandbox-controller`: takes the Go manager's arguments, so that only the image of its
Deployment changes. Its defaults are that manager's: only sandboxes, until --extensions is given.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from warmclaim.cli import guarded

PROGRAM = "agent-sandbox-controller"


def main(argv: Sequence[str] | None = None) -> int:
    """The console script; `argv` without the program's name. Returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)

    def body() -> int:
        from warmclaim.cli.run import run

        return run(arguments, program=PROGRAM, dropin=True)

    return guarded(PROGRAM, body)


if __name__ == "__main__":
    sys.exit(main())
