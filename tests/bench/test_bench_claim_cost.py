"""Processor time of the manager for each warm claim, everything included; old beside new.

BENCH_AGAINST=DIR names another checkout, which takes turns with this one: each burst of the one is
followed by one of the other, and the ratio is that of the medians. BENCH_PROFILE=FILE has py-spy
look at this one's bursts. The budget is 5 ms on a real control plane, where TLS and larger objects
(managedFields) come on top. Nothing here asserts a time.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

import pytest
import uvloop
from tests.bench.claims.world import Burst, World, world

pytestmark = pytest.mark.bench

ROOT = Path(__file__).resolve().parents[2]
IS_FULL = bool(os.environ.get("BENCH_CLAIM_ROUNDS"))
ROUNDS = int(os.environ.get("BENCH_CLAIM_ROUNDS") or 1)
POOL, CLAIMS, QPS = (200, 100, 50.0) if IS_FULL else (20, 10, 50.0)
AGAINST = os.environ.get("BENCH_AGAINST")
PROFILE = os.environ.get("BENCH_PROFILE")
PROFILE_HZ = 250


def test_processor_time_of_a_warm_claim() -> None:
    uvloop.run(compared())


async def compared() -> None:
    checkouts = {"now": ROOT, **({"before": Path(AGAINST)} if AGAINST else {})}
    found: dict[str, list[Burst]] = {name: [] for name in checkouts}
    async with AsyncExitStack() as stack:
        worlds = {
            name: await stack.enter_async_context(world(path, POOL))
            for name, path in checkouts.items()
        }
        for made in worlds.values():
            await made.burst(CLAIMS, QPS)  # as a manager that has run for a while
        profiler = await profiled(worlds["now"]) if PROFILE else None
        for _ in range(ROUNDS):
            for name, made in worlds.items():
                found[name].append(await made.burst(CLAIMS, QPS))
                print(f"  {name:6} {found[name][-1]}")
        if profiler is not None:
            profiler.send_signal(signal.SIGINT)
            await profiler.wait()
    medians = {name: median(burst.ms_each for burst in bursts) for name, bursts in found.items()}
    for name, ms_each in medians.items():
        print(f"{name:6} median {ms_each:.2f} ms for each warm claim")
    if "before" in medians:
        print(f"ratio  {medians['now'] / medians['before']:.3f}")
    assert all(burst.requests for bursts in found.values() for burst in bursts)


async def profiled(of: World) -> asyncio.subprocess.Process:
    assert PROFILE is not None
    words = ("py-spy", "record", "-r", str(PROFILE_HZ), "-d", "3600", "-f", "raw", "-o", PROFILE)
    return await asyncio.create_subprocess_exec(*words, "-p", str(of.pid))
