"""`warmclaim demo` as users start it: its output, its exit code, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.cli.demo_objects import a_result

from warmclaim.cli import demo
from warmclaim.testing.demo import process as processes
from warmclaim.testing.demo.process import DemoFailedError, Manager
from warmclaim.testing.demo.result import Result

SMALL = ("--pool", "8", "--burst", "5", "--qps", "100", "--nodes", "4")
ASKED = {"pool": 8, "burst": 5, "qps": 100.0, "nodes": 4}


@asynccontextmanager
async def started(*options: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A demo in a process group of its own; whatever is left of that is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "warmclaim", "demo", *SMALL, *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if _is_anything_left(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _is_anything_left(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


async def _says(process: asyncio.subprocess.Process, word: bytes) -> None:
    """Wait for a line of its output with this word."""
    assert process.stdout is not None
    assert process.stderr is not None
    while word not in (line := await process.stdout.readline()):
        if not line:
            pytest.fail(f"ended without {word!r}: {(await process.stderr.read()).decode()}")


async def test_a_run_ends_with_its_result_as_json_and_leaves_nothing_behind() -> None:
    async with started("-o", "json") as process, asyncio.timeout(50):
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        assert not _is_anything_left(process.pid)
    result = json.loads(out)
    assert result["ok"] is True
    assert result["problems"] == []
    assert result["scenario"] == ASKED
    assert result["claims"]["served"] == 5
    assert result["claims"]["warm"] == 5
    assert 0 < result["latency_ms"]["p50"] <= result["latency_ms"]["max"]
    assert result["sandboxes_per_node"]["warm_before"]["nodes_by_count"] == {"2": 4}
    writes = {(w["verb"], w["resource"]): w["per_claim"] for w in result["writes_per_claim"]["by"]}
    assert writes["patch", "sandboxes.agents.x-k8s.io"] == 1
    assert writes["patch", "sandboxclaims.extensions.agents.x-k8s.io/status"] == 1
    ending = result["after_shutdown_time_ms"]
    assert 0 <= ending["expired"] <= ending["claim_gone"]
    assert ending["sandbox_gone"] > 0
    assert sum(row["claims"] for row in result["history"]) == 6
    assert {row["pool"] for row in result["history"]} == {"demo"}
    assert b"filling the pool" in err
    assert b"letting a claim expire" in err


async def test_a_burst_larger_than_the_pool_is_served_to_the_last_claim() -> None:
    async with started("--burst", "20", "--qps", "500", "-o", "json") as process:
        async with asyncio.timeout(50):
            out, err = await process.communicate()
    result = json.loads(out)
    assert result["problems"] == [], err.decode()
    assert result["claims"]["served"] == 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("of_all", [True, False], ids=["terminal", "one"])
async def test_a_signal_ends_the_manager_too(number: signal.Signals, of_all: bool) -> None:
    async with started() as process, asyncio.timeout(50):
        await _says(process, b"filling")
        if of_all:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        _, err = await process.communicate()
        assert process.returncode == 130
        assert err == b""
        assert not _is_anything_left(process.pid)


async def test_a_manager_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("first\nwarmclaim: no such thing\n")
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(3)")
    with pytest.raises(DemoFailedError, match=r"ended with exit code 3: warmclaim: no such thing"):
        await Manager(ended, log).ended()
    await Manager(ended, log).stop()


async def test_a_manager_that_heeds_no_signal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_S_MAX", 0.2)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(); time.sleep(60)"
    deaf = await asyncio.create_subprocess_exec(
        sys.executable, "-uc", code, stdout=asyncio.subprocess.PIPE
    )
    assert deaf.stdout is not None
    await deaf.stdout.readline()
    await Manager(deaf, tmp_path / "log").stop()
    assert deaf.returncode == -signal.SIGKILL


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
async def test_processor_time_is_of_the_process_that_was_asked(tmp_path: Path) -> None:
    idle = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
    )
    used_s = Manager(idle, tmp_path).cpu_s()
    assert used_s is not None
    assert 0 <= used_s < 5
    await idle.communicate(b"\n")
    assert Manager(idle, tmp_path).cpu_s() is None


def played(monkeypatch: pytest.MonkeyPatch, outcome: Result | Exception) -> None:
    """Have a run log a warning and end with `outcome`."""

    def run(*_: object) -> Result:
        logging.getLogger("warmclaim.test").warning("a request was %s", "odd")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(demo, "_run", run)


def test_a_broken_promise_is_a_failure_with_what_may_explain_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    played(monkeypatch, a_result(problems=("sandbox s1 was given to 2 claims",)))
    assert demo.run_demo(pool=200, burst=100, qps=50, nodes=100, as_json=True) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["problems"] == ["sandbox s1 was given to 2 claims"]
    assert err.splitlines() == [
        "warmclaim: the demo failed: sandbox s1 was given to 2 claims",
        "warmclaim: in this process: a request was odd",
    ]


def test_a_good_run_says_nothing_of_warnings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    played(monkeypatch, a_result())
    assert demo.run_demo(pool=200, burst=100, qps=50, nodes=100, as_json=False) == 0
    out, err = capsys.readouterr()
    assert "All 100 claims were handed a sandbox" in out
    assert err == ""


def test_a_run_that_cannot_be_finished_is_a_failure_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    played(monkeypatch, DemoFailedError("the manager ended with exit code 1: no"))
    assert demo.run_demo(pool=200, burst=100, qps=50, nodes=100, as_json=False) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == (
        "warmclaim: the demo failed: the manager ended with exit code 1: no"
    )
