"""All controllers together, with nodes and a garbage collector: what clients find in the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.controllers.app_world import NAMESPACE, AppWorld, running

from warmclaim.api.claim import Claim
from warmclaim.api.names import name_hash
from warmclaim.api.resources import CLAIM, NETWORK_POLICY, POD, POOL, SANDBOX, SERVICE, TEMPLATE
from warmclaim.settings import CONTROLLERS
from warmclaim.testing.builders import a_claim, a_pool, a_template, as_sent
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.json_values import Json
from warmclaim.testing.virtual_loop import World, run_virtual

KINDS = (TEMPLATE, POOL, CLAIM, SANDBOX, POD, SERVICE, NETWORK_POLICY)
POD_NAME = "agents.x-k8s.io/pod-name"
TRACKING = "agents.x-k8s.io/sandbox-name-hash"


def stored(world: AppWorld) -> list[Json]:
    """Every object of the kinds that controllers make or read."""
    store = world.server.cluster.store
    return [commit.object for kind in KINDS for commit in store.scan(str(kind))]


def together(scenario: Callable[[AppWorld], Awaitable[None]]) -> None:
    """Run a scenario with every controller, two nodes and a garbage collector."""

    async def main(world: World) -> None:
        app_world = AppWorld(world, controllers=CONTROLLERS)
        cluster = app_world.server.cluster
        nodes, collector = FakeNodes(cluster, count=2), GarbageCollector(cluster)
        async with running(app_world.app), nodes, collector:
            await scenario(app_world)

    run_virtual(main)


async def claimed(world: AppWorld) -> Claim:
    """A claim made as the client libraries make it, served from a pool of two."""
    world.put(a_template(merge={"spec": {"service": True}}), a_pool(replicas=2))
    await world.run_for(5)
    body = as_sent(a_claim("-"), name=None, generateName="sandbox-claim-")
    body["metadata"]["labels"] = {"agents.x-k8s.io/created-by": "python-client"}
    made = await world.hand.create(CLAIM, NAMESPACE, body)
    return await world.served(made.metadata.name)


def test_a_client_finds_its_sandbox_address_and_pod() -> None:
    async def scenario(world: AppWorld) -> None:
        claim = await claimed(world)
        assert claim.metadata.name.startswith("sandbox-claim-")
        sandbox = await world.sandbox(claim.published)
        assert sandbox.is_ready
        assert sandbox.status is not None
        assert sandbox.metadata.annotations[POD_NAME] == claim.published
        pods = await world.hand.list_page(POD)
        (pod,) = (
            p for p in pods.items if p.metadata.name == sandbox.metadata.annotations[POD_NAME]
        )
        assert pod.ips == sandbox.status.pod_ips
        assert pod.metadata.labels[TRACKING] == name_hash(claim.published)

    together(scenario)


def test_children_are_named_after_their_sandbox() -> None:
    async def scenario(world: AppWorld) -> None:
        await claimed(world)
        names = {kind: set[str]() for kind in ("Sandbox", "Pod", "Service")}
        for value in stored(world):
            if value["kind"] in names:
                names[value["kind"]].add(value["metadata"]["name"])
        assert len(names["Sandbox"]) >= 2
        assert names["Pod"] == names["Service"] == names["Sandbox"]

    together(scenario)


def test_no_object_has_a_finalizer_and_every_child_one_controlling_owner() -> None:
    async def scenario(world: AppWorld) -> None:
        await claimed(world)
        owners: set[tuple[str, str]] = set()
        for value in stored(world):
            metadata = value["metadata"]
            assert not metadata.get("finalizers")
            if value["kind"] in ("SandboxTemplate", "SandboxWarmPool", "SandboxClaim"):
                continue
            (owner,) = metadata["ownerReferences"]
            assert (owner["controller"], owner["blockOwnerDeletion"]) == (True, True)
            owners.add((owner["apiVersion"], owner["kind"]))
        assert owners == {
            ("agents.x-k8s.io/v1beta1", "Sandbox"),
            ("extensions.agents.x-k8s.io/v1beta1", "SandboxClaim"),
            ("extensions.agents.x-k8s.io/v1beta1", "SandboxTemplate"),
            ("extensions.agents.x-k8s.io/v1beta1", "SandboxWarmPool"),
        }

    together(scenario)


def test_what_is_deleted_takes_its_children_with_it() -> None:
    async def scenario(world: AppWorld) -> None:
        claim = await claimed(world)
        await world.hand.delete(CLAIM, claim.metadata.key)
        await world.run_for(10)
        assert not await world.exists(SANDBOX, claim.published)
        assert not await world.exists(POD, claim.published)
        for kind, name in ((POOL, "pool"), (TEMPLATE, "python")):
            await world.hand.delete(kind, claim.metadata.key._replace(name=name))
        await world.run_for(10)
        assert stored(world) == []

    together(scenario)
