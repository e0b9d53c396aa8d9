"""What a controller remembers of its steps for a claim, in the form in which it tells of them."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

Fact: TypeAlias = str | int | float

YIELDS = "yields"
"""The step of a claim that lines up to start cold."""


class Step(msgspec.Struct, frozen=True):
    """One step, or several alike in a row. Times are as the API writes them, to the microsecond."""

    step: str
    at: str
    count: int = 1
    last_at: str = ""
    facts: dict[str, Fact] = {}


class ClaimSteps(msgspec.Struct, frozen=True):
    """All that one process knows of one claim. `uid` is "" and `steps` is empty where it knows
    nothing. `ahead`: claims before it in the line of its pool, None while it does not wait.
    `unsealed`: members of its pool that it refuses for want of a seal, the first few."""

    identity: str
    is_leading: bool
    uid: str = ""
    steps: tuple[Step, ...] = ()
    ahead: int | None = None
    unsealed: tuple[str, ...] = ()
