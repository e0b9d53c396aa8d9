"""The webhook's families move with what it does, over TLS on a real socket."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from warmclaim.runtime.serving_tls import Pair
from warmclaim.telemetry.metrics import Metrics
from warmclaim.telemetry.observers import WebhookMetrics
from warmclaim.webhook import server as server_module
from warmclaim.webhook.certificates import issue
from warmclaim.webhook.definitions import PATH
from warmclaim.webhook.server import ConversionServer

HOST = "webhook.test"
REVIEW = (
    b'{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview",'
    b'"request":{"uid":"u","desiredAPIVersion":"extensions.agents.x-k8s.io/v1beta1"}}'
)
REQUESTS = "controller_runtime_webhook_requests_total"
PANICS = "controller_runtime_conversion_webhook_panics_total"


class Rig:
    """A server with a certificate, and its metrics."""

    def __init__(self) -> None:
        self.metrics = Metrics(CollectorRegistry())
        observer = WebhookMetrics(self.metrics.manager, PATH)
        self.server = ConversionServer(0, host="127.0.0.1", observe=observer)
        self.server.use(issue((HOST,), now_s=1.0e9).pair)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    async def post(self, body: bytes, path: str = PATH) -> int:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"https://127.0.0.1:{self.server.port}{path}", data=body, ssl=context
            ) as answer,
        ):
            return answer.status


@asynccontextmanager
async def serving() -> AsyncGenerator[Rig]:
    rig = Rig()
    await rig.server.start()
    try:
        yield rig
    finally:
        await rig.server.close()


async def test_the_series_that_alerts_ask_for_begin_at_0() -> None:
    async with serving() as rig:
        for code in ("200", "500"):
            assert rig.value(REQUESTS, webhook=PATH, code=code) == 0
        assert rig.value("controller_runtime_webhook_requests_in_flight", webhook=PATH) == 0
        assert rig.value("controller_runtime_webhook_panics_total") == 0
        assert rig.value(PANICS) == 0


@pytest.mark.parametrize(("body", "code"), [(REVIEW, "200"), (b"{", "400")])
async def test_an_answer_is_counted_by_its_status(body: bytes, code: str) -> None:
    async with serving() as rig:
        assert await rig.post(body) == int(code)
        assert rig.value(REQUESTS, webhook=PATH, code=code) == 1
        assert rig.value("controller_runtime_webhook_latency_seconds_count", webhook=PATH) == 1
        assert rig.value("controller_runtime_webhook_requests_in_flight", webhook=PATH) == 0


async def test_a_mistake_of_ours_is_a_panic_and_seen_in_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_flight: list[float | None] = []

    async with serving() as rig:

        def broken(raw: bytes) -> bytes:
            gauge = "controller_runtime_webhook_requests_in_flight"
            in_flight.append(rig.value(gauge, webhook=PATH))
            raise ZeroDivisionError(raw)

        monkeypatch.setattr(server_module, "answer", broken)
        assert await rig.post(REVIEW) == 500
        assert rig.value(REQUESTS, webhook=PATH, code="500") == 1
        assert rig.value(PANICS) == 1
    assert in_flight == [1.0]


async def test_other_paths_are_nobodys_conversion() -> None:
    async with serving() as rig:
        assert await rig.post(REVIEW, "/") == 404
        assert rig.value("controller_runtime_webhook_latency_seconds_count", webhook=PATH) == 0


async def test_certificates_are_counted_those_that_cannot_be_used_apart() -> None:
    async with serving() as rig:
        assert rig.value("certwatcher_read_certificate_total") == 1
        with pytest.raises(ssl.SSLError):
            rig.server.use(Pair(b"no certificate", b"no key"))
        assert rig.value("certwatcher_read_certificate_total") == 2
        assert rig.value("certwatcher_read_certificate_errors_total") == 1
        assert await rig.post(REVIEW) == 200, "the one before goes on serving"
