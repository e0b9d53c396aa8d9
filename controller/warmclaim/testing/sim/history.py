"""S15: the history has one row for a claim at most from each process, when the claim is gone, and
tells of no claim that it was served which never was Ready."""

from __future__ import annotations

from typing import Final

from warmclaim.api.resources import CLAIM
from warmclaim.domain.claim_history import ClaimEnd, ClaimRow
from warmclaim.testing.sim.objects import ready_of
from warmclaim.testing.sim.wire import Report
from warmclaim.testing.store import Commit

_CLAIMS: Final = str(CLAIM)


class Histories:
    """Takes the rows of every process, and observes the store."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._were_ready: set[str] = set()
        self._gone: set[str] = set()
        self._told: set[tuple[str, str]] = set()

    def on_commit(self, commit: Commit) -> None:
        """Remember who was ever Ready, and who is gone."""
        if commit.resource != _CLAIMS:
            return
        uid = commit.object["metadata"]["uid"]
        if ready_of(commit.object).status == "True":
            self._were_ready.add(uid)
        if not commit.is_live:
            self._gone.add(uid)

    def of(self, process: str) -> History:
        """Where a process tells its rows."""
        return History(self, process)

    def told(self, process: str, row: ClaimRow) -> None:
        """A process told a row."""
        claim = f"{process} tells of claim {row.namespace}/{row.name} ({row.uid})"
        if (process, row.uid) in self._told:
            self._report("S15", f"{claim} twice")
        if row.uid not in self._gone:
            self._report("S15", f"{claim} while it is there")
        if row.outcome is ClaimEnd.SERVED and row.uid not in self._were_ready:
            self._report("S15", f"{claim} that it was served")
        self._told.add((process, row.uid))


class History:
    """The sink of one process."""

    def __init__(self, histories: Histories, process: str) -> None:
        self._histories = histories
        self._process = process

    def append(self, row: ClaimRow, /) -> None:
        """See HistorySink."""
        self._histories.told(self._process, row)
