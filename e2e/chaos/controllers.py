"""The two controller processes: started, signalled, and asked who of them leads."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
from e2e.controlplane.ports import draw_ports
from e2e.controlplane.processes import Processes

NAMES = ("controller-a", "controller-b")
LEASE_NAMESPACE = "chaos"
_MARGIN = "warmclaim_leader_fence_margin_seconds"
_ANSWER_S_MAX = 1.0


@dataclass(frozen=True)
class Timing:
    """Times of the controllers, in seconds, as their flags have them."""

    lease_s: float = 6.0
    renew_deadline_s: float = 4.0
    retry_s: float = 1.0
    watch_silence_s: float = 15.0
    """The default of 70 s is longer than a round: a half-open watch would be all of it."""
    readiness_grace_s: float = 30.0
    """KWOK gives a pod up whose status it could not write; then its sandbox is to be replaced."""

    @property
    def flags(self) -> list[str]:
        """These times as flags."""
        return [
            f"--leader-elect-lease-duration={self.lease_s:g}s",
            f"--leader-elect-renew-deadline={self.renew_deadline_s:g}s",
            f"--leader-elect-retry-period={self.retry_s:g}s",
            f"--watch-silence-max={self.watch_silence_s:g}s",
            f"--sandbox-warm-pool-readiness-grace-period={self.readiness_grace_s:g}s",
        ]


@dataclass(frozen=True)
class _Ports:
    probes: int
    metrics: int


class Controllers:
    """Two candidates for one Lease; use it as a context, which kills them at its end.

    What may block is handed to a thread, since the proxies share the event loop.
    """

    def __init__(self, folder: Path, kubeconfigs: Mapping[str, Path], timing: Timing) -> None:
        """One kubeconfig by name; logs go to `folder`. Nothing is started yet."""
        ports = draw_ports(2 * len(NAMES))
        self._ports = {name: _Ports(ports.pop(), ports.pop()) for name in NAMES}
        self._kubeconfigs = kubeconfigs
        self._timing = timing
        self._processes = Processes(folder, keep=True)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S_MAX)
        self._session = aiohttp.ClientSession(timeout=timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._processes.close()
        if self._session is not None:
            await self._session.close()

    def log(self, name: str) -> Path:
        """What this one said, over all its lives."""
        return self._processes.log(name)

    async def start(self, name: str) -> None:
        """Start one. Raises ControlPlaneError when it runs already."""
        await asyncio.to_thread(self._processes.start, name, self._command(name))

    async def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal; after SIGKILL it is gone on return."""
        await asyncio.to_thread(self._processes.signal, name, number)

    async def is_running(self, name: str) -> bool:
        """Whether its process exists; a stopped one does."""
        return await asyncio.to_thread(self._processes.exit_code, name) is None

    async def is_ready(self, name: str) -> bool:
        """Whether it answers /readyz with 200."""
        return await self._get(self._ports[name].probes, "/readyz") is not None

    async def leader(self) -> str | None:
        """Who holds the Lease and may act just now, by its own word; None when nobody says so."""
        for name in NAMES:
            said = await self._get(self._ports[name].metrics, "/metrics")
            if said is not None and _margin_s(said) > 0:
                return name
        return None

    def _command(self, name: str) -> list[str]:
        ports = self._ports[name]
        return [
            sys.executable,
            *("-m", "warmclaim", "run"),
            f"--kubeconfig={self._kubeconfigs[name]}",
            f"--leader-election-namespace={LEASE_NAMESPACE}",
            *self._timing.flags,
            # Both would want the one port, and no old version is stored here.
            "--enable-webhook=false",
            f"--metrics-bind-address=127.0.0.1:{ports.metrics}",
            f"--health-probe-bind-address=127.0.0.1:{ports.probes}",
        ]

    async def _get(self, port: int, path: str) -> str | None:
        if self._session is None:
            raise RuntimeError("the controllers are used outside their context")
        try:
            async with self._session.get(f"http://127.0.0.1:{port}{path}") as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError):
            return None
        return text if response.status == 200 else None


def _margin_s(metrics: str) -> float:
    """Seconds for which this process may still act as the leader."""
    values = (
        float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith(_MARGIN)
    )
    return max(values, default=0.0)


def redirected(kubeconfig: Path, server: str, target: Path) -> Path:
    """Write a copy of a kubeconfig that names another server; returns `target`."""
    content = cast("dict[str, Any]", json.loads(kubeconfig.read_text()))
    content["clusters"][0]["cluster"]["server"] = server
    target.touch(mode=0o600)
    target.write_text(json.dumps(content))
    return target
