"""CPU profiles of another process, by py-spy."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from warmclaim.loadtest.failures import LoadtestError
from warmclaim.loadtest.profiler import profiled

BUSY = """
def spin():
    total = 0
    for number in range(1000):
        total += number
    return total

print("begun", flush=True)
while True:
    spin()
"""


async def test_the_stacks_of_a_busy_process_are_found(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BUSY), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    file = tmp_path / "stacks.txt"
    try:
        async with profiled(process.pid, file):
            await asyncio.sleep(1.0)
    finally:
        process.kill()
        await process.wait()
    assert any("spin" in line for line in file.read_text().splitlines())


async def test_without_a_process_it_says_why_there_is_no_profile(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    with pytest.raises(LoadtestError, match="py-spy made no CPU profile: Error"):
        async with profiled(process.pid, tmp_path / "stacks.txt"):
            await asyncio.sleep(2.0)
