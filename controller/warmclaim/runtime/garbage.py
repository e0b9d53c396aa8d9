"""When Python looks for garbage, so that the loop never stands still for long while it does.

What nothing refers to is freed at once; only cycles have to be looked for. Python's look at
everything takes 120 ms of processor time in a manager of 20,000 sandboxes, in which nobody is
served, comes whenever a quarter has been added, and finds next to nothing: failed requests are in
cycles, but hardly anything else is. So while a manager runs

1. young objects are looked at as ever, 2,900 at once: 1 to 2 ms;
2. what has survived two such looks is set aside (`gc.freeze`): it is freed when nothing refers to
   it, and looked at no more;
3. everything is looked at, for cycles that died since, in a quiet moment once an hour, and when the
   process has grown by a quarter.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

from warmclaim.seams import Clock
from warmclaim.telemetry.logs import fields

YOUNG_OBJECTS: Final = 700
"""So many more than were freed, and the youngest are looked at. Python's own number."""

YOUNG_LOOKS: Final = 2
"""After so many looks at the youngest, the next one takes in what survived them. With Python's 10
that is 8,400 objects, and 3 to 5 ms; all of them together cost the same."""

ALL_EVERY_S: Final = 3_600.0
ALL_AT_GROWTH: Final = 1.25
CHECK_EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


@contextmanager
def short_looks() -> Generator[None]:
    """For the process, while the block lasts: survivors of two looks are looked at no more."""
    thresholds = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_LOOKS, thresholds[2])
    gc.callbacks.append(_set_aside)
    gc.freeze()
    try:
        yield
    finally:
        gc.callbacks.remove(_set_aside)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


async def look_at_all(
    clock: Clock,
    turn: Callable[[], Awaitable[None]],
    blocks: Callable[[], int] = sys.getallocatedblocks,
) -> None:
    """Look at everything where it is due, in a moment that `turn` waits for; until cancelled.

    The loop stands still for it: 120 ms for 20,000 sandboxes with all that belongs to them.
    `blocks` tells how many pieces of memory Python has in use, 50 us for 100 MiB.
    """
    looked_s, blocks_then = clock.monotonic(), blocks()
    while True:
        await clock.sleep(CHECK_EVERY_S)
        is_old = clock.monotonic() - looked_s >= ALL_EVERY_S
        if is_old or blocks() > ALL_AT_GROWTH * blocks_then:
            await turn()
            gc.unfreeze()
            _log.debug("garbage looked for", extra=fields(found=gc.collect()))
            looked_s, blocks_then = clock.monotonic(), blocks()


def _set_aside(phase: str, info: dict[str, Any]) -> None:
    if phase == "stop" and info["generation"] > 0:
        gc.freeze()
