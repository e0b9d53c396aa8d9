"""What can be seen of a controller from outside: its metrics, its CPU time, its memory."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from types import TracebackType
from typing import Self

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from warmclaim.loadtest.usage import Usage, usage_of

_ANSWER_S_MAX = 5.0
_CPU_LOOK_S = 0.5
IDLE_CORES_MAX = 0.05
"""A process that uses less than this is idle, where nothing tells more."""

_PASSES = "controller_runtime_reconcile_total"
_BUSY = ("workqueue_depth", "controller_runtime_active_workers")
_OURS, _ANY = "warmclaim_api_requests_total", "rest_client_requests_total"

Metrics = dict[str, dict[tuple[str, str], float]]
"""Sums by name, and by the labels `verb` or `method`, and `resource`; empty where there is none."""


class Look:
    """A controller's metrics endpoint and process id; either may be unknown. Use it as a
    context."""

    def __init__(self, metrics: str = "", pid: int | None = None) -> None:
        """`metrics` is HOST:PORT."""
        self._metrics = metrics
        self.pid = pid
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
        if self._session is not None:
            await self._session.close()

    def usage(self) -> Usage | None:
        """What the process uses; None where that is unknown."""
        return None if self.pid is None else usage_of(self.pid)

    async def requests(self) -> Counter[str] | None:
        """Requests to the API server so far, by verb and resource, or by method alone where the
        controller tells no more; None where there are no metrics."""
        metrics = await self._read()
        if metrics is None:
            return None
        found = metrics.get(_OURS) or metrics.get(_ANY) or {}
        return Counter({" ".join(filter(None, key)): int(count) for key, count in found.items()})

    async def passes(self) -> float | None:
        """Passes of all its controllers so far; None where there are no metrics."""
        metrics = await self._read()
        return None if metrics is None or _PASSES not in metrics else sum(metrics[_PASSES].values())

    async def busy(self) -> str | None:
        """What it is still doing; None if nothing, or if nobody can tell. Takes half a second
        where only its CPU time can be seen."""
        metrics = await self._read()
        if metrics is not None and _BUSY[0] in metrics:
            waiting, working = (sum(metrics.get(name, {}).values()) for name in _BUSY)
            return f"{waiting:g} keys wait, {working:g} workers" if waiting + working else None
        return await self._busy_by_cpu()

    async def _busy_by_cpu(self) -> str | None:
        before, began_s = self.usage(), time.monotonic()
        await asyncio.sleep(_CPU_LOOK_S)
        after = self.usage()
        if before is None or after is None:
            return None
        cores = (after.cpu_s - before.cpu_s) / (time.monotonic() - began_s)
        return f"it uses {cores:.0%} of a core" if cores > IDLE_CORES_MAX else None

    async def _read(self) -> Metrics | None:
        """None where there is no endpoint, or it does not answer with metrics."""
        if not self._metrics or self._session is None:
            return None
        try:
            async with self._session.get(f"http://{self._metrics}/metrics") as answer:
                text = await answer.text()
            return parsed(text) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError, ValueError):
            return None


def _short(resource: str) -> str:
    """Plural and subresource, without the API group: as the audit log says it."""
    plural, slash, subresource = resource.partition("/")
    return plural.partition(".")[0] + slash + subresource


def parsed(text: str) -> Metrics:
    """The families that are looked at here. Raises ValueError for what is no exposition."""
    wanted = {_PASSES, *_BUSY, _OURS, _ANY}
    found: Metrics = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in wanted:
                labels = sample.labels
                verb = labels.get("verb") or labels.get("method") or ""
                key = (verb.lower(), _short(labels.get("resource", "")))
                sums = found.setdefault(sample.name, {})
                sums[key] = sums.get(key, 0.0) + sample.value
    return found
