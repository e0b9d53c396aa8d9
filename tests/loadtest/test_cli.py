"""`warmclaim loadtest` as users start it: output, exit codes, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.loadtest.world import OURS, World, a_world, eventually

from warmclaim.cli import INTERRUPTED, OK, USAGE, main

Capture = pytest.CaptureFixture[str]

WRONG = {
    "no such profile": (["--profile", "tony"], "--profile 'tony' is no file, and none of: 0-1000"),
    "nobody to compare with": (["--limit"], "--limit needs --controller: a controller that runs"),
    "half a quotation": (["--controller", "'x"], "--controller: No closing quotation"),
    "no command": (["--controller", " "], "--controller: an empty command line"),
    "never": (["--repeat", "0"], "Invalid value for '--repeat'"),
    "no such file": (["--kubeconfig", "/none"], "--kubeconfig /none: no such file"),
}


@pytest.mark.parametrize(("argv", "problem"), WRONG.values(), ids=WRONG)
def test_bad_input_is_refused_with_one_line_and_makes_nothing(
    argv: list[str], problem: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").write_text("{}")
    assert main(["loadtest", "--profile", "tiny", *argv]) == USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("warmclaim: ")
    assert problem in err
    assert err.count("\n") == 1
    assert [one.name for one in tmp_path.iterdir()] == ["config"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as found:
        yield found


async def started(world: World, *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "warmclaim", "loadtest"),
        *("--kubeconfig", str(world.kubeconfig), *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


QUICK = """
name: quick
phases:
  - {phase: deploy, members_each: 3, until: [{condition: ready, of: members}]}
  - {phase: burst, claims: 3, until: [{condition: ready, of: claims}]}
"""


async def test_limit_and_controller_in_turn(world: World, tmp_path: Path) -> None:
    profile, out = tmp_path / "quick.yaml", tmp_path / "out"
    profile.write_text(QUICK)
    process = await started(
        *(world, "--profile", str(profile), "--limit", "--repeat", "2"),
        *("--controller", OURS, "--out", str(out), "-o", "json"),
    )
    said, errors = await process.communicate()
    assert (process.returncode, errors) == (OK, b"")
    told = json.loads(said)
    assert told["folder"] == str(out)
    assert [one["serves"] for one in told["runs"]] == ["limit", "controller"] * 2
    names = sorted(one.name for one in out.iterdir())
    assert names == ["controller-1", "controller-2", "limit-1", "limit-2", "page.html"]
    assert json.loads((out / "controller-2" / "summary.json").read_text()) == told["runs"][3]
    ratios = [(one["phase"], one["what"], one["runs"]) for one in told["ratios"]]
    assert ratios == [
        *(("deploy", "filled", 2), ("burst", "P50", 2), ("burst", "P90", 2), ("burst", "P99", 2))
    ]
    assert world.namespaces() == set()


async def test_what_cannot_begin_leaves_the_folder_for_the_next_try(
    world: World, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ("--profile", "tiny", "--out", str(out), "--controller")
    process = await started(world, *options, "/none/such {kubeconfig}")
    _, errors = await process.communicate()
    said = b"warmclaim: --controller /none/such: No such file or directory\n"
    assert (process.returncode, errors) == (USAGE, said)
    assert list(out.iterdir()) == []


async def test_files_are_not_written_over(world: World, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    process = await started(world, "--profile", "tiny", "--out", str(tmp_path))
    _, errors = await process.communicate()
    assert process.returncode == USAGE
    assert b"not empty; runs are not written over each other" in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
async def test_when_it_is_stopped_nothing_is_left(
    world: World, tmp_path: Path, number: signal.Signals
) -> None:
    # Nobody serves: it waits for the pool.
    process = await started(world, "--profile", "tiny", "--out", str(tmp_path / "out"))
    await eventually(world.namespaces)
    process.send_signal(number)
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (INTERRUPTED, b"")
    assert world.namespaces() == set()
