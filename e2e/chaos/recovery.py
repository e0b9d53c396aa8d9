"""How soon adoption goes on after a fault. Pure.

From which moment it is counted, and which adoption is the first, is said for each kind:

leader killed, ended, stopped   from the signal; the first adoption after a new holder of the Lease
                                was written (a stopped leader may come back as the holder)
the leader's API server killed  from that moment, since the other one goes on
API server stopped, both killed from the first /readyz after that
etcd                            from the first write that the API server answers again
a proxy's reset, cut, half-open from that moment; the first adoption of a claim that came later
a proxy's fault that lasts      from its end
everything else                 from the moment when it was done

An adoption is a write: a sandbox becomes a claim's. "After" is by etcd's revisions, times are when
the write was read from etcd. A trickle of new claims sees to it that somebody waits.

Two faults at a time tell nothing about either, so a figure counts only when no other fault was
under way between its fault and its adoption. The others are counted, not shown.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from e2e.chaos.faults import Fault, Kind
from e2e.chaos.world import Adoption, Renewal

_LEADER_KINDS = frozenset({Kind.LEADER_KILL, Kind.LEADER_TERM, Kind.LEADER_STOP})
_NEW_CLAIM_KINDS = frozenset({Kind.RESET, Kind.CUT, Kind.HALF_OPEN})
"""What is known already may be adopted by a controller that has just gone deaf."""


@dataclass(slots=True)
class Strike:
    """A fault that was carried out. Times are seconds since the round's first claim."""

    fault: Fault
    target: str
    struck_s: float
    holder: str
    """Who held the Lease then."""
    revision: int
    """The last one that was written before adoption could go on."""
    since_s: float | None = None
    """From when recovery counts; None before that moment has come."""
    lifted_s: float | None = None
    """When what was stopped went on; None before, and for everything else."""
    over_s: float | None = None
    """When everything ran again; None before."""
    adopted_s: float | None = None
    """The first adoption; None before."""

    @property
    def recovery_s(self) -> float | None:
        """How long it took; 0 when adoption went on before it was counted from."""
        if self.since_s is None or self.adopted_s is None:
            return None
        return max(0.0, self.adopted_s - self.since_s)

    @property
    def is_over(self) -> bool:
        """Whether everything runs again and adoption goes on."""
        return self.over_s is not None and self.adopted_s is not None

    def __str__(self) -> str:
        told = f"{self.fault}: {self.target} struck at {self.struck_s:.2f} s"
        if self.since_s is None:
            return f"{told}, not repaired"
        if self.recovery_s is None:
            return f"{told}, not adopting since {self.since_s:.2f} s"
        return f"{told}, adopting {self.recovery_s:.2f} s after {self.since_s:.2f} s"


def first_adoption(
    strike: Strike, adoptions: Iterable[Adoption], renewals: Iterable[Renewal], origin_s: float
) -> float | None:
    """When adoption went on after this strike, in seconds since `origin_s`; None if it did not."""
    if strike.since_s is None:
        return None
    after = strike.revision
    if strike.fault.kind in _LEADER_KINDS:
        led = next((one for one in renewals if _is_new_term(strike, one, origin_s)), None)
        if led is None:
            return None
        after = led.revision
    of_new_claim = strike.fault.kind in _NEW_CLAIM_KINDS
    return next(
        (
            one.at_s - origin_s
            for one in adoptions
            if one.revision > after and (one.claim_revision > after or not of_new_claim)
        ),
        None,
    )


def _is_new_term(strike: Strike, renewal: Renewal, origin_s: float) -> bool:
    if renewal.revision <= strike.revision or not renewal.holder:
        return False
    if renewal.holder != strike.holder:
        return True
    # Its own renewal of before may be read late; one of after its standstill is a term as well.
    return strike.lifted_s is not None and renewal.at_s - origin_s > strike.lifted_s


def alone(strikes: Sequence[Strike]) -> list[Strike]:
    """Those that were not disturbed by another strike of the same round."""
    return [
        one
        for one in strikes
        if not any(other is not one and _overlap(one, other) for other in strikes)
    ]


def _overlap(one: Strike, other: Strike) -> bool:
    return one.struck_s < _end_s(other) and other.struck_s < _measured_s(one)


def _end_s(strike: Strike) -> float:
    if strike.over_s is None or strike.adopted_s is None:
        return float("inf")
    return max(strike.over_s, strike.adopted_s)


def _measured_s(strike: Strike) -> float:
    """When its figure was complete: what comes later cannot have changed it."""
    if strike.since_s is None or strike.adopted_s is None:
        return float("inf")
    return max(strike.since_s, strike.adopted_s)


@dataclass(frozen=True)
class Goals:
    """What is aimed at, and beyond what a run fails, by kind, in seconds."""

    lease_s: float

    def goal_s(self, kind: Kind) -> float | None:
        """The goal; None for a kind without one."""
        return {
            Kind.LEADER_TERM: 1.0,
            Kind.LEADER_KILL: self.lease_s + 2,
            Kind.LEADER_STOP: self.lease_s + 2,
            Kind.API_SERVER_KILL: 1.0,
            Kind.API_SERVERS_KILL: 1.0,
            Kind.ETCD_KILL: 0.5,
        }.get(kind)

    def limit_s(self, kind: Kind) -> float | None:
        """Several times the goal, and time for a machine that does other things besides."""
        goal_s = self.goal_s(kind)
        return None if goal_s is None else 2 * goal_s + 8


@dataclass(frozen=True)
class Row:
    """All undisturbed figures of one kind."""

    kind: Kind
    struck: int
    """How often it was done, disturbed ones included."""
    figures_s: list[float]
    goal_s: float | None

    @property
    def is_held(self) -> bool | None:
        """Whether all figures are within the goal; None without a goal or a figure."""
        if self.goal_s is None or not self.figures_s:
            return None
        return max(self.figures_s) <= self.goal_s


def rows(rounds: Iterable[Sequence[Strike]], goals: Goals) -> list[Row]:
    """One row for each kind that was done, in the order of the kinds."""
    struck: defaultdict[Kind, int] = defaultdict(int)
    figures: defaultdict[Kind, list[float]] = defaultdict(list)
    for strikes in rounds:
        for strike in strikes:
            struck[strike.fault.kind] += 1
        for strike in alone(strikes):
            if strike.recovery_s is not None:
                figures[strike.fault.kind].append(strike.recovery_s)
    return [
        Row(kind, struck[kind], figures[kind], goals.goal_s(kind)) for kind in Kind if struck[kind]
    ]


def too_slow(strikes: Sequence[Strike], goals: Goals) -> list[str]:
    """Undisturbed strikes beyond the limit of their kind."""
    return [
        f"{strike}, at most {limit_s:g} s"
        for strike in alone(strikes)
        if (limit_s := goals.limit_s(strike.fault.kind)) is not None
        and (strike.recovery_s is None or strike.recovery_s > limit_s)
    ]


def table(table_rows: Iterable[Row]) -> str:
    """The rows as aligned text, seconds."""
    lines = [f"  {'recovery to the first adoption':32}{'n':>5}{'median':>9}{'worst':>9}{'goal':>7}"]
    for row in table_rows:
        shown = f"{len(row.figures_s)}/{row.struck}"
        if row.figures_s:
            middle, worst = statistics.median(row.figures_s), max(row.figures_s)
            shown = f"{shown:>5}{middle:9.2f}{worst:9.2f}"
        else:
            shown = f"{shown:>5}{'-':>9}{'-':>9}"
        goal = f"{row.goal_s:7.1f}" if row.goal_s is not None else f"{'':>7}"
        held = {True: " held", False: " MISSED", None: ""}[row.is_held]
        lines.append(f"  {row.kind:32}{shown}{goal}{held}")
    return "\n".join(lines)
