"""Workqueue: which key to work on next, as a state machine without clock, task or lock.

The moment is an argument of each call, and `due_at` tells when to call again, so the
same code runs under an event loop, in a simulator and in a test. `now` must not go back.

What it promises; the tests carry the same numbers:

W1 Once. A key is queued at most once, however often it is added.
W2 Never twice at once. A key being worked is not given again before `done`.
W3 Nothing lost. An add while the key is being worked brings one more run after `done`, unless
   the run has `looked` since, which serves it.
W4 The sooner and the more urgent. Of several adds of a queued key the earlier due moment,
   the more urgent lane and the place in line of the earlier one count.
W5 Lanes. A due key of a more urgent lane goes first; with `starved_s_max`, a lane that has
   due keys and was not served for that long is served one key before.
W6 Fair. Inside a lane the namespaces take turns, one key each; inside a namespace the key
   that is due longest goes first.
W7 Not early. A key is not given before it is due, and `due_at` names the moment.
W8 Back-off. Each `retry` of a key waits longer, up to the cap, until `forget`.
W9 Bounded. At most `length_max` keys are known; a further one is refused. A re-add, an
   add while worked and a retry while worked are never refused, and leave no residue. What is
   discarded leaves none either.

How a key moves:

    absent  --add-->  DELAYED  --due-->  WAITING  --next-->  WORKED  --done-->  absent

`discard` leads from DELAYED and WAITING to absent. An add that is due at once goes straight to
WAITING; `done` goes back to DELAYED or WAITING when the key was added while it was worked.
"""

import itertools
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Generic, NamedTuple, TypeVar

from warmqueue.backoff import Backoff
from warmqueue.delays import Delays
from warmqueue.rotation import Rotation, Ticket

K = TypeVar("K", bound=Hashable)


class Lane(IntEnum):
    """How urgent a key is; lower goes first."""

    ADOPTION = 0
    LIFECYCLE = 1
    STATUS = 2
    REFILL = 3
    HOUSEKEEPING = 4


class QueueFullError(Exception):
    """The queue knows `length_max` keys and refused a further one; nothing has changed."""


class NotWorkedError(RuntimeError):
    """`done` for a key that is not being worked: a mistake in the caller."""


@dataclass(frozen=True, slots=True)
class Work(Generic[K]):
    """A key to be worked now; `done` must follow. It waited this long since it was due."""

    key: K
    lane: Lane
    waited_s: float


@dataclass(frozen=True, slots=True)
class WorkqueueStatistics:
    """Keys by state. Due or not is as of the last moment told. `added`: adds so far, those left
    out that were merged with an earlier one."""

    waiting: Mapping[Lane, int]
    delayed: int
    worked: int
    failing: int
    added: int


class _State(Enum):
    DELAYED = "delayed"
    WAITING = "waiting"
    WORKED = "worked"


class _Wish(NamedTuple):
    """What was asked for a key: by which lane, and its place in line."""

    lane: Lane
    ticket: Ticket


class _Item(Generic[K]):
    """A known key. `wish` is None only while it is worked and nobody asked for another run."""

    __slots__ = ("key", "namespace", "state", "wish")

    def __init__(self, key: K, namespace: str, wish: _Wish) -> None:
        self.key = key
        self.namespace = namespace
        self.state = _State.DELAYED
        self.wish: _Wish | None = wish


class Workqueue(Generic[K]):
    """Dirty, delayed and worked keys. In the costs, n is keys known."""

    def __init__(
        self,
        *,
        namespace_of: Callable[[K], str],
        backoff: Backoff,
        length_max: int | None = None,
        starved_s_max: float | None = None,
    ) -> None:
        """`namespace_of` tells who shares a turn; `backoff` must be this queue's own."""
        self._namespace_of = namespace_of
        self._backoff = backoff
        self._length_max = length_max
        self._starved_s_max = starved_s_max
        self._numbers = itertools.count()
        self._items: dict[K, _Item[K]] = {}
        self._delayed: Delays[_Item[K]] = Delays()
        self._lanes: dict[Lane, Rotation[_Item[K]]] = {lane: Rotation() for lane in Lane}
        self._served_at = dict.fromkeys(Lane, 0.0)
        self._waiting = 0
        self._worked = 0
        self._added = 0

    def __len__(self) -> int:
        """Keys known: waiting, delayed or being worked. O(1)."""
        return len(self._items)

    def __contains__(self, key: object) -> bool:
        """Whether the key is waiting, delayed or being worked. O(1)."""
        return key in self._items

    def known(self) -> tuple[K, ...]:
        """All keys known, copied: O(n)."""
        return tuple(self._items)

    @property
    def is_idle(self) -> bool:
        """No key is waiting, delayed or being worked. O(1)."""
        return not self._items

    def add(self, key: K, now: float, *, lane: Lane = Lane.STATUS, after_s: float = 0.0) -> None:
        """Ask for a run of the key, `after_s` from now; merged with what was asked before (W4).

        QueueFullError when the key is new and `length_max` keys are known. O(log n), and once
        O(log n) for each key that became due since the last call.
        """
        self._wake(now)
        wish = _Wish(lane, Ticket(now + max(after_s, 0.0), next(self._numbers)))
        item = self._items.get(key)
        if item is None:
            self._refuse_when_full(key)
            item = self._items[key] = _Item(key, self._namespace_of(key), wish)
            self._place(item, wish, now)
            self._added += 1
        elif item.wish is None:
            item.wish = wish
            self._added += 1
        else:
            self._merge(item, item.wish, wish, now)

    def next(self, now: float) -> Work[K] | None:
        """The most urgent due key (W5, W6), now being worked; None when none is due.

        Cost as of `add`.
        """
        self._wake(now)
        lane = self._lane_to_serve(now)
        if lane is None:
            return None
        ticket, item = self._lanes[lane].pop()
        self._waiting -= 1
        self._served_at[lane] = now
        item.state = _State.WORKED
        item.wish = None
        self._worked += 1
        return Work(item.key, lane, max(now - ticket.due_s, 0.0))

    def done(self, key: K, now: float) -> None:
        """The run ended, well or not; the key is queued again when it was added meanwhile.

        NotWorkedError when it is not being worked. Cost as of `add`.
        """
        item = self._items.get(key)
        if item is None or item.state is not _State.WORKED:
            raise NotWorkedError(f"done({key}): it is not being worked")
        self._wake(now)
        self._worked -= 1
        if item.wish is None:
            del self._items[key]
        else:
            self._place(item, item.wish, now)

    def looked(self, key: K, now: float) -> None:
        """Whoever works the key looks at everything anew: what was asked for until now is served by
        that, and is not asked for any more. A run for later stays. O(1)."""
        item = self._items.get(key)
        if item is None or item.state is not _State.WORKED or item.wish is None:
            return
        if item.wish.ticket.due_s <= now:
            item.wish = None

    def retry(self, key: K, now: float, *, lane: Lane, jitter: float | None = None) -> float:
        """The run failed: add the key after its back-off delay, which is returned.

        To be called before `done`; after it the key is a new one and may be refused with
        QueueFullError. `jitter` as in `Backoff.delay_s`. Cost as of `add`.
        """
        if key not in self._items:
            self._refuse_when_full(key)
        delay_s = self._backoff.fail(key, jitter=jitter)
        self.add(key, now, lane=lane, after_s=delay_s)
        return delay_s

    def forget(self, key: K) -> None:
        """The run succeeded, or the object is gone: its next failure is a first one. O(1)."""
        self._backoff.forget(key)

    def discard(self, key: K) -> bool:
        """Drop a key that nobody will work, its back-off too; False, and nothing is dropped, while
        it is being worked. O(log n)."""
        item = self._items.get(key)
        if item is not None and item.state is _State.WORKED:
            return False
        self._backoff.forget(key)
        if item is not None and item.wish is not None:
            self._withdraw(item, item.wish)
            del self._items[key]
        return True

    def due_at(self) -> float | None:
        """When `next` gives a key: a moment in the past if at once; None if nothing is queued.

        A key being worked does not count until it is done. O(1).
        """
        if not self._waiting:
            return self._delayed.first_s if self._delayed else None
        rotations = (rotation for rotation in self._lanes.values() if rotation)
        ticket, _ = next(rotations).first()
        return ticket.due_s

    def is_worked(self, key: K) -> bool:
        """Whether the key was given by `next` and `done` has not followed. O(1)."""
        item = self._items.get(key)
        return item is not None and item.state is _State.WORKED

    def is_wanted(self, key: K) -> bool:
        """Whether a run of the key was asked for and has not begun. O(1)."""
        item = self._items.get(key)
        return item is not None and item.wish is not None

    def depth(self, lane: Lane) -> int:
        """Keys waiting in the lane, as of the last moment told. O(1)."""
        return len(self._lanes[lane])

    def statistics(self) -> WorkqueueStatistics:
        """Keys by state. O(lanes)."""
        return WorkqueueStatistics(
            waiting={lane: len(rotation) for lane, rotation in self._lanes.items()},
            delayed=len(self._delayed),
            worked=self._worked,
            failing=len(self._backoff),
            added=self._added,
        )

    def check(self) -> None:
        """Recount the states; AssertionError on a difference. O(n)."""
        counted = dict.fromkeys(_State, 0)
        for key, item in self._items.items():
            assert item.key == key, f"{item.key} is filed under {key}"
            assert item.wish is not None or item.state is _State.WORKED, f"{key} is nowhere"
            counted[item.state] += 1
        for rotation in self._lanes.values():
            rotation.check()
        waiting = sum(map(len, self._lanes.values()))
        assert waiting == self._waiting, f"{waiting} are waiting, not {self._waiting}"
        assert counted == {
            _State.DELAYED: len(self._delayed),
            _State.WAITING: self._waiting,
            _State.WORKED: self._worked,
        }, f"counted {counted}"
        for ticket, item in self._delayed.check().items():
            assert item.wish is not None, f"{item.key} is delayed for nothing"
            assert item.wish.ticket == ticket, f"{item.key} is delayed under another ticket"

    def _refuse_when_full(self, key: K) -> None:
        if self._length_max is not None and len(self._items) >= self._length_max:
            raise QueueFullError(f"{key}: the queue knows {self._length_max} keys, its limit")

    def _merge(self, item: _Item[K], known: _Wish, wish: _Wish, now: float) -> None:
        merged = _Wish(min(known.lane, wish.lane), min(known.ticket, wish.ticket))
        if merged == known:
            return
        if item.state is not _State.WORKED:
            self._withdraw(item, known)
            self._place(item, merged, now)
        item.wish = merged

    def _place(self, item: _Item[K], wish: _Wish, now: float) -> None:
        if wish.ticket.due_s > now:
            item.state = _State.DELAYED
            self._delayed.add(wish.ticket, item)
            return
        rotation = self._lanes[wish.lane]
        if not rotation:
            self._served_at[wish.lane] = now
        item.state = _State.WAITING
        self._waiting += 1
        rotation.add(item.namespace, wish.ticket, item)

    def _withdraw(self, item: _Item[K], wish: _Wish) -> None:
        if item.state is _State.DELAYED:
            self._delayed.remove(wish.ticket)
        else:
            self._waiting -= 1
            self._lanes[wish.lane].remove(item.namespace, wish.ticket)

    def _wake(self, now: float) -> None:
        # In every call with a moment, not in `next` alone: else the turns of the namespaces
        # would depend on how often `next` is asked.
        while self._delayed.first_s <= now:
            ticket, item = self._delayed.pop()
            assert item.wish is not None
            self._place(item, item.wish, ticket.due_s)

    def _lane_to_serve(self, now: float) -> Lane | None:
        if not self._waiting:
            return None
        lanes = [lane for lane, rotation in self._lanes.items() if rotation]
        if self._starved_s_max is not None:
            longest = min(lanes, key=self._served_at.__getitem__)
            if now - self._served_at[longest] >= self._starved_s_max:
                return longest
        return lanes[0]
