"""Metrics and diagnostics behind tokens: real sockets, real TLS, an embedded API server."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any

import aiohttp
import pytest
from tests.runtime.endpoint_rig import GOOD, HOST, endpoint_rig

from warmclaim.runtime.access import REVIEWS_PER_S_MAX
from warmclaim.runtime.diagnostics import SNAPSHOT_EVERY_S
from warmclaim.runtime.endpoint import CONNECTIONS_MAX
from warmclaim.webhook.certificates import issue

HEAD = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good-token\r\n"


async def test_g17_a_token_that_may_gets_metrics_and_one_review_of_each_kind() -> None:
    async with endpoint_rig() as rig:
        for _ in range(3):
            assert (await rig.get())[:2] == (200, "a 1\n")
        who, what = rig.reviews.bodies
        assert who["spec"] == {"token": GOOD}
        asked = {"path": "/metrics", "verb": "get"}
        assert what["spec"]["nonResourceAttributes"] == asked
        assert what["spec"]["user"] == "system:serviceaccount:monitoring:prometheus"


@pytest.mark.parametrize(
    ("path", "port"),
    [("/metrics", "metrics"), ("/debug/claims/n/c", "metrics"), ("/get-snapshot", "diagnostics")],
)
async def test_g17_without_a_good_token_nothing_is_told(path: str, port: str) -> None:
    async with endpoint_rig() as rig:
        number = rig.serving.metrics_port if port == "metrics" else rig.diagnostics.port
        status, text, headers = await rig.get(path, None, port=number)
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert rig.reviews.bodies == []
        status, text, headers = await rig.get(path, "bad-token", port=number)
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "bad-token" not in text
        assert (await rig.get(path, port=number))[0] == 200


async def test_g17_who_is_known_and_may_not_is_forbidden() -> None:
    def may(spec: Any) -> bool:
        return bool(spec["nonResourceAttributes"]["path"] == "/metrics")

    async with endpoint_rig(may=may) as rig:
        assert (await rig.get())[0] == 200
        assert (await rig.get("/debug/claims/n/c"))[0] == 403
        assert (await rig.get("/get-snapshot", port=rig.diagnostics.port))[0] == 403
        assert rig.snapshots == 0


async def test_a_token_for_another_audience_is_no_good() -> None:
    async with endpoint_rig(("metrics.team",)) as rig:
        rig.reviews.audiences = {
            GOOD: frozenset({"metrics.team", "other"}),
            "elsewhere": frozenset({"vault"}),
        }
        rig.reviews.users["elsewhere"] = "system:serviceaccount:other:somebody"
        assert (await rig.get())[0] == 200
        assert (await rig.get(token="elsewhere"))[0] == 401
        assert rig.reviews.bodies[0]["spec"]["audiences"] == ["metrics.team"]


async def test_an_authenticator_that_knows_no_audiences_lets_nobody_in() -> None:
    async with endpoint_rig(("metrics.team",)) as rig:
        plain = rig.reviews.answer

        def without_audiences(path: str, body: Any) -> Any:
            answer = plain(path, body)
            answer["status"].pop("audiences", None)
            return answer

        rig.reviews.answer = without_audiences  # type: ignore[method-assign]
        assert (await rig.get())[0] == 401


async def test_a_token_that_is_revoked_is_out_within_a_minute() -> None:
    async with endpoint_rig() as rig:
        assert (await rig.get())[0] == 200
        rig.reviews.users.clear()
        assert (await rig.get())[0] == 200
        rig.clock.ahead_s += 60.0
        assert (await rig.get())[0] == 401


async def test_while_the_api_server_is_away_the_answer_is_503_and_then_200(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with endpoint_rig() as rig:
        await rig.front.stop()
        status, text, headers = await rig.get()
        assert (status, headers["Retry-After"]) == (503, "1")
        assert "API server" in text
        await rig.front.start()
        rig.clock.ahead_s += 1.0
        assert (await rig.get())[0] == 200
    assert GOOD not in caplog.text


async def test_g18_a_flood_of_tokens_is_at_most_ten_reviews_a_second() -> None:
    async with endpoint_rig() as rig:
        answers = await asyncio.gather(*(rig.get(token=f"bad-{n}") for n in range(60)))
        statuses = [status for status, _, _ in answers]
        assert set(statuses) == {401, 503}
        at_s = rig.reviews.at_s
        assert len(at_s) == statuses.count(401)
        assert max(sum(at - 1.0 < one <= at for one in at_s) for at in at_s) <= REVIEWS_PER_S_MAX
        refused = next(headers for status, _, headers in answers if status == 503)
        assert refused["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD + b"X: " + b"a" * 20_000 + b"\r\n\r\n", b"431"),
        (HEAD + b"".join(b"X-%d: b\r\n" % n for n in range(2_000)) + b"\r\n", b"431"),
        (HEAD + b"".join(b"X-%d: b\r\n" % n for n in range(80)) + b"\r\n", b"400"),
        (HEAD + b"Content-Length: 5\r\n\r\nhello", b"400"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505"),
        (HEAD.replace(b"GET", b"POST") + b"\r\n", b"405"),
        (HEAD.replace(b"/metrics", b"/other") + b"\r\n", b"404"),
        (HEAD + b"Authorization: Bearer good-token\r\n\r\n", b"40"),
    ],
)
async def test_g18_what_no_scraper_sends_is_refused_and_asks_nobody(
    data: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with endpoint_rig() as rig:
        answer = await rig.raw(data)
        assert answer.split(b" ")[1].startswith(status)
        assert len(answer) < 1_000
        assert rig.reviews.bodies == []
        assert (await rig.get())[0] == 200
    assert not [record for record in caplog.records if record.name != "asyncio"]


async def test_g18_who_sends_its_head_slowly_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmclaim.runtime.health.HEAD_S_MAX", 0.5)
    async with endpoint_rig() as rig:
        reader, writer = await rig.open()
        ended = asyncio.create_task(reader.read())
        for byte in HEAD:
            if ended.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)
        (answer,) = await asyncio.gather(ended, return_exceptions=True)
        assert answer == b"" or isinstance(answer, ConnectionError)
        writer.transport.abort()
        assert (await rig.get())[0] == 200


async def test_g18_those_who_never_finish_their_handshake_are_counted_and_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("warmclaim.runtime.health.HEAD_S_MAX", 1.0)
    async with endpoint_rig() as rig:
        where = ("127.0.0.1", rig.serving.metrics_port)
        held = [await asyncio.open_connection(*where) for _ in range(CONNECTIONS_MAX + 20)]
        ends = [asyncio.create_task(reader.read()) for reader, _ in held]
        done, _ = await asyncio.wait(ends, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
        assert done, "those beyond the bound are ended at once"
        await asyncio.wait(ends, timeout=10)
        assert all(end.done() for end in ends)
        assert (await rig.get())[0] == 200
        for _, writer in held:
            writer.transport.abort()


async def test_a_certificate_that_is_changed_serves_the_next_connection_and_ends_none() -> None:
    async with endpoint_rig() as rig:
        reader, writer = await rig.open()
        rig.trusted.clear()
        rig.offer(issue((HOST,), now_s=rig.clock.wall()))
        rig.keeper.look()
        assert (await rig.get())[0] == 200, "by the new authority alone"
        writer.write(HEAD + b"\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")


async def test_a_client_that_speaks_old_tls_is_refused() -> None:
    async with endpoint_rig() as rig:
        context = rig.client_tls()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        url = f"https://127.0.0.1:{rig.serving.metrics_port}/metrics"
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(url, ssl=context, server_hostname=HOST)


async def test_g19_one_snapshot_in_thirty_seconds_whoever_asks() -> None:
    async with endpoint_rig() as rig:
        rig.reviews.users["other-token"] = "system:serviceaccount:b:c"
        port = rig.diagnostics.port
        assert (await rig.get("/get-snapshot", port=port))[0] == 200
        assert (await rig.get("/get-snapshot", "other-token", port=port))[0] == 429
        rig.clock.ahead_s += SNAPSHOT_EVERY_S
        assert (await rig.get("/get-snapshot", "other-token", port=port))[0] == 200
        assert rig.snapshots == 2


async def test_probes_ask_for_nothing() -> None:
    async with endpoint_rig() as rig, aiohttp.ClientSession() as session:
        for path in ("/healthz", "/livez", "/readyz"):
            async with session.get(f"http://127.0.0.1:{rig.serving.probe_port}{path}") as answer:
                assert (answer.status, await answer.text()) == (200, "ok\n")
        assert rig.reviews.bodies == []


async def test_g20_a_token_is_in_no_log_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "canary-9f2c"
    async with endpoint_rig() as rig:
        await rig.get(token=secret)
        rig.reviews.users[secret] = "somebody"
        rig.clock.ahead_s += 20.0
        assert (await rig.get(token=secret))[0] == 200
        await rig.front.stop()
        rig.clock.ahead_s += 100.0
        assert (await rig.get(token=secret))[0] == 503
    assert secret not in caplog.text
