"""The controller under test: any command line, started here and stopped at the end."""

from __future__ import annotations

import asyncio
import shlex
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from warmclaim.errors import UsageError
from warmclaim.loadtest.failures import LoadtestError

READY_S_MAX = 60.0
STOP_S_MAX = 15.0
_LOG_BYTES_SHOWN = 600
_LOOK_S = 0.05


@dataclass(frozen=True)
class Command:
    """A controller's command line, with the addresses that were put into it; empty where it has
    no place for them."""

    words: tuple[str, ...]
    health: str = ""
    metrics: str = ""

    def __str__(self) -> str:
        return shlex.join(self.words)


def command_of(text: str, kubeconfig: str) -> Command:
    """Split `text` as a shell would and put in what it leaves open: `{kubeconfig}`, and addresses
    of free ports for `{health}` and `{metrics}`.

    Raises UsageError for a text that is no command line.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--controller: {error}") from None
    if not words:
        raise UsageError("--controller: an empty command line")
    open_words = {"health": _address(), "metrics": _address()}
    used = {name: value for name, value in open_words.items() if f"{{{name}}}" in text}
    for name, value in (used | {"kubeconfig": kubeconfig}).items():
        words = [word.replace(f"{{{name}}}", value) for word in words]
    return Command(tuple(words), used.get("health", ""), used.get("metrics", ""))


class Controller:
    """A running controller."""

    def __init__(self, process: asyncio.subprocess.Process, command: Command, log: Path) -> None:
        self._process = process
        self._command = command
        self._log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: ended by that signal."""
        return self._process.returncode

    async def ready(self) -> None:
        """Wait until its /readyz answers 200, if its command line says where that is.

        Raises LoadtestError when it does not within a minute, or ends.
        """
        if not self._command.health:
            return
        said = "nothing"
        timeout = aiohttp.ClientTimeout(total=2.0)
        try:
            async with asyncio.timeout(READY_S_MAX), aiohttp.ClientSession(timeout=timeout) as http:
                while said != "200":
                    self._check_running()
                    try:
                        async with http.get(f"http://{self._command.health}/readyz") as answer:
                            said = str(answer.status)
                    except (aiohttp.ClientError, TimeoutError) as error:
                        said = str(error) or type(error).__name__
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            why = f"not ready after {READY_S_MAX:g} s, /readyz says {said}"
            raise LoadtestError(f"the controller is {why}: {self._last_line()}") from None

    async def ended(self) -> None:
        """Wait until it ends by itself, which it should not; raises LoadtestError."""
        await self._process.wait()
        self._check_running()

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

    def _check_running(self) -> None:
        code = self._process.returncode
        if code is None:
            return
        raise LoadtestError(f"the controller ended with exit code {code}: {self._last_line()}")

    def _last_line(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][-_LOG_BYTES_SHOWN:] if lines else "it logged nothing"


@asynccontextmanager
async def running(command: Command, log: Path) -> AsyncGenerator[Controller]:
    """The controller, ready; what it prints goes to `log`. Stopped at the end.

    Raises UsageError when it cannot be executed, LoadtestError when it does not become ready.
    """
    with log.open("wb") as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *command.words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C is this program's: it deletes what it made while the controller serves.
                start_new_session=True,
            )
        except OSError as error:
            raise UsageError(f"--controller {command.words[0]}: {error.strerror}") from None
    controller = Controller(process, command, log)
    try:
        await controller.ready()
        yield controller
    finally:
        await asyncio.shield(controller.stop())


def _address() -> str:
    """Of a port on loopback that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"
