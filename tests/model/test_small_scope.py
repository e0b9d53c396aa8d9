"""Every state that up to 6 moves can reach with 3 sandboxes on 2 nodes, none left to luck.

Two histories count as the same state when they differ only in names: which sandbox is
called what, which node is, and the numbers behind the order of arrival. The queue looks at
nothing else, and never at the order of keys. From each state every move is tried and the
result compared with the naive queue.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from tests.model.naive import NaiveQueue

from warmqueue import SandboxKey, Taken, WarmQueue

MOVES_MAX = 6
KEYS = [SandboxKey("ns", name) for name in ("a", "b", "c")]
NODES = ["n1", "n2", None]  # None: not on a node yet


class World:
    """A queue and its specification, moved together."""

    def __init__(self) -> None:
        self.queue = WarmQueue()
        self.naive = NaiveQueue()
        self.flights: dict[int, Taken] = {}
        self.uids = dict.fromkeys(KEYS, 0)

    def uid(self, key: SandboxKey) -> str:
        return f"uid-{self.uids[key]}"

    def recreate(self, key: SandboxKey, node: str | None) -> None:
        """Another sandbox under a known name; the old one's flight must become void."""
        self.uids[key] += 1
        self.offer(key, node, True)

    def offer(self, key: SandboxKey, node: str | None, is_ready: bool) -> None:
        self.queue.offer(key, self.uid(key), node=node, is_ready=is_ready)
        self.naive.offer(key, self.uid(key), node=node, is_ready=is_ready)

    def hold(self, key: SandboxKey, node: str | None) -> None:
        self.queue.hold(key, self.uid(key), node=node)
        self.naive.hold(key, self.uid(key), node=node)

    def take(self) -> None:
        taken, picked = self.queue.take(), self.naive.take()
        assert (taken and taken.entry) == (picked and picked[0])
        if taken is not None and picked is not None:
            self.flights[picked[1]] = taken

    def end(self, flight: int, verb: str) -> None:
        getattr(self.flights.pop(flight), verb)()
        self.naive.end(flight, is_given_back=verb == "give_back")

    def forget(self, key: SandboxKey) -> None:
        assert self.queue.forget(key) is self.naive.forget(key)

    def compare(self) -> None:
        self.queue.check()
        known = {key: (row.entry, row.place) for key, row in self.naive.rows.items()}
        assert {k: (self.queue.entry_of(k), self.queue.place_of(k)) for k in self.queue} == known

    def state(self) -> "State":
        """Equal for worlds that differ only in names."""
        rows = sorted(self.naive.rows.values(), key=lambda row: row.entry.arrival)
        names: dict[str, int] = {}
        void = len(self.flights) - sum(row.flight is not None for row in rows)
        return State(
            tuple(
                (
                    names.setdefault(row.entry.node, len(names)) if row.entry.node else None,
                    row.entry.is_ready,
                    row.has_address,
                    row.flight is not None,
                    row.told,
                )
                for row in rows
            ),
            void,
        )


class State(NamedTuple):
    entries: tuple[tuple[int | None, bool, bool, bool, str], ...]
    void_flights: int


Move = Callable[[World], None]


def moves(world: World) -> Iterator[Move]:
    """All that can happen next."""
    yield World.take
    for key in KEYS:
        yield partial(World.forget, key=key)
        for node in NODES:
            yield partial(World.hold, key=key, node=node)
            yield partial(World.recreate, key=key, node=node)
            for is_ready in (True, False):
                yield partial(World.offer, key=key, node=node, is_ready=is_ready)
    for flight in world.flights:
        for verb in ("settle", "give_back", "forget"):
            yield partial(World.end, flight=flight, verb=verb)


def replay(history: tuple[Move, ...]) -> World:
    world = World()
    for move in history:
        move(world)
    return world


def test_every_state_within_six_moves_agrees_with_the_naive_queue() -> None:
    seen: dict[State, tuple[Move, ...]] = {World().state(): ()}
    frontier: list[tuple[Move, ...]] = [()]
    tried = 0
    for _ in range(MOVES_MAX):
        reached: list[tuple[Move, ...]] = []
        for history in frontier:
            for move in moves(replay(history)):
                world = replay((*history, move))
                world.compare()
                tried += 1
                if world.state() not in seen:
                    seen[world.state()] = (*history, move)
                    reached.append((*history, move))
        frontier = reached
    print(f"{len(seen)} states, {tried} moves tried")
    assert len(seen) > 1000, "the moves no longer reach what they did"
