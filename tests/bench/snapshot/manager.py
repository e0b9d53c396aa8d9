"""A manager that serves claims and snapshots, and knows its own memory and its longest hold.

    python manager.py URL streamed|whole

It prints the URL of its diagnostics port when it has read everything, then answers each line on
stdin: `begin` by its RSS, from where on peak and holds are taken, `end` by JSON of the peak RSS and
what held the loop. At the end of stdin it ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from contextlib import aclosing

import msgspec
from tests.bench.lists.memory import peak_bytes, reset_peak
from tests.bench.snapshot.holds import Holds, NamingLoop
from tests.cli.snapshot_world import Unhurried

from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, TEMPLATE
from warmclaim.app import App, Outside
from warmclaim.kube.client import ApiClient
from warmclaim.kube.config import connection_to
from warmclaim.kube.raw_list import RawList
from warmclaim.kube.transport import HttpTransport
from warmclaim.runtime.diagnostics import Diagnostics, Outlet, TakeSnapshot
from warmclaim.runtime.garbage import short_looks
from warmclaim.seams import SystemClock, SystemRng
from warmclaim.settings import LeaseSettings, Settings
from warmclaim.streaming.snapshot import ZipText, redacted


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


async def main(url: str, way: str, holds: Holds) -> None:
    loop, stop, clock = asyncio.get_running_loop(), asyncio.Event(), SystemClock()
    transport = HttpTransport(connection_to(url, credentials=None))
    settings = Settings(controllers=frozenset({"claim"}), lease=LeaseSettings(enabled=False))
    app = App(settings, Outside(transport, clock, SystemRng(), "bench", "default"))
    take = app.snapshots.take if way == "streamed" else whole(transport)
    port = Diagnostics("127.0.0.1:0", take, Unhurried())
    app.manager.add("holds", holds.run)
    await port.start()
    running = asyncio.create_task(app.run(stop))
    await app.caches.wait_synced()
    await asyncio.sleep(1.0)
    print(f"http://127.0.0.1:{port.port}", flush=True)

    def answer() -> None:
        for line in sys.stdin:
            if line.strip() == "begin":
                rss = reset_peak()  # looks for garbage, which holds the loop, too
                holds.reset()
                print(rss, flush=True)
            else:
                print(json.dumps({"peak_bytes": peak_bytes(), **holds.told()}), flush=True)
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=answer, daemon=True).start()
    await running
    await port.close()
    await transport.close()


def run(url: str, way: str) -> None:
    holds = Holds()
    with (
        short_looks(),  # as `warmclaim run` does
        asyncio.Runner(loop_factory=lambda: NamingLoop(holds)) as runner,
    ):
        runner.run(main(url, way, holds))


if __name__ == "__main__":
    run(*sys.argv[1:])
