"""Open-loop load: claims are created on a fixed schedule, however slow the answers are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple


class Due(NamedTuple):
    """One claim: its name, its pool, and when it is sent, in seconds from the start."""

    name: str
    pool: str
    offset_s: float


Create = Callable[[Due], Awaitable[None]]
"""Creates this claim, and whatever else belongs to it."""


@dataclass(slots=True)
class Sent:
    """When what was sent, in monotonic seconds."""

    begun_s: float
    at_s: dict[str, float] = field(default_factory=dict[str, float])
    """When the request for each claim was begun, by claim name."""
    late_s_max: float = 0.0
    """How far behind schedule the worst one was begun; large means a starved generator."""


def even(names: Sequence[str], pools: Sequence[str], rate_per_s: float | None) -> tuple[Due, ...]:
    """Claims at a steady rate, on the pools in turn; all at once without a rate."""
    gap_s = 1 / rate_per_s if rate_per_s else 0.0
    return tuple(
        Due(name, pools[number % len(pools)], number * gap_s) for number, name in enumerate(names)
    )


def poisson(
    prefix: str, pools: Sequence[str], rate_per_s: float, duration_s: float, seed: int
) -> tuple[Due, ...]:
    """Claims that come independently of each other, each on a pool drawn evenly: the same for the
    same seed. At least one."""
    chance, dues, at_s = Random(seed), list[Due](), 0.0
    while at_s < duration_s:
        dues.append(Due(f"{prefix}-{len(dues):05}", chance.choice(pools), at_s))
        at_s += chance.expovariate(rate_per_s)
    return tuple(dues)


async def send(dues: Sequence[Due], create: Create) -> Sent:
    """Begin one `create` per claim when it is due; return when all have ended.

    Nothing waits for an earlier claim. The first error of a `create` ends the load and is raised,
    in an ExceptionGroup.
    """
    sent = Sent(time.monotonic())

    async def one(due: Due, due_s: float) -> None:
        sent.at_s[due.name] = time.monotonic()
        sent.late_s_max = max(sent.late_s_max, sent.at_s[due.name] - due_s)
        await create(due)

    async with asyncio.TaskGroup() as group:
        for due in dues:
            due_s = sent.begun_s + due.offset_s
            if (left_s := due_s - time.monotonic()) > 0:
                await asyncio.sleep(left_s)
            group.create_task(one(due, due_s))
    return sent
