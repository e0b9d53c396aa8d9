"""The API server of a real run: the embedded one, with a cluster of one size, in its own process.

    python -m warmclaim.growth.server 3000x10 KUBECONFIG

It prints the path as soon as all objects are there and it listens, and serves until SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from warmclaim.growth.place import stocked
from warmclaim.growth.stock import Size, Stock, made_by_manager, sizes
from warmclaim.seams import SystemClock, SystemRng
from warmclaim.testing.http_front import serve


async def _serve(size: Size, stock: Stock, kubeconfig: Path) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with stocked(size, stock, SystemClock(), SystemRng()) as server, serve(server) as front:
        print(front.write_kubeconfig(kubeconfig), flush=True)
        await stopped.wait()


def main() -> None:
    """Serve the size that the command line names."""
    (size,) = sizes(sys.argv[1])
    stock = made_by_manager(size.pools)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(size, stock, Path(sys.argv[2])))


if __name__ == "__main__":
    main()
