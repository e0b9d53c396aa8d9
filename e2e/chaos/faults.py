"""What is done to a running system, and when: drawn from a seed. Pure.

The kinds are dealt like cards: none comes twice before all have come once, so sixteen faults in a
row are all the kinds there are, in an order of the seed's. The same seed gives the same faults with
the same times, rounds one by one: nothing that happens in a round changes what is drawn.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import StrEnum

FAULTS_PER_ROUND = 3
_FIRST_S = (2.0, 5.0)
_GAP_S = (4.0, 11.0)


class Kind(StrEnum):
    """What is done. The leader and the standby are those of the moment when it is done; "the" API
    server is the leader's, and the other one goes on."""

    LEADER_KILL = "leader-kill"
    LEADER_TERM = "leader-term"
    LEADER_STOP = "leader-stop"
    STANDBY_KILL = "standby-kill"
    STANDBY_STOP = "standby-stop"
    API_SERVER_KILL = "apiserver-kill"
    API_SERVER_STOP = "apiserver-stop"
    API_SERVERS_KILL = "apiservers-kill"
    ETCD_KILL = "etcd-kill"
    ETCD_STOP = "etcd-stop"
    RESET = "proxy-reset"
    CUT = "proxy-cut"
    HALF_OPEN = "proxy-half-open"
    STALL = "proxy-blackhole"
    DELAY = "proxy-delay"
    THROTTLE = "proxy-throttle"


PROXIED = frozenset({Kind.RESET, Kind.CUT, Kind.HALF_OPEN, Kind.STALL, Kind.DELAY, Kind.THROTTLE})
"""What is done by a proxy, to one controller's connections."""

_LASTS_S = {
    # For a process that was killed: how long until somebody starts it again.
    Kind.LEADER_KILL: (0.5, 3.0),
    Kind.LEADER_TERM: (0.5, 3.0),
    Kind.STANDBY_KILL: (0.5, 3.0),
    Kind.API_SERVER_KILL: (0.1, 2.0),
    Kind.API_SERVERS_KILL: (0.1, 2.0),
    Kind.ETCD_KILL: (0.1, 2.0),
    # From just below the lease to far beyond it.
    Kind.LEADER_STOP: (5.0, 40.0),
    Kind.STANDBY_STOP: (5.0, 20.0),
    Kind.API_SERVER_STOP: (0.5, 10.0),
    Kind.ETCD_STOP: (0.5, 10.0),
    Kind.STALL: (1.0, 15.0),
    Kind.DELAY: (3.0, 10.0),
    Kind.THROTTLE: (3.0, 10.0),
}
_TO_LEADER = 0.75
"""How often a proxy's fault is the leader's."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what, when after the burst's beginning, and for how long."""

    kind: Kind
    at_s: float
    lasts_s: float = 0.0
    """Until what was stopped goes on, or what was killed is started again; 0: at once."""
    is_leaders: bool = True
    """For a proxy's fault: whether it is the leader's, not the standby's."""

    def __str__(self) -> str:
        whose = "" if self.kind not in PROXIED else " leader" if self.is_leaders else " standby"
        lasts = f" for {self.lasts_s:.1f} s" if self.lasts_s else ""
        return f"{self.kind}{whose} at {self.at_s:.1f} s{lasts}"


def draw_round(seed: int, number: int, first: Kind | None = None) -> list[Fault]:
    """The faults of one round, in order of time. `first` replaces the first one's kind."""
    # A text as seed: its digest does not depend on the process.
    dice = random.Random(f"round {seed} {number}")
    kinds = [_dealt(seed, number * FAULTS_PER_ROUND + place) for place in range(FAULTS_PER_ROUND)]
    if first is not None:
        kinds[0] = first
    faults: list[Fault] = []
    at_s = dice.uniform(*_FIRST_S)
    for kind in kinds:
        # As many draws for each kind: what one of them is must not change what comes after.
        share, is_leaders = dice.random(), dice.random() < _TO_LEADER
        least_s, most_s = _LASTS_S.get(kind, (0.0, 0.0))
        lasts_s = _log_scaled(share, least_s, most_s) if most_s else 0.0
        faults.append(Fault(kind, at_s, lasts_s, is_leaders))
        at_s += dice.uniform(*_GAP_S)
    return faults


def _dealt(seed: int, place: int) -> Kind:
    """The kind at a place of the endless row of decks."""
    deck, card = divmod(place, len(Kind))
    kinds = list(Kind)
    random.Random(f"deck {seed} {deck}").shuffle(kinds)
    return kinds[card]


def _log_scaled(share: float, least: float, most: float) -> float:
    """The value at a share of the way from least to most, on a scale of doublings: short ones are
    many, long ones are there."""
    return least * math.exp(share * math.log(most / least))
