"""The proxy of the chaos runs, between a plain client and the real API server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from e2e.chaos.proxy import Proxy
from e2e.cluster import ControlPlane
from e2e.controlplane.ports import draw_ports

pytestmark = pytest.mark.e2e

LONG_S = 30.0
SHORT_S = 0.7
_WATCH = {"watch": "1", "fieldSelector": "metadata.name=it"}


class Client:
    """Watches one ConfigMap through the proxy, and writes it past the proxy."""

    def __init__(self, cluster: ControlPlane, namespace: str, session: aiohttp.ClientSession):
        self._cluster = cluster
        self._session = session
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._written = 0
        self._watches: list[aiohttp.ClientResponse] = []

    async def create(self) -> None:
        """Make the ConfigMap, long enough that half of it is a good piece."""
        body = {"metadata": {"name": "it"}, "data": {"long": "x" * 2000}}
        await asyncio.to_thread(self._cluster.api.create, self._path, body)

    async def write(self) -> None:
        """Change it."""
        self._written += 1
        body = {"data": {"n": str(self._written)}}
        await asyncio.to_thread(self._cluster.api.merge, f"{self._path}/it", body)

    async def version(self) -> None:
        """One request through the proxy; raises aiohttp.ClientError."""
        async with self._session.get("/version") as response:
            assert response.status == 200

    async def watch(self) -> aiohttp.ClientResponse:
        """An open watch through the proxy that has told of the object already."""
        response = await self._session.get(self._path, params=_WATCH)
        self._watches.append(response)
        assert json.loads(await response.content.readline())["type"] == "ADDED"
        return response

    def close(self) -> None:
        """Drop all watches."""
        for watch in self._watches:
            watch.close()

    async def told(self, watch: aiohttp.ClientResponse) -> str:
        """What the next event of a watch says the object has."""
        async with asyncio.timeout(LONG_S):
            event = json.loads(await watch.content.readline())
        return str(event["object"]["data"]["n"])


@pytest.fixture
async def proxy(control_plane: ControlPlane) -> AsyncIterator[Proxy]:
    """A proxy before a server that is down and the control plane's."""
    (port,) = draw_ports(1)
    servers = [f"https://127.0.0.1:{port}", control_plane.server]
    async with Proxy(servers, control_plane.key_dir) as opened:
        yield opened


@pytest.fixture
async def client(
    control_plane: ControlPlane, namespace: str, proxy: Proxy
) -> AsyncIterator[Client]:
    """A client with a ConfigMap to watch."""
    headers = {"Authorization": f"Bearer {control_plane.token()}"}
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(proxy.url, headers=headers, connector=connector) as session:
        made = Client(control_plane, namespace, session)
        await made.create()
        yield made
        made.close()


async def silent(watch: aiohttp.ClientResponse) -> bool:
    """Whether nothing comes, not even an end, for a while."""
    try:
        async with asyncio.timeout(SHORT_S):
            await watch.content.readany()
    except TimeoutError:
        return True
    return False


async def to_the_end(watch: aiohttp.ClientResponse) -> tuple[bytes, Exception | None]:
    """All that is left of a watch, and the error that ended it."""
    read = b""
    try:
        while piece := await watch.content.readany():
            read += piece
    except aiohttp.ClientError as error:
        return read, error
    return read, None


async def test_without_a_fault_everything_passes(client: Client, proxy: Proxy) -> None:
    watch = await client.watch()
    await client.write()
    assert await client.told(watch) == "1"
    await client.version()
    assert proxy.connected == 2


async def test_a_reset_ends_each_connection_and_the_next_one_is_good(
    client: Client, proxy: Proxy
) -> None:
    watch = await client.watch()
    assert proxy.reset() == 1
    _, end = await to_the_end(watch)
    assert end is not None
    assert "Connection reset by peer" in str(end)
    await client.version()


async def test_a_cut_ends_a_watch_inside_of_an_event(client: Client, proxy: Proxy) -> None:
    watch = await client.watch()
    assert proxy.cut() == 1
    # Read meanwhile: a stream that has an error gives none of what came before it.
    reading = asyncio.create_task(to_the_end(watch))
    await client.write()
    torn, end = await reading
    assert isinstance(end, aiohttp.ClientPayloadError)
    assert torn.startswith(b'{"type":"MODIFIED"')
    assert b"\n" not in torn
    with pytest.raises(json.JSONDecodeError):
        json.loads(torn)
    await client.version()


async def test_half_open_connections_are_silent_for_good_and_new_ones_are_not(
    client: Client, proxy: Proxy
) -> None:
    watch = await client.watch()
    assert proxy.half_open() == 1
    await client.write()
    assert await silent(watch)
    proxy.heal()
    assert await silent(watch)
    second = await client.watch()
    await client.write()
    assert await client.told(second) == "2"


async def test_a_stall_holds_everything_back_and_loses_nothing(
    client: Client, proxy: Proxy
) -> None:
    watch = await client.watch()
    proxy.stall()
    await client.write()
    request = asyncio.create_task(client.version())
    assert await silent(watch)
    assert not request.done()
    proxy.heal()
    assert await client.told(watch) == "1"
    await request


async def test_a_delay_is_kept_and_the_order_too(client: Client, proxy: Proxy) -> None:
    watch = await client.watch()
    proxy.delay(1.0)
    begun_s = time.monotonic()
    for _ in range(5):
        await client.write()
    told = [await client.told(watch) for _ in range(5)]
    assert told == ["1", "2", "3", "4", "5"]
    assert time.monotonic() - begun_s >= 1.0


async def test_a_throttle_lets_so_many_bytes_pass(client: Client, proxy: Proxy) -> None:
    watch = await client.watch()
    proxy.throttle(5_000.0)
    begun_s = time.monotonic()
    await client.write()
    await client.write()
    assert [await client.told(watch), await client.told(watch)] == ["1", "2"]
    # Two events of at least 2,000 bytes each.
    assert time.monotonic() - begun_s >= 0.8
    proxy.heal()
    await client.version()
