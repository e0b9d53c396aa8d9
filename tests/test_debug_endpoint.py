"""/debug/ on the metrics address: answered to the machine itself alone."""

from __future__ import annotations

import socket

import aiohttp
import pytest

from warmclaim.runtime.health import Probes, Serving
from warmclaim.settings import ServingSettings


def outward_address() -> str | None:
    """An address of this machine that is not loopback, without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def diagnose(path: str) -> bytes | None:
    return b'{"a":1}' if path == "/debug/claims/n/c" else None


async def asked(host: str, path: str, method: str = "GET") -> tuple[int, str]:
    settings = ServingSettings(metrics_address="0.0.0.0:0", probe_address="0")
    serving = Serving(settings, Probes(), lambda: b"a 1\n", diagnose)
    await serving.start()
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://{host}:{serving.metrics_port}{path}") as answer,
        ):
            return answer.status, await answer.text()
    finally:
        await serving.close()


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/debug/claims/n/c", "GET", 200),
        ("/debug/claims/n/other", "GET", 404),
        ("/debug/", "GET", 404),
        ("/debug/claims/n/c", "POST", 405),
        ("/metrics", "GET", 200),
    ],
)
async def test_from_loopback(path: str, method: str, status: int) -> None:
    assert (await asked("127.0.0.1", path, method))[0] == status


async def test_the_answer_is_what_the_program_says() -> None:
    assert await asked("127.0.0.1", "/debug/claims/n/c") == (200, '{"a":1}')


async def test_from_outside_only_metrics_are_served() -> None:
    host = outward_address()
    if host is None or host.startswith("127."):
        pytest.skip("this machine has no other address")
    status, text = await asked(host, "/debug/claims/n/c")
    assert (status, "port-forward" in text) == (403, True)
    assert (await asked(host, "/metrics"))[0] == 200


async def test_without_a_program_to_ask_there_is_nothing() -> None:
    settings = ServingSettings(metrics_address="127.0.0.1:0", probe_address="0")
    serving = Serving(settings, Probes(), lambda: b"")
    await serving.start()
    try:
        url = f"http://127.0.0.1:{serving.metrics_port}/debug/claims/n/c"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert answer.status == 404
    finally:
        await serving.close()
