"""Parent of the control plane's processes; makes sure none outlives the test run.

    python supervisor.py WORK_DIR [--keep]

Standard library only, one thread. It takes one JSON object per line on standard input and answers
each with one line on standard output (`processes.py` is the other side):

    {"do": "start", "name": "etcd", "argv": [...], "log": "/path"}  ->  {"pid": 7}
    {"do": "signal", "name": "etcd", "signal": 9}                   ->  {}
    {"do": "status"}                                ->  {"etcd": {"pid": 7, "code": null}}

A request that fails is answered {"error": "..."}.

Closing standard input stops it. When the input ends or the parent process goes away, however that
happened, every process is killed and the work directory removed. A death signal set by the test
runner itself would not do: it is tied to the *thread* that forked, so a runner that starts the
control plane from a helper thread would lose it at once. The death signal is set here instead,
where there is one thread, for the case that the supervisor itself is killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PARENT_CHECK_S = 1.0
_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    """Between fork and exec: SIGKILL for this process when the supervisor dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Supervisor:
    """The processes by name; a name may be started again once its process has ended."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request.

        Raises:
            KeyError, ValueError, OSError: the request names an unknown thing or cannot be done.
        """
        match request["do"]:
            case "start":
                return {"pid": self._start(request["name"], request["argv"], request["log"])}
            case "signal":
                process = self._processes[request["name"]]
                process.send_signal(request["signal"])
                if request["signal"] == signal.SIGKILL:
                    process.wait()
                return {}
            case "status":
                return {
                    name: {"pid": process.pid, "code": process.poll()}
                    for name, process in self._processes.items()
                }
            case other:
                raise ValueError(f"unknown request {other!r}")

    def _start(self, name: str, argv: list[str], log: str) -> int:
        running = self._processes.get(name)
        if running is not None and running.poll() is None:
            raise ValueError(f"{name} is running already")
        with Path(log).open("ab") as output:
            self._processes[name] = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=Path(log).parent,
                # KWOK would merge what it finds in ~/.kwok.
                env=os.environ | {"HOME": str(Path(log).parent)},
                preexec_fn=_die_with_parent,  # safe: there is one thread
            )
        return self._processes[name].pid

    def kill_all(self) -> None:
        """SIGKILL, newest first. Nothing is kept, so nobody needs time to close down."""
        for process in reversed(self._processes.values()):
            process.kill()
        for process in self._processes.values():
            process.wait()


def _serve(supervisor: Supervisor, parent: int) -> None:
    """Answer requests until the end of input or the death of the parent."""
    pending = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], _PARENT_CHECK_S)[0]:
            continue
        data = os.read(0, 65536)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            request: dict[str, Any] = json.loads(line)
            try:
                answer = supervisor.answer(request)
            except (KeyError, ValueError, OSError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            os.write(1, json.dumps(answer).encode() + b"\n")


def _leave(_signal: int, _frame: object) -> None:
    """End through the `finally` of main, which kills the children."""
    sys.exit(1)


def main() -> None:
    """Serve one test runner, then leave nothing behind."""
    parent = os.getppid()
    work_dir = Path(sys.argv[1])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    supervisor = Supervisor()
    try:
        _serve(supervisor, parent)
    finally:
        supervisor.kill_all()
        if "--keep" not in sys.argv[2:]:
            shutil.rmtree(work_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
