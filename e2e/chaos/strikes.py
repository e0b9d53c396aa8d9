"""Carries out faults on a scene, each at its time."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable

from e2e.chaos.controllers import NAMES
from e2e.chaos.faults import Fault, Kind
from e2e.chaos.proxy import Proxy
from e2e.chaos.recovery import Strike, first_adoption
from e2e.chaos.scene import SERVERS, Scene
from e2e.chaos.waits import eventually
from e2e.controlplane.commands import ETCD

DELAY_S = 1.0
BYTES_PER_S = 10_000.0
_EXIT_S_MAX = 40.0


class Striker:
    """The faults of one round. `strikes` has those that were begun, each kept up to date."""

    def __init__(self, scene: Scene, origin_s: float, watch_silence_s: float) -> None:
        """`origin_s` is the moment that the faults' times count from, in monotonic seconds."""
        self._scene = scene
        self._origin_s = origin_s
        self._watch_silence_s = watch_silence_s
        self.strikes: list[Strike] = []
        self._hands: dict[Kind, Callable[[Fault], Awaitable[None]]] = {
            Kind.LEADER_KILL: self._end_leader,
            Kind.LEADER_TERM: self._end_leader,
            Kind.LEADER_STOP: self._stop_leader,
            Kind.STANDBY_KILL: self._kill_standby,
            Kind.STANDBY_STOP: self._stop_standby,
            Kind.API_SERVER_KILL: self._kill_api_server,
            Kind.API_SERVER_STOP: self._stop_api_server,
            Kind.API_SERVERS_KILL: self._kill_api_servers,
            Kind.ETCD_KILL: self._kill_etcd,
            Kind.ETCD_STOP: self._stop_etcd,
            Kind.RESET: self._break_connections,
            Kind.CUT: self._break_connections,
            Kind.HALF_OPEN: self._half_open,
            Kind.STALL: self._disturb,
            Kind.DELAY: self._disturb,
            Kind.THROTTLE: self._disturb,
        }

    async def strike(self, fault: Fault) -> None:
        """Wait for the fault's time, do it, and return when everything runs again.

        Raises TimeoutError when something that must come did not within a minute.
        """
        await asyncio.sleep(max(0.0, self._origin_s + fault.at_s - time.monotonic()))
        await self._hands[fault.kind](fault)

    def note_adoptions(self) -> None:
        """Look for the first adoption after each strike."""
        world = self._scene.world
        for strike in self.strikes:
            if strike.adopted_s is None:
                strike.adopted_s = first_adoption(
                    strike, world.adoptions, world.renewals, self._origin_s
                )

    # ---------------------------------------------------------------- controllers

    async def _end_leader(self, fault: Fault) -> None:
        await self._end_controller(fault, await self._scene.leader())

    async def _kill_standby(self, fault: Fault) -> None:
        await self._end_controller(fault, await self._scene.standby())

    async def _end_controller(self, fault: Fault, name: str) -> None:
        scene, controllers = self._scene, self._scene.controllers
        is_asked = fault.kind is Kind.LEADER_TERM

        async def has_ended() -> bool:
            return not await controllers.is_running(name)

        with _Held(scene, name):
            strike = self._struck(fault, name)
            strike.since_s = strike.struck_s
            await controllers.signal(name, signal.SIGTERM if is_asked else signal.SIGKILL)
            await eventually(f"{name} ended", has_ended, timeout_s=_EXIT_S_MAX)
            if is_asked:
                strike.target += f" (ended after {self._now_s() - strike.struck_s:.2f} s)"
            await asyncio.sleep(fault.lasts_s)
            await controllers.start(name)
        await scene.wait_controller(name)
        strike.over_s = self._now_s()

    async def _stop_leader(self, fault: Fault) -> None:
        await self._stop_controller(fault, await self._scene.leader())

    async def _stop_standby(self, fault: Fault) -> None:
        await self._stop_controller(fault, await self._scene.standby())

    async def _stop_controller(self, fault: Fault, name: str) -> None:
        controllers = self._scene.controllers
        strike = self._struck(fault, name)
        strike.since_s = strike.struck_s
        await controllers.signal(name, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            strike.lifted_s = self._now_s()
            await controllers.signal(name, signal.SIGCONT)
        # A former leader may end itself when it finds how long it has slept; the keeper knows.
        await self._scene.wait_controller(name)
        strike.over_s = self._now_s()

    # -------------------------------------------------------------- control plane

    async def _kill_api_server(self, fault: Fault) -> None:
        server = SERVERS[await self._scene.leader()]
        strike = await self._kill(fault, server)
        strike.since_s = strike.struck_s
        strike.over_s = await self._scene.wait_server(server) - self._origin_s

    async def _kill_api_servers(self, fault: Fault) -> None:
        scene = self._scene
        strike = await self._kill(fault, *SERVERS.values())
        waits = [asyncio.create_task(scene.wait_server(server)) for server in SERVERS.values()]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            strike.since_s = min(task.result() for task in waits if task.done()) - self._origin_s
            strike.over_s = max(await asyncio.gather(*waits)) - self._origin_s
        finally:
            for task in waits:
                task.cancel()

    async def _stop_api_server(self, fault: Fault) -> None:
        server = SERVERS[await self._scene.leader()]
        strike = await self._stop(fault, server)
        strike.since_s = strike.over_s = await self._scene.wait_server(server) - self._origin_s

    async def _kill_etcd(self, fault: Fault) -> None:
        await self._wait_writes(await self._kill(fault, ETCD))

    async def _stop_etcd(self, fault: Fault) -> None:
        await self._wait_writes(await self._stop(fault, ETCD))

    async def _wait_writes(self, strike: Strike) -> None:
        at_s, strike.revision = await self._scene.wait_writes()
        strike.since_s = strike.over_s = at_s - self._origin_s

    async def _kill(self, fault: Fault, *components: str) -> Strike:
        """Kill and start again; not ready yet on return."""
        scene = self._scene
        with _Held(scene, *components):
            strike = self._struck(fault, " and ".join(components))
            for component in components:
                await asyncio.to_thread(scene.cluster.kill, component)
            # What was under way has been written; etcd knows, unless it is what was killed.
            strike.revision = await scene.revision()
            await asyncio.sleep(fault.lasts_s)
            for component in components:
                await scene.start(component)
        return strike

    async def _stop(self, fault: Fault, component: str) -> Strike:
        """Stop and let go on; it need not answer yet on return."""
        cluster = self._scene.cluster
        strike = self._struck(fault, component)
        await asyncio.to_thread(cluster.kill, component, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.lasts_s)
            strike.revision = await self._scene.revision()
        finally:
            await asyncio.to_thread(cluster.kill, component, signal.SIGCONT)
        return strike

    # -------------------------------------------------------------------- network

    async def _break_connections(self, fault: Fault) -> None:
        name, proxy = await self._proxy(fault)
        strike = self._struck(fault, name)
        broken = proxy.reset() if fault.kind is Kind.RESET else proxy.cut()
        strike.target += f" ({broken} connections)"
        strike.since_s = strike.over_s = strike.struck_s

    async def _half_open(self, fault: Fault) -> None:
        name, proxy = await self._proxy(fault)
        strike = self._struck(fault, name)
        strike.target += f" ({proxy.half_open()} connections)"
        strike.since_s = strike.struck_s
        # By then the controller has found each of them out.
        await asyncio.sleep(self._watch_silence_s)
        strike.over_s = self._now_s()

    async def _disturb(self, fault: Fault) -> None:
        name, proxy = await self._proxy(fault)
        strike = self._struck(fault, name)
        try:
            match fault.kind:
                case Kind.DELAY:
                    proxy.delay(DELAY_S)
                case Kind.THROTTLE:
                    proxy.throttle(BYTES_PER_S)
                case _:
                    proxy.stall()
            await asyncio.sleep(fault.lasts_s)
        finally:
            proxy.heal()
        strike.revision = await self._scene.revision()
        strike.since_s = strike.over_s = self._now_s()

    async def _proxy(self, fault: Fault) -> tuple[str, Proxy]:
        leader = await self._scene.leader()
        name = leader if fault.is_leaders else next(name for name in NAMES if name != leader)
        return name, self._scene.proxies[name]

    # -------------------------------------------------------------------- helpers

    def _struck(self, fault: Fault, target: str) -> Strike:
        world = self._scene.world
        strike = Strike(fault, target, self._now_s(), world.holder, world.revision)
        self.strikes.append(strike)
        return strike

    def _now_s(self) -> float:
        return time.monotonic() - self._origin_s


class _Held:
    """Keeps the keeper's hands off some processes for a while."""

    def __init__(self, scene: Scene, *names: str) -> None:
        self._held, self._names = scene.held, names

    def __enter__(self) -> None:
        self._held.update(self._names)

    def __exit__(self, *_: object) -> None:
        self._held.difference_update(self._names)
