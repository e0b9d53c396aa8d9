"""Tells the history of each claim that is gone: one row, when the caches learn that it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from warmclaim.api.claim import Claim
from warmclaim.api.meta import ObjectKey
from warmclaim.api.sandbox import Sandbox
from warmclaim.controllers.claim_records import ClaimRecord, ClaimRecords
from warmclaim.domain.claim_history import (
    ClaimRow,
    ClaimWay,
    GivenSandbox,
    given_sandbox,
    history_row,
)
from warmclaim.domain.eligibility import claim_owner
from warmclaim.kube.informer import Change, Informer
from warmclaim.kube.recent import RecentUids
from warmclaim.seams import Clock

TOLD_S_MAX, TOLD_UIDS_MAX = 3600.0, 10_000
"""Claims that are told of and must not be again, should a server that lags show them once more."""


class HistorySink(Protocol):
    """Takes rows; must not block or raise."""

    def append(self, row: ClaimRow, /) -> object:
        """One claim is gone."""
        ...


class ClaimHistory:
    """Subscribes to the claims; `may_tell` says whether this process leads. It sends no request,
    keeps nothing of a claim but on its record, and takes 25 us for a claim in its whole life.

    To be made after whatever fills in the records, so that these know of a change before it does.
    A claim that went while nobody led is not told of.
    """

    def __init__(
        self,
        claims: Informer[Claim],
        sandboxes: Informer[Sandbox],
        records: ClaimRecords,
        sink: HistorySink,
        may_tell: Callable[[], bool],
        clock: Clock,
        version: str,
    ) -> None:
        self._sandboxes = sandboxes.store
        self._records = records
        self._sink = sink
        self._may_tell = may_tell
        self._clock = clock
        self._version = version
        self._told = RecentUids(clock, s_max=TOLD_S_MAX, uids_max=TOLD_UIDS_MAX)
        claims.subscribe(self._changed)

    def _changed(self, change: Change[Claim]) -> None:
        claim = change.new
        if claim is not None:
            self._note_given(claim)
        elif change.old is not None and self._may_tell():
            self._tell(change.old)

    def _note_given(self, claim: Claim) -> None:
        """What is told of its sandbox: that may go first, and a new one has no node yet."""
        record = self._record(claim) if claim.published else None
        if record is None:
            return
        given = record.given
        if given is None or given.name != claim.published or not given.node:
            record.given = self._given(claim) or given

    def _tell(self, claim: Claim) -> None:
        uid = claim.metadata.uid
        if uid in self._told:
            return
        self._told.note(uid)
        self._note_given(claim)
        record, gone_s = self._record(claim), self._clock.wall()
        way = _way(record, gone_s - self._clock.monotonic()) if record else ClaimWay()
        self._sink.append(history_row(claim, way, gone_s, self._version))

    def _record(self, claim: Claim) -> ClaimRecord | None:
        record = self._records.find(claim.metadata.key)
        return record if record and record.uid == claim.metadata.uid else None

    def _given(self, claim: Claim) -> GivenSandbox | None:
        """The sandbox that it names, if that is its own."""
        sandbox = self._sandboxes.get(ObjectKey(claim.metadata.namespace, claim.published))
        owner = claim_owner(sandbox) if sandbox else None
        if sandbox is None or owner is None or owner.uid != claim.metadata.uid:
            return None
        return given_sandbox(sandbox)


def _way(record: ClaimRecord, ahead_s: float) -> ClaimWay:
    """`ahead_s`: how far the wall clock is ahead of the monotonic one."""

    def wall(moment_s: float | None) -> float | None:
        return None if moment_s is None else moment_s + ahead_s

    return ClaimWay(
        seen_s=wall(record.seen_s),
        picked_s=wall(record.picked_s),
        reserved_s=wall(record.reserved_s),
        published_s=wall(record.published_s),
        ready_s=wall(record.ready_s),
        was_ready=record.was_ready,
        attempts=record.tries,
        conflicts=record.lost,
        candidates_refused=record.refused or {},
        depth=record.depth,
        given=record.given,
    )
