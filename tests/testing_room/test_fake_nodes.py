"""Scheduler and kubelet: where pods go, when they are Ready, how they end."""

from __future__ import annotations

from typing import Any

import msgspec

from warmclaim.api.pod import Pod
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import MERGE_PATCH
from warmclaim.testing.resources import NODE, POD
from warmclaim.testing.virtual_loop import World, run_virtual


def _pod(name: str) -> Json:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def _create(cluster: Cluster, *names: str) -> None:
    for name in names:
        cluster.create(Target(POD, "default"), _pod(name))


def _read(cluster: Cluster, name: str) -> Pod:
    return msgspec.convert(cluster.get(Target(POD, "default", name)).object, Pod)


def _cluster(world: World) -> Cluster:
    return Cluster(clock=world.clock, rng=world.rng)


def test_a_pod_is_scheduled_at_once_and_ready_after_the_drawn_delay() -> None:
    async def scenario(world: World) -> None:
        cluster = _cluster(world)
        async with FakeNodes(cluster, count=2, ready_delay_s=(2.0, 3.0)):
            _create(cluster, "a")
            await world.clock.sleep(1.9)
            waiting = _read(cluster, "a")
            assert (waiting.spec.node_name, waiting.is_ready) == ("node-000", False)
            assert waiting.scheduled is not None
            assert waiting.scheduled.status == "True"
            await world.clock.sleep(1.2)
            assert _read(cluster, "a").is_ready

    run_virtual(scenario)


def test_pods_spread_evenly_and_each_has_an_address_of_its_own() -> None:
    async def scenario(world: World) -> None:
        cluster = _cluster(world)
        async with FakeNodes(cluster, count=10) as nodes:
            _create(cluster, *(f"p{number}" for number in range(55)))
            await world.clock.sleep(1)
            assert sorted(nodes.pods_by_node().values()) == [5] * 5 + [6] * 5
            ips = {_read(cluster, f"p{number}").ips for number in range(55)}
            assert len(ips) == 55

    run_virtual(scenario)


def test_a_deleted_pod_ends_after_the_kubelet_confirms_and_frees_its_place() -> None:
    async def scenario(world: World) -> None:
        cluster = _cluster(world)
        async with FakeNodes(cluster, count=1, stop_delay_s=(5.0, 5.0)) as nodes:
            _create(cluster, "a")
            await world.clock.sleep(1)
            cluster.delete(Target(POD, "default", "a"))
            marked = cluster.get(Target(POD, "default", "a")).object["metadata"]
            assert marked["deletionGracePeriodSeconds"] == 30
            await world.clock.sleep(4.9)
            assert nodes.pods_by_node() == {"node-000": 1}
            await world.clock.sleep(0.2)
            assert cluster.store.get(POD.resource, "default/a") is None
            assert nodes.pods_by_node() == {"node-000": 0}

    run_virtual(scenario)


def test_a_pod_that_fits_nowhere_says_so_and_takes_the_next_free_place() -> None:
    async def scenario(world: World) -> None:
        cluster = _cluster(world)
        async with FakeNodes(cluster, count=1, pods_per_node_max=1):
            _create(cluster, "a", "b")
            await world.clock.sleep(1)
            waiting = _read(cluster, "b")
            assert waiting.scheduled is not None
            assert waiting.scheduled.reason == "Unschedulable"
            cluster.delete(Target(POD, "default", "a"))
            await world.clock.sleep(1)
            assert _read(cluster, "b").is_ready

    run_virtual(scenario)


def test_a_cordoned_node_gets_no_pods() -> None:
    async def scenario(world: World) -> None:
        cluster = _cluster(world)
        async with FakeNodes(cluster, count=2) as nodes:
            cordon: Json = {"spec": {"unschedulable": True}}
            cluster.patch(Target(NODE, name="node-000"), MERGE_PATCH, cordon)
            _create(cluster, "a", "b")
            await world.clock.sleep(1)
            assert nodes.pods_by_node() == {"node-001": 2}

    run_virtual(scenario)


def test_nodes_take_in_what_was_there_before_them() -> None:
    async def scenario(world: World) -> None:
        cluster = _cluster(world)
        _create(cluster, "early")
        async with FakeNodes(cluster, count=1):
            await world.clock.sleep(1)
            assert _read(cluster, "early").is_ready

    run_virtual(scenario)


def test_idle_nodes_write_nothing_and_a_pod_costs_two_writes() -> None:
    async def scenario(world: World) -> None:
        cluster = _cluster(world)
        async with FakeNodes(cluster, count=3):
            before = cluster.store.rv
            await world.clock.sleep(3600)
            assert cluster.store.rv == before
            _create(cluster, "a")
            await world.clock.sleep(1)
            assert cluster.store.rv == before + 3

    run_virtual(scenario)


def test_a_pod_recreated_under_its_name_is_not_touched_for_the_old_one() -> None:
    async def scenario(world: World) -> Any:
        cluster = _cluster(world)
        async with FakeNodes(cluster, count=1, ready_delay_s=(5.0, 5.0)):
            _create(cluster, "a")
            await world.clock.sleep(4)
            target = Target(POD, "default", "a")
            cluster.store.delete(POD.resource, target.key)
            _create(cluster, "a")
            await world.clock.sleep(2)
            assert not _read(cluster, "a").is_ready
            await world.clock.sleep(4)
            assert _read(cluster, "a").is_ready

    run_virtual(scenario)
