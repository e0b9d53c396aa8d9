"""The webhook on real sockets, its Secret and CRDs on the embedded API server."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import CUSTOM_RESOURCE, SECRET
from warmclaim.api.schema import WebhookConversion, crds
from warmclaim.kube.client import ApiClient
from warmclaim.seams import SystemClock
from warmclaim.settings import WebhookSettings
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import SeededRng
from warmclaim.webhook.keeper import WebhookKeeper
from warmclaim.webhook.pair import SECRET_NAME
from warmclaim.webhook.server import ConversionServer

HOST = "agent-sandbox-webhook-service.agent-sandbox-system.svc"


NAMES = (HOST, f"{HOST}.cluster.local")


KEY = ObjectKey("agent-sandbox-system", SECRET_NAME)


DAY_S = 86_400.0


GROUP = "extensions.agents.x-k8s.io"


class SteppedClock(SystemClock):
    """Sleeps end at once when the test says so; wall time may be moved."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self._ticks = asyncio.Condition()

    def wall(self) -> float:
        return super().wall() + self.ahead_s

    async def sleep(self, delay_s: float) -> None:
        async with self._ticks:
            await self._ticks.wait()

    async def tick(self) -> None:
        """Everybody who sleeps wakes."""
        async with self._ticks:
            self._ticks.notify_all()


class Rig:
    """An API server with CRDs, one keeper, and a client that comes as the API server does."""

    def __init__(self, folder: Path, *, converts: bool = True, **settings: Any) -> None:
        self.clock = SteppedClock()
        conversion = WebhookConversion() if converts else None
        self.api = FakeApiServer(
            Cluster(clock=self.clock, rng=SeededRng(1), crds=list(crds(conversion).values()))
        )
        metadata = {"name": KEY.namespace}
        self.api.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self.client = ApiClient(InProcessTransport(self.api), clock=self.clock)
        self.settings = WebhookSettings(cert_dir=str(folder), **settings)
        self.keeper, self.server = self.another(folder)

    def another(self, folder: Path) -> tuple[WebhookKeeper, ConversionServer]:
        server = ConversionServer(0, host="127.0.0.1")
        settings = replace(self.settings, cert_dir=str(folder))
        keeper = WebhookKeeper(self.client, self.clock, settings, "cluster.local", server)
        return keeper, server

    async def authorities(self) -> list[str]:
        """What each CRD trusts, as PEM."""
        bundles: list[str] = []
        for name in crds(None):
            crd = await self.client.get(CUSTOM_RESOURCE, ObjectKey("", name))
            webhook = crd.spec.conversion.webhook
            assert webhook is not None
            assert webhook.client_config is not None
            bundles.append(base64.b64decode(webhook.client_config.ca_bundle).decode())
        return bundles

    async def secret(self) -> dict[str, bytes]:
        return (await self.client.get(SECRET, KEY)).decoded()

    async def post(
        self, body: bytes, *, path: str = "/convert", host: str = HOST, trusted: str = "",
        server: ConversionServer | None = None,
    ) -> tuple[int, str]:  # fmt: skip
        """Status and text, over TLS checked against what the first CRD says."""
        trusted = trusted or (await self.authorities())[0]
        context = ssl.create_default_context(cadata=trusted)
        url = f"https://127.0.0.1:{(server or self.server).port}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, ssl=context, server_hostname=host) as answer,
        ):
            return answer.status, await answer.text()


@asynccontextmanager
async def running(keeper: WebhookKeeper) -> AsyncGenerator[None]:
    task = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(5):
            while keeper.problem() is not None and not task.done():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def review(*objects: Any, wanted: str = f"{GROUP}/v1beta1") -> bytes:
    request = {"uid": "u-1", "desiredAPIVersion": wanted, "objects": objects}
    body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview"}
    return json.dumps({**body, "request": request}).encode()


def a_pool(note: str = "") -> dict[str, Any]:
    spec = {"replicas": 1, "sandboxTemplateRef": {"name": "t"}}
    metadata = {"name": "p", "annotations": {"note": note}}
    version = f"{GROUP}/v1alpha1"
    return {"apiVersion": version, "kind": "SandboxWarmPool", "metadata": metadata, "spec": spec}
