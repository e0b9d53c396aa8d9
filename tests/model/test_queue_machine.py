"""WarmDirectory against one naive queue per pool, by the same moves in any order."""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.model.naive import NaiveQueue, Row, depth
from tests.model.sizes import MACHINE

from warmqueue import Place, PoolKey, QueueStatistics, SandboxKey, Taken, WarmDirectory, WarmEntry

POOLS = [PoolKey("ns", "p"), PoolKey("ns", "q")]
pools = st.sampled_from([POOLS[0], *POOLS])
keys = st.sampled_from([SandboxKey("ns", f"s{i}") for i in range(7)])
nodes = st.sampled_from(["n1", "n1", "n2", "n3", None])
uids = st.sampled_from(["first", "first", "first", "second"])
indexes = st.integers(0, 99)
endings = st.sampled_from(["settle", "give_back", "forget"])


class Flight(NamedTuple):
    """The same flight in both worlds."""

    taken: Taken
    number: int


class InterruptedBlock(Exception):
    """Stands for whatever may go wrong inside a block."""


class DirectoryMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        arrivals, flights = itertools.count(1), itertools.count(1)
        self.directory = WarmDirectory()
        self.naive = {pool: NaiveQueue(arrivals, flights) for pool in POOLS}
        self.flights: list[Flight] = []
        self.takes = 0

    @rule(pool=pools, key=keys, uid=uids, node=nodes, is_ready=st.booleans())
    def offer(
        self, pool: PoolKey, key: SandboxKey, uid: str, node: str | None, is_ready: bool
    ) -> None:
        self.directory.offer(pool, key, uid, node=node, is_ready=is_ready)
        self._leave_other_pools(pool, key)
        self.naive[pool].offer(key, uid, node=node, is_ready=is_ready)

    @rule(pool=pools, key=keys, uid=uids, node=nodes)
    def hold(self, pool: PoolKey, key: SandboxKey, uid: str, node: str | None) -> None:
        self.directory.hold(pool, key, uid, node=node)
        self._leave_other_pools(pool, key)
        self.naive[pool].hold(key, uid, node=node)

    @rule(pool=pools)
    def take(self, pool: PoolKey) -> None:
        self._note(self.directory.take(pool), self.naive[pool].take())

    @rule(pool=pools, key=keys)
    def take_named(self, pool: PoolKey, key: SandboxKey) -> None:
        taken = self.directory.take_named(pool, key)
        self._note(taken, self.naive[pool].take_named(key))

    def _note(self, taken: Taken | None, picked: tuple[WarmEntry, int] | None) -> None:
        if taken is None or picked is None:
            assert (taken, picked) == (None, None)
            return
        entry, number = picked
        assert taken.entry == entry
        self.flights.append(Flight(taken, number))
        self.takes += 1

    @precondition(lambda self: self.flights)
    @rule(index=indexes, ending=endings)
    def end(self, index: int, ending: str) -> None:
        flight = self.flights.pop(index % len(self.flights))
        getattr(flight.taken, ending)()
        self._end(flight.number, is_given_back=ending == "give_back")

    @precondition(lambda self: self.flights)
    @rule(index=indexes, fails=st.booleans())
    def leave_the_block(self, index: int, fails: bool) -> None:
        flight = self.flights.pop(index % len(self.flights))
        try:
            with flight.taken:
                if fails:
                    raise InterruptedBlock
        except InterruptedBlock:
            pass
        assert flight.taken.is_resolved
        self._end(flight.number, is_given_back=True)

    @precondition(lambda self: self.flights)
    @rule(index=indexes)
    def carry_over(self, index: int) -> None:
        taken = self.flights[index % len(self.flights)].taken
        with taken:
            taken.carry_over()
        assert not taken.is_resolved

    @rule(key=keys, uid=uids, is_given_back=st.booleans())
    def end_by_name(self, key: SandboxKey, uid: str, is_given_back: bool) -> None:
        verb = self.directory.give_back if is_given_back else self.directory.settle
        row = self._find(key)
        is_flying = row is not None and row.flight is not None and row.entry.uid == uid
        assert verb(key, uid) is is_flying
        if row is not None and row.flight is not None and is_flying:
            self._end(row.flight, is_given_back=is_given_back)

    @rule(key=keys)
    def forget(self, key: SandboxKey) -> None:
        was_known = [naive.forget(key) for naive in self.naive.values()]
        assert self.directory.forget(key) is any(was_known)

    @rule(pool=pools, chance=st.integers(0, 4))
    def drop_pool(self, pool: PoolKey, chance: int) -> None:
        if chance == 0:  # at full weight most histories would hover around empty pools
            self.directory.drop_pool(pool)
            for key in list(self.naive[pool].rows):
                self.naive[pool].forget(key)

    @invariant()
    def both_know_the_same(self) -> None:
        self.directory.check()
        assert set(self.directory.pools()) == {p for p in POOLS if self.naive[p].rows}
        assert self.directory.take_count == self.takes
        assert len(self.directory) == sum(len(naive.rows) for naive in self.naive.values())
        for pool, naive in self.naive.items():
            assert self.directory.statistics(pool) == count(naive.rows.values())
            assert self.directory.depth(pool) == depth(naive.waiting())
            for key, row in naive.rows.items():
                assert self.directory.pool_of(key) == pool
                assert self.directory.entry_of(key) == row.entry
                assert self.directory.place_of(key) is row.place

    def _end(self, number: int, *, is_given_back: bool) -> None:
        for naive in self.naive.values():
            naive.end(number, is_given_back=is_given_back)

    def _find(self, key: SandboxKey) -> Row | None:
        return next((n.rows[key] for n in self.naive.values() if key in n.rows), None)

    def _leave_other_pools(self, pool: PoolKey, key: SandboxKey) -> None:
        for other, naive in self.naive.items():
            if other != pool:
                naive.move(key, self.naive[pool])


def count(rows: Iterable[Row]) -> QueueStatistics:
    places = [row.place for row in rows]
    return QueueStatistics(
        ready=places.count(Place.READY),
        not_ready=places.count(Place.NOT_READY),
        held=places.count(Place.HELD),
        in_flight=places.count(Place.IN_FLIGHT),
    )


TestDirectoryMachine = DirectoryMachine.TestCase
TestDirectoryMachine.settings = MACHINE
