"""What a run knows while it goes on: the stage, what is wanted of it, and who looks at the
controller."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

from warmclaim.loadtest.objects import Pool
from warmclaim.loadtest.schedule import Due
from warmclaim.loadtest.stage import Stage


class Actor(Protocol):
    """Brings load onto the stage; with a controller beside it, or in its place."""

    async def deploy(self, names: list[str], members_each: int) -> list[Pool]:
        """Create pools of this size. Returns before they are filled, where others fill them."""
        ...

    async def prepare(self) -> None:
        """Make ready for claims: what else this costs must not fall into their time."""
        ...

    async def create(self, due: Due) -> None:
        """Create one claim. Raises as `Wire.send` does."""
        ...

    async def scale(self, pools: list[Pool], members_each: int) -> None:
        """Give every pool this size."""
        ...

    async def delete(self) -> None:
        """Delete pools and claims, and what nobody else will. Does not wait for their end."""
        ...

    def members_wanted(self, pool: Pool) -> int:
        """How many members the pool is to have now."""
        ...


class Look(Protocol):
    """What can be seen of the controller from outside."""

    async def passes(self) -> float | None:
        """How many passes it has made so far; None where it does not say."""
        ...

    async def busy(self) -> str | None:
        """What it is still doing; None if nothing, or if nobody can tell. May take a second."""
        ...


@dataclass(slots=True)
class Scene:
    """A run while it goes on."""

    stage: Stage
    actor: Actor
    look: Look
    pools: list[Pool] = field(default_factory=list[Pool])
    claims_wanted: int = 0
    """Claims that were created; those the API server refused are not among them."""
    touches: int = 0
    """How often objects were touched; makes each touch another value."""
    begun_s: float = field(default_factory=time.monotonic)

    def at_s(self) -> float:
        """Seconds since the run began: what all its times are counted from."""
        return time.monotonic() - self.begun_s

    def members_lacking(self) -> str | None:
        """The first pool that has not exactly its members, all Ready; None if there is none."""
        ledger = self.stage.ledger
        for pool in self.pools:
            wanted = self.actor.members_wanted(pool)
            found = ledger.members(pool.uid), ledger.ready_members(pool.uid)
            if found != (wanted, wanted):
                return f"pool {pool.name}: {found[0]} members, {found[1]} Ready, of {wanted}"
        return None

    def claims_lacking(self) -> str | None:
        """How many claims are Ready, if not all."""
        ready = self.stage.ledger.ready_claims
        return None if ready >= self.claims_wanted else f"{ready} of {self.claims_wanted} Ready"
