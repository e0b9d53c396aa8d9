"""The one way in which a load test waits: bounded, and with a word on what is missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def until(
    what: str, missing: Callable[[], str | None], *, timeout_s: float, interval_s: float = 0.01
) -> float:
    """Poll until `missing` returns None; returns the seconds that took.

    Raises:
        TimeoutError: not within `timeout_s`; names `what` and the last thing missing.
    """
    begun = time.monotonic()
    while (lacking := missing()) is not None:
        if time.monotonic() - begun > timeout_s:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s: {lacking}")
        await asyncio.sleep(interval_s)
    return time.monotonic() - begun
