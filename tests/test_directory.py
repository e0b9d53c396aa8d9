"""WarmDirectory, promise by promise; the numbers are those of its module docstring."""

import pytest

from warmqueue import Depth, Place, PoolKey, QueueStatistics, SandboxKey, Taken, WarmDirectory

P, Q = PoolKey("ns", "p"), PoolKey("ns", "q")
A, B, C = (SandboxKey("ns", name) for name in "abc")


def directory_of(**pools: list[SandboxKey]) -> WarmDirectory:
    """`directory_of(p=[A, B])`: ready entries of pool ns/p, on one node."""
    directory = WarmDirectory()
    for name, keys in pools.items():
        for key in keys:
            directory.offer(PoolKey("ns", name), key, key.name, node="n1", is_ready=True)
    directory.check()
    return directory


def take(directory: WarmDirectory, pool: PoolKey) -> Taken:
    taken = directory.take(pool)
    directory.check()
    assert taken is not None, "nothing to take"
    return taken


class TestD1OnePool:
    def test_a_pool_gives_only_its_own(self) -> None:
        directory = directory_of(p=[A], q=[B])
        assert take(directory, Q).entry.key == B
        assert directory.take(Q) is None
        assert take(directory, P).entry.key == A

    @pytest.mark.parametrize("is_held", [True, False])
    def test_offered_or_held_in_another_pool_it_moves_there_to_the_end(self, is_held: bool) -> None:
        directory = directory_of(p=[A], q=[B])
        if is_held:
            directory.hold(Q, A, "a", node="n1")
            assert directory.place_of(A) is Place.HELD
        directory.offer(Q, A, "a", node="n1", is_ready=True)
        directory.check()
        assert directory.pool_of(A) == Q
        assert list(directory.pools()) == [Q]
        assert [take(directory, Q).entry.key, take(directory, Q).entry.key] == [B, A]

    @pytest.mark.parametrize("ending", ["settle", "give_back", "forget"])
    @pytest.mark.parametrize("is_forgotten", [True, False])
    def test_moved_in_flight_it_is_given_in_the_new_pool_when_that_ends(
        self, ending: str, is_forgotten: bool
    ) -> None:
        directory = directory_of(p=[A], q=[B])
        taken = take(directory, P)
        if is_forgotten:
            directory.forget(A)
        directory.offer(Q, A, "a", node="n1", is_ready=True)
        directory.check()
        assert list(directory.pools()) == [Q]
        assert directory.place_of(A) is Place.IN_FLIGHT
        assert take(directory, Q).entry.key == B
        assert directory.take(Q) is None
        getattr(taken, ending)()
        directory.check()
        assert directory.place_of(A) is Place.READY
        assert take(directory, Q).entry.key == A

    @pytest.mark.parametrize("ending", ["settle", "give_back", "forget"])
    @pytest.mark.parametrize("pool", [P, Q])
    def test_the_flight_of_another_uid_ends_without_effect(
        self, ending: str, pool: PoolKey
    ) -> None:
        directory = directory_of(p=[A])
        taken = take(directory, P)
        directory.offer(pool, A, "new", node="n1", is_ready=True)
        getattr(taken, ending)()
        directory.check()
        assert directory.pool_of(A) == pool
        assert directory.place_of(A) is Place.READY

    def test_moved_away_and_back_in_flight_it_flies_once(self) -> None:
        directory = directory_of(p=[A])
        taken = take(directory, P)
        directory.offer(Q, A, "a", node="n1", is_ready=True)
        directory.offer(P, A, "a", node="n1", is_ready=True)
        assert directory.take(P) is None
        taken.settle()
        directory.check()
        assert take(directory, P).entry.key == A

    def test_verbs_by_name_find_the_pool(self) -> None:
        directory = directory_of(p=[A], q=[B])
        take(directory, P).carry_over()
        assert directory.give_back(A, "a") is True
        take(directory, P).carry_over()
        assert directory.settle(A, "other") is False
        assert directory.settle(A, "a") is True
        assert directory.forget(B) is True
        directory.check()
        assert len(directory) == 0

    def test_verbs_on_an_unknown_key_say_so(self) -> None:
        directory = directory_of(p=[A])
        assert directory.forget(B) is False
        assert directory.settle(B, "b") is False
        assert directory.give_back(B, "b") is False
        assert directory.pool_of(B) is None
        assert directory.entry_of(B) is None
        assert directory.place_of(B) is None


class TestD2EmptyPoolsGo:
    def test_an_unknown_pool_is_empty(self) -> None:
        directory = directory_of(p=[A])
        assert directory.take(Q) is None
        assert directory.statistics(Q) == QueueStatistics()
        assert directory.nodes(Q) == {}
        assert directory.depth(Q) == Depth(0, 0, 0)
        directory.drop_pool(Q)
        assert list(directory.pools()) == [P]

    def test_forgetting_the_last_entry_drops_the_pool(self) -> None:
        directory = directory_of(p=[A, B])
        directory.forget(A)
        assert list(directory.pools()) == [P]
        directory.forget(B)
        directory.check()
        assert list(directory.pools()) == []

    def test_a_pool_with_an_entry_in_flight_stays_until_that_has_ended(self) -> None:
        directory = directory_of(p=[A])
        taken = take(directory, P)
        assert directory.statistics(P) == QueueStatistics(in_flight=1)
        taken.settle()
        directory.check()
        assert list(directory.pools()) == []

    def test_a_new_uid_of_the_only_entry_keeps_the_pool(self) -> None:
        directory = directory_of(p=[A])
        directory.offer(P, A, "new", node="n2", is_ready=False)
        directory.check()
        assert directory.statistics(P) == QueueStatistics(not_ready=1)
        assert directory.nodes(P) == {"n2": 1}

    def test_the_keys_of_a_pool_are_a_copy_with_those_in_flight(self) -> None:
        directory = directory_of(p=[A, B], q=[C])
        taken = take(directory, P)
        keys = directory.keys(P)
        directory.forget(B)
        assert set(keys) == {A, B}
        assert directory.keys(P) == (A,)
        assert directory.keys(PoolKey("default", "none")) == ()
        taken.settle()

    def test_drop_pool_forgets_everything_in_it_and_nothing_else(self) -> None:
        directory = directory_of(p=[A, B], q=[C])
        taken = take(directory, P)
        directory.drop_pool(P)
        directory.check()
        assert directory.keys(P) == (A,), "what flies leaves when it lands"
        taken.settle()
        directory.check()
        assert list(directory.pools()) == [Q]
        assert len(directory) == 1

    def test_pools_may_be_dropped_while_they_are_listed(self) -> None:
        directory = directory_of(p=[A], q=[B])
        for pool in directory.pools():
            directory.drop_pool(pool)
        assert len(directory) == 0


class TestD3NumbersRise:
    def test_arrivals_rise_over_all_pools_also_emptied_ones(self) -> None:
        directory = directory_of(p=[A], q=[B])
        directory.forget(A)
        directory.offer(P, A, "a", node="n1", is_ready=True)
        directory.offer(Q, C, "c", node="n1", is_ready=True)
        arrivals = [entry.arrival for key in (B, A, C) if (entry := directory.entry_of(key))]
        assert arrivals == sorted(set(arrivals))
        assert len(arrivals) == 3

    def test_takes_are_counted_over_all_pools_also_emptied_ones(self) -> None:
        directory = directory_of(p=[A], q=[B])
        take(directory, P).settle()
        take(directory, Q).give_back()
        take(directory, Q)
        assert directory.take(P) is None
        assert directory.take_count == 3


def test_an_entry_is_taken_by_name_from_its_own_pool_only() -> None:
    directory = WarmDirectory()
    directory.offer(P, A, "uid", node=None, is_ready=True)
    assert directory.take_named(Q, A) is None
    taken = directory.take_named(P, A)
    assert taken is not None
    assert directory.take_count == 1
    assert directory.take(P) is None
    directory.check()
