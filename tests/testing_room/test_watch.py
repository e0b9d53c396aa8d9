"""Watch streams: what comes, in which order, and how they end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, as_sent
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import schemaless_crds
from warmclaim.testing.json_values import Json
from warmclaim.testing.probe import EventReader, Probe
from warmclaim.testing.store import ObjectStore
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import VirtualClock, World, run_virtual

CLAIMS = "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/default/sandboxclaims"
ALL_CLAIMS = "/apis/extensions.agents.x-k8s.io/v1beta1/sandboxclaims"
WATCH_LIST = {
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}


def _claim(name: str, **labels: str) -> Json:
    new: Json = {"uid": None, "resourceVersion": None, "labels": labels}
    return a_claim(name, merge={"metadata": new})


async def _create(api: Probe, *names: str) -> None:
    for name in names:
        assert (await api.post(CLAIMS, _claim(name))).code == 201


async def _now(api: Probe) -> str:
    return (await api.get(CLAIMS)).rv


# ---------------------------------------------------------------------- events


async def test_a_watch_from_a_version_shows_each_later_change_once_and_in_order(
    api: Probe,
) -> None:
    await _create(api, "old")
    watch = await api.watch(CLAIMS, resourceVersion=await _now(api))
    await _create(api, "a")
    await api.merge_patch(f"{CLAIMS}/a/status", {"status": {"sandbox": {"name": "w"}}})
    await api.delete(f"{CLAIMS}/old")
    await _create(api, "b")
    await api.delete(f"{CLAIMS}/a")
    expected = [
        ("ADDED", "a"),
        ("MODIFIED", "a"),
        ("DELETED", "old"),
        ("ADDED", "b"),
        ("DELETED", "a"),
    ]
    assert await watch.take(5) == expected
    assert await watch.is_silent()
    await watch.close()


async def test_versions_in_a_watch_only_rise_and_a_deletion_has_its_own(api: Probe) -> None:
    watch = await api.watch(CLAIMS, resourceVersion=await _now(api))
    await _create(api, "a", "b")
    await api.delete(f"{CLAIMS}/a")
    events = [await watch.next() for _ in range(3)]
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events if e]
    assert versions == sorted(set(versions))
    assert versions[-1] == int(await _now(api))
    await watch.close()


async def test_two_watchers_get_the_same_and_other_namespaces_and_kinds_are_left_out(
    api: Probe,
) -> None:
    await api.post("/api/v1/namespaces", {"metadata": {"name": "other"}})
    start = await _now(api)
    one, every = [await api.watch(p, resourceVersion=start) for p in (CLAIMS, ALL_CLAIMS)]
    inner = _claim("z")
    inner["metadata"]["namespace"] = "other"
    assert (await api.post(CLAIMS.replace("default", "other"), inner)).code == 201
    await api.post("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "c"}})
    await _create(api, "a")
    assert await one.take(1) == [("ADDED", "a")]
    assert await every.take(2) == [("ADDED", "z"), ("ADDED", "a")]
    assert await one.is_silent()
    await one.close()
    await every.close()


async def test_an_object_goes_as_it_was_stored_last_not_as_its_last_writer_asked(
    api: Probe,
) -> None:
    await api.post(CLAIMS, as_sent(a_claim("a"), finalizers=["test/hold"]))
    await api.delete(f"{CLAIMS}/a")
    watch = await api.watch(CLAIMS, resourceVersion=await _now(api))
    change = {"metadata": {"finalizers": None, "labels": {"l": "x"}}}
    answer = await api.merge_patch(f"{CLAIMS}/a", change)
    assert "finalizers" not in answer.metadata
    event = await watch.next()
    assert event is not None
    assert event["type"] == "DELETED"
    assert event["object"]["metadata"]["finalizers"] == ["test/hold"]
    assert "labels" not in event["object"]["metadata"]
    # The answer shows the version before; only the event has that of the end.
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(answer.rv)
    await watch.close()


async def test_a_selector_turns_changes_into_arrivals_and_departures(api: Probe) -> None:
    watch = await api.watch(CLAIMS, resourceVersion=await _now(api), labelSelector="pool=web")

    async def label(value: str | None) -> None:
        await api.merge_patch(f"{CLAIMS}/a", {"metadata": {"labels": {"pool": value}}})

    await _create(api, "a")
    await label("web")
    await api.merge_patch(f"{CLAIMS}/a/status", {"status": {"sandbox": {"name": "w"}}})
    await label("db")
    await label("web")
    await api.delete(f"{CLAIMS}/a")
    arrived = await watch.next()
    assert arrived is not None
    assert arrived["type"] == "ADDED"
    assert await watch.take(1) == [("MODIFIED", "a")]
    left = await watch.next()
    assert left is not None
    assert left["type"] == "DELETED"
    # As it last matched, at the version of the change that took it out.
    assert left["object"]["metadata"]["labels"] == {"pool": "web"}
    assert int(left["object"]["metadata"]["resourceVersion"]) > int(
        arrived["object"]["metadata"]["resourceVersion"]
    )
    assert await watch.take(2) == [("ADDED", "a"), ("DELETED", "a")]
    await watch.close()


async def test_a_watch_of_one_name_is_by_field_for_one_by_path_is_a_get(api: Probe) -> None:
    start = await _now(api)
    watch = await api.watch(CLAIMS, resourceVersion=start, fieldSelector="metadata.name=b")
    await _create(api, "a", "b", "c")
    assert await watch.take(1) == [("ADDED", "b")]
    assert await watch.is_silent()
    await watch.close()
    assert (await api.get(f"{CLAIMS}/b", watch="true")).metadata["name"] == "b"


# ---------------------------------------------------------------------- starts


@pytest.mark.parametrize("version", [None, "0"], ids=["none", "zero"])
async def test_fact_a_watch_without_a_version_begins_with_all_objects_by_name_not_by_version(
    api: Probe, version: str | None
) -> None:
    await _create(api, "c", "a", "b")
    query = {} if version is None else {"resourceVersion": version}
    watch = await api.watch(CLAIMS, **query)
    assert await watch.take(3) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]
    assert await watch.is_silent()
    await _create(api, "d")
    assert await watch.take(1) == [("ADDED", "d")]
    await watch.close()


async def test_fact_a_watch_list_ends_its_first_part_with_an_annotated_bookmark(
    api: Probe, server: FakeApiServer
) -> None:
    await _create(api, *(f"c{number:03d}" for number in range(600)))
    watch = await api.watch(CLAIMS, **WATCH_LIST)
    first = await watch.take(600)
    assert {type_ for type_, _ in first} == {"ADDED"}
    bookmark = await watch.next()
    assert bookmark is not None
    assert bookmark["type"] == "BOOKMARK"
    metadata = bookmark["object"]["metadata"]
    assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert metadata["resourceVersion"] == str(server.cluster.store.rv)
    assert bookmark["object"]["kind"] == "SandboxClaim"
    await watch.close()


async def test_a_watch_list_without_bookmarks_has_no_end_mark_and_false_sends_no_list(
    api: Probe,
) -> None:
    await _create(api, "a")
    watch = await api.watch(CLAIMS, **{**WATCH_LIST, "allowWatchBookmarks": "false"})
    assert await watch.take(1) == [("ADDED", "a")]
    assert await watch.is_silent()
    await watch.close()
    watch = await api.watch(CLAIMS, **{**WATCH_LIST, "sendInitialEvents": "false"})
    assert await watch.is_silent()
    await watch.close()


@pytest.mark.parametrize(
    "query",
    [
        {"sendInitialEvents": "true"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "Exact"},
        {"resourceVersionMatch": "NotOlderThan", "resourceVersion": "1"},
    ],
    ids=str,
)
async def test_watch_options_that_make_no_sense_are_422(api: Probe, query: dict[str, str]) -> None:
    watch = await api.watch(CLAIMS, **query)
    assert watch.stream.status == 422
    await watch.close()


async def test_a_watch_of_nothing_that_is_served_is_404(api: Probe) -> None:
    watch = await api.watch("/api/v1/nothings")
    assert watch.stream.status == 404
    await watch.close()


# ------------------------------------------------------------------------ ends


async def test_fact_410_is_a_200_with_an_error_event_and_the_end(
    api: Probe, server: FakeApiServer
) -> None:
    await _create(api, "a")
    old = await _now(api)
    await _create(api, "b", "c")
    server.cluster.store.compact()
    watch = await api.watch(CLAIMS, resourceVersion=old)
    assert watch.stream.status == 200
    event = await watch.next()
    assert event is not None
    assert event["type"] == "ERROR"
    status = event["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert status["message"].startswith("too old resource version: ")
    assert await watch.next() is None
    await watch.close()


async def test_a_watcher_that_falls_behind_the_history_is_told_410_in_the_stream() -> None:
    store = ObjectStore(history_max=50)
    server = FakeApiServer(Cluster(store=store, crds=schemaless_crds()))
    api = Probe(InProcessTransport(server))
    watch = await api.watch(CLAIMS, resourceVersion=await _now(api))
    await _create(api, *(f"c{number}" for number in range(60)))
    event = await watch.next()
    assert event is not None
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    assert await watch.next() is None
    await watch.close()


async def test_a_quiet_watch_survives_a_history_full_of_others() -> None:
    store = ObjectStore(history_max=20)
    server = FakeApiServer(Cluster(store=store, crds=schemaless_crds()))
    api = Probe(InProcessTransport(server))
    watch = await api.watch("/api/v1/nodes", resourceVersion=await _now(api))
    await _create(api, *(f"c{number}" for number in range(60)))
    await api.post("/api/v1/nodes", {"metadata": {"name": "n"}})
    assert await watch.take(1) == [("ADDED", "n")]
    await watch.close()


async def test_ending_all_watches_is_a_clean_end_after_what_was_sent(
    api: Probe, server: FakeApiServer
) -> None:
    watch = await api.watch(CLAIMS, resourceVersion=await _now(api))
    await _create(api, "a")
    assert await watch.take(1) == [("ADDED", "a")]
    server.end_watches()
    assert await watch.next() is None
    assert server.open_watches == 0
    await watch.close()


async def test_a_long_start_comes_in_pieces(server: FakeApiServer) -> None:
    api = Probe(InProcessTransport(server))
    for number in range(40):
        filler = {"metadata": {"annotations": {"filler": "x" * 10_000}}}
        claim = a_claim(f"c{number}", merge=filler)
        claim["metadata"] |= {"uid": "", "resourceVersion": ""}
        await api.post(CLAIMS, claim)
    watch = await api.watch(CLAIMS)
    piece = await watch.stream.read()
    assert 65_536 <= len(piece) < 80_000
    assert piece.endswith(b"}\n")
    await watch.close()


# ------------------------------------------------------------------------ time

Timed = Callable[[World, FakeApiServer, Probe], Awaitable[None]]


def _timed(scenario: Timed) -> None:
    async def run(world: World) -> None:
        cluster = Cluster(clock=world.clock, rng=world.rng, crds=schemaless_crds())
        server = FakeApiServer(cluster)
        transport = InProcessTransport(server)
        await scenario(world, server, Probe(transport))
        await transport.close()

    run_virtual(run)


async def _next(watch: EventReader) -> Json | None:
    return await watch.next(within_s=None)


def test_bookmarks_come_every_60_s_with_the_newest_version_of_all() -> None:
    async def scenario(world: World, server: FakeApiServer, api: Probe) -> None:
        watch = await api.watch(CLAIMS, resourceVersion=server.cache.rv, allowWatchBookmarks="true")
        await api.post("/api/v1/nodes", {"metadata": {"name": "n"}})
        for minute in (1, 2, 3):
            event = await _next(watch)
            assert event is not None
            assert world.clock.monotonic() == pytest.approx(60 * minute)
            assert event["type"] == "BOOKMARK"
            assert event["object"]["metadata"] == {"resourceVersion": str(server.cache.rv)}
        await _create(api, "a")
        event = await _next(watch)
        assert event is not None
        assert event["type"] == "ADDED"

    _timed(scenario)


def test_the_last_bookmark_comes_two_seconds_before_the_end() -> None:
    async def scenario(world: World, server: FakeApiServer, api: Probe) -> None:
        query = {"allowWatchBookmarks": "true", "timeoutSeconds": "90"}
        watch = await api.watch(CLAIMS, resourceVersion=server.cache.rv, **query)
        moments: list[float] = []
        while await _next(watch) is not None:
            moments.append(world.clock.monotonic())
        assert moments == pytest.approx([60, 88])
        assert world.clock.monotonic() == pytest.approx(90)

    _timed(scenario)


def test_a_watch_without_bookmarks_is_silent_until_its_timeout_ends_it_cleanly() -> None:
    async def scenario(world: World, server: FakeApiServer, api: Probe) -> None:
        watch = await api.watch(CLAIMS, resourceVersion=server.cache.rv, timeoutSeconds=300)
        assert await _next(watch) is None
        assert world.clock.monotonic() == pytest.approx(300)

    _timed(scenario)


def test_a_watch_that_names_no_timeout_ends_within_30_to_60_minutes() -> None:
    async def scenario(world: World, server: FakeApiServer, api: Probe) -> None:
        watch = await api.watch(CLAIMS, resourceVersion=server.cache.rv)
        assert await _next(watch) is None
        assert 1800 <= world.clock.monotonic() <= 3600

    _timed(scenario)


class _CountingClock(VirtualClock):
    """Counts sleepers."""

    sleeps = 0

    async def sleep(self, delay_s: float) -> None:
        self.sleeps += 1
        await super().sleep(delay_s)


def test_a_thousand_events_need_one_timer() -> None:
    async def scenario(world: World) -> None:
        clock = _CountingClock(world.loop)
        server = FakeApiServer(Cluster(clock=clock, rng=world.rng, crds=schemaless_crds()))
        transport = InProcessTransport(server)
        api = Probe(transport)
        watch = await api.watch(CLAIMS, resourceVersion=server.cache.rv)
        for number in range(1000):
            await _create(api, f"c{number}")
            assert await _next(watch) is not None
        assert clock.sleeps <= 1
        await transport.close()

    run_virtual(scenario)
