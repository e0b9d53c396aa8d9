"""G21: an answer, or the environment, never leads a request to another server than the one named.

The connection is a pod's: its service account's token and CA, over real TLS on loopback.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.kube.fakes import FakeClock
from tests.kube.socket_server import OK, Handler, Server, Streams, a, answering, serving

from warmclaim.errors import NotSentError
from warmclaim.kube.config import Connection, load_connection
from warmclaim.kube.transport import HttpTransport
from warmclaim.loadtest.failures import RefusedError
from warmclaim.loadtest.wire import Wire
from warmclaim.seams import Method
from warmclaim.webhook.certificates import Issued, issue

HOST = "localhost"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


def issued(*names: str) -> Issued:
    return issue(names or (HOST,), now_s=time.time())


def a_pod(folder: Path, port: int, authority: bytes) -> Connection:
    """What a pod with this service account connects to."""
    (folder / "token").write_text("pods-token")
    (folder / "ca.crt").write_bytes(authority)
    environ = {"KUBERNETES_SERVICE_HOST": HOST, "KUBERNETES_SERVICE_PORT": str(port)}
    return load_connection(None, environ=environ, clock=FakeClock(), service_account=folder)


@asynccontextmanager
async def over_tls(folder: Path, by: Issued, handler: Handler) -> AsyncGenerator[Server]:
    """A server with that certificate."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    certificate.write_bytes(by.pair.certificate)
    key.write_bytes(by.pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Server(handler)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.drop()
        listener.close()


@asynccontextmanager
async def transport_of(connection: Connection) -> AsyncGenerator[HttpTransport]:
    transport = HttpTransport(connection)
    try:
        yield transport
    finally:
        await transport.close()


def moved(status: int, port: int) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:{port}/secrets\r\n"
    return f"{head}Content-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_g21_a_redirect_to_another_server_reaches_nobody(
    tmp_path: Path, method: Method, status: int
) -> None:
    by = issued()
    async with (
        serving(answering(OK)) as other,
        over_tls(tmp_path, by, answering(moved(status, other.port))) as server,
        transport_of(a_pod(tmp_path, server.port, by.authority)) as transport,
    ):
        assert (await transport.request(a(method))).status == status
        stream = await transport.stream(a(method))
        assert stream.status == status
        await stream.close()
        assert (len(server.heads), other.connections) == (2, 0)
        assert b"Authorization: Bearer pods-token\r\n" in server.heads[0]


async def test_g21_proxies_and_passwords_of_the_environment_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = issued()
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "netrc").write_text(f"machine {HOST} login other password of-netrc\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with (
        serving(answering(OK)) as proxy,
        over_tls(tmp_path, by, answering(OK)) as server,
        transport_of(a_pod(tmp_path, server.port, by.authority)) as transport,
    ):
        for name in (*PROXY_VARIABLES, *map(str.upper, PROXY_VARIABLES)):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await transport.request(a("GET"))).status == 200
        assert (len(server.heads), proxy.connections) == (1, 0)
        assert server.heads[0].count(b"Authorization: ") == 1
        assert b"Authorization: Bearer pods-token\r\n" in server.heads[0]


async def refused_by_tls(connection: Connection) -> str:
    """What is said of a server that is not trusted."""
    async with transport_of(connection) as transport:
        with pytest.raises(NotSentError) as caught:
            await transport.request(a("GET"))
    return str(caught.value)


async def test_g21_only_the_service_accounts_ca_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one that the whole system trusts."""
    ours, others = issued(), issued()
    (tmp_path / "system.pem").write_bytes(others.authority)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    async with over_tls(tmp_path, others, answering(OK)) as server:
        connection = a_pod(tmp_path, server.port, ours.authority)
        assert connection.ssl_context is not None
        assert len(connection.ssl_context.get_ca_certs()) == 1
        assert "CERTIFICATE_VERIFY_FAILED" in await refused_by_tls(connection)
        assert server.heads == []
        system = ssl.create_default_context()
        reader, writer = await asyncio.open_connection(HOST, server.port, ssl=system)
        assert reader.at_eof() is False, "the system does trust it"
        writer.close()


async def test_g21_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    by = issued("elsewhere.example")
    async with over_tls(tmp_path, by, answering(OK)) as server:
        said = await refused_by_tls(a_pod(tmp_path, server.port, by.authority))
        assert "not valid for 'localhost'" in said
        assert server.heads == []


async def test_g21_a_server_that_speaks_no_tls_is_told_nothing(tmp_path: Path) -> None:
    heard = list[bytes]()

    async def listening(_server: Server, _number: int, streams: Streams) -> None:
        heard.append(await streams[0].read(4096))
        streams[1].write(OK)

    async with serving(listening) as server:
        await refused_by_tls(a_pod(tmp_path, server.port, issued().authority))
    assert heard
    assert not [piece for piece in heard if b"pods-token" in piece]


async def test_g21_the_load_generator_follows_no_redirect_either(tmp_path: Path) -> None:
    by = issued()
    async with (
        serving(answering(OK)) as other,
        over_tls(tmp_path, by, answering(moved(307, other.port))) as server,
        Wire(a_pod(tmp_path, server.port, by.authority), connections=1) as wire,
    ):
        for call in (wire.send("POST", "/apis/x", {}), wire.stream("/apis/x")):
            with pytest.raises(RefusedError, match="307"):
                await call
        assert (len(server.heads), other.connections) == (2, 0)
