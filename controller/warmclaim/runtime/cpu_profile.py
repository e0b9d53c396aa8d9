"""A CPU profile of this process, by py-spy: from outside it reads our stacks, and stops nothing.

A profiler within the process was tried and doubled its processor time (decisions/0017).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import Final, NamedTuple

from warmclaim.runtime.memory_file import memory_file

SECONDS_MAX: Final = 60
SECONDS: Final = 10
"""Where nobody says how long."""

RATE_PER_S: Final = 100
PROFILE_BYTES_MAX: Final = 16 * 1024 * 1024
_LONGER_S: Final = 20.0
_WORDS_MAX: Final = 300
_MISSING: Final = "needs py-spy: pip install 'warmclaim[profiling]'"
_NO_RIGHT: Final = "; the kernel or the pod's security may forbid it to read another process"


class Profile(NamedTuple):
    """What came of it: speedscope's JSON with status 200, or why there is none."""

    status: int
    body: bytes


async def cpu_profile(seconds: int) -> Profile:
    """Profile this process for so long. Cancelling ends it."""
    program = _program()
    if program is None:
        return Profile(501, _MISSING.encode())
    with memory_file() as (number, path):
        said, code = await _run(_command(program, seconds, path), number, seconds)
        if code != 0:
            return Profile(500, (_reason(said) + _NO_RIGHT).encode())
        body = os.pread(number, PROFILE_BYTES_MAX + 1, 0)
    if len(body) > PROFILE_BYTES_MAX:
        return Profile(500, f"more than {PROFILE_BYTES_MAX} bytes; ask for less".encode())
    return Profile(200, body)


def _program() -> str | None:
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


def _command(program: str, seconds: int, path: str) -> list[str]:
    return [
        *(program, "record", "--pid", str(os.getpid()), "--duration", str(seconds)),
        *("--rate", str(RATE_PER_S), "--format", "speedscope", "--nonblocking", "--output", path),
    ]


async def _run(command: list[str], number: int, seconds: int) -> tuple[bytes, int | None]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=(number,),
        env={},  # it needs none of what ours may hold
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds + _LONGER_S):
            _, said = await process.communicate()
    except TimeoutError:
        said = b"Error: it did not end"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return said, process.returncode


def _reason(said: bytes) -> str:
    lines = said.decode(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("Error")] or lines
    return f"py-spy made no profile: {errors[0] if errors else 'no reason'}"[:_WORDS_MAX]
