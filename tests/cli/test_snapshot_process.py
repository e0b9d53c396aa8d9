"""Snapshots of `warmclaim run`, a process of its own: taken, stopped in the middle, or not to be
had."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

from tests.cli.test_run_process import ALONE, started
from tests.cli.test_snapshot import text_of

from warmclaim.api.resources import CLAIM
from warmclaim.cli import OK, main
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim
from warmclaim.testing.http_front import serve


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


async def test_a_manager_gives_its_snapshot(tmp_path: Path) -> None:
    server, port, path = FakeApiServer(), free_port(), tmp_path / "s.zip"
    server.cluster.put(a_claim("c"))
    async with serve(server) as front:
        kubeconfig = front.write_kubeconfig(tmp_path / "kubeconfig")
        flag = f"--diagnostics-bind-address=127.0.0.1:{port}"
        async with started(*ALONE, flag, kubeconfig=kubeconfig) as program:
            await program.logs("leading")
            words = ["snapshot", "-o", str(path), "--url", f"http://127.0.0.1:{port}"]
            assert await asyncio.to_thread(main, words) == OK
            assert (await program.logs("snapshot taken"))["sent_bytes"] == path.stat().st_size
            program.process.terminate()
            assert await program.ended() == 0
    found = json.loads(text_of(path))
    assert found["config"]["serving"]["diagnostics_address"] == f"127.0.0.1:{port}"
    assert found["rawObjects"][str(CLAIM)]["count"] == 1


async def test_a_reader_that_does_not_read_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    server, port = FakeApiServer(), free_port()
    for number in range(200):
        noise = {"metadata": {"annotations": {"x": f"{number}-{server.cluster.new_uid()}" * 999}}}
        server.cluster.put(a_claim(f"c{number}", merge=noise))
    async with serve(server) as front:
        kubeconfig = front.write_kubeconfig(tmp_path / "kubeconfig")
        flag = f"--diagnostics-bind-address=127.0.0.1:{port}"
        async with started(*ALONE, flag, kubeconfig=kubeconfig) as program:
            await program.logs("leading")
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            writer.write(b"GET /get-snapshot HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await reader.readexactly(12) == b"HTTP/1.1 200"
            program.process.terminate()
            assert await program.ended() == 0
            writer.close()


async def test_an_address_that_is_taken_is_a_usage_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        flag = f"--diagnostics-bind-address=127.0.0.1:{taken.getsockname()[1]}"
        async with serve(FakeApiServer()) as front:
            kubeconfig = front.write_kubeconfig(tmp_path / "kubeconfig")
            async with started(*ALONE, flag, kubeconfig=kubeconfig) as program:
                assert await program.ended() == 2
    (line,) = program.plain
    assert line.startswith(f"warmclaim: {flag.replace('=', ' ')}: cannot listen there")
