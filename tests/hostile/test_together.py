"""The whole corpus at once: twenty claims of another namespace are served as if it were not there,
and nothing of it stays in memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.hostile.catalogue import inputs
from tests.hostile.inputs import Line
from tests.hostile.judge import SETTLE_S, log_problem
from tests.hostile.world import GOOD, HostileWorld

from warmclaim.testing.virtual_loop import World, run_virtual

GOOD_CLAIMS = 20
BURST_S = 1.0
"""The first second belongs to the six hundred who all came at the same moment."""
RSS_BYTES_MAX = 64 * 1024 * 1024


async def served(loop: World, *, is_hostile: bool) -> dict[str, float]:
    """Seconds to each good claim's publication, the corpus having come just before them."""
    async with HostileWorld(loop) as world:
        world.ground(GOOD, replicas=GOOD_CLAIMS)
        crafted = [one for one in inputs() if is_hostile and not one.delay_s]
        grounds = [world.ground(f"h-{number}", replicas=0) for number in range(len(crafted))]
        await world.run_for(4 * SETTLE_S)
        for one, ground in zip(crafted, grounds, strict=True):
            steps = [step for step in one.build(ground) if not isinstance(step, Line)]
            await world.do(ground, steps)
        await world.run_for(BURST_S)
        began_s = world.clock.monotonic()
        for number in range(GOOD_CLAIMS):
            world.good_claim(f"good-{number}")
        await world.run_for(12 * SETTLE_S)
        assert world.is_up
        assert not [line for line in world.log.lines if log_problem(line)]
        assert len(world.published_s) == GOOD_CLAIMS
        return {name: at_s - began_s for name, at_s in world.published_s.items()}


@pytest.mark.timeout(120)
def test_twenty_good_claims_beside_all_of_it_are_served_as_without() -> None:
    async def alone(loop: World) -> dict[str, float]:
        return await served(loop, is_hostile=False)

    async def beside(loop: World) -> dict[str, float]:
        return await served(loop, is_hostile=True)

    usual, crowded = max(run_virtual(alone).values()), max(run_virtual(beside).values())
    assert crowded <= usual * 1.1


@pytest.mark.timeout(180)
def test_the_corpus_leaves_no_memory_behind() -> None:
    """In a process of its own: what a run of the corpus, namespace by namespace, adds to it."""
    command = [sys.executable, "-m", "tests.hostile.footprint"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    found = json.loads(done.stdout)
    assert found["inputs"] >= 320
    assert found["grown_bytes"] <= RSS_BYTES_MAX, found
