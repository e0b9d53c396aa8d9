"""The manager as users run it: a process of its own, told by a kubeconfig where the server is."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from warmclaim.errors import WarmclaimError

STOP_S_MAX = 6.0
LOG_BYTES_SHOWN = 600


class DemoFailedError(WarmclaimError):
    """The demo could not be run to its end; the message is one line."""


class Manager:
    """A running `warmclaim run`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_s(self) -> float | None:
        """Processor time used so far in seconds, None where the system has no /proc."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return None
        # Behind the program's name in brackets: user and system time are the fields 14 and 15.
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    async def ended(self) -> None:
        """Wait until the process ends by itself, which it should not; raises DemoFailedError."""
        code = await self._process.wait()
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = lines[-1][-LOG_BYTES_SHOWN:] if lines else "it logged nothing"
        raise DemoFailedError(f"the manager ended with exit code {code}: {last}")

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for a process that does not heed it."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_S_MAX):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def running_manager(
    kubeconfig: Path, log: Path, flags: Sequence[str] = ()
) -> AsyncGenerator[Manager]:
    """A manager for the server that `kubeconfig` names, its log in `log`; stopped at the end."""
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the user's folder is no place to import from
            "-m",
            "warmclaim",
            "run",
            f"--kubeconfig={kubeconfig}",
            "--leader-elect=false",
            "--metrics-bind-address=0",
            "--health-probe-bind-address=0",
            *flags,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
        )
    manager = Manager(process, log)
    try:
        yield manager
    finally:
        await asyncio.shield(manager.stop())
