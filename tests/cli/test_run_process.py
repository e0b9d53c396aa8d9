"""`warmclaim run` as a process of its own, on an embedded API server over real HTTP."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pool, a_template
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.http_front import serve

LEASES = "leases.coordination.k8s.io"
SANDBOXES = "sandboxes.agents.x-k8s.io"
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
NO_SERVING = ("--metrics-bind-address=0", "--health-probe-bind-address=0")
ALONE = ("--leader-elect=false", *NO_SERVING)


class Program:
    """A running program; what it logs is kept."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.logged: list[dict[str, Any]] = []
        self.plain: list[str] = []

    async def logs(self, message: str) -> dict[str, Any]:
        """Wait until it logs `message`; that record."""
        async with asyncio.timeout(20):
            while True:
                for record in self.logged:
                    if record["msg"] == message:
                        return record
                if not await self._read_line():
                    pytest.fail(f"{message!r} is not in {self.plain} {self.logged}")

    async def ended(self) -> int:
        """Wait until it has ended; the exit code."""
        async with asyncio.timeout(20):
            while await self._read_line():
                pass
            return await self.process.wait()

    async def _read_line(self) -> bool:
        assert self.process.stderr is not None
        line = (await self.process.stderr.readline()).decode()
        if line.startswith("{"):
            self.logged.append(json.loads(line))
        elif line:
            self.plain.append(line)
        return bool(line)


@asynccontextmanager
async def started(
    *flags: str, kubeconfig: Path, module: str = "warmclaim"
) -> AsyncGenerator[Program]:
    """A program, killed at the end if it still runs."""
    words = ["run"] if module == "warmclaim" else []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *words, f"--kubeconfig={kubeconfig}", *flags),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def server() -> FakeApiServer:
    return FakeApiServer()


@pytest.fixture
async def kubeconfig(server: FakeApiServer, tmp_path: Path) -> AsyncGenerator[Path]:
    async with serve(server) as front:
        yield front.write_kubeconfig(tmp_path / "kubeconfig")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly_within_5_seconds(
    kubeconfig: Path, number: signal.Signals
) -> None:
    async with started(*ALONE, kubeconfig=kubeconfig) as program:
        await program.logs("leading")
        program.process.send_signal(number)
        async with asyncio.timeout(5):
            assert await program.ended() == 0
        assert (await program.logs("stopping"))["signal"] == number.name
        assert program.logged[-1]["msg"] == "stopped"
        assert program.plain == []


async def test_a_signal_ends_it_though_the_server_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        front = serve(FakeApiServer(), port=silent.getsockname()[1])
        kubeconfig = front.write_kubeconfig(tmp_path / "kubeconfig")
        flags = (*NO_SERVING, "--leader-election-namespace=default")
        async with started(*flags, kubeconfig=kubeconfig) as program:
            await program.logs("starting")
            await asyncio.sleep(1.5)  # for its requests to be under way, or it is a start cut short
            program.process.terminate()
            async with asyncio.timeout(6):
                assert await program.ended() == 0


async def test_a_signal_during_the_start_ends_it_too(kubeconfig: Path) -> None:
    async with started(*ALONE, kubeconfig=kubeconfig) as program:
        await program.logs("starting")
        program.process.terminate()
        assert await program.ended() == 0
        assert program.plain == []


async def test_it_works_while_it_runs(server: FakeApiServer, kubeconfig: Path) -> None:
    server.cluster.put(a_template())
    server.cluster.put(a_pool(replicas=3))
    async with FakeNodes(server.cluster, count=3), started(*ALONE, kubeconfig=kubeconfig):
        async with asyncio.timeout(20):
            while _ready_replicas(server) != 3:  # noqa: ASYNC110 - another process makes it so
                await asyncio.sleep(0.02)


def _ready_replicas(server: FakeApiServer) -> int:
    found = server.cluster.store.get("sandboxwarmpools.extensions.agents.x-k8s.io", "default/pool")
    status: dict[str, int] = found.object.get("status", {}) if found else {}
    return status.get("readyReplicas", 0)


async def test_labels_of_the_operators_domains_reach_a_claims_sandbox(
    server: FakeApiServer, kubeconfig: Path, tmp_path: Path
) -> None:
    (tmp_path / "domains").write_text("team.example")
    asked = {"additionalPodMetadata": {"labels": {"team.example/of": "red"}}}
    server.cluster.put(a_template())
    server.cluster.put(a_pool(replicas=0))
    server.cluster.put(a_claim("c", merge={"spec": asked}))
    flags = (*ALONE, f"--allowed-label-domains-file={tmp_path / 'domains'}")
    async with started(*flags, kubeconfig=kubeconfig), asyncio.timeout(20):
        while (made := server.cluster.store.get(SANDBOXES, "default/c")) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    labels = made.object["spec"]["podTemplate"]["metadata"]["labels"]
    assert labels["team.example/of"] == "red"


async def test_the_lease_is_taken_and_released_with_the_first_signal(
    server: FakeApiServer, kubeconfig: Path
) -> None:
    flags = (*NO_SERVING, "--leader-election-namespace=default")
    async with started(*flags, kubeconfig=kubeconfig) as program:
        await program.logs("leading")
        assert "_" in _holder(server)
        program.process.terminate()
        assert await program.ended() == 0
    assert _holder(server) == ""


async def test_a_second_signal_ends_it_at_once_and_keeps_the_lease(
    server: FakeApiServer, kubeconfig: Path
) -> None:
    flags = (*NO_SERVING, "--leader-election-namespace=default")
    async with started(*flags, kubeconfig=kubeconfig) as program:
        await program.logs("leading")
        # Both are pending when it goes on, so that the second one surely comes in time.
        program.process.send_signal(signal.SIGSTOP)
        program.process.send_signal(signal.SIGTERM)
        program.process.send_signal(signal.SIGINT)
        program.process.send_signal(signal.SIGCONT)
        assert await program.ended() == 1
    assert "_" in _holder(server)


def _holder(server: FakeApiServer) -> str:
    for commit in server.cluster.store.scan(LEASES):
        holder: str = commit.object["spec"].get("holderIdentity") or ""
        return holder
    return "no lease"


async def test_probes_and_metrics_are_served_while_it_runs(kubeconfig: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serving = ("--metrics-bind-address=0", f"--health-probe-bind-address=127.0.0.1:{port}")
    async with started("--leader-elect=false", *serving, kubeconfig=kubeconfig) as program:
        await program.logs("leading")
        async with asyncio.timeout(20):
            while not (answer := await _asked(port, "/readyz?verbose")).startswith("HTTP/1.1 200"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert "[+]sandboxclaims.extensions.agents.x-k8s.io ok" in answer


async def _asked(port: int, path: str) -> str:
    """The whole answer to a GET."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("is_enabled", ["true", "false"])
async def test_the_webhook_can_be_switched_off(
    server: FakeApiServer, kubeconfig: Path, is_enabled: str
) -> None:
    flags = (*ALONE, f"--enable-webhook={is_enabled}")
    async with started(*flags, kubeconfig=kubeconfig), asyncio.timeout(20):
        while not server.open_watches:  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.02)
    looks = server.requests.count(verb="get", resource=DEFINITIONS)
    assert (looks > 0) == (is_enabled == "true")  # off, it needs no right to read them


async def test_an_address_that_is_taken_is_a_usage_error(kubeconfig: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        serving = ("--health-probe-bind-address=0", f"--metrics-bind-address=127.0.0.1:{port}")
        async with started("--leader-elect=false", *serving, kubeconfig=kubeconfig) as program:
            assert await program.ended() == 2
    problem = f"warmclaim: --metrics-bind-address 127.0.0.1:{port}: cannot listen there"
    assert len(program.plain) == 1
    assert program.plain[0].startswith(problem)


async def test_a_missing_kubeconfig_is_a_usage_error_and_all_that_is_said(tmp_path: Path) -> None:
    async with started(*ALONE, kubeconfig=tmp_path / "missing") as program:
        assert await program.ended() == 2
    assert program.logged == []
    assert len(program.plain) == 1
    assert "missing" in program.plain[0]


async def test_the_start_is_logged_once_with_what_runs_and_what_has_no_effect(
    kubeconfig: Path,
) -> None:
    flags = (*ALONE, "--kube-api-qps=100", "--enable-pprof", "--namespaces=default")
    async with started(*flags, kubeconfig=kubeconfig) as program:
        await program.logs("leading")
    starting = await program.logs("starting")
    assert starting["controllers"] == "claim,pool,sandbox,template"
    assert starting["namespaces"] == "default"
    assert starting["leader_election"] is False
    assert (await program.logs("flags without effect"))["flags"] == "kube-api-qps,enable-pprof"
    messages = [record["msg"] for record in program.logged]
    assert [messages.count(text) for text in ("starting", "flags without effect")] == [1, 1]


async def test_the_dropin_logs_that_only_the_sandbox_controller_runs(kubeconfig: Path) -> None:
    async with started(*ALONE, kubeconfig=kubeconfig, module="warmclaim.cli.dropin") as program:
        note = "only the sandbox controller runs; --extensions adds claims and warm pools"
        assert (await program.logs(note))["level"] == "warn"
        assert (await program.logs("leading"))["level"] == "info"
        assert (await program.logs("starting"))["controllers"] == "sandbox"
        program.process.terminate()
        assert await program.ended() == 0
