"""Two API servers over one store: one of them runs behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, as_sent
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import schemaless_crds
from warmclaim.testing.lag import LaggingCache
from warmclaim.testing.probe import Probe
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import World, run_virtual

CLAIMS = "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/default/sandboxclaims"
LAG_S = 0.5
WATCH_LIST = {
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}


class Pair:
    """The server that writes, and the one that lags."""

    def __init__(self, world: World) -> None:
        self.world = world
        cluster = Cluster(clock=world.clock, rng=world.rng, crds=schemaless_crds())
        self.cluster = cluster
        self.cache = LaggingCache(
            cluster.store,
            clock=world.clock,
            later=world.loop.call_later,
            delay_s=lambda: LAG_S,
        )
        self.ahead = Probe(InProcessTransport(FakeApiServer(cluster)))
        self.behind = Probe(InProcessTransport(FakeApiServer(cluster, cache=self.cache)))

    async def create(self, name: str) -> str:
        body = as_sent(a_claim(name))
        answer = await self.ahead.post(CLAIMS, body)
        assert answer.code == 201
        return answer.rv

    async def names_behind(self, **query: str) -> list[str]:
        return (await self.behind.get(CLAIMS, **query)).names


def _pair(scenario: Callable[[Pair], Awaitable[None]]) -> None:
    async def main(world: World) -> None:
        await scenario(Pair(world))

    run_virtual(main)


def test_reads_of_the_cache_are_late_and_consistent_ones_are_not() -> None:
    async def scenario(pair: Pair) -> None:
        await pair.create("a")
        assert await pair.names_behind(resourceVersion="0") == []
        assert await pair.names_behind() == ["a"]
        assert (await pair.behind.get(f"{CLAIMS}/a", resourceVersion="0")).code == 404
        assert (await pair.behind.get(f"{CLAIMS}/a")).code == 200
        await pair.world.clock.sleep(LAG_S)
        assert await pair.names_behind(resourceVersion="0") == ["a"]

    _pair(scenario)


def test_a_read_not_older_than_a_version_waits_for_it() -> None:
    async def scenario(pair: Pair) -> None:
        version = await pair.create("a")
        began = pair.world.clock.monotonic()
        match = "NotOlderThan"
        assert await pair.names_behind(resourceVersion=version, resourceVersionMatch=match) == ["a"]
        assert abs(pair.world.clock.monotonic() - began - LAG_S) < 0.001

    _pair(scenario)


def test_a_frozen_server_refuses_what_it_cannot_reach_after_three_seconds() -> None:
    async def scenario(pair: Pair) -> None:
        pair.cache.freeze()
        version = await pair.create("a")
        began = pair.world.clock.monotonic()
        query = {"resourceVersion": version, "resourceVersionMatch": "NotOlderThan"}
        for asked in (query, {"watch": "true", **WATCH_LIST}):
            answer = await pair.behind.get(CLAIMS, **asked)
            assert answer.code == 504
            assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
        assert pair.world.clock.monotonic() - began == 6.0

    _pair(scenario)


def test_events_come_late_in_order_and_stop_while_the_server_is_frozen() -> None:
    async def scenario(pair: Pair) -> None:
        start = str(pair.cluster.store.rv)
        watch = await pair.behind.watch(CLAIMS, resourceVersion=start)
        clock = pair.world.clock
        await pair.create("a")
        await pair.create("b")
        began = clock.monotonic()
        assert await watch.take(2) == [("ADDED", "a"), ("ADDED", "b")]
        assert abs(clock.monotonic() - began - LAG_S) < 0.001
        pair.cache.freeze()
        await pair.create("c")
        pair.world.loop.call_later(40, pair.cache.thaw)
        event = await watch.next(within_s=None)
        assert event is not None
        assert event["object"]["metadata"]["name"] == "c"
        assert clock.monotonic() - began > 40

    _pair(scenario)


def test_no_bookmark_comes_from_a_server_that_is_behind_the_start_of_the_watch() -> None:
    async def scenario(pair: Pair) -> None:
        pair.cache.freeze()
        version = await pair.create("a")
        query = {"resourceVersion": version, "allowWatchBookmarks": "true"}
        watch = await pair.behind.watch(CLAIMS, **query)
        pair.world.loop.call_later(150, pair.cache.thaw)
        event = await watch.next(within_s=None)
        assert event is not None
        assert event["type"] == "BOOKMARK"
        assert pair.world.clock.monotonic() == 180.0

    _pair(scenario)


def test_a_restarted_server_has_seen_everything() -> None:
    async def scenario(pair: Pair) -> None:
        pair.cache.freeze()
        await pair.create("a")
        pair.cache.catch_up()
        assert await pair.names_behind(resourceVersion="0") == ["a"]

    _pair(scenario)


def test_a_cache_whose_place_in_the_history_is_gone_asks_for_a_new_list() -> None:
    async def scenario(pair: Pair) -> None:
        pair.cache.freeze()
        await pair.create("a")
        pair.cluster.store.compact()
        watch = await pair.behind.watch(CLAIMS, resourceVersion="0", **WATCH_LIST)
        event = await watch.next()
        assert event is not None
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
        assert (await pair.behind.get(CLAIMS, resourceVersion="0")).code == 410
        assert (await pair.behind.get(f"{CLAIMS}/a", resourceVersion="0")).code == 410

    _pair(scenario)
