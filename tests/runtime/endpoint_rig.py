"""Our endpoints on real sockets, with an embedded API server that reviews their callers."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from warmclaim.kube.client import ApiClient
from warmclaim.kube.config import connection_to
from warmclaim.kube.reviews import Reviews
from warmclaim.kube.transport import HttpTransport
from warmclaim.runtime.certificate_keeper import CertificateKeeper
from warmclaim.runtime.diagnostics import Diagnostics, Outlet
from warmclaim.runtime.guard import Guard
from warmclaim.runtime.health import Probes, Serving
from warmclaim.runtime.serving_tls import Pair
from warmclaim.seams import SystemClock
from warmclaim.settings import ServingSettings
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.http_front import HttpFront, serve
from warmclaim.testing.reviews import Reviews as ReviewAnswers
from warmclaim.webhook.certificates import Issued, issue

HOST = "metrics.test"
GOOD = "good-token"


class MovedClock(SystemClock):
    """Runs as all clocks do, and is set ahead by hand; sleeps end when they are told to."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self._ticks = asyncio.Condition()

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s

    def wall(self) -> float:
        return super().wall() + self.ahead_s


class CountedReviews(ReviewAnswers):
    """Keeps the moment and the body of each review."""

    def __init__(self) -> None:
        super().__init__()
        self.at_s: list[float] = []
        self.bodies: list[Any] = []

    def answer(self, path: str, body: Any) -> Any:
        self.at_s.append(asyncio.get_running_loop().time())
        self.bodies.append(body)
        return super().answer(path, body)


@dataclass
class EndpointRig:
    """What a test needs of it. `issued` is what is served; `offered` what lies in the file."""

    clock: MovedClock
    api: FakeApiServer
    reviews: CountedReviews
    front: HttpFront
    keeper: CertificateKeeper
    guard: Guard
    serving: Serving
    diagnostics: Diagnostics
    offered: Pair
    trusted: list[bytes] = field(default_factory=list[bytes])
    snapshots: int = 0

    async def get(
        self,
        path: str = "/metrics",
        token: str | None = GOOD,
        *,
        port: int | None = None,
        method: str = "GET",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, str, dict[str, str]]:
        """Status, text and headers; over TLS that trusts the authorities of `trusted` alone."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        url = f"https://127.0.0.1:{port or self.serving.metrics_port}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method, url, headers=sent, ssl=self.client_tls(), server_hostname=HOST
            ) as answer,
        ):
            return answer.status, await answer.text(), dict(answer.headers)

    def forget(self) -> None:
        """What the API server of the test has noted."""
        self.api.requests.last.clear()
        self.reviews.at_s.clear()
        self.reviews.bodies.clear()

    def client_tls(self) -> ssl.SSLContext:
        """Of a client that trusts what is in `trusted`."""
        return ssl.create_default_context(cadata=b"".join(self.trusted).decode())

    def offer(self, issued: Issued) -> None:
        """Put a pair where the keeper looks; its authority becomes trusted."""
        self.offered = issued.pair
        self.trusted.append(issued.authority)

    async def open(self, port: int | None = None) -> tuple[asyncio.StreamReader, Any]:
        """A TLS connection on which nothing has been sent."""
        return await asyncio.open_connection(
            "127.0.0.1",
            port or self.serving.metrics_port,
            ssl=self.client_tls(),
            server_hostname=HOST,
        )

    async def raw(self, data: bytes) -> bytes:
        """What comes back for these bytes until the other side closes."""
        reader, writer = await self.open()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            writer.write(data)
            return await reader.read()
        return b""


@asynccontextmanager
async def endpoint_rig(
    audiences: tuple[str, ...] = (),
    *,
    may: Callable[[Any], bool] = lambda _: True,
    is_encrypted: bool = True,
) -> AsyncGenerator[EndpointRig]:
    """Metrics and diagnostics, both secure. The token `GOOD` is somebody's."""
    clock, server = MovedClock(), FakeApiServer()
    server.reviews = reviews = CountedReviews()
    reviews.users[GOOD] = "system:serviceaccount:monitoring:prometheus"
    reviews.may = may
    issued = issue((HOST,), now_s=clock.wall())
    async with serve(server) as front:
        transport = HttpTransport(connection_to(front.url, credentials=None))
        guard = Guard(Reviews(ApiClient(transport, clock=clock), audiences), clock)
        rig: EndpointRig

        async def take(outlet: Outlet, is_redacted: bool) -> None:
            rig.snapshots += 1
            await outlet.send(b"PK")

        keeper = CertificateKeeper("--metrics-cert-path /certs", lambda: rig.offered, clock)
        serving = Serving(
            ServingSettings(metrics_address="127.0.0.1:0", probe_address="127.0.0.1:0"),
            Probes(),
            lambda: b"a 1\n",
            lambda path: b"{}" if path == "/debug/claims/n/c" else None,
            admit=guard.admit,
            tls=keeper.context if is_encrypted else None,
        )
        diagnostics = Diagnostics(
            "127.0.0.1:0",
            take,
            clock,
            admit=guard.admit,
            tls=keeper.context if is_encrypted else None,
        )
        rig = EndpointRig(
            clock, server, reviews, front, keeper, guard, serving, diagnostics, issued.pair
        )
        rig.offer(issued)
        keeper.start()
        await serving.start()
        await diagnostics.start()
        try:
            yield rig
        finally:
            await diagnostics.close()
            await serving.close()
            await transport.close()
