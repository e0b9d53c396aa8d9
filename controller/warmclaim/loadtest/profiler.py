"""CPU profiles of a Python controller, by py-spy: a program that looks at another one's stacks from
outside and costs it next to nothing."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from warmclaim.errors import UsageError
from warmclaim.loadtest.failures import LoadtestError

RATE_PER_S = 100
END_S_MAX = 20.0


def found() -> str:
    """Path of py-spy, from this environment or $PATH. Raises UsageError."""
    beside = Path(sys.executable).with_name("py-spy")
    path = str(beside) if beside.exists() else shutil.which("py-spy")
    if path is None:
        raise UsageError("--cpu-profile needs py-spy: pip install 'warmclaim[loadtest]'")
    return path


@asynccontextmanager
async def profiled(pid: int, file: Path) -> AsyncGenerator[None]:
    """Sample the stacks of a process and its children while this is open; `file` gets them folded.

    Raises LoadtestError at the end where it did not work: no Python, or no right to look at it.
    """
    process = await asyncio.create_subprocess_exec(
        *(found(), "record", "--pid", str(pid), "--output", str(file), "--format", "raw"),
        # By function: by line, which is the default, each loop would fall into splinters.
        *("--rate", str(RATE_PER_S), "--function", "--subprocesses", "--nonblocking"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        # It ends by the signal below, not by a Ctrl-C that is this program's.
        start_new_session=True,
    )
    try:
        yield
    finally:
        said = await _ended(process)
    _check(process.returncode, file, said)


def _check(code: int | None, file: Path, said: str) -> None:
    # Ended by the signal itself: the phase was over before it had looked once.
    if code != -signal.SIGINT and not file.exists():
        lines = [one for one in said.splitlines() if one.startswith("Error")] or said.splitlines()
        raise LoadtestError(f"py-spy made no CPU profile: {lines[0] if lines else 'no reason'}")


async def _ended(process: asyncio.subprocess.Process) -> str:
    """Let it write what it has; what it said."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(END_S_MAX):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        _, said = await process.communicate()
    return said.decode(errors="replace")
