"""What the API server may ask of the webhook, and what it is answered."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from tests.webhook.rig import (
    GROUP,
    HOST,
    Rig,
    a_pool,
    review,
    running,
)

from warmclaim.errors import UsageError
from warmclaim.webhook.server import BODY_BYTES_MAX, INLINE_BYTES_MAX, ConversionServer


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
