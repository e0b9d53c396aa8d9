"""One replica of the manager: a process that is killed and comes back with nothing remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from warmclaim.app import App, Outside
from warmclaim.seams import Clock, Rng
from warmclaim.settings import (
    ApiSettings,
    ClaimSettings,
    LeaseSettings,
    PoolSettings,
    SandboxSettings,
    Settings,
)
from warmclaim.testing.sim.case import Options
from warmclaim.testing.sim.clocks import FastClock
from warmclaim.testing.sim.observers import Observers
from warmclaim.testing.sim.sealing import SECRET_FLAG
from warmclaim.testing.sim.transport import FaultyTransport, Line

LEASE_NAMESPACE = "default"
RESTART_S = (0.05, 3.0)
CRASHES_MAX = 8


def settings_of(options: Options) -> Settings:
    """The manager's settings in a run."""
    duration_s, renew_s, retry_s = options.lease_s
    templates = {"template"} if options.uses.has_policies else set[str]()
    return Settings(
        controllers=frozenset({"claim", "pool", "sandbox", *templates}),
        api=ApiSettings(list_page_items=options.page_items, uses_watch_list=options.watch_list),
        lease=LeaseSettings(
            enabled=options.leaders == "elected",
            duration_s=duration_s,
            renew_deadline_s=renew_s,
            retry_period_s=retry_s,
        ),
        claims=ClaimSettings(workers=options.claim_workers, wait_s_max=options.claim_wait_s),
        pools=PoolSettings(
            workers=options.pool_workers,
            batch_items_max=options.batch_items_max,
            seal_secret=SECRET_FLAG if options.uses.is_sealed else "",
        ),
        sandboxes=SandboxSettings(workers=options.sandbox_workers),
    )


class Replica:
    """Runs Apps one after the other, each on a transport of its own, until `retire`.

    `on_failure(text)` hears of an App that ended by itself: that is never right.
    """

    def __init__(
        self,
        line: Line,
        name: str,
        settings: Settings,
        clock: Clock,
        rng: Rng,
        on_failure: Callable[[str], None],
        observers: Observers,
        clock_rate: float = 1.0,
    ) -> None:
        self.name = name
        self._line = line
        self._settings = settings
        self._clock = clock
        self._own_clock = clock if clock_rate == 1.0 else FastClock(clock, clock_rate)
        self._rng = rng
        self._on_failure = on_failure
        self._observers = observers
        self._process: asyncio.Task[None] | None = None
        self._life: asyncio.Task[None] | None = None
        self._is_retired = False
        self._starts = 0
        self.started_s = 0.0
        self._stop = asyncio.Event()
        self.transport: FaultyTransport | None = None
        self.app: App | None = None

    def start(self) -> None:
        """Begin to run; called once."""
        self._life = asyncio.create_task(self._live(), name=f"life of {self.name}")

    def may_crash(self) -> bool:
        """Whether it did not yet die often enough for one run."""
        return self._starts <= CRASHES_MAX

    def kill(self) -> None:
        """kill -9: nothing more is sent, nothing is released, nothing is remembered."""
        if self.transport is not None:
            self.transport.is_dead = True
        if self._process is not None:
            self._process.cancel()

    def stop(self) -> None:
        """SIGTERM: in-flight work is wound up and the lease released."""
        self._stop.set()

    async def retire(self) -> None:
        """Kill it for good."""
        self._is_retired = True
        self.kill()
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)

    async def _live(self) -> None:
        while not self._is_retired:
            self._starts += 1
            self.started_s = self._clock.monotonic()
            self._stop = asyncio.Event()
            identity = f"{self.name}-{self._starts}"
            self.transport = FaultyTransport(self._line, self.name, self.kill, self.may_crash)
            clock, rng = self._own_clock, self._rng
            tapped = self._observers.tap(self.transport, identity, clock, self._is_out)
            history = self._observers.history(identity)
            outside = Outside(tapped, clock, rng, identity, LEASE_NAMESPACE, "sim", history=history)
            self.app = App(self._settings, outside, spans=self._observers.spans)
            self._observers.attach(identity, self.app)
            self._process = asyncio.create_task(self.app.run(self._stop), name=identity)
            await self._until_end(self._process)
            self.transport.is_dead = True
            await self.transport.close()
            low, high = RESTART_S
            await self._clock.sleep(low + (high - low) * self._rng.random())

    def _is_out(self) -> bool:
        """Whether the server is out of reach just now."""
        cut_until_s = self.transport.cut_until_s if self.transport is not None else 0.0
        return self._clock.monotonic() < max(self._line.down_until_s, cut_until_s)

    async def _until_end(self, process: asyncio.Task[None]) -> None:
        try:
            await asyncio.wait((process,))
        except asyncio.CancelledError:
            process.cancel()
            await asyncio.gather(process, return_exceptions=True)
            raise
        if not process.cancelled() and (error := process.exception()) is not None:
            self._on_failure(f"{self.name} ended with {_innermost(error)!r}")


def _innermost(error: BaseException) -> BaseException:
    inner = cast("list[BaseException]", list(getattr(error, "exceptions", ())))
    return _innermost(inner[0]) if inner else error
