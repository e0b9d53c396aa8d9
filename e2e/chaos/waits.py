"""Bounded waits for what has to be asked for; for what is known there is
`warmclaim.loadtest.waits`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def eventually(
    what: str,
    holds: Callable[[], Awaitable[bool]],
    *,
    timeout_s: float,
    interval_s: float = 0.025,
) -> float:
    """Ask until the answer is yes; returns when it came, in monotonic seconds.

    Raises:
        TimeoutError: not within `timeout_s`; names `what`.
    """
    until_s = time.monotonic() + timeout_s
    while not await holds():
        if time.monotonic() > until_s:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        await asyncio.sleep(interval_s)
    return time.monotonic()
