"""What is remembered for a while, and no longer."""

from __future__ import annotations

from tests.kube.fakes import FakeClock

from warmclaim.kube.recent import RecentUids


def test_what_is_older_is_forgotten_with_the_next() -> None:
    clock = FakeClock()
    recent = RecentUids(clock, s_max=60.0, uids_max=1_000)
    recent.note("a")
    clock.now += 60.0
    recent.note("b")
    assert "a" in recent
    clock.now += 0.1
    recent.note("c")
    assert "a" not in recent
    assert "b" in recent
    assert len(recent) == 2


def test_of_too_many_the_oldest_are_forgotten() -> None:
    recent = RecentUids(FakeClock(), s_max=60.0, uids_max=2)
    for uid in "abc":
        recent.note(uid)
    assert [uid in recent for uid in "abc"] == [False, True, True]


def test_noted_again_it_is_as_young_as_the_last() -> None:
    clock = FakeClock()
    recent = RecentUids(clock, s_max=60.0, uids_max=2)
    recent.note("a")
    clock.now += 40.0
    recent.note("b")
    recent.note("a")
    clock.now += 40.0
    recent.note("c")
    assert "a" in recent
    assert "b" not in recent
    assert len(recent) == 2
