"""What befalls the machines of a run, and that it ends when the faults do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from warmclaim.testing.builders import a_claim, a_template
from warmclaim.testing.cluster import Target
from warmclaim.testing.crds import schemaless_crds
from warmclaim.testing.json_values import Json
from warmclaim.testing.refusals import Refusal
from warmclaim.testing.resources import LEASE, NAMESPACE
from warmclaim.testing.sim.case import Action
from warmclaim.testing.sim.dice import Dice
from warmclaim.testing.sim.faults import FaultPlan
from warmclaim.testing.sim.hands import OBJECT_BYTES_MAX, Hands
from warmclaim.testing.sim.machinery import Machinery
from warmclaim.testing.sim.objects import part
from warmclaim.testing.sim.options import drawn_options
from warmclaim.testing.sim.servers import Servers
from warmclaim.testing.sim.sim_cluster import SimCluster
from warmclaim.testing.sim.trace import Attribution, Trace
from warmclaim.testing.sim.transport import Line
from warmclaim.testing.virtual_loop import SeededRng, World, run_virtual

SPEC = {"holderIdentity": "m0-1", "leaseDurationSeconds": 15}


class Shop:
    """A cluster with one namespace, the machinery of a run and its hands."""

    def __init__(self, world: World) -> None:
        later, clock = world.loop.call_later, world.clock
        drawn = drawn_options(0)
        options = msgspec.structs.replace(drawn, servers=1, namespaces=1, lease_s=(15.0, 10.0, 2.0))
        attribution = Attribution()
        self.clock = clock
        self.cluster = SimCluster(clock=clock, rng=SeededRng(0), crds=schemaless_crds())
        self.cluster.store.object_bytes_max = OBJECT_BYTES_MAX
        servers = Servers(self.cluster, options, clock, later)
        plan = FaultPlan(Dice(0), {}, None)
        line = Line(servers, plan, Trace(clock, attribution), attribution, clock)
        self.machinery = Machinery(self.cluster, line, options, clock, later)
        self.hands = Hands(self.cluster, attribution, options, SeededRng(0), later)
        self.hands.found_world()

    def put_lease(self) -> None:
        lease: Json = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": SPEC}
        self.cluster.put({**lease, "metadata": {"name": "lease", "namespace": "default"}})

    @property
    def holder(self) -> str:
        found = self.cluster.store.get(LEASE.resource, "default/lease")
        assert found is not None
        return str(part(found.object, "spec", "holderIdentity") or "")

    def does(self, do: str, target: str = "", x: float = 0.5) -> bool:
        action = Action(0.0, do, target, x)
        side = self.hands if self.hands.does(action) else self.machinery
        return side.act(action)


def _shop(scenario: Callable[[Shop], Awaitable[None]]) -> None:
    async def main(world: World) -> None:
        await scenario(Shop(world))

    run_virtual(main)


def test_a_lease_flaps_until_the_faults_end() -> None:
    async def scenario(shop: Shop) -> None:
        assert not shop.does("lease.flap")
        shop.put_lease()
        assert shop.does("lease.flap", x=0.9)
        holders: list[str] = []
        for _ in range(24):
            await shop.clock.sleep(1)
            if holders[-1:] != [shop.holder]:
                holders.append(shop.holder)
        assert holders[:4] == ["somebody-else", "", "somebody-else", ""]
        shop.machinery.heal()
        await shop.clock.sleep(30)
        assert shop.holder == ""

    _shop(scenario)


@pytest.mark.parametrize("x", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_garbled_lease_is_given_back_when_the_faults_end(x: float) -> None:
    async def scenario(shop: Shop) -> None:
        shop.put_lease()
        assert shop.does("lease.garble", x=x)
        assert shop.holder != "m0-1"
        shop.machinery.heal()
        assert shop.holder == ""

    _shop(scenario)


def test_a_lease_of_a_manager_is_left_alone_when_the_faults_end() -> None:
    async def scenario(shop: Shop) -> None:
        shop.put_lease()
        shop.machinery.heal()
        assert shop.holder == "m0-1"

    _shop(scenario)


def test_a_kind_is_not_served_for_a_while() -> None:
    async def scenario(shop: Shop) -> None:
        kinds = shop.cluster.kinds
        before = {kind.resource for kind in kinds}
        assert shop.does("crd.lose", x=0.6)
        assert {kind.resource for kind in kinds} == before - {"sandboxes.agents.x-k8s.io"}
        assert not shop.does("crd.lose", x=0.6)
        assert not shop.does("namespace.renew", "ns-0")
        await shop.clock.sleep(10)
        assert {kind.resource for kind in kinds} == before

    _shop(scenario)


def test_a_swollen_object_takes_no_more_until_it_is_let_go() -> None:
    async def scenario(shop: Shop) -> None:
        claim = a_claim("c-0", namespace="ns-0", merge={"metadata": {"uid": None}})
        shop.cluster.put(claim)
        assert shop.does("claim.swell", "ns-0/c-0")
        kind = shop.cluster.kinds.named(claim["apiVersion"], "SandboxClaim")
        assert kind is not None
        target = Target(kind, "ns-0", "c-0", subresource="status")
        status = {"status": {"sandbox": {"name": "w" * 60, "podIPs": ["10.0.0.1", "10.0.0.2"]}}}
        patch = "application/merge-patch+json"
        with pytest.raises(Refusal, match="request is too large"):
            shop.cluster.patch(target, patch, status)
        shop.hands.let_go()
        assert shop.cluster.patch(target, patch, status).is_live

    _shop(scenario)


def test_a_swollen_template_itself_fits() -> None:
    async def scenario(shop: Shop) -> None:
        assert shop.does("template.swell", "ns-0/pool-0")
        key = f"ns-0/{a_template()['metadata']['name']}"
        found = shop.cluster.store.get("sandboxtemplates.extensions.agents.x-k8s.io", key)
        assert found is not None
        assert OBJECT_BYTES_MAX - 300 < len(found.encoded) <= OBJECT_BYTES_MAX

    _shop(scenario)


def test_a_namespace_ends_and_is_founded_again() -> None:
    async def scenario(shop: Shop) -> None:
        assert shop.does("namespace.renew", "ns-0", 0.1)
        assert shop.hands.is_ending()
        shop.cluster.finalize_namespace("ns-0")
        await shop.clock.sleep(3)
        assert shop.cluster.store.get(NAMESPACE.resource, "ns-0") is not None
        assert not shop.hands.is_ending()

    _shop(scenario)
