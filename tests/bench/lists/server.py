"""A process with an embedded API server and large objects, that knows its own memory.

    python server.py OBJECTS BYTES streamed|whole

It prints its URL, then answers each line on stdin: `begin` by its RSS, from where on the peak is
taken, `peak` by that peak; both in bytes. At the end of stdin it ends.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import cast

import msgspec
import uvloop
from tests.bench.lists.memory import peak_bytes, reset_peak

from warmclaim.api.resources import SANDBOX
from warmclaim.streaming.json_list import EncodedList, ListEncoder
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_sandbox
from warmclaim.testing.http_front import serve


class WholeEncoder(ListEncoder):
    """The plain way with the same library: all at once."""

    def pieces(self, value: Mapping[str, object]) -> EncodedList:
        items = list(cast("Iterable[object]", value["items"]))
        return EncodedList({**value, "items": items}, None, self.buffers)


def filled(objects: int, item_bytes: int) -> FakeApiServer:
    """A server that holds so many sandboxes of that size."""
    server = FakeApiServer()
    small = len(msgspec.json.encode(a_sandbox("s00000")))
    filler = "x" * (item_bytes - small)
    for number in range(objects):
        name = f"s{number:05}"
        value = {**a_sandbox(name), "filler": filler}
        server.cluster.store.put(str(SANDBOX), f"default/{name}", value)
    return server


async def serve_until_eof(server: FakeApiServer) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    async with serve(server) as front:
        print(front.url, flush=True)

        def answer() -> None:
            for line in sys.stdin:
                print(reset_peak() if line.strip() == "begin" else peak_bytes(), flush=True)
            loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=answer, daemon=True).start()
        await stop.wait()


def main() -> None:
    objects, item_bytes, way = sys.argv[1:]
    server = filled(int(objects), int(item_bytes))
    if way == "whole":
        server.lists = WholeEncoder()
    uvloop.run(serve_until_eof(server))


if __name__ == "__main__":
    main()
