"""Claims and sandboxes of a run, from its time line; which claims began cold for no good reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from warmclaim.loadtest.record import EVENTS

SOON_S = 2.0
"""A claim is to wait for a member that becomes Ready within this time of its creation."""


class ClaimLine(msgspec.Struct, frozen=True):
    """A claim, by when its POST was sent."""

    at_s: float
    name: str
    pool: str
    launch: str
    sandbox: str
    versions_to_ready: int
    ready_after_s: float | None


class SandboxLine(msgspec.Struct, frozen=True):
    """A sandbox, by when it was Ready first; `claim` is who was given it."""

    at_s: float
    pool: str
    claim: str


@dataclass(frozen=True)
class Timeline:
    """One run."""

    claims: list[ClaimLine]
    sandboxes: list[SandboxLine]


class _Line(msgspec.Struct, frozen=True):
    event: str


def read(folder: Path) -> Timeline:
    """Raises OSError, and msgspec.DecodeError for what no load test wrote."""
    found = Timeline([], [])
    with (folder / EVENTS).open("rb") as lines:
        for line in lines:
            match msgspec.json.decode(line, type=_Line).event:
                case "claim":
                    found.claims.append(msgspec.json.decode(line, type=ClaimLine))
                case "sandbox":
                    found.sandboxes.append(msgspec.json.decode(line, type=SandboxLine))
                case _:
                    pass
    return found


def cold_without_need(timeline: Timeline) -> list[ClaimLine]:
    """Claims that got a new sandbox though a member of their pool was Ready, or became so soon
    enough, and was not an earlier claim's. O(cold claims x sandboxes)."""
    sent_s = {one.name: one.at_s for one in timeline.claims}

    def could_have(claim: ClaimLine, member: SandboxLine) -> bool:
        is_soon = member.at_s <= claim.at_s + SOON_S
        is_taken = sent_s.get(member.claim, claim.at_s) < claim.at_s
        return member.pool == claim.pool and is_soon and not is_taken

    cold = (one for one in timeline.claims if one.launch == "cold")
    return [one for one in cold if any(could_have(one, member) for member in timeline.sandboxes)]
