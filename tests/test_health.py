"""Probes mean what they say, the servers bear strangers, a stalled loop ends the process."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from tests.test_debug_endpoint import outward_address

from warmclaim.errors import UsageError
from warmclaim.runtime.endpoint import CONNECTIONS_MAX
from warmclaim.runtime.health import NOTES_MAX, Probes, Serving
from warmclaim.runtime.watchdog import LIVE_S_MAX, Heartbeat, StallWatchdog
from warmclaim.settings import ServingSettings

LOCAL = ServingSettings(metrics_address="127.0.0.1:0", probe_address="127.0.0.1:0")


class HandClock:
    """A clock that moves when told; a sleep takes its time and `late_s` more."""

    def __init__(self, late_s: float = 0.0) -> None:
        self.now_s = 100.0
        self.late_s = late_s

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return 0.0

    async def sleep(self, delay_s: float) -> None:
        self.now_s += delay_s + self.late_s
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(
    probes: Probes | None = None, settings: ServingSettings = LOCAL
) -> AsyncGenerator[Serving]:
    server = Serving(settings, probes or Probes(), lambda: b"a 1\n")
    await server.start()
    try:
        yield server
    finally:
        await server.close()


async def get(
    port: int | None, path: str, method: str = "GET", *, host: str = "127.0.0.1"
) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{host}:{port}{path}") as answer,
    ):
        return answer.status, await answer.text()


async def raw(port: int | None, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_all_well_is_a_short_ok(path: str) -> None:
    async with serving() as server:
        assert await get(server.probe_port, path) == (200, "ok\n")
        assert await get(server.probe_port, path, "HEAD") == (200, "")


async def test_ready_says_which_checks_fail_and_why_when_asked() -> None:
    probes = Probes()
    probes.add_ready("claims", lambda: None)
    probes.add_ready("pools", lambda: "not synced yet")
    async with serving(probes) as server:
        assert await get(server.probe_port, "/readyz") == (503, "not ok\n")
        assert await get(server.probe_port, "/readyz?verbose") == (
            503,
            "[+]claims ok\n[-]pools: not synced yet\nnot ok\n",
        )
        assert await get(server.probe_port, "/livez") == (200, "ok\n")


async def test_ready_says_what_is_noted_and_stays_ready() -> None:
    state = ["create x", "y" * 999]
    probes = Probes()
    probes.add_ready("claims", lambda: None)
    probes.add_notes("missing", lambda: state)
    async with serving(probes) as server:
        note = f"[!]missing: create x\n[!]missing: {'y' * 191}\n"
        assert await get(server.probe_port, "/readyz?verbose") == (200, f"[+]claims ok\n{note}ok\n")
        assert await get(server.probe_port, "/livez?verbose") == (200, "ok\n")
        state.extend(["z"] * 1000)
        assert (await get(server.probe_port, "/readyz?verbose"))[1].count("\n") == NOTES_MAX + 2
        assert await get(server.probe_port, "/readyz") == (200, "ok\n")


async def test_a_stranger_is_told_no_reason() -> None:
    host = outward_address()
    if host is None or host.startswith("127."):
        pytest.skip("this machine has no other address")
    probes = Probes()
    probes.add_live("event loop", lambda: "stalled")
    probes.add_ready("secrets", lambda: "403 in namespace team-a")
    probes.add_notes("missing", lambda: ["create x"])
    anywhere = ServingSettings(metrics_address="0", probe_address="0.0.0.0:0")
    async with serving(probes, anywhere) as server:
        for path in ("/healthz", "/livez", "/readyz"):
            for query in ("", "?verbose", "?verbose=1&exclude=x"):
                answer = await get(server.probe_port, path + query, host=host)
                assert answer == (503, "not ok\n")


async def test_the_log_says_why_once_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    state: dict[str, str | None] = {"lease": "held by x", "webhook": None}
    probes = Probes()
    for name in state:
        probes.add_ready(name, lambda name=name: state[name])  # type: ignore[misc]
    async with serving(probes) as server:
        for reason in ("held by x", "held by y"):
            state["lease"] = reason
            await get(server.probe_port, "/readyz")
        state["webhook"] = "no certificate"
        await get(server.probe_port, "/readyz")
        state["lease"] = None
        await get(server.probe_port, "/readyz")
        state["webhook"] = None
        for _ in range(2):
            await get(server.probe_port, "/readyz")
    assert [record.message for record in caplog.records if "/readyz" in record.message] == [
        "/readyz answers not ok: lease: held by x",
        "/readyz answers not ok: lease: held by y; webhook: no certificate",
        "/readyz answers ok again",
    ]


async def test_ready_follows_its_checks_without_a_restart() -> None:
    state = ["not yet"]
    probes = Probes()
    probes.add_ready("sync", lambda: state[0] or None)
    async with serving(probes) as server:
        assert (await get(server.probe_port, "/readyz"))[0] == 503
        state[0] = ""
        assert (await get(server.probe_port, "/readyz"))[0] == 200


async def test_a_check_that_raises_has_failed() -> None:
    def broken() -> str | None:
        raise KeyError("secret")

    probes = Probes()
    probes.add_live("loop", broken)
    async with serving(probes) as server:
        assert await get(server.probe_port, "/livez?verbose") == (
            503,
            "[-]loop: KeyError\nnot ok\n",
        )


async def test_an_old_heartbeat_fails_liveness() -> None:
    clock = HandClock()
    heartbeat = Heartbeat(clock)
    probes = Probes()
    probes.add_live("event-loop", heartbeat.problem)
    async with serving(probes) as server:
        assert (await get(server.probe_port, "/livez"))[0] == 200
        clock.now_s += LIVE_S_MAX + 1
        assert (await get(server.probe_port, "/livez"))[0] == 503
        assert (await get(server.probe_port, "/healthz"))[0] == 503
        heartbeat.beat()
        assert (await get(server.probe_port, "/livez"))[0] == 200


async def test_metrics_have_an_address_of_their_own() -> None:
    async with serving() as server:
        assert await get(server.metrics_port, "/metrics") == (200, "a 1\n")
        assert (await get(server.metrics_port, "/healthz"))[0] == 404
        assert (await get(server.probe_port, "/metrics"))[0] == 404
        assert server.metrics_port != server.probe_port


async def test_a_scrape_that_fails_is_a_500_without_details() -> None:
    def broken() -> bytes:
        raise ValueError("secret")

    server = Serving(LOCAL, Probes(), broken)
    await server.start()
    status, text = await get(server.metrics_port, "/metrics")
    await server.close()
    assert status == 500
    assert "secret" not in text


async def test_an_address_of_0_is_off() -> None:
    off = ServingSettings(metrics_address="0", probe_address="0")
    async with serving(settings=off) as server:
        assert (server.metrics_port, server.probe_port) == (None, None)


async def test_every_interface_gets_one_port() -> None:
    settings = ServingSettings(metrics_address=":0", probe_address="0")
    async with serving(settings=settings) as server:
        assert (await get(server.metrics_port, "/metrics"))[0] == 200


async def test_a_taken_port_is_said_in_one_line_with_its_flag() -> None:
    async with serving() as first:
        taken = ServingSettings(
            metrics_address=f"127.0.0.1:{first.metrics_port}", probe_address="127.0.0.1:0"
        )
        second = Serving(taken, Probes(), lambda: b"")
        with pytest.raises(UsageError, match=r"^--metrics-bind-address 127\.0\.0\.1:\d+: cannot"):
            await second.start()
        assert second.probe_port is None


async def test_run_serves_until_cancelled_and_frees_the_port() -> None:
    server = Serving(LOCAL, Probes(), lambda: b"")
    await server.start()
    port = server.metrics_port
    task = asyncio.create_task(server.run())
    await asyncio.sleep(0)
    assert (await get(port, "/metrics"))[0] == 200
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(OSError, match="onnect"):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n", b"405"),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"431"),
        (b"GET /readyz HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n", b"431"),
        (b"GET /readyz HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 500 + b"\r\n", b"400"),
        (
            b"GET /readyz HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"400",
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", b"40"),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    ],
)
async def test_strange_requests_get_a_short_answer_and_no_log_line(
    data: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as server:
        answer = await raw(server.probe_port, data)
        assert answer == b"" or answer.split(b" ")[1].startswith(status)
        assert len(answer) < 1000
        assert await get(server.probe_port, "/livez") == (200, "ok\n")
    assert not [record for record in caplog.records if record.name != "asyncio"]


async def test_one_connection_serves_one_request() -> None:
    two = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 2
    async with serving() as server:
        assert (await raw(server.probe_port, two)).count(b"200 OK") == 1


async def test_one_connection_too_many_is_ended_at_once() -> None:
    async with serving() as server:
        held = [
            await asyncio.open_connection("127.0.0.1", server.probe_port)
            for _ in range(CONNECTIONS_MAX)
        ]
        await asyncio.sleep(0.05)
        assert await raw(server.probe_port, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n") == b""
        for _, writer in held:
            writer.close()
        await asyncio.sleep(0.05)
        assert (await get(server.probe_port, "/livez"))[0] == 200


async def test_a_silent_connection_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmclaim.runtime.health.HEAD_S_MAX", 0.1)
    async with serving() as server:
        assert await raw(server.probe_port, b"") == b""
        assert await raw(server.probe_port, b"GET /livez HT") == b""


async def test_the_heartbeat_tells_how_late_it_was() -> None:
    lags: list[float] = []
    heartbeat = Heartbeat(HandClock(late_s=0.25), on_lag=lags.append)
    task = asyncio.create_task(heartbeat.run())
    for _ in range(4):
        await asyncio.sleep(0)
    task.cancel()
    assert lags[:2] == [0.25, 0.25]


@pytest.mark.parametrize("is_leader", [True, False])
def test_c6_a_stalled_leader_is_ended_by_the_thread(is_leader: bool) -> None:
    clock = HandClock()
    exits: list[int] = []
    asked = threading.Event()
    ended = threading.Event()

    def is_armed() -> bool:
        asked.set()
        return is_leader

    def exit_with(code: int) -> None:
        exits.append(code)
        ended.set()

    watchdog = StallWatchdog(Heartbeat(clock), limit_s=0.05, is_armed=is_armed, exit_with=exit_with)
    watchdog.start()
    assert not asked.wait(0.05)
    clock.now_s += 10.0
    assert asked.wait(5)
    assert ended.wait(5 if is_leader else 0.05) == is_leader
    watchdog.stop()
    watchdog.stop()
    assert exits == ([1] if is_leader else [])
