"""Certificates that somebody else issues: taken from files, and taken anew when these change."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.webhook.rig import (
    NAMES,
    Rig,
    a_pool,
    review,
    running,
)

from warmclaim.webhook.certificates import issue


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
