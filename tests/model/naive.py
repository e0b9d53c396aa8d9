"""The specification of the queues, as code too plain to be wrong and too slow to be used."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from warmqueue import Depth, Lane, Place, SandboxKey, WarmEntry


def pick(waiting: Iterable[WarmEntry]) -> WarmEntry | None:
    """Which entry to give: recount all, sort all."""
    waiting = list(waiting)
    tier = [entry for entry in waiting if entry.is_ready] or waiting
    remaining = Counter(entry.node for entry in tier)
    newest_first = sorted(tier, key=lambda entry: entry.arrival, reverse=True)
    oldest = {entry.node: entry for entry in newest_first}  # the last one written stays
    nodeless = oldest.pop(None, None)
    return min(
        oldest.values(), key=lambda entry: (-remaining[entry.node], entry.arrival), default=nodeless
    )


def depth(waiting: Iterable[WarmEntry]) -> Depth:
    """What is picked from: recount all."""
    waiting = list(waiting)
    tier = [entry for entry in waiting if entry.is_ready] or waiting
    counts = sorted(Counter(entry.node for entry in tier if entry.node).values(), reverse=True)
    return Depth(len(waiting), *[*counts, 0, 0][:2])


@dataclass(frozen=True)
class Row:
    entry: WarmEntry
    has_address: bool
    flight: int | None = None
    told: str = ""

    @property
    def place(self) -> Place:
        if self.flight is not None:
            return Place.IN_FLIGHT
        if not self.has_address:
            return Place.HELD
        return Place.READY if self.entry.is_ready else Place.NOT_READY


class NaiveQueue:
    """WarmQueue as one mapping that is read whole for each pick."""

    def __init__(
        self, arrivals: Iterator[int] | None = None, flights: Iterator[int] | None = None
    ) -> None:
        self.rows: dict[SandboxKey, Row] = {}
        self._arrivals = itertools.count(1) if arrivals is None else arrivals
        self._flights = itertools.count(1) if flights is None else flights

    def offer(self, key: SandboxKey, uid: str, *, node: str | None, is_ready: bool) -> None:
        self._learn(key, uid, node, is_ready, has_address=True)

    def hold(self, key: SandboxKey, uid: str, *, node: str | None) -> None:
        self._learn(key, uid, node, False, has_address=False)

    def waiting(self) -> list[WarmEntry]:
        """What may be picked."""
        free = (Place.READY, Place.NOT_READY)
        return [row.entry for row in self.rows.values() if row.place in free]

    def take(self) -> tuple[WarmEntry, int] | None:
        """The entry picked, and a number for its flight."""
        entry = pick(self.waiting())
        if entry is None:
            return None
        return entry, self._fly(entry.key)

    def take_named(self, key: SandboxKey) -> tuple[WarmEntry, int] | None:
        """The same for this one entry, unless it flies."""
        row = self.rows.get(key)
        if row is None or row.flight is not None:
            return None
        return row.entry, self._fly(key)

    def _fly(self, key: SandboxKey) -> int:
        flight = next(self._flights)
        self.rows[key] = replace(self.rows[key], flight=flight)
        return flight

    def end(self, flight: int, *, is_given_back: bool) -> None:
        for key, row in list(self.rows.items()):
            stays = row.told == "came back" or (is_given_back and not row.told)
            if row.flight == flight and stays:
                self.rows[key] = replace(row, flight=None, told="")
            elif row.flight == flight:
                del self.rows[key]

    def forget(self, key: SandboxKey) -> bool:
        row = self.rows.get(key)
        if row is None or row.told == "left":
            return False
        if row.flight is None:
            del self.rows[key]
        else:
            self.rows[key] = replace(row, told="left")
        return True

    def move(self, key: SandboxKey, new_home: "NaiveQueue") -> None:
        """It goes to another pool, in flight if it flies."""
        row = self.rows.pop(key, None)
        if row is not None and row.flight is not None:
            entry = replace(row.entry, arrival=next(self._arrivals))
            new_home.rows[key] = replace(row, entry=entry, told="came back")

    def _learn(
        self, key: SandboxKey, uid: str, node: str | None, is_ready: bool, *, has_address: bool
    ) -> None:
        row = self.rows.get(key)
        if row is None or row.entry.uid != uid:
            entry = WarmEntry(key, uid, node, is_ready, next(self._arrivals))
            self.rows[key] = Row(entry, has_address)
        else:
            entry = replace(row.entry, node=node, is_ready=is_ready)
            told = "came back" if row.told else ""
            self.rows[key] = replace(row, entry=entry, has_address=has_address, told=told)


@dataclass
class Job:
    key: str
    lane: Lane
    due_s: float
    number: int

    @property
    def line(self) -> tuple[float, int]:
        return self.due_s, self.number


def namespace_of(key: str) -> str:
    return key.partition("/")[0]


class NaiveWorkqueue:
    """Workqueue as one list of jobs and one list of turns per lane."""

    def __init__(self, starved_s_max: float | None = None) -> None:
        self.queued: dict[str, Job] = {}
        self.worked: set[str] = set()
        self.turns: dict[Lane, list[str]] = {lane: [] for lane in Lane}
        self.served_at: dict[Lane, float] = {}
        self._starved_s_max = starved_s_max
        self._numbers = itertools.count()

    def add(self, key: str, now: float, lane: Lane, after_s: float) -> None:
        self.refresh(now)
        due_s, number = now + after_s, next(self._numbers)
        known = self.queued.get(key)
        if known is None:
            self.queued[key] = Job(key, lane, due_s, number)
        else:
            due_s, number = min((due_s, number), known.line)
            self.queued[key] = Job(key, min(lane, known.lane), due_s, number)
        self.refresh(now, since_s=now)

    def waiting(self, now: float, lane: Lane) -> list[Job]:
        jobs = [job for job in self.queued.values() if job.lane == lane and job.due_s <= now]
        return sorted((j for j in jobs if j.key not in self.worked), key=lambda job: job.line)

    def refresh(self, now: float, since_s: float | None = None) -> None:
        """Namespaces join the turns of a lane with their first due job, and leave with the last.

        A lane that had none due counts as served until its first one could be given.
        """
        for lane, turns in self.turns.items():
            waiting = self.waiting(now, lane)
            present = [namespace_of(job.key) for job in waiting]
            if waiting and not turns:
                self.served_at[lane] = waiting[0].due_s if since_s is None else since_s
            turns[:] = [namespace for namespace in turns if namespace in present]
            turns.extend(n for n in dict.fromkeys(present) if n not in turns)

    def next(self, now: float) -> Job | None:
        self.refresh(now)
        lanes = [lane for lane in Lane if self.turns[lane]]
        if not lanes:
            return None
        longest = min(lanes, key=lambda lane: self.served_at[lane])
        bound = self._starved_s_max
        is_starved = bound is not None and now - self.served_at[longest] >= bound
        lane = longest if is_starved else lanes[0]
        namespace = self.turns[lane].pop(0)
        job = next(j for j in self.waiting(now, lane) if namespace_of(j.key) == namespace)
        self.served_at[lane] = now
        del self.queued[job.key]
        self.worked.add(job.key)
        rest = [j for j in self.waiting(now, lane) if namespace_of(j.key) == namespace]
        if rest:
            self.turns[lane].append(namespace)
        return job

    def done(self, key: str, now: float) -> None:
        self.refresh(now)
        self.worked.remove(key)
        self.refresh(now, since_s=now)
