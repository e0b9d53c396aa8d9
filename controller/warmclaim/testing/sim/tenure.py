"""S9, the other side of the fence: nobody takes a Lease from a manager that may still lead.

Judged at each commit of a Lease: the record of one manager is not replaced by that of another
before it is as old as the duration that stands in it, by the fastest clock of the run. What a
third party does to the Lease frees it as far as this is concerned.
"""

from __future__ import annotations

from warmclaim.api.lease import LEASE
from warmclaim.seams import Clock
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.objects import part
from warmclaim.testing.sim.trace import is_manager
from warmclaim.testing.sim.wire import Report
from warmclaim.testing.store import Commit

_LEASES = str(LEASE)


class Tenure:
    """An observer of the store. `rate_max`: how much faster than the run's a manager's clock is."""

    def __init__(self, clock: Clock, rate_max: float, report: Report) -> None:
        self._clock = clock
        self._rate_max = rate_max
        self._report = report
        self._written_s: dict[str, float] = {}

    def on_commit(self, commit: Commit) -> None:
        """Hold a new record against the one before it."""
        if commit.resource != _LEASES:
            return
        now = self._clock.monotonic()
        before, after = _holder(commit.before), _holder(commit.object)
        written_s = self._written_s.get(commit.key)
        self._written_s[commit.key] = now
        if not commit.is_live or written_s is None or before == after:
            return
        if not is_manager(before) or not is_manager(after):
            return
        age_s = (now - written_s) * self._rate_max
        duration_s = float(part(commit.before, "spec", "leaseDurationSeconds") or 0)
        if age_s < duration_s:
            text = f"{after} took {commit.key} from {before}, {age_s:.3f} s after its last word"
            self._report("S9", f"{text} of {duration_s:g} s")


def _holder(lease: Json | None) -> str:
    return str(part(lease, "spec", "holderIdentity") or "")
