"""What the claim controller remembers of a claim: times and counts for metrics, waiting and the
history, nothing else.

Losing it costs a measurement or a longer wait, never a sandbox.
"""

from __future__ import annotations

from dataclasses import dataclass

from warmclaim.api.claim import Claim
from warmclaim.api.meta import ObjectKey
from warmclaim.domain.claim_history import NO_DEPTH, GivenSandbox
from warmclaim.seams import Clock
from warmqueue import Depth, Taken


@dataclass(slots=True)
class ClaimRecord:
    """One living claim. Times are monotonic seconds; `pending` is a reservation whose outcome
    is unknown, to be read back before anything else is done for the claim.

    `ready_s`: when it was first seen Ready, by whoever's write; None too where it `was_ready` at
    first sight. `marked`: the sandbox that it had when all that is noted on it was.
    `trace_context` is that of the pass that gave it a sandbox, None where nothing is traced.

    `attempts` are the tries since one last succeeded, `tries` all reservations that were sent and
    `lost` those that were not won; `refused`: candidates that were passed over, by why. `depth`:
    what the pool had when one was last picked. `given`: the sandbox that its status named last.
    """

    uid: str
    seen_s: float
    picked_s: float | None = None
    reserved_s: float | None = None
    published_s: float | None = None
    attempts: int = 0
    pending: Taken | None = None
    is_measured: bool = False
    was_ready: bool = False
    ready_s: float | None = None
    marked: str = ""
    trace_context: str | None = None
    tries: int = 0
    lost: int = 0
    refused: dict[str, int] | None = None
    depth: Depth = NO_DEPTH
    given: GivenSandbox | None = None

    def passed_over(self, why: str) -> None:
        """A candidate was not to be handed out."""
        refused = self.refused = self.refused or {}
        refused[why] = refused.get(why, 0) + 1


class ClaimRecords:
    """Records by claim; bounded by the claims that live."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: dict[ObjectKey, ClaimRecord] = {}

    def __len__(self) -> int:
        return len(self._records)

    def of(self, key: ObjectKey, uid: str) -> ClaimRecord:
        """The claim's record, begun now at first sight. A claim made again under the same name
        begins anew, but inherits a reservation that is still to be read back."""
        record = self._records.get(key)
        if record is None or record.uid != uid:
            pending = record.pending if record else None
            record = ClaimRecord(uid, self._clock.monotonic(), pending=pending)
            self._records[key] = record
        return record

    def saw(self, claim: Claim, before: Claim | None) -> None:
        """The claim came or changed: note its first sight, when it got a sandbox, and when it was
        first Ready. `before`: as it was known until now."""
        key, uid = claim.metadata.key, claim.metadata.uid
        known = self._records.get(key)
        record = self.of(key, uid)
        now_s = self._clock.monotonic()
        if before is not None and claim.published and not before.published:
            record.published_s = now_s
        if not claim.is_ready or record.was_ready or record.ready_s is not None:
            return
        if record is known:
            record.ready_s = now_s
        else:
            record.was_ready = True

    def find(self, key: ObjectKey) -> ClaimRecord | None:
        """The record, whatever the uid; None for an unknown claim."""
        return self._records.get(key)

    def drop(self, key: ObjectKey) -> None:
        """The claim is gone."""
        self._records.pop(key, None)
