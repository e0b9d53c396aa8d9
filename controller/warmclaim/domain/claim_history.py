"""What is kept of a claim when it is gone: one row of the claim history."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class ClaimEnd(StrEnum):
    """How a claim ended, as the history tells it."""

    SERVED = "served"
    """It was Ready at some time."""
    REFUSED = "refused"
    """Its Ready condition said why it could not be served; `reason` is that."""
    EXPIRED = "expired"
    """Its lifetime was over before it was served."""
    ABANDONED = "abandoned"
    """Deleted while it waited."""


class ClaimRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One claim, from its creation to its end.

    Times are microseconds since the epoch by this process's clock (`created_us` and `deleted_us` by
    the API server's, in whole seconds), None where it did not come to that. The counts at the pick
    are those before the sandbox was taken; 0 where none was picked.
    """

    uid: str
    namespace: str
    name: str
    pool: str
    outcome: ClaimEnd
    reason: str = ""
    template: str = ""
    sandbox: str = ""
    node: str = ""
    launch_type: str = ""
    created_us: int
    seen_us: int | None = None
    picked_us: int | None = None
    reserved_us: int | None = None
    published_us: int | None = None
    ready_us: int | None = None
    finished_us: int | None = None
    deleted_us: int | None = None
    attempts: int = 0
    conflicts: int = 0
    candidates_refused: dict[str, int] = {}
    pool_waiting: int = 0
    best_node_waiting: int = 0
    second_node_waiting: int = 0
    controller_version: str = ""
