"""The webhook on real sockets, its Secret and CRDs on the embedded API server."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import CUSTOM_RESOURCE, SECRET
from warmclaim.api.schema import WebhookConversion, crds
from warmclaim.errors import UsageError
from warmclaim.kube.client import ApiClient
from warmclaim.seams import Request, SystemClock
from warmclaim.settings import WebhookSettings
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import SeededRng
from warmclaim.webhook.certificates import issue
from warmclaim.webhook.keeper import WebhookKeeper
from warmclaim.webhook.pair import SECRET_NAME
from warmclaim.webhook.rotation import ANNOUNCE_S
from warmclaim.webhook.server import BODY_BYTES_MAX, INLINE_BYTES_MAX, ConversionServer

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


def test_a_manager_that_converts_nothing_does_not_load_cryptography() -> None:
    """It would be 10 MiB of its memory."""
    program = (
        "import sys, warmclaim.cli.manage; "
        "print([name for name in sys.modules if name.startswith('cryptography')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout == "[]\n"


def review(*objects: Any, wanted: str = f"{GROUP}/v1beta1") -> bytes:
    request = {"uid": "u-1", "desiredAPIVersion": wanted, "objects": objects}
    body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview"}
    return json.dumps({**body, "request": request}).encode()


def a_pool(note: str = "") -> dict[str, Any]:
    spec = {"replicas": 1, "sandboxTemplateRef": {"name": "t"}}
    metadata = {"name": "p", "annotations": {"note": note}}
    version = f"{GROUP}/v1alpha1"
    return {"apiVersion": version, "kind": "SandboxWarmPool", "metadata": metadata, "spec": spec}


class TestServing:
    async def test_the_api_server_finds_what_the_crds_say(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path)
        async with running(rig.keeper):
            status, text = await rig.post(review(a_pool()))
            response = json.loads(text)["response"]
            assert (status, response["uid"]) == (200, "u-1")
            assert response["result"] == {"status": "Success"}
            assert response["convertedObjects"][0]["apiVersion"] == f"{GROUP}/v1beta1"
            assert len(set(await rig.authorities())) == 1
        assert rig.server.port is None

    async def test_a_large_review_is_converted_as_well(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path)
        async with running(rig.keeper):
            pools = [a_pool("x" * 1000) for _ in range(2 * INLINE_BYTES_MAX // 1000)]
            status, text = await rig.post(review(*pools))
            assert status == 200
            assert len(json.loads(text)["response"]["convertedObjects"]) == len(pools)

    async def test_one_object_that_cannot_be_converted_fails_the_review(
        self, tmp_path: Path
    ) -> None:
        rig = Rig(tmp_path)
        async with running(rig.keeper):
            alien = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}
            status, text = await rig.post(review(a_pool(), alien))
            response = json.loads(text)["response"]
            assert status == 200
            assert response["result"]["status"] == "Failure"
            assert "no conversion of Pod" in response["result"]["message"]
            assert response["convertedObjects"] == []

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"\xff\xfe",
            b"[" * 100_000,
            b'{"kind":"ConversionReview"}',
            review(5),
            review().replace(b"ConversionReview", b"AdmissionReview"),
            review().replace(b'"u-1"', b'""'),
            review().replace(b'"u-1"', b'"' + b"u" * 300 + b'"'),
        ],
    )
    async def test_what_is_no_review_is_refused(self, tmp_path: Path, body: bytes) -> None:
        rig = Rig(tmp_path)
        async with running(rig.keeper):
            status, text = await rig.post(body)
            assert status == 400
            assert len(text) < 1000
            assert (await rig.post(review(a_pool())))[0] == 200

    async def test_other_paths_and_methods_are_refused(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path)
        async with running(rig.keeper):
            assert (await rig.post(b"", path="/metrics"))[0] == 404
            context = ssl.create_default_context(cadata=(await rig.authorities())[0])
            url = f"https://127.0.0.1:{rig.server.port}/convert"
            async with (
                aiohttp.ClientSession() as session,
                session.get(url, ssl=context, server_hostname=HOST) as answer,
            ):
                assert answer.status == 405

    async def test_a_body_beyond_the_limit_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("warmclaim.webhook.server.BODY_BYTES_MAX", 1000)
        assert BODY_BYTES_MAX > 1000
        rig = Rig(tmp_path)
        async with running(rig.keeper):
            assert (await rig.post(b"x" * 2000))[0] == 413

    async def test_a_port_that_is_taken_is_the_users_to_change(self, tmp_path: Path) -> None:
        first = Rig(tmp_path)
        async with running(first.keeper):
            taken = ConversionServer(first.server.port or 0, host="127.0.0.1")
            with pytest.raises(UsageError, match="--webhook-port"):
                await taken.start()
            await taken.close()


class TestCertificates:
    async def test_without_a_crd_that_asks_nothing_is_made_or_served(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path, converts=False)
        async with running(rig.keeper):
            await rig.keeper.wait_first()
            assert rig.server.port is None
            assert rig.api.requests.count(verb="create") == 0
        assert not any(tmp_path.iterdir())  # noqa: ASYNC240

    async def test_a_settled_look_writes_nothing(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path)
        async with running(rig.keeper):
            before = rig.api.cluster.store.rv
            for _ in range(3):
                await rig.clock.tick()
                await asyncio.sleep(0.05)
            assert rig.api.cluster.store.rv == before

    async def test_replicas_share_one_secret(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path / "one")
        other, server = rig.another(tmp_path / "two")
        async with running(rig.keeper), running(other):
            for listening in (rig.server, server):
                assert (await rig.post(review(a_pool()), server=listening))[0] == 200
        made = rig.api.requests.count(verb="create", resource="secrets", code=201)
        assert made == 1  # both may try; one is refused

    async def test_a_renewal_interrupts_nobody(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path)
        rig.clock.ahead_s = -300 * DAY_S  # OpenSSL judges by the machine's own clock
        async with running(rig.keeper):
            first = await rig.secret()
            told = (await rig.authorities())[0]
            rig.clock.ahead_s = -ANNOUNCE_S
            await self._looked(rig)
            announced = (await rig.authorities())[0]
            assert announced.count("BEGIN CERTIFICATE") == 2
            assert (await rig.secret())["tls.crt"] == first["tls.crt"]
            assert (await rig.post(review(a_pool()), trusted=told))[0] == 200
            rig.clock.ahead_s = 1.0
            await self._looked(rig)
            assert (await rig.secret())["tls.crt"] != first["tls.crt"]
            assert set(await rig.secret()) == {"ca.crt", "tls.crt", "tls.key"}
            assert (await rig.post(review(a_pool()), trusted=announced))[0] == 200

    async def test_a_crd_that_is_applied_again_is_told_again(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path)
        async with running(rig.keeper):
            before = await rig.authorities()
            for crd in crds(WebhookConversion()).values():
                rig.api.cluster.put(crd)
            await self._looked(rig)
            assert await rig.authorities() == before

    async def test_files_are_readable_by_this_user_alone(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path / "certs")
        async with running(rig.keeper):
            modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "certs").iterdir()}
            assert modes == {"tls.crt": 0o600, "tls.key": 0o600}

    async def test_a_folder_that_cannot_be_written_is_the_users_to_change(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        rig = Rig(tmp_path / "file" / "certs")
        with pytest.raises(UsageError, match="--webhook-cert-dir"):
            await rig.keeper.run()

    async def test_a_service_of_another_name_is_told_and_certified(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path, service_name="hook", namespace="team")
        rig.api.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
        async with running(rig.keeper):
            for name in crds(None):
                crd = await rig.client.get(CUSTOM_RESOURCE, ObjectKey("", name))
                webhook = crd.spec.conversion.webhook
                assert webhook is not None
                assert webhook.client_config is not None
                service = webhook.client_config.service
                assert service is not None
                assert (service.namespace, service.name) == ("team", "hook")
            for host in ("hook.team.svc", "hook.team.svc.cluster.local"):
                assert (await rig.post(review(a_pool()), host=host))[0] == 200

    async def test_a_missing_permission_is_told_and_the_rest_goes_on(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path)
        denied = _Denying(InProcessTransport(rig.api), "/secrets/")
        client = ApiClient(denied, clock=rig.clock)
        server = ConversionServer(0, host="127.0.0.1")
        keeper = WebhookKeeper(client, rig.clock, rig.settings, "cluster.local", server)
        task = asyncio.create_task(keeper.run())
        await asyncio.sleep(0.1)
        assert not task.done()
        assert "secrets" in str(keeper.problem())
        denied.part = "nothing"
        await rig.clock.tick()
        await asyncio.sleep(0.1)
        assert keeper.problem() is None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _looked(self, rig: Rig) -> None:
        await rig.clock.tick()
        await asyncio.sleep(0.2)


class TestGivenFiles:
    async def test_they_are_served_and_taken_anew_when_they_change(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path, manages_certs=False)
        first, second = (issue(NAMES, now_s=rig.clock.wall()) for _ in range(2))
        self._give(tmp_path, first.pair.certificate, first.pair.key)
        async with running(rig.keeper):
            assert (await rig.post(review(a_pool()), trusted=first.authority.decode()))[0] == 200
            self._give(tmp_path, b"junk", b"junk")
            await rig.clock.tick()
            await asyncio.sleep(0.1)
            assert rig.keeper.problem() is not None
            assert (await rig.post(review(a_pool()), trusted=first.authority.decode()))[0] == 200
            self._give(tmp_path, second.pair.certificate, second.pair.key)
            await rig.clock.tick()
            await asyncio.sleep(0.1)
            assert rig.keeper.problem() is None
            assert (await rig.post(review(a_pool()), trusted=second.authority.decode()))[0] == 200
        assert rig.api.requests.count(verb="get") == 0

    async def test_they_have_the_names_that_the_flags_give(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path, manages_certs=False, cert_name="a.crt", key_name="a.key")
        issued = issue(NAMES, now_s=rig.clock.wall())
        (tmp_path / "a.crt").write_bytes(issued.pair.certificate)
        (tmp_path / "a.key").write_bytes(issued.pair.key)
        async with running(rig.keeper):
            assert (await rig.post(review(a_pool()), trusted=issued.authority.decode()))[0] == 200

    async def test_one_combined_file_will_do(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path, manages_certs=False)
        issued = issue(NAMES, now_s=rig.clock.wall())
        (tmp_path / "cert.pem").write_bytes(issued.pair.certificate + issued.pair.key)
        async with running(rig.keeper):
            assert (await rig.post(review(a_pool()), trusted=issued.authority.decode()))[0] == 200

    async def test_missing_files_are_told_and_waited_for(self, tmp_path: Path) -> None:
        rig = Rig(tmp_path, manages_certs=False)
        task = asyncio.create_task(rig.keeper.run())
        await asyncio.sleep(0.1)
        assert "tls.crt" in str(rig.keeper.problem())
        issued = issue(NAMES, now_s=rig.clock.wall())
        self._give(tmp_path, issued.pair.certificate, issued.pair.key)
        await rig.clock.tick()
        await asyncio.sleep(0.1)
        assert rig.keeper.problem() is None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _give(self, folder: Path, certificate: bytes, key: bytes) -> None:
        (folder / "tls.crt").write_bytes(certificate)
        (folder / "tls.key").write_bytes(key)


class _Denying:
    """A transport that is forbidden a part of the paths."""

    def __init__(self, inner: InProcessTransport, part: str) -> None:
        self._inner = inner
        self.part = part

    async def request(self, request: Request) -> Any:
        from tests.controllers.app_world import refusal

        if self.part in request.path:
            return refusal(403, "Forbidden", 'cannot get resource "secrets"')
        return await self._inner.request(request)

    async def stream(self, request: Request) -> Any:
        return await self._inner.stream(request)

    async def close(self) -> None:
        await self._inner.close()
