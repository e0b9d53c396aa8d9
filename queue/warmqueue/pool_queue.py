"""WarmQueue: the warm sandboxes of one pool, in the order in which they are handed out.

What it promises; the tests carry the same numbers:

P1 One place. A key is in at most one place: waiting (ready or not ready), held, in flight.
P2 One owner. A taken entry is not given again until it is given back, whatever is offered,
   held or forgotten about it meanwhile.
P3 The pick. Among the waiting entries with a node: the node with most entries waiting;
   of equals the one whose oldest entry is oldest; of that node the oldest entry. Entries
   without a node come last, oldest first. A not-ready entry is given only when no ready
   one waits. The count is over what waits now, ready and not ready apart.
P4 Cost. No move reads the pool: each makes O(log n) comparisons in the entries of a node
   and in the nodes.
P5 Place in line. An entry keeps its arrival number through offer, hold, take and
   give_back; only a new uid, another pool, or coming back after it left brings a new one.
P6 Facts at once. An offer moves a waiting entry to its new node and readiness at once;
   one in flight goes there when it is given back.
P7 Leaving by name. `forget` finds an entry by key alone, whatever its place, node or uid.
   One in flight leaves when its flight ends: its request is under way, so a second one
   would race it.
P8 One ending. A taken entry ends once, by settle, give_back or forget; leaving its block
   in any other way gives back, and only `carry_over` keeps it in flight. What was told
   meanwhile is newer than the ending: forgotten in flight it leaves, offered or held again
   after that, or in another pool, it stays, however the flight ends. An ending that comes
   after it was replaced by one with another uid changes nothing.
P9 Out of turn. `take_named` gives one entry by name, also a held one, unless it is in
   flight; nothing else tells such a flight from others.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from warmqueue.entry import Place, WarmEntry
from warmqueue.keys import SandboxKey
from warmqueue.spread import NodeSpread
from warmqueue.taken import Ending, Taken


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """How many entries of a pool are in each place."""

    ready: int = 0
    not_ready: int = 0
    held: int = 0
    in_flight: int = 0

    @property
    def waiting(self) -> int:
        """Entries that `take` could give."""
        return self.ready + self.not_ready

    @property
    def unpromised(self) -> int:
        """Members no claim is getting: waiting or held."""
        return self.waiting + self.held

    @property
    def total(self) -> int:
        """All entries the queue knows."""
        return self.unpromised + self.in_flight


class Depth(NamedTuple):
    """What waits in a pool, and on the first and the second node of the tier that is picked from:
    0 for a node that there is not."""

    waiting: int = 0
    best_node: int = 0
    second_node: int = 0


class _Seat:
    """One known key: its facts and whether it is in flight; its place follows from both.

    `ends_by`: how its flight will end whatever its ending says, since something newer was told.
    """

    __slots__ = ("ends_by", "entry", "flight", "has_address")

    def __init__(self, entry: WarmEntry, *, has_address: bool) -> None:
        self.entry = entry
        self.has_address = has_address
        self.flight: Taken | None = None
        self.ends_by: Ending | None = None

    @property
    def place(self) -> Place:
        if self.flight is not None:
            return Place.IN_FLIGHT
        if not self.has_address:
            return Place.HELD
        return Place.READY if self.entry.is_ready else Place.NOT_READY

    def tells(self, node: str | None, *, is_ready: bool, has_address: bool) -> bool:
        entry = self.entry
        return (entry.node, entry.is_ready, self.has_address) == (node, is_ready, has_address)

    def check(self, key: SandboxKey) -> None:
        assert self.entry.key == key, f"{self.entry} is filed under {key}"
        if self.flight is not None:
            taken = self.flight.entry
            assert (taken.key, taken.uid) == (key, self.entry.uid), f"{key} flies as {taken}"
            assert not self.flight.is_resolved, f"{key} is in flight, its flight has ended"
        else:
            assert self.ends_by is None, f"{key} is to end a flight and is in none"


class WarmQueue:
    """The queue of one pool. In the costs, n is entries of a node plus nodes."""

    def __init__(
        self,
        *,
        arrivals: Iterator[int] | None = None,
        on_departure: Callable[[SandboxKey], None] | None = None,
    ) -> None:
        """`arrivals` yields rising numbers, and may be shared between queues.

        `on_departure` hears of each key that left, after it left.
        """
        self._arrivals = itertools.count(1) if arrivals is None else arrivals
        self._on_departure = on_departure
        self._seats: dict[SandboxKey, _Seat] = {}
        self._ready = NodeSpread()
        self._not_ready = NodeSpread()
        self._tally = dict.fromkeys(Place, 0)

    def __len__(self) -> int:
        """Entries known, in whatever place. O(1)."""
        return len(self._seats)

    def __contains__(self, key: object) -> bool:
        """Whether the key is known, in whatever place. O(1)."""
        return key in self._seats

    def __iter__(self) -> Iterator[SandboxKey]:
        """The known keys, in no promised order; not while moving entries."""
        return iter(self._seats)

    def offer(self, key: SandboxKey, uid: str, *, node: str | None, is_ready: bool) -> None:
        """It has an address and may be adopted: it waits, or its facts change where it is.

        Another uid than the known one is another sandbox: the old entry goes at once, its
        flight no longer counts, and this one joins at the end. An empty node name is no node.
        O(log n).
        """
        self._learn(key, uid, node or None, is_ready=is_ready, has_address=True)

    def hold(self, key: SandboxKey, uid: str, *, node: str | None) -> None:
        """It is a member but has no address yet: it keeps its place in line, not to be taken.

        One in flight stays in flight and is held when given back. O(log n).
        """
        self._learn(key, uid, node or None, is_ready=False, has_address=False)

    def take(self) -> Taken | None:
        """Pick an entry (P3) and put it in flight; None when nothing waits. O(log n)."""
        entry = self._ready.first() or self._not_ready.first()
        return None if entry is None else self._fly(self._seats[entry.key])

    def take_named(self, key: SandboxKey) -> Taken | None:
        """Put this entry in flight (P9); None when it is not known or flies already. O(log n)."""
        seat = self._seats.get(key)
        return None if seat is None or seat.flight is not None else self._fly(seat)

    def give_back(self, key: SandboxKey, uid: str) -> bool:
        """End a flight by name: the entry waits (or is held) again at its old place.

        False, and nothing changes, when no entry of this key and uid is in flight. O(log n).
        """
        return self._finish(self._in_flight(key, uid), Ending.GIVE_BACK)

    def settle(self, key: SandboxKey, uid: str) -> bool:
        """End a flight by name: the entry was adopted and leaves.

        False, and nothing changes, when no entry of this key and uid is in flight. O(1).
        """
        return self._finish(self._in_flight(key, uid), Ending.SETTLE)

    def forget(self, key: SandboxKey) -> bool:
        """It is gone or can not be adopted: remove it, whatever its place, node or uid; one in
        flight at the end of its flight (P7).

        False when it was not known, or is leaving already. O(log n).
        """
        seat = self._seats.get(key)
        if seat is None or seat.ends_by is Ending.FORGET:
            return False
        if seat.flight is not None:
            seat.ends_by = Ending.FORGET
        else:
            self._depart(seat)
        return True

    def move(self, key: SandboxKey, new_home: "WarmQueue") -> None:
        """It belongs to another pool: remove it here; one in flight goes on flying there, last
        in line. KeyError when it is not known. No departure is told. O(log n).
        """
        seat = self._seats[key]
        self._remove(seat)
        if seat.flight is not None:
            new_home._receive(seat, seat.flight)

    def entry_of(self, key: SandboxKey) -> WarmEntry | None:
        """The facts last told of a key; None when it is not known. O(1)."""
        seat = self._seats.get(key)
        return None if seat is None else seat.entry

    def place_of(self, key: SandboxKey) -> Place | None:
        """Where a key is; None when it is not known. O(1)."""
        seat = self._seats.get(key)
        return None if seat is None else seat.place

    def statistics(self) -> QueueStatistics:
        """Entries in each place. O(1)."""
        tally = self._tally
        return QueueStatistics(
            ready=tally[Place.READY],
            not_ready=tally[Place.NOT_READY],
            held=tally[Place.HELD],
            in_flight=tally[Place.IN_FLIGHT],
        )

    def nodes(self) -> dict[str, int]:
        """Waiting entries per node, ready and not ready together. O(nodes)."""
        counts = self._ready.nodes()
        for node, count in self._not_ready.nodes().items():
            counts[node] = counts.get(node, 0) + count
        return counts

    def depth(self) -> Depth:
        """What `take` would pick from now. O(1)."""
        tally = self._tally
        tier = self._ready if tally[Place.READY] else self._not_ready
        best_node, second_node = tier.two_fullest()
        return Depth(tally[Place.READY] + tally[Place.NOT_READY], best_node, second_node)

    def waiting_on(self, node: str | None) -> int:
        """Waiting entries of a node, or those without one, ready and not ready together. O(1)."""
        return self._ready.count(node) + self._not_ready.count(node)

    def check(self) -> None:
        """Recount everything from the entries; AssertionError on a difference. O(n log n)."""
        by_place: dict[Place, list[WarmEntry]] = {place: [] for place in Place}
        for key, seat in self._seats.items():
            seat.check(key)
            by_place[seat.place].append(seat.entry)
        counted = {place: len(entries) for place, entries in by_place.items()}
        assert counted == self._tally, f"counted {counted}, kept {self._tally}"
        arrivals = {seat.entry.arrival for seat in self._seats.values()}
        assert len(arrivals) == len(self._seats), "two entries share an arrival number"
        for place, tier in ((Place.READY, self._ready), (Place.NOT_READY, self._not_ready)):
            by_arrival = sorted(by_place[place], key=lambda entry: entry.arrival)
            assert tier.entries() == by_arrival, f"the {place.value} tier holds other entries"
            tier.check()

    def _learn(
        self, key: SandboxKey, uid: str, node: str | None, *, is_ready: bool, has_address: bool
    ) -> None:
        seat = self._seats.get(key)
        if seat is not None and seat.entry.uid != uid:
            self._remove(seat)  # no departure: the key stays
            seat = None
        if seat is None:
            entry = WarmEntry(key, uid, node, is_ready, next(self._arrivals))
            seat = self._seats[key] = _Seat(entry, has_address=has_address)
            self._enter(seat)
            return
        if seat.ends_by is Ending.FORGET:
            seat.ends_by = Ending.GIVE_BACK
        if not seat.tells(node, is_ready=is_ready, has_address=has_address):
            self._leave(seat)
            seat.entry = WarmEntry(key, uid, node, is_ready, seat.entry.arrival)
            seat.has_address = has_address
            self._enter(seat)

    def _in_flight(self, key: SandboxKey, uid: str) -> _Seat | None:
        seat = self._seats.get(key)
        if seat is None or seat.flight is None or seat.entry.uid != uid:
            return None
        return seat

    def _receive(self, seat: _Seat, flight: Taken) -> None:
        seat.entry = replace(seat.entry, arrival=next(self._arrivals))
        seat.ends_by = Ending.GIVE_BACK
        flight.land_at(self._end)
        self._seats[seat.entry.key] = seat
        self._enter(seat)

    def _end(self, taken: Taken, ending: Ending) -> None:
        seat = self._seats.get(taken.entry.key)
        # By identity: the seat may be that of another sandbox under the same name.
        if seat is not None and seat.flight is taken:
            self._finish(seat, ending)

    def _finish(self, seat: _Seat | None, ending: Ending) -> bool:
        if seat is None:
            return False
        if (seat.ends_by or ending) is Ending.GIVE_BACK:
            self._land(seat)
        else:
            self._depart(seat)
        return True

    def _fly(self, seat: _Seat) -> Taken:
        self._leave(seat)
        seat.flight = Taken(seat.entry, self._end)
        self._enter(seat)
        return seat.flight

    def _land(self, seat: _Seat) -> None:
        self._leave(seat)
        seat.flight = seat.ends_by = None
        self._enter(seat)

    def _depart(self, seat: _Seat) -> None:
        self._remove(seat)
        if self._on_departure is not None:
            self._on_departure(seat.entry.key)

    def _remove(self, seat: _Seat) -> None:
        self._leave(seat)
        del self._seats[seat.entry.key]

    def _leave(self, seat: _Seat) -> None:
        place = seat.place
        self._tally[place] -= 1
        if place is Place.READY:
            self._ready.remove(seat.entry)
        elif place is Place.NOT_READY:
            self._not_ready.remove(seat.entry)

    def _enter(self, seat: _Seat) -> None:
        place = seat.place
        self._tally[place] += 1
        if place is Place.READY:
            self._ready.add(seat.entry)
        elif place is Place.NOT_READY:
            self._not_ready.add(seat.entry)
