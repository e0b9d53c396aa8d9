"""Open-loop load: claims are created on a fixed schedule, however slow the answers are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from e2e.burst.profiles import Profile

Create = Callable[[str], Awaitable[None]]
"""Creates the claim of this name, and whatever else belongs to it."""


@dataclass(slots=True)
class Sent:
    """When what was sent, in monotonic seconds."""

    begun_s: float
    at_s: dict[str, float] = field(default_factory=dict[str, float])
    """When the request for each claim was begun, by claim name."""
    late_s_max: float = 0.0
    """How far behind schedule the worst one was begun; large means a starved generator."""


async def burst(profile: Profile, create: Create) -> Sent:
    """Begin one `create` per claim, evenly at the profile's rate; return when all have ended.

    Nothing waits for an earlier claim. The first error of a `create` ends the burst and is raised,
    in an ExceptionGroup.
    """
    sent = Sent(time.monotonic())

    async def one(name: str, due_s: float) -> None:
        sent.at_s[name] = time.monotonic()
        sent.late_s_max = max(sent.late_s_max, sent.at_s[name] - due_s)
        await create(name)

    async with asyncio.TaskGroup() as group:
        for number, name in enumerate(profile.claim_names):
            due_s = sent.begun_s + number / profile.rate_per_s
            if (left_s := due_s - time.monotonic()) > 0:
                await asyncio.sleep(left_s)
            group.create_task(one(name, due_s))
    return sent
