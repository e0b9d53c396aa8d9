"""Events end an hour after they were last written."""

from __future__ import annotations

from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.event_ttl import EVENT_TTL_S, EventTtl
from warmclaim.testing.patch import MERGE_PATCH
from warmclaim.testing.resources import EVENT, NAMESPACE
from warmclaim.testing.virtual_loop import World, run_virtual


def _create(cluster: Cluster, name: str) -> None:
    cluster.create(Target(EVENT, "default"), {"metadata": {"name": name}})


def _names(cluster: Cluster) -> list[str]:
    return [commit.object["metadata"]["name"] for commit in cluster.store.scan(EVENT.resource)]


def test_an_event_ends_an_hour_after_its_last_write() -> None:
    async def main(world: World) -> None:
        cluster = Cluster(clock=world.clock, rng=world.rng)
        _create(cluster, "before")
        async with EventTtl(cluster):
            await world.clock.sleep(EVENT_TTL_S / 2)
            _create(cluster, "later")
            series = {"series": {"count": 2}}
            cluster.patch(Target(EVENT, "default", "before"), MERGE_PATCH, series)
            _create(cluster, "deleted")
            cluster.delete(Target(EVENT, "default", "deleted"))
            await world.clock.sleep(EVENT_TTL_S - 1)
            assert _names(cluster) == ["before", "later"]
            await world.clock.sleep(2)
            assert _names(cluster) == []
            assert cluster.store.get(NAMESPACE.resource, "default") is not None

    run_virtual(main)


def test_an_event_of_the_same_name_has_an_hour_of_its_own() -> None:
    async def main(world: World) -> None:
        cluster = Cluster(clock=world.clock, rng=world.rng)
        async with EventTtl(cluster):
            _create(cluster, "again")
            cluster.delete(Target(EVENT, "default", "again"))
            await world.clock.sleep(EVENT_TTL_S - 1)
            _create(cluster, "again")
            await world.clock.sleep(EVENT_TTL_S - 1)
            assert _names(cluster) == ["again"]
            await world.clock.sleep(2)
            assert _names(cluster) == []

    run_virtual(main)
