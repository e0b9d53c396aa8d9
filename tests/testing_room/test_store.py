"""The MVCC store: one counter, a bounded history, reads in the past."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmclaim.testing.store import (
    OBJECT_MAX_BYTES,
    Commit,
    CompactedError,
    ObjectStore,
    TooLargeError,
    Verb,
)


def _thing(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, **more}


def test_every_commit_of_any_resource_raises_one_counter_by_one() -> None:
    store = ObjectStore()
    versions = [
        store.put("pods", "a/x", _thing("x")).rv,
        store.put("nodes", "n", _thing("n")).rv,
        store.put("pods", "a/x", _thing("x", v=2)).rv,
        store.delete("pods", "a/x").rv,
    ]
    assert versions == [2, 3, 4, 5]
    assert store.rv == 5


def test_a_commit_carries_before_after_and_the_version_in_the_object() -> None:
    store = ObjectStore()
    first = store.put("pods", "a/x", _thing("x", v=1))
    second = store.put("pods", "a/x", _thing("x", v=2))
    gone = store.delete("pods", "a/x")
    assert gone.before is second.object
    assert (first.verb, second.verb, gone.verb) == (Verb.ADDED, Verb.MODIFIED, Verb.DELETED)
    assert first.before is None
    assert second.before is first.object
    assert gone.object["v"] == 2
    assert [c.object["metadata"]["resourceVersion"] for c in (first, second, gone)] == [
        "2",
        "3",
        "4",
    ]


def test_observers_see_each_commit_before_the_writer_goes_on() -> None:
    store = ObjectStore()
    seen: list[tuple[int, Verb]] = []

    def observe(commit: Commit) -> None:
        seen.append((commit.rv, commit.verb))

    store.observers.append(observe)
    rv = store.put("pods", "a/x", _thing("x")).rv
    assert seen == [(rv, Verb.ADDED)]


def test_an_observer_that_raises_stops_the_writer() -> None:
    store = ObjectStore()

    def refuse(commit: Commit) -> None:
        raise AssertionError(f"{commit} breaks a promise")

    store.observers.append(refuse)
    with pytest.raises(AssertionError, match="breaks a promise"):
        store.put("pods", "a/x", _thing("x"))


def test_keys_come_in_the_byte_order_of_namespace_slash_name() -> None:
    store = ObjectStore()
    for key in ("a/x", "b/x", "a-b/x", "a/b"):
        store.put("pods", key, _thing("x"))
    assert [c.key for c in store.scan("pods")] == ["a-b/x", "a/b", "a/x", "b/x"]
    assert [c.key for c in store.scan("pods", prefix="a/")] == ["a/b", "a/x"]
    assert [c.key for c in store.scan("pods", prefix="a/", after="a/b")] == ["a/x"]


def test_a_read_in_the_past_shows_what_was_there() -> None:
    store = ObjectStore()
    store.put("pods", "a/x", _thing("x", v=1))
    store.put("pods", "a/y", _thing("y"))
    store.put("pods", "a/x", _thing("x", v=2))
    store.delete("pods", "a/y")
    assert [c.key for c in store.scan("pods", at=2)] == ["a/x"]
    assert [c.key for c in store.scan("pods", at=3)] == ["a/x", "a/y"]
    old, new = store.get("pods", "a/x", at=3), store.get("pods", "a/x")
    assert old is not None
    assert new is not None
    assert (old.object["v"], new.object["v"]) == (1, 2)
    assert store.get("pods", "a/y") is None
    assert store.get("pods", "a/y", at=4) is not None


def test_history_is_bounded_and_what_is_before_it_is_refused() -> None:
    store = ObjectStore(history_max=3)
    for number in range(5):
        store.put("pods", "a/x", _thing("x", v=number))
    assert store.compacted_rv == 3
    with pytest.raises(CompactedError):
        store.get("pods", "a/x", at=2)
    with pytest.raises(CompactedError):
        list(store.scan("pods", at=2))
    with pytest.raises(CompactedError):
        store.events_after("pods", 2)
    assert [c.rv for c in store.events_after("pods", 3)] == [4, 5, 6]
    store.check()


def test_a_quiet_resource_loses_nothing_when_others_fill_the_history() -> None:
    store = ObjectStore(history_max=3)
    quiet = store.put("nodes", "n", _thing("n")).rv
    for number in range(9):
        store.put("pods", "a/x", _thing("x", v=number))
    assert store.events_after("nodes", quiet) == []
    store.require_watchable("nodes", quiet)


def test_compaction_by_hand_forgets_history_and_keeps_the_present() -> None:
    store = ObjectStore()
    old = store.put("pods", "a/x", _thing("x")).rv
    store.put("pods", "a/y", _thing("y"))
    store.delete("pods", "a/y")
    store.compact()
    with pytest.raises(CompactedError):
        store.require_watchable("pods", old)
    assert [c.key for c in store.scan("pods")] == ["a/x"]
    store.require_watchable("pods", store.rv)
    store.check()


def test_an_object_beyond_the_limit_is_refused_and_nothing_changes() -> None:
    store = ObjectStore()
    with pytest.raises(TooLargeError):
        store.put("pods", "a/x", _thing("x", data="x" * OBJECT_MAX_BYTES))
    assert store.rv == 1
    assert store.get("pods", "a/x") is None
    store.check()


def test_deleting_what_is_not_there_is_an_error() -> None:
    store = ObjectStore()
    with pytest.raises(KeyError):
        store.delete("pods", "a/x")


def test_check_finds_an_object_that_was_changed_behind_the_stores_back() -> None:
    store = ObjectStore()
    store.put("pods", "a/x", _thing("x")).object["metadata"]["name"] = "y"
    with pytest.raises(AssertionError, match="was changed after it was committed"):
        store.check()


_MOVES = st.lists(st.tuples(st.sampled_from(["put", "delete"]), st.sampled_from("abc")))


@given(moves=_MOVES, history_max=st.integers(1, 8))
def test_reads_at_any_kept_version_agree_with_a_list_of_snapshots(
    moves: list[tuple[str, str]], history_max: int
) -> None:
    store = ObjectStore(history_max=history_max)
    now: dict[str, int] = {}
    snapshots = {store.rv: dict(now)}
    for number, (move, key) in enumerate(moves):
        if move == "put":
            store.put("things", key, _thing(key, v=number))
            now[key] = number
        elif key in now:
            store.delete("things", key)
            del now[key]
        snapshots[store.rv] = dict(now)
        store.check()
    for rv, expected in snapshots.items():
        if rv >= store.compacted_rv:
            assert {c.key: c.object["v"] for c in store.scan("things", at=rv)} == expected
