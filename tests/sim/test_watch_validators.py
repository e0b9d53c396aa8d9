"""W1-W9 are planted, each once, at a cache that is told a made-up history; a sound one is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.sim.wired import PROCESS, Wired, builders, in_ns

from warmclaim.api.meta import ObjectKey
from warmclaim.api.pool import Pool
from warmclaim.api.resources import POOL
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Change, Informer
from warmclaim.seams import SystemClock
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.watch_validators import Follower, WatchValidators
from warmclaim.testing.sim.wire import Audience
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import SeededRng

POOLS = str(POOL)


class Told(Wired):
    """A store, and a cache of pools that is told whatever the test likes."""

    def __init__(self) -> None:
        super().__init__()
        clock = SystemClock()
        client = ApiClient(InProcessTransport(FakeApiServer(Cluster())), clock=clock)
        self.cache: Informer[Pool] = Informer(client, POOL, clock=clock, rng=SeededRng(1))
        self.validators = WatchValidators(self.store, self.report)
        self.store.observers.append(self.validators.on_commit)
        self.validators.follow(PROCESS, POOLS, self.cache)
        self.judged_by(Audience(reads=[self.validators]))
        self.leave()

    def commit(self, name: str = "p", uid: str = "") -> Pool:
        merge: Json = {"metadata": {"uid": uid or f"{name}-uid"}}
        replicas = self.store.rv  # each version differs
        value = self.put(in_ns(builders.a_pool, name, replicas=replicas, merge=merge))
        return builders.as_view(value, Pool)

    def list(self, *pools: Pool, version: int | None = None, is_reset: bool = False) -> None:
        at = str(version or self.store.rv)
        self.cache.replace(pools, at, unreadable=(), is_reset=is_reset)

    def gone(self, pool: Pool) -> None:
        self.delete(POOL, pool.metadata.name)
        self.cache.gone(pool.metadata.key, pool.metadata.uid, self.store.rv)

    def watch(self, version: int) -> None:
        query = (("watch", "1"), ("resourceVersion", str(version)))
        self.send("GET", POOL.collection(), query=query)


def _w1_an_event_of_the_past(told: Told) -> None:
    told.list()
    first, second = told.commit(), told.commit()
    told.cache.put(first)
    told.cache.put(second)
    told.cache.put(first)


def _w1_an_older_list(told: Told) -> None:
    first = told.commit()
    at = told.store.rv
    told.list(told.commit())
    told.list(first, version=at)


def _w2_twice(told: Told) -> None:
    told.list()
    first = told.commit()
    told.cache.put(first)
    told.cache.put(first)


def _w3_one_left_out(told: Told) -> None:
    told.list()
    told.commit("lost")
    told.cache.put(told.commit())


def _w3_a_deletion_left_out(told: Told) -> None:
    first = told.commit()
    told.list(first)
    told.delete(POOL, "p")
    told.cache.put(told.commit("q"))


def _w4_another_object(told: Told) -> None:
    told.list()
    first = told.commit()
    told.cache.gone(ObjectKey("ns-0", "p"), "another-uid", first.metadata.version)


def _w4_an_invented_deletion(told: Told) -> None:
    told.list()
    first = told.commit()
    told.cache.gone(first.metadata.key, first.metadata.uid, first.metadata.version)


def _w5_resumed_too_late(told: Told) -> None:
    told.list()
    told.commit()
    told.watch(told.store.rv)


def _w6_a_bookmark_too_early(told: Told) -> None:
    told.list()
    told.commit()
    told.cache.bookmark(str(told.store.rv))


def _w7_a_list_that_lacks_one(told: Told) -> None:
    first = told.commit()
    told.commit("q")
    told.list(first)


def _w7_an_event_from_before_the_list(told: Told) -> None:
    first = told.commit()
    second = told.commit()
    told.commit("q")
    told.list(second, *(told.commit("q"),))
    told.cache.put(first)


BREAKING: list[Callable[[Told], None]] = [
    _w1_an_event_of_the_past,
    _w1_an_older_list,
    _w2_twice,
    _w3_one_left_out,
    _w3_a_deletion_left_out,
    _w4_another_object,
    _w4_an_invented_deletion,
    _w5_resumed_too_late,
    _w6_a_bookmark_too_early,
    _w7_a_list_that_lacks_one,
    _w7_an_event_from_before_the_list,
]


@pytest.mark.parametrize("breaks", BREAKING, ids=lambda breaks: breaks.__name__.strip("_"))
async def test_a_planted_breach_is_found(breaks: Callable[[Told], None]) -> None:
    told = Told()
    breaks(told)
    assert set(told.promises) == {breaks.__name__[1:3].upper()}, told.texts


def test_w8_a_change_from_a_state_that_was_never_told() -> None:
    promises: list[str] = []
    follower = Follower([], set(), lambda promise, _: promises.append(promise))
    first = builders.as_view(in_ns(builders.a_pool, "p"), Pool)
    merge: Json = {"metadata": {"resourceVersion": "2"}}
    second = builders.as_view(in_ns(builders.a_pool, "p", merge=merge), Pool)
    changes: list[tuple[Change[Any], bool]] = [
        (Change(None, first), True),
        (Change(first, second), True),
        (Change(first, None), False),  # it was the second by then
        (Change(None, second), True),
        (Change(second, first), False),  # back in time
    ]
    for change, is_sound in changes:
        follower.changed(change)
        assert promises == ([] if is_sound else ["W8"])
        promises.clear()


async def test_a_sound_history_breaks_nothing() -> None:
    told = Told()
    told.list(told.commit())
    told.watch(told.store.rv)
    told.cache.put(told.commit())
    again = told.commit("q")
    told.cache.put(again)
    told.gone(again)
    told.cache.put(told.commit("q", uid="another"))
    told.cache.bookmark(str(told.store.rv))
    told.watch(told.store.rv)
    third = told.commit()
    told.cache.observe(third)  # the answer to an own write, ahead of the watch
    told.cache.put(third)
    told.delete(POOL, "q")
    told.list(third)
    told.list(third, is_reset=True)
    assert told.promises == []


async def test_an_object_that_nobody_can_read_is_told_of_by_nobody() -> None:
    told = Told()
    told.validators.is_unreadable(POOLS, "ns-0/odd")
    told.list()
    told.commit("odd")
    told.cache.put(told.commit())
    assert told.promises == []


async def test_only_what_the_label_selects_is_in_scope() -> None:
    told = Told()
    query = (("labelSelector", "wanted"), ("limit", "500"))
    told.send("GET", POOL.collection(), query=query)
    told.commit()
    told.list()
    told.commit()
    labelled: Json = {"metadata": {"labels": {"wanted": "1"}}}
    seen = told.put(in_ns(builders.a_pool, "p", merge=labelled))
    told.cache.put(builders.as_view(seen, Pool))
    left = told.commit()
    told.cache.gone(left.metadata.key, left.metadata.uid, left.metadata.version)
    assert told.promises == []


async def test_w9_a_cache_that_is_not_what_the_server_has() -> None:
    told = Told()

    first = told.commit()
    told.list(first)
    told.validators.look_back({POOLS: told.cache})
    assert told.promises == []
    told.commit()
    told.validators.look_back({POOLS: told.cache})
    assert told.promises == ["W9"]
