"""L7: while the server is out of reach, a manager asks for little.

Counted for each process from the first request that it sends into an outage until the first one
that gets through again, by what sends it; `t` is the seconds since that first one:

* each watch (with the lists that it falls back to): one for each 0.8 s, the shortest delay;
* the shared probe that looks for the end of the outage: 4 a second;
* each key of a controller: what a pass may send before it fails, for each step of its back-off;
* the Lease: two for each retry period; Events: one a second;

each and a few more, since what was due at the beginning is sent at once.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from warmclaim.api.event import EVENT
from warmclaim.api.lease import LEASE
from warmclaim.app.crew import RETRY_BASE_S, RETRY_CAP_S
from warmclaim.kube.outage import PROBE_NAME
from warmclaim.testing.sim.case import Options
from warmclaim.testing.sim.wire import Exchange, Report

WATCH_EVERY_S: Final = 0.8
PROBES_PER_S: Final = 4.0
PASS_REQUESTS_MAX: Final = 3  # a read, a write, and the read of what became of it
SPARE: Final = 4

_LEASES, _EVENTS = str(LEASE), str(EVENT)


@dataclass(slots=True)
class _Outage:
    """What one process has sent since it began."""

    began_s: float
    sent: Counter[str] = field(default_factory=Counter[str])


class Budget:
    """Hears of writes and reads."""

    def __init__(self, options: Options, report: Report) -> None:
        self._batch_max = options.batch_items_max
        self._lease_retry_s = options.lease_s[2]
        self._report = report
        self._outages: dict[str, _Outage] = {}

    def sent(self, exchange: Exchange) -> None:
        """Count a request, and hold it against what its sender may send by now."""
        if not exchange.is_out:
            self._outages.pop(exchange.process, None)
            return
        outage = self._outages.setdefault(exchange.process, _Outage(exchange.sent_s))
        sender = _sender(exchange)
        outage.sent[sender] += 1
        elapsed_s = exchange.sent_s - outage.began_s
        limit = self._limit(exchange, sender, elapsed_s)
        if outage.sent[sender] > limit:
            text = f"{outage.sent[sender]} requests of {sender} in {elapsed_s:.3f} s of an outage"
            self._report("L7", f"{exchange}: {text}, {limit} allowed")

    def _limit(self, exchange: Exchange, sender: str, elapsed_s: float) -> int:
        work = exchange.work
        if work is not None:
            at_once = self._batch_max if work.controller == "sandboxwarmpool" else 0
            return PASS_REQUESTS_MAX * _steps(elapsed_s) + at_once + SPARE
        rates = {
            "probe": PROBES_PER_S,
            "lease": 2 / self._lease_retry_s,
            "events": 1.0,
        }
        return math.ceil(rates.get(sender, 1 / WATCH_EVERY_S) * elapsed_s) + SPARE


def _sender(exchange: Exchange) -> str:
    """Who sends: a key of a controller, a watch, or one of the others."""
    work, place = exchange.work, exchange.place
    if work is not None:
        return f"{work.controller} {work.namespace}/{work.name}"
    if place.resource == _LEASES:
        return "lease"
    if place.resource == _EVENTS:
        return "events"
    return "probe" if place.name == PROBE_NAME else f"watch {place.resource}"


def _steps(elapsed_s: float) -> int:
    """How often a key may have been tried by then: at once, and at each step of its back-off."""
    doubling_s = 2 * RETRY_CAP_S
    steps = math.floor(math.log2(min(elapsed_s, doubling_s) / RETRY_BASE_S + 1)) + 1
    return steps + math.ceil(max(elapsed_s - doubling_s, 0.0) / RETRY_CAP_S)
