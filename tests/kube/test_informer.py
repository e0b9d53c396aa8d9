"""What the cache believes of the watch and of this process's own requests, and what it tells."""

from __future__ import annotations

import msgspec
import pytest
from tests.kube.fakes import (
    WIDGET,
    FakeClock,
    FakeRng,
    ScriptedTransport,
    Widget,
    a_list,
    widget,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import ENDED_S_MAX, Change, Informer


def key(name: str) -> ObjectKey:
    return ObjectKey("ns", name)


def dated(obj: Widget, time: str) -> Widget:
    metadata = msgspec.structs.replace(obj.metadata, creation_timestamp=time)
    return msgspec.structs.replace(obj, metadata=metadata)


class Rig:
    """An informer whose reflector is played by the test."""

    def __init__(self, *, do_handlers_raise: bool = True) -> None:
        self.clock = FakeClock()
        self.changes: list[str] = []
        client = ApiClient(ScriptedTransport(a_list()), clock=self.clock)
        self.informer: Informer[Widget] = Informer(
            client,
            WIDGET,
            clock=self.clock,
            rng=FakeRng(),
            indexes={"colour": lambda obj: [obj.spec["colour"]] if "colour" in obj.spec else []},
            do_handlers_raise=do_handlers_raise,
        )
        self.informer.subscribe(self.note)

    def note(self, change: Change[Widget]) -> None:
        old = f"{change.old.metadata.name}{change.old.metadata.version}" if change.old else ""
        new = f"{change.new.metadata.name}{change.new.metadata.version}" if change.new else ""
        self.changes.append(f"{old}>{new}" + ("!" if change.is_initial else ""))

    def told(self) -> list[str]:
        """The changes since the last call: old>new with versions, "!" for initial ones."""
        changes, self.changes = self.changes, []
        return changes

    def listed(self, *objects: Widget, rv: int, is_reset: bool = False, **names: str) -> None:
        unreadable = [key(name) for name in names.get("unreadable", "")]
        self.informer.replace(objects, str(rv), unreadable=unreadable, is_reset=is_reset)

    def cached(self) -> str:
        objects = sorted(self.informer.store.values(), key=lambda o: o.metadata.name)
        return " ".join(f"{o.metadata.name}{o.metadata.version}" for o in objects)


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.listed(widget("a", 3), widget("b", 5), rv=10)
    rig.told()
    return rig


def test_initial_state_is_delivered_by_age_after_the_store_is_whole() -> None:
    rig = Rig()
    sizes: list[int] = []
    rig.informer.subscribe(lambda change: sizes.append(len(rig.informer.store)))
    assert not rig.informer.is_synced
    objects = [
        dated(widget("b", 3), "2025-01-02T00:00:00Z"),
        dated(widget("a", 4), "2025-01-02T00:00:00Z"),
        dated(widget("c", 5), "2025-01-01T00:00:00Z"),
    ]
    rig.listed(*objects, rv=10)
    assert rig.told() == [">c5!", ">a4!", ">b3!"]
    assert sizes == [3, 3, 3]
    assert rig.informer.is_synced
    assert rig.informer.position == 10


def test_late_subscriber_is_told_what_is_there() -> None:
    rig = Rig()
    rig.listed(widget("a", 3), rv=10)
    rig.told()
    rig.informer.subscribe(rig.note)
    assert rig.told() == [">a3!"]


def test_events_change_the_cache_and_are_told(rig: Rig) -> None:
    rig.informer.put(widget("c", 11))
    rig.informer.put(widget("a", 12))
    rig.informer.gone(key("b"), "uid-b", 13)
    assert rig.told() == [">c11", "a3>a12", "b5>"]
    assert rig.cached() == "a12 c11"
    assert rig.informer.position == 13


def test_b10_repeated_and_older_events_are_no_news(rig: Rig) -> None:
    rig.informer.put(widget("a", 3))
    rig.informer.put(widget("b", 4))
    assert rig.told() == []
    assert rig.cached() == "a3 b5"


def test_own_write_enters_at_once_and_its_event_is_no_news(rig: Rig) -> None:
    rig.informer.observe(widget("a", 11, x="y"))
    assert rig.told() == ["a3>a11"]
    rig.informer.put(widget("a", 11, x="y"))
    assert rig.told() == []
    rig.informer.put(widget("a", 12))
    assert rig.told() == ["a11>a12"]


def test_own_create_enters_at_once(rig: Rig) -> None:
    rig.informer.observe(widget("c", 11))
    assert rig.told() == [">c11"]


def test_answer_older_than_the_cache_is_ignored(rig: Rig) -> None:
    rig.informer.put(widget("a", 12))
    rig.told()
    rig.informer.observe(widget("a", 11))
    assert rig.told() == []


def test_late_answer_does_not_bring_back_what_the_watch_saw_deleted(rig: Rig) -> None:
    rig.informer.gone(key("a"), "uid-a", 15)
    rig.told()
    rig.informer.observe(widget("a", 14))
    assert rig.told() == []
    assert rig.cached() == "b5"


def test_late_answer_does_not_bring_back_what_a_list_left_out(rig: Rig) -> None:
    rig.listed(widget("b", 5), rv=15)
    rig.informer.observe(widget("a", 14))
    assert rig.cached() == "b5"
    assert rig.informer.stats.doubts == 0


def test_what_ended_long_ago_is_forgotten(rig: Rig) -> None:
    for number in range(1_000):
        rig.informer.put(widget(f"w{number}", 20 + 2 * number))
        rig.informer.gone(key(f"w{number}"), f"uid-w{number}", 21 + 2 * number)
        rig.clock.now += 1.0
        assert rig.informer.ended_uids <= ENDED_S_MAX + 1
    rig.told()
    rig.informer.observe(widget("w999", 2018))
    assert rig.told() == []
    rig.informer.observe(widget("w0", 20))
    assert rig.told() == [">w020"]
    assert rig.informer.stats.doubts == 1, "a list says that it is gone"


def test_answer_about_what_nobody_told_of_counts_until_a_list_says_more(rig: Rig) -> None:
    rig.informer.put(widget("d", 20))  # the stream is past c, and never told of it
    rig.told()
    rig.informer.observe(widget("c", 15))
    assert rig.told() == [">c15"]
    assert rig.informer.stats.doubts == 1
    rig.listed(widget("a", 3), widget("b", 5), widget("d", 20), rv=21)
    assert rig.told() == ["c15>"]
    rig.informer.observe(widget("c", 15))
    assert rig.told() == []
    assert rig.informer.stats.doubts == 1


def test_answer_before_the_first_list_is_left_to_the_list() -> None:
    rig = Rig()
    rig.informer.observe(widget("a", 3))
    assert rig.cached() == ""


def test_authoritative_absence_removes_and_late_events_do_not_bring_back(rig: Rig) -> None:
    rig.informer.observe_absent(key("a"), "uid-a")
    assert rig.told() == ["a3>"]
    rig.informer.put(widget("a", 11))
    rig.informer.observe(widget("a", 11))
    assert rig.cached() == "b5"
    rig.informer.gone(key("a"), "uid-a", 12)
    assert rig.told() == []
    rig.informer.put(widget("a", 13, uid="new"))
    assert rig.told() == [">a13"]


def test_absence_of_another_uid_leaves_the_new_object_alone(rig: Rig) -> None:
    rig.informer.put(widget("a", 11, uid="new"))
    rig.told()
    rig.informer.observe_absent(key("a"), "uid-a")
    assert rig.cached() == "a11 b5"


def test_what_is_absent_does_not_come_back_by_a_late_event(rig: Rig) -> None:
    rig.informer.observe_absent(key("a"), "uid-a")
    rig.informer.put(widget("a", 11))
    assert rig.cached() == "b5"
    rig.informer.observe_absent(key("never"), "uid-never")
    assert rig.cached() == "b5"


def test_what_this_process_deleted_is_gone_at_once_or_stays_under_deletion(rig: Rig) -> None:
    rig.informer.observe_deletion(key("a"), "uid-a", None)
    assert rig.told() == ["a3>"]
    rig.informer.observe_deletion(key("b"), "uid-b", widget("b", 12))
    assert rig.told() == ["b5>b12"]
    rig.informer.put(widget("a", 13))  # late
    assert rig.cached() == "b12"


def test_absence_outlives_a_list_that_began_before_it(rig: Rig) -> None:
    rig.informer.observe_absent(key("a"), "uid-a")
    rig.listed(widget("a", 3), widget("b", 5), rv=12)
    assert rig.cached() == "b5"


def test_memory_of_absences_is_bounded(rig: Rig) -> None:
    for number in range(10_050):
        rig.informer.observe_absent(key("x"), str(number))
    rig.informer.put(widget("x", 11, uid="10049"))
    assert rig.cached() == "a3 b5"
    rig.informer.put(widget("x", 12, uid="0"))
    assert rig.cached() == "a3 b5 x12"


def test_b14_same_name_with_a_new_uid_is_an_end_and_a_beginning(rig: Rig) -> None:
    seen: list[bool] = []
    rig.informer.subscribe(lambda change: seen.append(key("a") in rig.informer.store))
    seen.clear()
    rig.informer.put(widget("a", 11, uid="new"))
    assert rig.told() == ["a3>", ">a11"]
    assert seen == [False, True]


def test_b14_same_name_with_a_new_uid_over_a_relist(rig: Rig) -> None:
    rig.listed(widget("a", 11, uid="new"), widget("b", 5), rv=12)
    assert rig.told() == ["a3>", ">a11"]


def test_late_deletion_of_the_old_uid_leaves_the_new_object(rig: Rig) -> None:
    rig.informer.observe(widget("a", 20, uid="new"))
    rig.told()
    rig.informer.gone(key("a"), "uid-a", 15)
    assert rig.cached() == "a20 b5"


def test_deletion_takes_what_older_is_cached_under_the_name(rig: Rig) -> None:
    rig.informer.gone(key("a"), "never seen", 15)
    assert rig.cached() == "b5"


def test_b13_relist_tells_the_deletions_that_were_missed(rig: Rig) -> None:
    gone: list[str] = []
    rig.informer.subscribe(
        lambda change: gone.append(change.old.metadata.uid) if change.old else None
    )
    rig.listed(widget("b", 6), widget("c", 7), rv=12)
    assert rig.told() == ["a3>", "b5>b6", ">c7"]
    assert gone[0] == "uid-a"


def test_relist_does_not_take_back_own_writes_that_are_newer(rig: Rig) -> None:
    rig.informer.observe(widget("a", 15))
    rig.informer.observe(widget("new", 16))
    rig.told()
    rig.listed(widget("a", 3), widget("b", 5), rv=12)
    assert rig.told() == []
    assert rig.cached() == "a15 b5 new16"


def test_relist_keeps_the_last_readable_state_of_an_unreadable_object(rig: Rig) -> None:
    rig.listed(widget("b", 5), rv=12, unreadable="a")
    assert rig.told() == []
    assert rig.cached() == "a3 b5"


def test_e6_reset_believes_the_server_against_all_memory(rig: Rig) -> None:
    rig.informer.observe(widget("a", 50))
    rig.informer.observe_absent(key("b"), "uid-b")
    rig.told()
    rig.listed(widget("a", 2), widget("b", 1), rv=4, is_reset=True)
    assert sorted(rig.told()) == [">b1", "a50>a2"]
    assert rig.informer.position == 4
    rig.informer.put(widget("a", 5))
    assert rig.cached() == "a5 b1"


def test_e6_reset_keeps_no_state_of_an_unreadable_object(rig: Rig) -> None:
    rig.listed(widget("b", 2), rv=4, is_reset=True, unreadable="a")
    assert rig.cached() == "b2"


def test_e6_reset_replaces_an_object_whose_version_was_given_out_twice(rig: Rig) -> None:
    rig.listed(widget("a", 3, x="y"), rv=4, is_reset=True)
    assert rig.told() == ["b5>", "a3>a3"]


def test_subscriber_that_fails_is_counted_and_the_others_still_hear() -> None:
    rig = Rig(do_handlers_raise=False)
    heard: list[str] = []

    def broken(change: Change[Widget]) -> None:
        raise RuntimeError("poison")

    rig.informer.subscribe(broken)
    rig.informer.subscribe(lambda change: heard.append("x"))
    rig.listed(widget("a", 3), widget("b", 5), rv=10)
    assert rig.informer.handler_errors == 2
    assert heard == ["x", "x"]
    assert rig.informer.is_synced


def test_subscriber_that_fails_may_be_made_to_raise() -> None:
    rig = Rig(do_handlers_raise=True)

    def broken(change: Change[Widget]) -> None:
        raise RuntimeError("bug")

    rig.informer.subscribe(broken)
    with pytest.raises(RuntimeError, match="bug"):
        rig.listed(widget("a", 3), rv=10)


def test_indexes_follow(rig: Rig) -> None:
    rig.informer.observe(widget("a", 11, colour="red"))
    assert [o.metadata.name for o in rig.informer.store.by_index("colour", "red")] == ["a"]
    rig.informer.gone(key("a"), "uid-a", 12)
    assert rig.informer.store.by_index("colour", "red") == ()


def test_staleness_is_infinite_before_the_first_word() -> None:
    assert Rig().informer.staleness_s() == float("inf")
