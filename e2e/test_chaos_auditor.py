"""The auditor as it runs: a process beside a real etcd, which is killed under it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from e2e.chaos.auditor import AuditError, AuditorProcess
from e2e.chaos.etcd import OBJECTS, Etcd, HistoryLostError
from e2e.chaos.stored import CLAIM_KIND, CLAIMS, POOL_KIND, POOLS, SANDBOXES, Place, key_of
from e2e.controlplane import build
from e2e.controlplane.commands import ETCD, Layout
from e2e.controlplane.credentials import Credentials
from e2e.controlplane.ports import free_ports
from e2e.controlplane.processes import Processes

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parent.parent


class LoneEtcd:
    """An etcd without an API server, whose history a test writes itself."""

    def __init__(self, folder: Path) -> None:
        ports, credentials = free_ports(), Credentials(folder, {})
        self._layout = Layout(build.bin_dir(), folder, folder, ports, credentials)
        self._processes = Processes(folder, keep=True)
        self.url = f"http://127.0.0.1:{ports.etcd}"

    def start(self) -> None:
        """Start it, or start it again; does not wait."""
        self._processes.start(ETCD, self._layout.command(ETCD))

    def kill(self) -> None:
        """SIGKILL."""
        self._processes.signal(ETCD, signal.SIGKILL)

    def close(self) -> None:
        """End it for good."""
        self._processes.close()


@pytest.fixture
def lone_etcd(tmp_path: Path) -> Iterator[LoneEtcd]:
    """A running etcd with an empty history."""
    lone = LoneEtcd(tmp_path)
    lone.start()
    yield lone
    lone.close()


async def answering(etcd: Etcd) -> None:
    """Wait until etcd takes writes."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await etcd.put("/test/ready", b"")
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


def stored(name: str, owner: tuple[str, str] | None = None, **body: object) -> bytes:
    """An object as the API server stores it, with uid `uid-<name>`."""
    owners: list[dict[str, object]] = []
    if owner is not None:
        kind, whose = owner
        owners = [{"kind": kind, "name": whose, "uid": f"uid-{whose}", "controller": True}]
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "ownerReferences": owners}
    return json.dumps({"metadata": meta, **body}).encode()


def key(plural: str, name: str) -> str:
    """Key of an object in etcd."""
    return key_of(Place(plural, "ns", name))


async def write_good_history(etcd: Etcd) -> None:
    """A pool of one whose sandbox `a` is given to claim `c`, and shown."""
    await etcd.put(key(POOLS, "pool"), stored("pool", spec={"replicas": 1}))
    await etcd.put(key(SANDBOXES, "a"), stored("a", (POOL_KIND, "pool")))
    await etcd.put(key(CLAIMS, "c"), stored("c"))
    await etcd.put(key(SANDBOXES, "a"), stored("a", (CLAIM_KIND, "c")))
    await etcd.put(key(CLAIMS, "c"), stored("c", status={"sandbox": {"name": "a"}}))


async def write_bad_history(etcd: Etcd) -> None:
    """A double give, a republication and an over-full pool, in this order."""
    await etcd.put(key(CLAIMS, "d"), stored("d"))
    await etcd.put(key(SANDBOXES, "a"), stored("a", (CLAIM_KIND, "d")))
    await etcd.put(key(SANDBOXES, "own"), stored("own", (CLAIM_KIND, "c")))
    await etcd.put(key(CLAIMS, "c"), stored("c", status={"sandbox": {"name": "own"}}))
    await etcd.put(key(SANDBOXES, "b"), stored("b", (POOL_KIND, "pool")))
    await etcd.put(key(SANDBOXES, "e"), stored("e", (POOL_KIND, "pool")))


async def test_it_follows_a_history_over_a_kill_of_etcd_and_finds_each_breach(
    lone_etcd: LoneEtcd, tmp_path: Path
) -> None:
    async with (
        Etcd(lone_etcd.url) as etcd,
        AuditorProcess(lone_etcd.url, tmp_path / "auditor.log") as auditor,
    ):
        await answering(etcd)
        await write_good_history(etcd)
        found = await auditor.findings()
        assert (found.commits, found.adoptions, found.publications) == (5, 1, 1)
        assert found.breaches == []
        lone_etcd.kill()
        lone_etcd.start()
        await answering(etcd)
        await write_bad_history(etcd)
        found = await auditor.findings()
        assert [breach.promise for breach in found.breaches] == ["S1", "S2", "S6"]
        assert found.commits == 6


async def test_by_hand_it_judges_all_up_to_now(lone_etcd: LoneEtcd) -> None:
    async with Etcd(lone_etcd.url) as etcd:
        await answering(etcd)
        await write_good_history(etcd)
        command = [sys.executable, "-m", "e2e.chaos.auditor", "--etcd", lone_etcd.url]
        good = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True)
        await write_bad_history(etcd)
        bad = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True)
    assert (good.returncode, bad.returncode) == (0, 1)
    assert json.loads(good.stdout)["breaches"] == []
    assert [one["promise"] for one in json.loads(bad.stdout)["breaches"]] == ["S1", "S2", "S6"]


async def test_what_cannot_be_read_is_an_error_and_no_verdict(
    lone_etcd: LoneEtcd, tmp_path: Path
) -> None:
    async with (
        Etcd(lone_etcd.url) as etcd,
        AuditorProcess(lone_etcd.url, tmp_path / "auditor.log") as auditor,
    ):
        await answering(etcd)
        await etcd.put(key(CLAIMS, "odd"), b"\x00 no JSON")
        with pytest.raises(AuditError, match="DecodeError"):
            await auditor.findings()


async def test_a_compacted_history_is_an_error(lone_etcd: LoneEtcd) -> None:
    async with Etcd(lone_etcd.url) as etcd:
        await answering(etcd)
        await write_good_history(etcd)
        await etcd.compact(await etcd.revision())
        with pytest.raises(HistoryLostError):
            await anext(etcd.follow(OBJECTS, 1))
