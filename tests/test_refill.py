"""decide_refill: never one more than the target, whatever is on its way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from warmclaim.api.meta import ObjectKey
from warmclaim.domain.refill import (
    Counts,
    CreateMembers,
    DeleteMembers,
    Member,
    Pause,
    PoolFacts,
    ReserveCreates,
    Settled,
    Shrink,
    TakeIn,
    decide_refill,
    surplus_of,
)
from warmclaim.domain.reservation import BATCH_MAX, Reservation, parse_reservation


def a_member(number: int, *, ready: bool = True, deleting: bool = False) -> Member:
    key = ObjectKey("tenant", f"m{number}")
    created = f"2026-01-01T00:00:{number:02}Z"
    return Member(key, f"uid-{number}", str(number), created, ready, deleting)


def facts(
    replicas: int,
    members: list[Member],
    *,
    unfit: tuple[Member, ...] = (),
    end: int = 10,
    unseen: tuple[int, ...] = (),
    template: bool = True,
    batch_max: int = 300,
) -> PoolFacts:
    counts = Counts(
        len(members),
        sum(member.is_deleting for member in members),
        sum(member.is_ready and not member.is_deleting for member in members),
    )
    last = Reservation(0, end, 0)
    return PoolFacts(replicas, counts, last, unseen, template, batch_max, unfit)


def test_missing_members_are_reserved_first() -> None:
    assert decide_refill(facts(5, [a_member(1)])) == ReserveCreates(Reservation(10, 14, 5))


def test_unfit_members_go_before_anything_is_added() -> None:
    old, older = a_member(1), a_member(2)
    members = [old, older, a_member(3)]
    assert decide_refill(facts(5, members, unfit=(old,))) == DeleteMembers((old,))
    decision = decide_refill(facts(5, members, unfit=(old, older), batch_max=1))
    assert decision == DeleteMembers((old,))


def test_a_batch_is_bounded() -> None:
    assert decide_refill(facts(500, [], batch_max=300)) == ReserveCreates(Reservation(10, 310, 500))
    wanted = 2 * BATCH_MAX
    largest = Reservation(10, 10 + BATCH_MAX, wanted)
    assert decide_refill(facts(wanted, [], batch_max=wanted)) == ReserveCreates(largest)
    assert parse_reservation(largest.encode()) == largest  # ours are never taken for spoilt


def test_a_reserved_batch_is_finished_before_the_next_is_reserved() -> None:
    assert decide_refill(facts(5, [], unseen=(8, 9))) == CreateMembers((8, 9))


def test_no_more_of_a_batch_is_created_than_is_missing() -> None:
    members = [a_member(n) for n in range(4)]
    assert decide_refill(facts(5, members, unseen=(7, 8, 9))) == CreateMembers((7,))


def test_a_terminating_member_takes_room() -> None:
    members = [a_member(1), a_member(2, deleting=True)]
    assert decide_refill(facts(2, members)) == Settled()


def test_without_a_template_nothing_is_created() -> None:
    assert decide_refill(facts(5, [], template=False)) == Settled()


def test_surplus_members_leave_not_ready_first_then_the_newest() -> None:
    old, new, slow = a_member(1), a_member(5), a_member(2, ready=False)
    leaving = a_member(6, ready=False, deleting=True)
    assert decide_refill(facts(1, [old, new, slow, leaving])) == Shrink(2)
    assert surplus_of([old, new, slow, leaving], 2) == [slow, new]


def test_doubtful_members_leave_before_all_others() -> None:
    old, forged, slow = a_member(1), a_member(2), a_member(5, ready=False)
    assert surplus_of([old, forged, slow], 2, {forged.key}) == [forged, slow]


def test_members_already_leaving_are_not_made_up_for_by_others() -> None:
    members = [a_member(1), a_member(2), a_member(3, deleting=True)]
    assert decide_refill(facts(2, members)) == Settled()


def test_scale_down_is_done_in_batches() -> None:
    members = [a_member(n) for n in range(5)]
    assert decide_refill(facts(0, members, batch_max=2)) == Shrink(2)


class TestOrphans:
    def shown(self, replicas: int, **more: Any) -> PoolFacts:
        return replace(facts(replicas, [a_member(1)]), orphan="pool-abcde@5", **more)

    def test_one_is_reserved_before_anything_new_is(self) -> None:
        reserved = Reservation(10, 10, 2, takes_in="pool-abcde@5")
        assert decide_refill(self.shown(2)) == ReserveCreates(reserved)

    def test_a_batch_of_ordinals_is_finished_first(self) -> None:
        assert decide_refill(self.shown(2, unseen=(8,))) == CreateMembers((8,))

    def test_what_may_still_be_taken_in_is_before_the_next_batch(self) -> None:
        assert decide_refill(self.shown(5, is_open=True)) == TakeIn()

    def test_none_while_the_pool_is_full_or_waits(self) -> None:
        assert decide_refill(self.shown(1, is_open=True)) == Settled()
        assert decide_refill(self.shown(5, pause_s=3.0)) == Pause(3.0)
        assert decide_refill(self.shown(5, has_template=False)) == Settled()


@given(
    st.integers(0, 20),
    st.lists(st.booleans(), max_size=25),
    st.lists(st.integers(0, 9), unique=True, max_size=10),
    st.integers(1, 30),
)
def test_members_and_what_may_come_never_exceed_the_target(
    replicas: int, deleting: list[bool], unseen: list[int], batch_max: int
) -> None:
    members = [a_member(n, deleting=flag) for n, flag in enumerate(deleting)]
    given_facts = facts(replicas, members, unseen=tuple(sorted(unseen)), batch_max=batch_max)
    decision = decide_refill(given_facts)
    match decision:
        case ReserveCreates(reservation):
            assert not unseen
            assert len(members) + len(reservation.ordinals) <= replicas
        case CreateMembers(ordinals):
            assert len(members) + len(ordinals) <= replicas
            assert set(ordinals) <= set(unseen)
        case Shrink(count):
            assert count <= sum(not flag for flag in deleting) - replicas
        case DeleteMembers():
            raise AssertionError("all members are fit")
        case Pause() | TakeIn():
            raise AssertionError("there is nothing to wait for, or to take in")
        case Settled():
            active = sum(not flag for flag in deleting)
            assert active <= replicas <= len(members)
