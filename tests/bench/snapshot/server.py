"""A process with an embedded API server that holds a large pool, and sends bursts of claims.

    python server.py SANDBOXES TEXT_BYTES

Each pod has an argument of so many bytes, 0 for none.

It prints its URL, then answers each line on stdin: `burst CLAIMS QPS` by the milliseconds that each
claim waited for Ready, as a JSON list. At the end of stdin it ends.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
from time import perf_counter

import uvloop

from warmclaim.api.resources import CLAIM
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pod, a_pool, a_sandbox, a_template
from warmclaim.testing.cluster import Target
from warmclaim.testing.http_front import serve
from warmclaim.testing.store import Commit

POOL, NODES = "pool", 200
WAIT_S_MAX = 60.0


def filled(sandboxes: int, text_bytes: int) -> FakeApiServer:
    """A server with a pool of so many ready sandboxes, each with its pod."""
    server = FakeApiServer()
    cluster = server.cluster
    cluster.put(a_template("python"))
    cluster.put(a_pool(POOL, template="python", replicas=sandboxes))
    for number in range(sandboxes):
        name, node = f"s{number:05}", f"node-{number % NODES:03}"
        cluster.put(a_sandbox(name, pool=POOL, node=node))
        pod = a_pod(name, node=node)
        if text_bytes:
            pod["spec"]["containers"][0]["args"] = ["word " * (text_bytes // 5)]
        cluster.put(pod)
    return server


class Burst:
    """Sends claims at a rate and sees when each is Ready."""

    def __init__(self, server: FakeApiServer) -> None:
        self._server = server
        self._sent_s: dict[str, float] = {}
        self._waited_ms: dict[str, float] = {}
        self._number = self._wanted = 0
        self._is_over = asyncio.Event()
        server.cluster.store.observers.append(self._saw)

    async def run(self, claims: int, qps: float) -> list[float]:
        kind = self._server.cluster.kinds.named(CLAIM.api_version, CLAIM.kind)
        assert kind is not None
        self._sent_s.clear()
        self._waited_ms.clear()
        self._is_over.clear()
        self._wanted, began_s = claims, perf_counter()
        for index in range(claims):
            await asyncio.sleep(began_s + index / qps - perf_counter())
            self._number += 1
            name = f"c{self._number:06}"
            self._sent_s[f"default/{name}"] = perf_counter()
            fresh = a_claim(name, pool=POOL)
            body = {**fresh, "metadata": {"name": name, "namespace": "default"}}
            self._server.cluster.create(Target(kind, "default"), body)
        await asyncio.wait_for(self._is_over.wait(), WAIT_S_MAX)
        return sorted(self._waited_ms.values())

    def _saw(self, commit: Commit) -> None:
        sent_s = self._sent_s.get(commit.key)
        if commit.resource != str(CLAIM) or sent_s is None or commit.key in self._waited_ms:
            return
        conditions = commit.object.get("status", {}).get("conditions", ())
        if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
            self._waited_ms[commit.key] = 1e3 * (perf_counter() - sent_s)
            if len(self._waited_ms) == self._wanted:
                self._is_over.set()


async def serve_until_eof(server: FakeApiServer) -> None:
    loop, stop, burst = asyncio.get_running_loop(), asyncio.Event(), Burst(server)
    async with serve(server) as front:
        gc.freeze()  # else a collection walks all objects, which no API server does
        print(front.url, flush=True)

        def answer() -> None:
            for line in sys.stdin:
                _, claims, qps = line.split()
                ran = asyncio.run_coroutine_threadsafe(burst.run(int(claims), float(qps)), loop)
                print(json.dumps(ran.result()), flush=True)
            loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=answer, daemon=True).start()
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(serve_until_eof(filled(*map(int, sys.argv[1:]))))
