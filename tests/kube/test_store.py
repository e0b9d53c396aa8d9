"""Objects by key and by index, held against a recount after each step."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kube.fakes import Widget, widget

from warmclaim.api.meta import ObjectKey
from warmclaim.kube.store import Store


def _colours(obj: Widget) -> Iterable[str]:
    return obj.spec.get("colours", "").split()


def a_store() -> Store[Widget]:
    return Store({"colour": _colours})


def names(objects: Iterable[Widget]) -> str:
    return "".join(obj.metadata.name for obj in objects)


def test_get_put_remove() -> None:
    store = a_store()
    key = ObjectKey("ns", "a")
    assert store.get(key) is None
    assert key not in store
    store.put(widget("a", 1))
    store.put(widget("a", 2))
    assert key in store
    assert len(store) == 1
    assert store.keys() == (key,)
    assert [obj.metadata.version for obj in store.values()] == [2]
    removed = store.remove(key)
    assert removed is not None
    assert removed.metadata.version == 2
    assert store.remove(key) is None
    assert len(store) == 0


def test_index_gives_the_hits_oldest_entry_first() -> None:
    store = a_store()
    for name in "cab":
        store.put(widget(name, colours="red"))
    store.put(widget("d", colours="blue"))
    store.put(widget("e"))
    assert names(store.by_index("colour", "red")) == "cab"
    assert names(store.by_index("colour", "blue")) == "d"
    assert store.by_index("colour", "green") == ()
    assert [store.count("colour", c) for c in ("red", "blue", "green")] == [3, 1, 0]


def test_one_object_under_several_values_and_twice_under_one() -> None:
    store = a_store()
    store.put(widget("a", colours="red blue red"))
    assert names(store.by_index("colour", "red")) == "a"
    assert names(store.by_index("colour", "blue")) == "a"
    store.remove(ObjectKey("ns", "a"))
    store.check()


def test_change_of_other_fields_keeps_the_order_of_a_bucket() -> None:
    store = a_store()
    for name in "ab":
        store.put(widget(name, 1, colours="red"))
    store.put(widget("a", 2, colours="red", other="x"))
    assert names(store.by_index("colour", "red")) == "ab"


def test_index_function_that_raises_indexes_nothing_and_is_counted() -> None:
    def odd(obj: Widget) -> Iterable[str]:
        yield "first"
        raise ValueError(obj.metadata.name)

    store = Store({"odd": odd})
    store.put(widget("a"))
    assert store.by_index("odd", "first") == ()
    assert store.index_errors == 1
    assert len(store) == 1


COLOURS = st.lists(st.sampled_from(["red", "blue", "green"]), max_size=3).map(" ".join)
STEPS = st.lists(st.tuples(st.sampled_from("abcd"), st.none() | COLOURS), max_size=25)


@settings(deadline=None)
@given(STEPS)
def test_indexes_are_always_what_a_recount_gives(steps: list[tuple[str, str | None]]) -> None:
    store = a_store()
    for name, colours in steps:
        if colours is None:
            store.remove(ObjectKey("ns", name))
        else:
            store.put(widget(name, colours=colours))
        store.check()
        for colour in ("red", "blue", "green"):
            assert store.count("colour", colour) == len(store.by_index("colour", colour))
