"""Rounds of faults on real processes. Safety and convergence must hold; figures are printed.

WARMCLAIM_CHAOS_ROUNDS: how many rounds (5: with three faults each, no kind of fault comes twice).
WARMCLAIM_CHAOS_SEED: which faults, and when (`e2e.chaos.run.SEED`).

A control plane of their own is used: they kill it. What a failed run leaves is in out/chaos/.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from e2e.chaos import run
from e2e.chaos.run import ChaosRun, Plan
from e2e.controlplane.failures import wait_until

ROUNDS = int(os.environ.get("WARMCLAIM_CHAOS_ROUNDS", "5"))
SEED = int(os.environ.get("WARMCLAIM_CHAOS_SEED", str(run.SEED)))
ROUND_S_MAX = 600

pytestmark = [pytest.mark.e2e]

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.timeout(120 + ROUND_S_MAX * ROUNDS)
def test_rounds_of_faults(capsys: pytest.CaptureFixture[str]) -> None:
    chaos = ChaosRun(Plan(seed=SEED, rounds=ROUNDS))
    with capsys.disabled():
        print()
        chaos.play()
        print(chaos.summary())
    assert chaos.failures == []
    assert len(chaos.results) == ROUNDS


def processes_of(session: int) -> set[int]:
    """Living processes below a process, itself included, by id."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            if fields[0] != "Z":
                parents[int(folder.name)] = int(fields[1])
    found = {session} & parents.keys()
    while grown := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= grown
    return found


@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process_behind(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "e2e.chaos", "--rounds", "1", "--nodes", "5"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with (tmp_path / "said").open("wb") as said:
        started = subprocess.Popen(
            [*command, "--pool", "5"], cwd=ROOT, stdout=said, stderr=said, env=environment
        )
    try:
        wait_until(
            "a round",
            lambda: None if "round 0" in (tmp_path / "said").read_text() else "not begun",
            timeout_s=90,
            log=tmp_path / "said",
        )
        time.sleep(1)
        family = processes_of(started.pid)
        # The run, two supervisors, six components, two controllers, the auditor.
        assert len(family) >= 12
        started.send_signal(number)
        started.wait(60)
    finally:
        started.kill()

    def left() -> str | None:
        alive = {pid for pid in family if processes_of(pid)}
        return f"{alive} still run" if alive else None

    wait_until("end of all processes", left, timeout_s=20, log=tmp_path / "said")
    left_behind = [
        path.name for path in tmp_path.iterdir() if path.name.startswith("warmclaim-e2e")
    ]
    assert left_behind == []
