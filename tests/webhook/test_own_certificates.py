"""The webhook's own certificates: one Secret for all replicas, and CRDs that say whom to trust."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.webhook.rig import (
    DAY_S,
    Rig,
    a_pool,
    review,
    running,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import CUSTOM_RESOURCE
from warmclaim.api.schema import WebhookConversion, crds
from warmclaim.errors import UsageError
from warmclaim.kube.client import ApiClient
from warmclaim.seams import Request
from warmclaim.testing.transport import InProcessTransport
from warmclaim.webhook.keeper import WebhookKeeper
from warmclaim.webhook.rotation import ANNOUNCE_S
from warmclaim.webhook.server import ConversionServer


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
