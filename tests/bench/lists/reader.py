"""A process that reads all sandboxes into views, and says what that took.

    python reader.py URL pages|watch-list|whole

It prints one JSON object: seconds, objects, and in bytes what is kept after it, and how far the
peak was beyond that.
"""

from __future__ import annotations

import asyncio
import json
import sys
from time import perf_counter
from typing import Final

import msgspec
import uvloop
from tests.bench.lists.memory import peak_bytes, reset_peak, rss_bytes

from warmclaim.api.resources import SANDBOX
from warmclaim.api.sandbox import Sandbox
from warmclaim.kube.client import ApiClient
from warmclaim.kube.config import connection_to
from warmclaim.kube.informer import Informer
from warmclaim.kube.ladder import ReflectorSettings
from warmclaim.kube.transport import HttpTransport, TransportSettings
from warmclaim.seams import Request, SystemClock, SystemRng

NO_LIMIT: Final = 1 << 40


class List(msgspec.Struct):
    items: list[Sandbox]


async def informed(transport: HttpTransport, *, watch_list: bool) -> list[Sandbox]:
    """By an informer, as the manager does it."""
    clock = SystemClock()
    client = ApiClient(transport, clock=clock)
    settings = ReflectorSettings(use_watch_list=watch_list)
    informer = Informer(client, SANDBOX, clock=clock, rng=SystemRng(), settings=settings)
    task = asyncio.create_task(informer.run())
    await informer.wait_synced()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return list(informer.store.values())


async def whole(transport: HttpTransport) -> list[Sandbox]:
    """The plain way with the same libraries: one answer, one decode."""
    response = await transport.request(Request("GET", SANDBOX.collection(), timeout_s=600))
    return msgspec.json.decode(response.body, type=List).items


async def read(url: str, way: str) -> dict[str, float]:
    settings = TransportSettings(body_bytes_max=NO_LIMIT)
    transport = HttpTransport(connection_to(url, credentials=None), settings=settings)
    before, began = reset_peak(), perf_counter()
    kept = await (
        whole(transport) if way == "whole" else informed(transport, watch_list=way == "watch-list")
    )
    took_s = perf_counter() - began
    peak, after = peak_bytes(), rss_bytes()
    found: dict[str, float] = {"seconds": took_s, "objects": len(kept)}
    await transport.close()
    return {**found, "kept": after - before, "beyond": peak - after}


def main() -> None:
    url, way = sys.argv[1:]
    print(json.dumps(uvloop.run(read(url, way))))


if __name__ == "__main__":
    main()
