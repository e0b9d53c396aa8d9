"""A manager that serves claims and snapshots, and knows its own memory and its longest hold.

    python manager.py URL streamed|whole

It prints the URL of its diagnostics port when it has read everything, then answers each line on
stdin: `begin` by its RSS, from where on peak and holds are taken, `end` by the peak RSS and the
longest time that the loop was held, in microseconds: by the clock, and of the processor. The two
differ where other processes had it. At the end of stdin it ends.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from contextlib import aclosing
from time import perf_counter, thread_time

import msgspec
import uvloop
from tests.bench.lists.memory import peak_bytes, reset_peak

from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, TEMPLATE
from warmclaim.app import App, Outside
from warmclaim.kube.client import ApiClient
from warmclaim.kube.config import connection_to
from warmclaim.kube.raw_list import RawList
from warmclaim.kube.transport import HttpTransport
from warmclaim.runtime.diagnostics import Diagnostics, Outlet, TakeSnapshot
from warmclaim.seams import SystemClock, SystemRng
from warmclaim.settings import LeaseSettings, Settings
from warmclaim.streaming.snapshot import ZipText, redacted

TICK_S = 0.001


class Holds:
    """The longest time between two looks at the clocks, beyond the time asked for."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.longest_s = self.longest_cpu_s = 0.0

    async def run(self) -> None:
        while True:
            began_s, cpu_s = perf_counter(), thread_time()
            await asyncio.sleep(TICK_S)
            self.longest_s = max(self.longest_s, perf_counter() - began_s - TICK_S)
            self.longest_cpu_s = max(self.longest_cpu_s, thread_time() - cpu_s - TICK_S)


def whole(transport: HttpTransport) -> TakeSnapshot:
    """The plain way with the same libraries: all objects, one value, one text, one ZIP."""
    client = ApiClient(transport, clock=SystemClock())

    async def take(outlet: Outlet, is_redacted: bool) -> None:
        found: dict[str, list[object]] = {}
        for resource in (CLAIM, SANDBOX, POOL, TEMPLATE, POD):
            items = found[str(resource)] = []
            async with aclosing(RawList(client, resource).objects()) as objects:
                async for item in objects:
                    items.append(msgspec.json.decode(item))
        text = b"".join(redacted(msgspec.json.encode({"rawObjects": found})))
        archive = ZipText()
        await outlet.send(archive.begin() + archive.add(text) + archive.end())

    return take


async def main(url: str, way: str) -> None:
    loop, stop, clock = asyncio.get_running_loop(), asyncio.Event(), SystemClock()
    transport = HttpTransport(connection_to(url, credentials=None))
    settings = Settings(controllers=frozenset({"claim"}), lease=LeaseSettings(enabled=False))
    app = App(settings, Outside(transport, clock, SystemRng(), "bench", "default"))
    port = Diagnostics("127.0.0.1:0", app.snapshots.take if way == "streamed" else whole(transport))
    holds = Holds()
    app.manager.add("holds", holds.run)
    await port.start()
    running = asyncio.create_task(app.run(stop))
    await app.caches.wait_synced()
    await asyncio.sleep(1.0)
    gc.freeze()  # as a manager that has run for long: what lives is old
    print(f"http://127.0.0.1:{port.port}", flush=True)

    def answer() -> None:
        for line in sys.stdin:
            if line.strip() == "begin":
                holds.reset()
                print(reset_peak(), flush=True)
            else:
                held_us = [round(1e6 * s) for s in (holds.longest_s, holds.longest_cpu_s)]
                print(peak_bytes(), *held_us, flush=True)
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=answer, daemon=True).start()
    await running
    await port.close()
    await transport.close()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
