"""The controller under test: a process with a command line, watched from outside."""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from e2e.controlplane.failures import ControlPlaneError, log_tail, wait_until
from e2e.controlplane.ports import draw_ports
from e2e.controlplane.processes import Processes

NAME = "controller"
READY_S_MAX = 30.0
LOGGED_S_MAX = 20.0
EXIT_S = 5.0
"""How long the controller may take to end after SIGTERM, as its users are told."""
EXIT_MARGIN_S = 3.0
"""For a machine whose cores are busy with something else."""

CommandLine = Callable[[Path, int], Sequence[str]]
"""Program and arguments, from a kubeconfig file and the port for its health probes."""


def warmclaim_command(kubeconfig: Path, probe_port: int) -> list[str]:
    """The command line of warmclaim from this environment, alone and without a Lease."""
    return [
        sys.executable,
        "-m",
        "warmclaim",
        "run",
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--metrics-bind-address=127.0.0.1:0",
        f"--health-probe-bind-address=127.0.0.1:{probe_port}",
    ]


@dataclass(frozen=True)
class Probe:
    """Answer of a health endpoint; code 0 when there was none."""

    code: int
    text: str


class ControllerProcess:
    """One controller process. It cannot outlive the test runner; use it as a context."""

    def __init__(
        self, kubeconfig: Path, log_dir: Path, command: CommandLine = warmclaim_command
    ) -> None:
        """Nothing is started yet. What the process prints goes to `log` below `log_dir`."""
        log_dir.mkdir(parents=True, exist_ok=True)
        (self._port,) = draw_ports(1)
        self._command = list(command(kubeconfig, self._port))
        self._processes = Processes(log_dir, keep=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._processes.close()

    @property
    def log(self) -> Path:
        """What the process wrote to standard output and standard error."""
        return self._processes.log(NAME)

    def start(self) -> None:
        """Start it. Raises ControlPlaneError when it cannot be executed."""
        self._processes.start(NAME, self._command)

    def probe(self, path: str = "/readyz?verbose") -> Probe:
        """Ask a health endpoint; never raises."""
        try:
            url = f"http://127.0.0.1:{self._port}{path}"
            with urllib.request.urlopen(url, timeout=2.0) as answer:
                return Probe(answer.status, answer.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            with error:
                return Probe(error.code, error.read().decode(errors="replace"))
        except OSError as error:
            return Probe(0, str(error))

    def wait_ready(self, timeout_s: float = READY_S_MAX) -> float:
        """Wait for /readyz to answer 200; returns the seconds it took.

        Raises:
            ControlPlaneError: not in time, or the process ended; with the tail of its log.
        """
        begun = time.monotonic()

        def unready() -> str | None:
            self._processes.check_running(NAME)
            probe = self.probe()
            return None if probe.code == 200 else f"/readyz answers {probe.code}: {probe.text}"

        wait_until("controller ready", unready, timeout_s=timeout_s, log=self.log, interval_s=0.05)
        return time.monotonic() - begun

    def wait_logged(self, *texts: str, timeout_s: float = LOGGED_S_MAX) -> None:
        """Wait until each of these texts is in the log, whose quotes stand unescaped.

        A thread of its own writes the log: what readiness or an event tells may not be in it yet.

        Raises:
            ControlPlaneError: not in time; with the tail of the log.
        """

        def unsaid() -> str | None:
            said = self.log_text()
            return ", ".join(text for text in texts if text not in said) or None

        wait_until("log", unsaid, timeout_s=timeout_s, log=self.log, interval_s=0.1)

    def log_text(self) -> str:
        """All that it has logged, with the quotes of texts unescaped."""
        return self.log.read_text().replace('\\"', '"')

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._processes.exit_code(NAME) is None

    def stop(self) -> list[str]:
        """SIGTERM, then wait for the end; what was wrong with that: nothing, or one line.

        A process that does not end is killed.
        """
        if self.is_running():
            self._processes.signal(NAME, signal.SIGTERM)
        begun = time.monotonic()
        try:
            wait_until("exit", self._alive, timeout_s=EXIT_S + EXIT_MARGIN_S, interval_s=0.01)
        except ControlPlaneError:
            self._processes.signal(NAME, signal.SIGKILL)
            return [f"still running {time.monotonic() - begun:.1f} s after SIGTERM; killed"]
        code = self._processes.exit_code(NAME)
        return [] if code == os.EX_OK else [f"ended with code {code} after SIGTERM"]

    def kill(self) -> None:
        """SIGKILL; it is gone on return."""
        self._processes.signal(NAME, signal.SIGKILL)

    def tail(self, lines: int = 25) -> str:
        """The last lines of its log."""
        return log_tail(self.log, lines)

    def _alive(self) -> str | None:
        return "running" if self.is_running() else None
