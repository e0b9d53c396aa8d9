"""Several API servers in one run: who talks to which, and what a frozen one shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from warmclaim.testing.builders import a_claim, as_sent
from warmclaim.testing.cluster import Target
from warmclaim.testing.crds import schemaless_crds
from warmclaim.testing.sim.options import drawn_options
from warmclaim.testing.sim.servers import FREEZE_S_MAX, Servers
from warmclaim.testing.sim.sim_cluster import SimCluster
from warmclaim.testing.virtual_loop import SeededRng, World, run_virtual

CLAIM = ("extensions.agents.x-k8s.io/v1beta1", "SandboxClaim")


class Rack:
    """Three servers over one store, without lag."""

    def __init__(self, world: World, number: int = 3) -> None:
        self.world = world
        self.cluster = SimCluster(clock=world.clock, rng=SeededRng(0), crds=schemaless_crds())
        options = msgspec.structs.replace(drawn_options(0), servers=number, server_lag_s=0.0)
        self.servers = Servers(self.cluster, options, world.clock, world.loop.call_later)

    def commit(self, name: str) -> int:
        """A claim is made; the version of that."""
        kind = self.cluster.kinds.named(*CLAIM)
        assert kind is not None
        return self.cluster.create(Target(kind, "default"), as_sent(a_claim(name))).rv

    def seen(self) -> list[int]:
        """How far each server's cache has come."""
        return [server.cache.rv for server in self.servers.all]


def _rack(scenario: Callable[[Rack], Awaitable[None]], number: int = 3) -> None:
    async def main(world: World) -> None:
        await scenario(Rack(world, number))

    run_virtual(main)


def test_managers_begin_at_servers_of_their_own_and_are_switched() -> None:
    async def scenario(rack: Rack) -> None:
        servers = rack.servers
        assert [servers.of(name) for name in ("m0", "m1")] == servers.all[:2]
        assert servers.switch("m0", 0.9)
        assert servers.of("m0") is servers.all[2]
        assert not servers.switch("m0", 0.99)

    _rack(scenario)


def test_a_frozen_server_stays_where_it_is_until_its_time_is_over() -> None:
    async def scenario(rack: Rack) -> None:
        first = rack.commit("a")
        assert rack.servers.freeze("s1", 0.5)
        second = rack.commit("b")
        assert rack.seen() == [second, first, second]
        await rack.world.clock.sleep(FREEZE_S_MAX * 0.5 - 1)
        assert rack.seen()[1] == first
        await rack.world.clock.sleep(2)
        assert rack.seen()[1] == second

    _rack(scenario)


def test_a_freeze_ends_early_by_a_thaw_a_restart_or_the_end_of_the_faults() -> None:
    async def scenario(rack: Rack) -> None:
        ends: list[Callable[[], object]] = [
            lambda: rack.servers.thaw("s1"),
            lambda: rack.servers.restart(0.4),
            rack.servers.heal,
        ]
        for number, end in enumerate(ends):
            rack.servers.freeze("s1", 0.9)
            newest = rack.commit(f"c-{number}")
            assert rack.seen()[1] < newest
            end()
            assert rack.seen()[1] == newest

    _rack(scenario)


def test_the_end_of_a_freeze_is_not_that_of_the_next_one() -> None:
    async def scenario(rack: Rack) -> None:
        rack.servers.freeze("s1", 0.1)
        rack.servers.thaw("s1")
        rack.servers.freeze("s1", 0.9)
        newest = rack.commit("a")
        await rack.world.clock.sleep(FREEZE_S_MAX * 0.1 + 1)
        assert rack.seen()[1] < newest

    _rack(scenario)


def test_the_only_server_cannot_be_frozen() -> None:
    async def scenario(rack: Rack) -> None:
        assert not rack.servers.freeze("s2", 0.5)
        assert not rack.servers.thaw("s2")
        assert rack.commit("a") == rack.seen()[0]

    _rack(scenario, number=1)
