"""One size in real time: manager, embedded API server and load are three processes, over HTTP."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from warmclaim.errors import WarmclaimError
from warmclaim.growth.result import Real
from warmclaim.growth.stock import NAMESPACE, Size, pool_name
from warmclaim.kube.config import load_connection
from warmclaim.loadtest.objects import CLAIMS, claim_body, path
from warmclaim.loadtest.percentiles import nearest_rank
from warmclaim.loadtest.schedule import Due, even, send
from warmclaim.loadtest.usage import Usage, usage_of
from warmclaim.loadtest.views import Thing
from warmclaim.loadtest.wire import Watch, Wire
from warmclaim.seams import SystemClock
from warmclaim.testing.demo.process import running_manager

STOCKED_S_MAX: Final = 300.0
REST_S_MAX: Final = 300.0
SERVED_S_MAX: Final = 60.0
LOOK_S: Final = 1.0
STILL_S: Final = 0.1
"""All is at rest when no more than that of a processor was taken or wanted in one look."""
STILL_LOOKS: Final = 3
STOP_S_MAX: Final = 10.0
CONNECTIONS: Final = 16
WARM_UP: Final = 20
"""Claims before those that are measured: connections and caches are warm then."""


class GrowthFailedError(WarmclaimError):
    """A run could not be brought to its end; the message is one line."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many claims, so many of them a second."""

    claims: int = 200
    per_s: float = 25.0


async def measure(size: Size, rate: Rate, tell: Callable[[str], object]) -> Real:
    """Run one size. Raises GrowthFailedError; what the load generator raises, where the server
    refuses a claim."""
    with TemporaryDirectory(prefix="warmclaim-growth-") as name:
        kubeconfig, log = Path(name) / "kubeconfig", Path(name) / "manager.log"
        tell(f"{size.sandboxes:,} sandboxes are put on the embedded server")
        async with (
            _server(size, kubeconfig) as server,
            running_manager(kubeconfig, log) as manager,
        ):
            tell("the manager starts")
            started = await _at_rest(manager.pid, server)
            connection = load_connection(str(kubeconfig), environ={}, clock=SystemClock())
            async with (
                Wire(connection, connections=CONNECTIONS) as wire,
                Wire(connection, connections=1) as watching,
            ):
                clients = _Clients(wire, watching)
                async with clients.watching():
                    tell("the first claims")
                    await clients.served(_dues("warm-up", WARM_UP, size, rate))
                    before = await _at_rest(manager.pid, server)
                    tell(f"{rate.claims} claims at {rate.per_s:g} a second")
                    latencies_s = await clients.served(_dues("claim", rate.claims, size, rate))
                    after = await _at_rest(manager.pid, server)
    if not latencies_s:
        raise GrowthFailedError("no claim was served")
    return Real(
        sandboxes=size.sandboxes,
        pools=size.pools,
        claims=rate.claims,
        p50=nearest_rank(latencies_s, 50),
        p99=nearest_rank(latencies_s, 99),
        claim=(after.cpu_s - before.cpu_s) / rate.claims,
        start=started.cpu_s,
        memory_bytes=after.rss_bytes,
        cold=clients.cold,
        unserved=rate.claims + WARM_UP - clients.ready,
    )


def _dues(prefix: str, count: int, size: Size, rate: Rate) -> tuple[Due, ...]:
    pools = [pool_name(number) for number in range(size.pools)]
    return even([f"{prefix}-{number}" for number in range(count)], pools, rate.per_s)


class _Clients:
    """Those who make claims, and watch what becomes of them."""

    def __init__(self, wire: Wire, watching: Wire) -> None:
        self._wire = wire
        self._watch = Watch(watching, path(NAMESPACE, CLAIMS), self._saw)
        self._ready_s: dict[str, float] = {}
        self.cold = 0

    @property
    def ready(self) -> int:
        """Claims that are Ready, or were."""
        return len(self._ready_s)

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """See what becomes of claims, from the first one on."""
        await self._watch.prepare()
        following = asyncio.create_task(self._watch.run())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def served(self, dues: tuple[Due, ...]) -> list[float]:
        """Make these claims; seconds from the POST of each to Ready on the watch, in no order.
        Returns when all are Ready, or after a minute."""
        sent = await send(dues, self._create)
        ends_s = asyncio.get_running_loop().time() + SERVED_S_MAX
        while not self._ready_s.keys() >= sent.at_s.keys():
            if asyncio.get_running_loop().time() > ends_s:
                break
            await asyncio.sleep(LOOK_S)
        return [self._ready_s[n] - at_s for n, at_s in sent.at_s.items() if n in self._ready_s]

    async def _create(self, due: Due) -> None:
        await self._wire.send("POST", path(NAMESPACE, CLAIMS), claim_body(due.name, due.pool))

    def _saw(self, _: str, claim: Thing, now_s: float) -> None:
        name = claim.metadata.name
        if claim.is_ready and name not in self._ready_s:
            self._ready_s[name] = now_s
            self.cold += claim.published == name  # which a sandbox made for it is named like


async def _at_rest(manager: int, server: int) -> Usage:
    """What the manager has used by the time that neither it nor the server has anything to do.

    Raises GrowthFailedError if that never comes, or one of them is gone.
    """
    ends_s = asyncio.get_running_loop().time() + REST_S_MAX
    last_s, still = _strain_s(manager) + _strain_s(server), 0
    while still < STILL_LOOKS:
        if asyncio.get_running_loop().time() > ends_s:
            raise GrowthFailedError(f"the manager did not come to rest within {REST_S_MAX:g} s")
        await asyncio.sleep(LOOK_S)
        now_s = _strain_s(manager) + _strain_s(server)
        still = still + 1 if now_s - last_s < STILL_S else 0
        last_s = now_s
    return _usage(manager)


def _strain_s(pid: int) -> float:
    """Seconds that a process had a processor, or wanted one: on a busy machine it may get none for
    a while, and is not at rest for that. Of its main thread."""
    try:
        ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    except OSError as error:
        raise GrowthFailedError("a process ended, or this system has no /proc") from error
    return (int(ran) + int(waited)) / 1e9


def _usage(pid: int) -> Usage:
    usage = usage_of(pid)
    if usage is None:
        raise GrowthFailedError("the manager ended, or this system has no /proc")
    return usage


@asynccontextmanager
async def _server(size: Size, kubeconfig: Path) -> AsyncGenerator[int]:
    """The pid of the API server, once it listens and has all objects."""
    words = ("-P", "-m", "warmclaim.growth.server", f"{size.sandboxes}x{size.pools}")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        str(kubeconfig),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await _listening(process)
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S_MAX):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _listening(process: asyncio.subprocess.Process) -> None:
    said = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(STOCKED_S_MAX):
            said = await process.stdout.readline() if process.stdout else b""
    if not said:
        raise GrowthFailedError("the embedded API server did not start")
