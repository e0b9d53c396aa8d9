"""How much memory a run of the corpus leaves behind: `python -m tests.hostile.footprint`.

The embedded server lives in the same process, so each input's objects, and the server's history
of them, are let go of before the next one comes; what is left is the manager's own. Pages that the
allocator only keeps for reuse are given back before each look.
"""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import os
from pathlib import Path

from tests.hostile.catalogue import inputs
from tests.hostile.world import GOOD, HostileWorld

from warmclaim.testing.virtual_loop import World, run_virtual

LIVES_S = 1.0


def rss_bytes() -> int:
    """What this process holds resident now."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def run(loop: World) -> dict[str, int]:
    """The whole corpus, one input after the other."""
    crafted = inputs()
    async with HostileWorld(loop) as world:
        world.ground(GOOD, replicas=2)
        await world.run_for(LIVES_S)
        before = rss_bytes()
        for number, one in enumerate(crafted):
            ground = world.ground(f"h-{number}", replicas=0)
            await world.do(ground, one.build(ground))
            await world.run_for(LIVES_S)
            world.remove_all(ground.namespace)
            await world.run_for(LIVES_S)
            world.cluster.store.compact()
            world.wire.seen.clear()
            world.log.lines.clear()
        assert world.is_up
        return {"inputs": len(crafted), "grown_bytes": rss_bytes() - before}


if __name__ == "__main__":
    logging.getLogger("warmclaim.testing").setLevel(logging.CRITICAL)
    print(json.dumps(run_virtual(run)))
