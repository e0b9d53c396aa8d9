"""The test runner's side of `supervisor.py`: start, signal and look at the components."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from e2e.controlplane.failures import ControlPlaneError, log_tail

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_STOP_S = 10.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """What one process has used since its start: CPU in seconds, resident memory in bytes now."""

    cpu_s: float
    rss_bytes: int


class Processes:
    """Named processes that cannot outlive this one. Usable from any thread."""

    def __init__(self, work_dir: Path, *, keep: bool) -> None:
        """Start the supervisor; it removes `work_dir` at the end unless `keep`."""
        self.work_dir = work_dir
        self._lock = threading.Lock()
        # A session of its own: Ctrl-C in a terminal reaches the test runner, which then stops
        # the components in its own time; it must not reach them first.
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SUPERVISOR), str(work_dir), *["--keep"][:keep]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def log(self, name: str) -> Path:
        """Where the output of this component goes, all its restarts included."""
        return self.work_dir / f"{name}.log"

    def start(self, name: str, argv: Sequence[str]) -> None:
        """Start a process under a name that is free.

        Raises:
            ControlPlaneError: it cannot be executed, or the name is in use.
        """
        self._ask({"do": "start", "name": name, "argv": list(argv), "log": str(self.log(name))})

    def signal(self, name: str, number: int) -> None:
        """Send a signal; SIGKILL returns only when the process is gone."""
        self._ask({"do": "signal", "name": name, "signal": int(number)})

    def exit_code(self, name: str) -> int | None:
        """Exit code of an ended process (negative: killed by that signal), None while it runs."""
        return cast("int | None", self._status(name)["code"])

    def pid(self, name: str) -> int:
        """Process id of the last start of this name."""
        return cast("int", self._status(name)["pid"])

    def check_running(self, name: str) -> None:
        """Raises ControlPlaneError with the tail of the log if the process has ended."""
        code = self.exit_code(name)
        if code is not None:
            tail = log_tail(self.log(name))
            raise ControlPlaneError(f"{name} ended with code {code}\n--- tail of its log\n{tail}")

    def usage(self, name: str) -> Usage:
        """CPU time and memory of a running process, from /proc.

        Raises:
            ControlPlaneError: the process has ended.
        """
        self.check_running(name)
        folder = Path("/proc") / str(self.pid(name))
        # The second field is the name in brackets and may hold spaces.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        pages = int((folder / "statm").read_text().split()[1])
        return Usage((int(fields[11]) + int(fields[12])) / _TICKS_PER_S, pages * _PAGE_BYTES)

    def close(self) -> None:
        """Kill everything and wait for it. May be called twice; never raises."""
        with self._lock:
            if self._supervisor.stdin is not None:
                with contextlib.suppress(OSError):
                    self._supervisor.stdin.close()
            try:
                self._supervisor.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                # The components die with it: their death signal is SIGKILL.
                os.kill(self._supervisor.pid, signal.SIGKILL)
                self._supervisor.wait()
            if self._supervisor.stdout is not None:
                self._supervisor.stdout.close()

    def _status(self, name: str) -> dict[str, Any]:
        status = self._ask({"do": "status"})
        if name not in status:
            raise ControlPlaneError(f"{name} was never started")
        return cast("dict[str, Any]", status[name])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._supervisor.stdin, self._supervisor.stdout
        if stdin is None or stdout is None or stdin.closed:
            raise ControlPlaneError("the control plane is stopped")
        with self._lock:
            try:
                stdin.write(json.dumps(request).encode() + b"\n")
                stdin.flush()
                line = stdout.readline()
            except (OSError, ValueError) as error:
                raise ControlPlaneError(f"the supervisor is gone: {error}") from error
        if not line:
            raise ControlPlaneError("the supervisor ended; all components ended with it")
        answer = cast("dict[str, Any]", json.loads(line))
        if "error" in answer:
            raise ControlPlaneError(f"{request.get('name', 'supervisor')}: {answer['error']}")
        return answer
