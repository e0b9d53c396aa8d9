"""The judge is judged: each promise is broken once by hand, and once nearly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.sim.court import DELETED, MANAGER, TENANT, Court

from warmclaim.api.resources import CLAIM, POOL
from warmclaim.domain.reservation import member_name
from warmclaim.testing import builders
from warmclaim.testing.sim.judge import CLAIMS, POOLS, SANDBOXES
from warmclaim.testing.sim.lifetimes import LAG_S_MAX
from warmclaim.testing.sim.trace import LATE


def test_a_sound_hand_over_breaks_nothing() -> None:
    court = Court()
    court.handed_over()
    assert court.promises == []


def _s1_to_another_claim(court: Court) -> None:
    court.adopt(court.handed_over(), "d")


def _s1_back_to_the_pool(court: Court) -> None:
    court.handed_over()
    court.member(0)


def _s1_without_an_owner(court: Court) -> None:
    bare = builders.a_sandbox("bare", pool=None, namespace="ns-0")
    court.store.put(SANDBOXES, "ns-0/none", bare)
    court.attribution.who = MANAGER
    court.store.put(SANDBOXES, "ns-0/bare", bare)


def _s1_takes_in_what_a_claim_had(court: Court) -> None:
    name = court.handed_over()
    court.stray(name)
    court.reserve_stray(name, 3)
    court.take_in(name)


def _s2_over_another(court: Court) -> None:
    court.handed_over()
    second = court.member(1)
    court.adopt(second, "c")
    court.claim("c", shows=second)


def _s2_taken_back(court: Court) -> None:
    court.handed_over()
    court.claim("c")


def _s3_never_owned(court: Court) -> None:
    court.pool()
    court.reserve(0, 3, 3)
    court.claim("c", who=TENANT)
    court.claim("c", shows=court.member(0))


def _s3_of_another_claim(court: Court) -> None:
    name = court.handed_over()
    court.claim("d", who=TENANT)
    court.claim("d", shows=name)


def _s3_deleted_by_ourselves(court: Court) -> None:
    court.pool()
    court.reserve(0, 3, 3)
    name = court.member(0)
    court.claim("c", who=TENANT)
    court.adopt(name, "c")
    court.delete(SANDBOXES, name)
    court.claim("c", shows=name)


def _s3_lost_long_ago(court: Court) -> None:
    court.pool()
    court.reserve(0, 3, 3)
    name = court.member(0)
    court.claim("c", who=TENANT)
    court.adopt(name, "c")
    court.delete(SANDBOXES, name, TENANT)
    court.time.now_s += LAG_S_MAX + 1
    court.claim("c", shows=name)


def _s4_deleted(court: Court) -> None:
    court.delete(SANDBOXES, court.handed_over())


def _s4_marked(court: Court) -> None:
    court.adopt(court.handed_over(), "c", merge=DELETED)


def _s5_another_namespace(court: Court) -> None:
    court.pool()
    court.reserve(0, 3, 3)
    name = court.member(0)
    court.attribution.who = TENANT
    court.store.put(CLAIMS, "ns-1/c", builders.a_claim("c", namespace="ns-1"))
    court.adopt(name, "c")


def _s6_above_the_target(court: Court) -> None:
    court.pool(1)
    court.reserve(0, 1, 1)
    court.member(0)
    court.member(1)


def _s6_the_same_ordinal_again(court: Court) -> None:
    court.pool(1)
    court.reserve(0, 1, 1)
    first = court.member(0)
    court.claim("c", who=TENANT)
    court.adopt(first, "c")
    court.reserve(1, 2, 1)
    court.member(1)
    court.delete(SANDBOXES, first, TENANT)
    court.member(0)


def _s6_past_a_lowered_target(court: Court) -> None:
    court.pool(2)
    court.reserve(0, 2, 2)
    names = [court.member(0), court.member(1)]
    court.pool(1)
    court.delete(SANDBOXES, names[0])
    court.reserve(2, 3, 1)
    court.member(2)


def _s7_a_pool_that_never_was(court: Court) -> None:
    court.pool()
    owner = builders.an_owner(POOL, "pool", uid="another-uid")
    name = court.member(0, TENANT, {"metadata": {"ownerReferences": [owner]}})
    court.claim("c", who=TENANT)
    court.adopt(name, "c")


def _s7_a_pool_long_gone(court: Court) -> None:
    court.pool()
    court.reserve(0, 3, 3)
    name = court.member(0)
    court.claim("c", who=TENANT)
    court.delete(POOLS, "pool", TENANT)
    court.time.now_s += LAG_S_MAX + 1
    court.adopt(name, "c")


def _s6_takes_in_one_too_many(court: Court) -> None:
    court.pool(1)
    court.reserve(0, 1, 1)
    court.member(0)
    court.stray("x")
    court.take_in("x")


def _s7_takes_in_for_a_pool_that_never_was(court: Court) -> None:
    court.stray("x")
    court.take_in("x")


def _s7_takes_in_what_is_ending(court: Court) -> None:
    court.pool()
    court.stray("x", merge=DELETED)
    court.take_in("x", merge=DELETED)


def _s7_while_it_ends(court: Court) -> None:
    court.pool()
    court.reserve(0, 3, 3)
    name = court.member(0)
    court.claim("c", who=TENANT)
    court.member(0, TENANT, DELETED)
    court.adopt(name, "c", merge=DELETED)


BREAKING: list[Callable[[Court], None]] = [
    _s1_to_another_claim,
    _s1_back_to_the_pool,
    _s1_without_an_owner,
    _s1_takes_in_what_a_claim_had,
    _s2_over_another,
    _s2_taken_back,
    _s3_never_owned,
    _s3_of_another_claim,
    _s3_deleted_by_ourselves,
    _s3_lost_long_ago,
    _s4_deleted,
    _s4_marked,
    _s5_another_namespace,
    _s6_above_the_target,
    _s6_the_same_ordinal_again,
    _s6_past_a_lowered_target,
    _s7_a_pool_that_never_was,
    _s7_a_pool_long_gone,
    _s7_while_it_ends,
    _s6_takes_in_one_too_many,
    _s7_takes_in_for_a_pool_that_never_was,
    _s7_takes_in_what_is_ending,
]


@pytest.mark.parametrize("breaks", BREAKING, ids=lambda breaks: breaks.__name__.strip("_"))
def test_a_planted_breach_is_found(breaks: Callable[[Court], None]) -> None:
    court = Court()
    breaks(court)
    assert breaks.__name__[1:3].upper() in court.promises


def test_the_same_by_a_third_party_is_no_breach() -> None:
    court = Court()
    name = court.handed_over()
    court.adopt(name, "d", TENANT)
    court.claim("c", shows="elsewhere", who=TENANT)
    court.claim("c", who=TENANT)
    court.delete(SANDBOXES, name, TENANT)
    assert court.promises == []


def test_a_publication_just_after_a_third_party_deleted_the_sandbox_is_no_breach() -> None:
    court = Court()
    court.pool()
    court.reserve(0, 3, 3)
    name = court.member(0)
    court.claim("c", who=TENANT)
    court.adopt(name, "c")
    court.delete(SANDBOXES, name, TENANT)
    court.time.now_s += 1
    court.claim("c", shows=name)
    assert court.promises == []


def test_a_name_may_be_taken_back_when_its_sandbox_is_gone_and_another_given() -> None:
    court = Court()
    name = court.handed_over()
    court.delete(SANDBOXES, name, TENANT)
    court.claim("c")
    second = court.member(1)
    court.adopt(second, "c")
    court.claim("c", shows=second)
    assert court.promises == []


def test_an_unconfirmed_create_may_land_after_the_target_was_lowered() -> None:
    court = Court()
    court.pool(3)
    court.reserve(0, 3, 3)
    court.member(0)
    court.pool(0)
    court.member(1)
    court.member(2)
    assert court.promises == []


def test_sandboxes_of_others_are_no_breach_of_the_ceiling() -> None:
    court = Court()
    court.pool(1)
    court.reserve(0, 1, 1)
    forged = builders.a_sandbox("forged", namespace="ns-0")
    court.attribution.who = TENANT
    court.store.put(SANDBOXES, "ns-0/forged", forged)
    court.member(0)
    assert court.promises == []


def test_a_claim_deleted_and_made_again_is_another_claim() -> None:
    court = Court()
    name = court.handed_over()
    court.delete(CLAIMS, "c", TENANT)
    court.attribution.who = TENANT
    again = builders.a_claim("c", namespace="ns-0", merge={"metadata": {"uid": "c-uid-2"}})
    court.store.put(CLAIMS, "ns-0/c", again)
    court.delete(SANDBOXES, name)
    assert court.promises == []
    shows = {"sandbox": {"name": name}}
    court.attribution.who = MANAGER
    court.store.put(CLAIMS, "ns-0/c", {**again, "status": shows})
    assert court.promises == ["S3"]
    assert CLAIM.kind in str(again["kind"])


def test_a_create_that_lands_late_for_a_member_that_came_and_went_is_let_pass() -> None:
    court = Court()
    court.pool(1)
    court.reserve(0, 1, 1)
    first = court.member(0)
    court.delete(SANDBOXES, first, TENANT)
    court.reserve(1, 2, 1)
    court.member(1)
    court.member(0, MANAGER + LATE)
    assert court.promises == []


def test_a_create_of_the_last_batch_may_still_be_under_way_from_another_leader() -> None:
    court = Court()
    court.pool(1)
    court.reserve(0, 1, 1)
    court.pool(0, '{"first":0,"end":1,"replicas":1}')
    court.delete(SANDBOXES, court.member(0))
    court.member(0, "m1")
    assert court.promises == []


def test_a_stray_may_be_taken_in_within_the_target() -> None:
    court = Court()
    court.pool(2)
    court.reserve(0, 1, 2)
    court.stray(court.member(0))
    court.reserve(1, 2, 2)
    court.member(1)
    court.take_in(member_name("pool", "pool-uid", 0))
    assert court.promises == []


def test_a_stray_that_was_reserved_may_be_taken_in_after_the_target_was_lowered() -> None:
    court = Court()
    court.pool(1)
    court.stray("x")
    court.reserve_stray("x", 1)
    court.pool(0)
    court.take_in("x")
    assert court.promises == []
