"""S9: a process that has lost the lead sends no further write.

Judged by the sender's moment of sending on its own clock, against what that process could know of
the Lease: it leads from an answer that shows its own record, until `renew_deadline_s` after it
*sent* that record, or until an answer shows another holder, or until it sends the record that gives
the Lease back. Answers that it did not get count for nothing, and neither does the store's view.
Writes of the Lease itself are free. What was sent in time may land whenever it likes: that is
S1-S6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from warmclaim.api.lease import LEASE
from warmclaim.seams import Response
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.objects import part
from warmclaim.testing.sim.wire import Exchange, Report, told

GRACE_S: Final = 0.002
"""The step in which a process wakes at its deadline, and stops its writers, is not yet late."""

_LEASES: Final = str(LEASE)


@dataclass(slots=True)
class _Term:
    """What one process knows. `sent_s`: when it sent each of its records, by renewTime."""

    until_s: float = -math.inf
    why: str = "it never led"
    sent_s: dict[str, float] = field(default_factory=dict[str, float])


class Fence:
    """Hears of writes and answers, in runs with leader election."""

    def __init__(self, renew_deadline_s: float, report: Report) -> None:
        self._renew_deadline_s = renew_deadline_s
        self._report = report
        self._terms: dict[str, _Term] = {}

    def sent(self, exchange: Exchange) -> None:
        """A write is held against what its sender knows."""
        term = self._term(exchange.process)
        if exchange.place.resource == _LEASES:
            self._note_record(exchange, term)
            return
        late_s = exchange.sent_s - term.until_s
        if late_s > GRACE_S:
            how = f"{late_s:.3f} s late" if math.isfinite(late_s) else "without a term"
            self._report("S9", f"{exchange} was sent {how}: {term.why}")

    def answered(self, exchange: Exchange, answer: Response) -> None:
        """The answer to a read or a write of the Lease says who leads."""
        if exchange.place.resource != _LEASES:
            return
        lease = told(answer)
        if lease is None or lease.spec is None:
            return
        term, holder = self._term(exchange.process), lease.spec.holder_identity or ""
        if holder == exchange.process:
            sent_s = term.sent_s.get(lease.spec.renew_time or "")
            if sent_s is not None:
                term.until_s = max(term.until_s, sent_s + self._renew_deadline_s)
                term.why = "its term was not renewed"
        elif holder:
            term.until_s = min(term.until_s, exchange.answered_s)
            term.why = f"it has seen that {holder} leads"

    def _note_record(self, exchange: Exchange, term: _Term) -> None:
        record: Json | None = part(exchange.body, "spec")
        if part(record, "holderIdentity") == exchange.process:
            term.sent_s[str(part(record, "renewTime"))] = exchange.sent_s
        else:
            term.until_s, term.why = -math.inf, "it gave the lease back"

    def _term(self, process: str) -> _Term:
        return self._terms.setdefault(process, _Term())
