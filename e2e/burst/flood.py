"""A tenant that asks for more than anybody can give: claims, as fast as the API server takes them.

    python -m e2e.burst.flood --kubeconfig FILE --namespace NAME --claims 10000

A process of its own, so that it takes nothing of the interpreter that measures beside it. Prints
one line of JSON at its end, which SIGTERM brings about early: how many were made, in how long.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from pathlib import Path

import aiohttp
import msgspec
import uvloop
from e2e.controlplane.api import Object

from warmclaim.kube.config import trusting
from warmclaim.loadtest.objects import CLAIMS, claim_body, path

CONNECTIONS = 16
_ANSWER_S_MAX = 30.0


class Flood:
    """So many claims of one pool, over a few connections."""

    def __init__(self, server: str, token: str, ca_file: Path, url: str, count: int) -> None:
        self._server, self._url = server, url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._trust = trusting(ca_file)
        self._numbers = iter(range(count))
        self.made = 0

    async def run(self, pool: str) -> None:
        """Until all are made, or cancelled. Raises aiohttp.ClientError where one is refused."""
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S_MAX)
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=CONNECTIONS)
        async with (
            aiohttp.ClientSession(
                self._server, headers=self._headers, connector=connector, timeout=timeout
            ) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(CONNECTIONS):
                tasks.create_task(self._send(session, pool))

    async def _send(self, session: aiohttp.ClientSession, pool: str) -> None:
        for number in self._numbers:
            body = msgspec.json.encode(claim_body(f"flood-{number:05}", pool))
            async with session.post(self._url, data=body) as answer:
                answer.raise_for_status()
                await answer.read()
            self.made += 1


async def _until_told(flood: Flood, pool: str) -> None:
    """Also where all are made before: a signal that finds the process ending would kill it."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    work, end = asyncio.create_task(flood.run(pool)), asyncio.create_task(told.wait())
    await asyncio.wait((work, end), return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        work.result()
    work.cancel()
    await end


def main() -> None:
    """Make them, and say how many."""
    parser = argparse.ArgumentParser(prog="python -m e2e.burst.flood", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="as the test cluster's")
    parser.add_argument("--ca-file", type=Path, required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--pool", required=True, help="name of the pool that they ask for")
    parser.add_argument("--claims", type=int, required=True)
    chosen = parser.parse_args()
    config: Object = json.loads(chosen.kubeconfig.read_text())
    server, token = config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]["token"]
    url = path(chosen.namespace, CLAIMS)
    flood, begun_s = Flood(server, token, chosen.ca_file, url, chosen.claims), time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(flood, chosen.pool))
    print(json.dumps({"made": flood.made, "seconds": round(time.monotonic() - begun_s, 3)}))


if __name__ == "__main__":
    main()
