"""Owner garbage collection by uid, the three policies, and namespaces."""

from __future__ import annotations

import pytest

from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.crds import schemaless_crds
from warmclaim.testing.deletion import DeleteOptions
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import MERGE_PATCH
from warmclaim.testing.refusals import Refusal
from warmclaim.testing.resources import NAMESPACE, Kind
from warmclaim.testing.virtual_loop import World, run_virtual


class _Garden:
    """A cluster with a claim "owner" and sandboxes below it."""

    def __init__(self, world: World) -> None:
        self.cluster = Cluster(clock=world.clock, rng=world.rng, crds=schemaless_crds())
        self.claims = self._kind("SandboxClaim", "extensions.agents.x-k8s.io")
        self.sandboxes = self._kind("Sandbox", "agents.x-k8s.io")
        self.owner = self.create(self.claims, "owner")

    def _kind(self, name: str, group: str) -> Kind:
        kind = self.cluster.kinds.named(f"{group}/v1beta1", name)
        assert kind is not None
        return kind

    def create(self, kind: Kind, name: str, *owners: Json, namespace: str = "default") -> Json:
        body: Json = {
            "apiVersion": kind.api_version(),
            "kind": kind.kind,
            "metadata": {"name": name, "ownerReferences": list(owners)},
        }
        return self.cluster.create(Target(kind, namespace), body).object

    def owned_by(self, owner: Json, *, blocks: bool = True) -> Json:
        return {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": blocks,
        }

    def delete(self, kind: Kind, name: str, policy: str = "Background") -> None:
        self.cluster.delete(Target(kind, "default", name), DeleteOptions(policy=policy))

    def names(self, kind: Kind) -> list[str]:
        return [c.object["metadata"]["name"] for c in self.cluster.store.scan(kind.resource)]


def test_dependents_of_a_deleted_owner_go_after_the_lag_and_others_stay() -> None:
    async def scenario(world: World) -> None:
        garden = _Garden(world)
        async with GarbageCollector(garden.cluster, delay_s=(1.0, 2.0)):
            garden.create(garden.sandboxes, "mine", garden.owned_by(garden.owner))
            garden.create(garden.sandboxes, "free")
            await world.clock.sleep(5)
            garden.delete(garden.claims, "owner")
            await world.clock.sleep(0.9)
            assert garden.names(garden.sandboxes) == ["free", "mine"]
            await world.clock.sleep(5)
            assert garden.names(garden.sandboxes) == ["free"]

    run_virtual(scenario)


def test_collection_goes_down_the_whole_tree() -> None:
    async def scenario(world: World) -> None:
        garden = _Garden(world)
        async with GarbageCollector(garden.cluster):
            child = garden.create(garden.sandboxes, "child", garden.owned_by(garden.owner))
            garden.create(garden.sandboxes, "grandchild", garden.owned_by(child))
            garden.delete(garden.claims, "owner")
            await world.clock.sleep(1)
            assert garden.names(garden.sandboxes) == []

    run_virtual(scenario)


def test_an_owner_of_the_same_name_and_another_uid_does_not_count() -> None:
    async def scenario(world: World) -> None:
        garden = _Garden(world)
        async with GarbageCollector(garden.cluster):
            wrong = {**garden.owned_by(garden.owner), "uid": "another"}
            garden.create(garden.sandboxes, "stray", wrong)
            await world.clock.sleep(1)
            assert garden.names(garden.sandboxes) == []

    run_virtual(scenario)


def test_an_old_version_in_the_owner_reference_still_counts() -> None:
    async def scenario(world: World) -> None:
        garden = _Garden(world)
        async with GarbageCollector(garden.cluster):
            owner = garden.owned_by(garden.owner)
            old = {**owner, "apiVersion": owner["apiVersion"].replace("v1beta1", "v1alpha1")}
            garden.create(garden.sandboxes, "kept", old)
            await world.clock.sleep(1)
            assert garden.names(garden.sandboxes) == ["kept"]

    run_virtual(scenario)


def test_an_object_with_one_owner_left_only_loses_the_other_reference() -> None:
    async def scenario(world: World) -> None:
        garden = _Garden(world)
        other = garden.create(garden.claims, "other")
        async with GarbageCollector(garden.cluster):
            owners = (garden.owned_by(garden.owner), garden.owned_by(other))
            garden.create(garden.sandboxes, "shared", *owners)
            garden.delete(garden.claims, "other")
            await world.clock.sleep(1)
            shared = garden.cluster.get(Target(garden.sandboxes, "default", "shared")).object
            assert [o["name"] for o in shared["metadata"]["ownerReferences"]] == ["owner"]

    run_virtual(scenario)


def test_a_dependent_that_changes_owner_in_time_is_kept() -> None:
    async def scenario(world: World) -> None:
        garden = _Garden(world)
        other = garden.create(garden.claims, "other")
        async with GarbageCollector(garden.cluster, delay_s=(2.0, 2.0)):
            garden.create(garden.sandboxes, "moved", garden.owned_by(garden.owner))
            await world.clock.sleep(5)
            garden.delete(garden.claims, "owner")
            target = Target(garden.sandboxes, "default", "moved")
            change = {"metadata": {"ownerReferences": [garden.owned_by(other)]}}
            garden.cluster.patch(target, "application/merge-patch+json", change)
            await world.clock.sleep(10)
            assert garden.names(garden.sandboxes) == ["moved"]

    run_virtual(scenario)


def test_foreground_deletion_waits_for_the_dependents_that_block() -> None:
    async def scenario(world: World) -> None:
        garden = _Garden(world)
        async with GarbageCollector(garden.cluster, delay_s=(1.0, 1.0)):
            garden.create(garden.sandboxes, "blocker", garden.owned_by(garden.owner))
            await world.clock.sleep(5)
            garden.delete(garden.claims, "owner", "Foreground")
            owner = garden.cluster.get(Target(garden.claims, "default", "owner")).object
            assert owner["metadata"]["finalizers"] == ["foregroundDeletion"]
            assert owner["metadata"]["deletionTimestamp"]
            assert garden.names(garden.sandboxes) == ["blocker"]
            await world.clock.sleep(10)
            assert garden.names(garden.sandboxes) == []
            assert garden.names(garden.claims) == []

    run_virtual(scenario)


def test_foreground_deletion_goes_on_when_what_blocked_it_names_the_owner_no_more() -> None:
    async def scenario(world: World) -> None:
        garden = _Garden(world)
        async with GarbageCollector(garden.cluster):
            garden.create(garden.sandboxes, "held", garden.owned_by(garden.owner))
            target = Target(garden.sandboxes, "default", "held")
            held = {"metadata": {"finalizers": ["example.com/held"]}}
            garden.cluster.patch(target, MERGE_PATCH, held)
            garden.delete(garden.claims, "owner", "Foreground")
            await world.clock.sleep(5)
            assert garden.names(garden.claims) == ["owner"]
            garden.cluster.patch(target, MERGE_PATCH, {"metadata": {"ownerReferences": None}})
            await world.clock.sleep(5)
            assert garden.names(garden.claims) == []

    run_virtual(scenario)


def test_orphaning_keeps_the_dependents_and_drops_the_reference() -> None:
    async def scenario(world: World) -> None:
        garden = _Garden(world)
        async with GarbageCollector(garden.cluster):
            garden.create(garden.sandboxes, "orphan", garden.owned_by(garden.owner))
            garden.delete(garden.claims, "owner", "Orphan")
            await world.clock.sleep(1)
            assert garden.names(garden.claims) == []
            orphan = garden.cluster.get(Target(garden.sandboxes, "default", "orphan")).object
            assert "ownerReferences" not in orphan["metadata"]

    run_virtual(scenario)


def test_a_terminating_namespace_takes_nothing_in_and_goes_when_it_is_empty() -> None:
    async def scenario(world: World) -> None:
        garden = _Garden(world)
        garden.cluster.create(Target(NAMESPACE), {"metadata": {"name": "work"}})
        garden.create(garden.sandboxes, "inside", namespace="work")
        async with GarbageCollector(garden.cluster, delay_s=(1.0, 1.0)):
            garden.cluster.delete(Target(NAMESPACE, name="work"))
            with pytest.raises(Refusal, match="it is being terminated") as refused:
                garden.create(garden.sandboxes, "late", namespace="work")
            assert (refused.value.code, refused.value.reason) == (403, "Forbidden")
            await world.clock.sleep(10)
            assert garden.names(garden.sandboxes) == []
            assert "work" not in garden.names(NAMESPACE)

    run_virtual(scenario)


def test_an_owner_of_an_unknown_kind_condemns_nothing() -> None:
    async def scenario(world: World) -> None:
        garden = _Garden(world)
        async with GarbageCollector(garden.cluster):
            unknown = {**garden.owned_by(garden.owner), "apiVersion": "other.io/v1", "kind": "X"}
            garden.create(garden.sandboxes, "kept", unknown)
            await world.clock.sleep(10)
            assert garden.names(garden.sandboxes) == ["kept"]

    run_virtual(scenario)


@pytest.mark.parametrize(("policy", "left"), [("Foreground", []), ("Orphan", ["mine"])])
def test_dependents_of_a_kind_that_is_not_served_are_seen_to_when_it_is(
    policy: str, left: list[str]
) -> None:
    async def scenario(world: World) -> None:
        garden = _Garden(world)
        kind = garden.sandboxes
        async with GarbageCollector(garden.cluster):
            garden.create(kind, "mine", garden.owned_by(garden.owner))
            garden.delete(garden.claims, "owner", policy)
            garden.cluster.kinds.remove(kind.group, kind.plural)
            await world.clock.sleep(5)
            assert (garden.names(kind), garden.names(garden.claims)) == (["mine"], ["owner"])
            garden.cluster.kinds.register(kind)
            await world.clock.sleep(60)
            assert (garden.names(kind), garden.names(garden.claims)) == (left, [])

    run_virtual(scenario)


def test_an_owner_of_a_kind_that_is_not_served_goes_when_it_is() -> None:
    async def scenario(world: World) -> None:
        garden = _Garden(world)
        kind = garden.claims
        async with GarbageCollector(garden.cluster, delay_s=(1.0, 1.0)):
            garden.create(garden.sandboxes, "mine", garden.owned_by(garden.owner))
            garden.delete(kind, "owner", "Foreground")
            await world.clock.sleep(2.5)
            assert garden.names(garden.sandboxes) == []
            garden.cluster.kinds.remove(kind.group, kind.plural)
            await world.clock.sleep(5)
            assert garden.names(kind) == ["owner"]
            garden.cluster.kinds.register(kind)
            await world.clock.sleep(5)
            assert garden.names(kind) == []

    run_virtual(scenario)
