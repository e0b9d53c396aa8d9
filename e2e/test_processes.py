"""Supervised processes: they run as long as they are wanted and not a moment longer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.controlplane.failures import ControlPlaneError, wait_until
from e2e.controlplane.processes import Processes

pytestmark = pytest.mark.e2e


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    """A folder the supervisor may remove."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def processes(work_dir: Path) -> Iterator[Processes]:
    """A supervisor without any process."""
    supervised = Processes(work_dir, keep=False)
    yield supervised
    supervised.close()


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return "\nState:\tZ" not in (Path("/proc") / str(pid) / "status").read_text()
    except FileNotFoundError:
        return False


def wait_dead(pid: int) -> None:
    """Wait for the end of a process that is not a child of ours."""
    wait_until(f"end of {pid}", lambda: "alive" if is_alive(pid) else None, timeout_s=5)


def test_closing_kills_what_runs_and_removes_the_folder(
    processes: Processes, work_dir: Path
) -> None:
    processes.start("stubborn", ["sh", "-c", "trap '' TERM; sleep 60 & wait; wait"])
    pid = processes.pid("stubborn")
    assert is_alive(pid)
    processes.close()
    assert not is_alive(pid)
    assert not work_dir.exists()
    processes.close()
    with pytest.raises(ControlPlaneError, match="stopped"):
        processes.pid("stubborn")


def test_a_killed_supervisor_takes_the_processes_with_it(processes: Processes) -> None:
    processes.start("sleep", ["sleep", "60"])
    pid = processes.pid("sleep")
    os.kill(int((Path("/proc") / str(pid) / "stat").read_text().split()[3]), signal.SIGKILL)
    wait_dead(pid)
    with pytest.raises(ControlPlaneError, match="supervisor"):
        processes.pid("sleep")


def test_a_process_outlives_the_thread_that_started_it(processes: Processes) -> None:
    thread = threading.Thread(target=processes.start, args=("sleep", ["sleep", "60"]))
    thread.start()
    thread.join()
    time.sleep(0.1)
    assert processes.exit_code("sleep") is None


def test_a_name_is_free_again_when_its_process_has_ended(processes: Processes) -> None:
    processes.start("shell", ["sh", "-c", "echo first; exit 3"])
    wait_until(
        "shell",
        lambda: "running" if processes.exit_code("shell") is None else None,
        timeout_s=5,
    )
    assert processes.exit_code("shell") == 3
    with pytest.raises(ControlPlaneError, match=r"shell ended with code 3\n.*\nfirst"):
        processes.check_running("shell")
    processes.start("shell", ["sleep", "60"])
    with pytest.raises(ControlPlaneError, match="shell is running already"):
        processes.start("shell", ["sleep", "60"])
    processes.signal("shell", signal.SIGKILL)
    assert processes.exit_code("shell") == -signal.SIGKILL


def test_what_cannot_be_done_is_an_error_and_the_supervisor_goes_on(processes: Processes) -> None:
    with pytest.raises(ControlPlaneError, match="ghost: FileNotFoundError"):
        processes.start("ghost", ["/no/such/program"])
    with pytest.raises(ControlPlaneError, match="ghost was never started"):
        processes.exit_code("ghost")
    with pytest.raises(ControlPlaneError, match="ghost: KeyError"):
        processes.signal("ghost", signal.SIGTERM)
    processes.start("sleep", ["sleep", "60"])
    assert processes.usage("sleep").rss_bytes > 0
    assert processes.usage("sleep").cpu_s < 1


def test_a_fork_that_still_holds_the_pipe_does_not_keep_the_processes_alive(tmp_path: Path) -> None:
    """The supervisor notices that its parent is gone although its input never ends."""
    work_dir = tmp_path / "forked"
    work_dir.mkdir()
    runner = (
        "import os, sys, time; from pathlib import Path\n"
        "from e2e.controlplane.processes import Processes\n"
        "p = Processes(Path(sys.argv[1]), keep=False); p.start('sleep', ['sleep', '60'])\n"
        "pid = p.pid('sleep'); holder = os.fork()\n"
        "if not holder: time.sleep(60)\n"
        "print(pid, holder, flush=True); os._exit(0)\n"
    )
    root = Path(__file__).resolve().parent.parent
    done = subprocess.Popen(
        [sys.executable, "-c", runner, str(work_dir)], cwd=root, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout is not None
    pid, holder = (int(number) for number in done.stdout.readline().split())
    try:
        wait_dead(pid)
    finally:
        os.kill(holder, signal.SIGKILL)
        done.stdout.close()
        done.wait()
    wait_until("folder", lambda: "there" if work_dir.exists() else None, timeout_s=5)
