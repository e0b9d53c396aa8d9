"""What a flag is, as data, and the groups that the help shows them in."""

from __future__ import annotations

from dataclasses import dataclass

from warmclaim.cli.flagvalues import Kind

GROUPS = (
    "What runs",
    "API server",
    "Leader election",
    "Claims",
    "Warm pools",
    "Sandboxes",
    "Serving and logs",
    "Conversion webhook",
    "Claim history",
    "Accepted for the Go manager's sake, without effect",
)
UNUSED = GROUPS[-1]


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. `place` is the setting that it fills, as "group.name"; "" for the three that steer
    the parsing itself."""

    name: str
    kind: Kind
    group: str
    place: str
    help: str

    @property
    def is_used(self) -> bool:
        """Whether the flag has any effect here."""
        return self.group != UNUSED
