"""`snapshot` and `explain` of managers that want to know who asks: real sockets, real TLS."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_run_process import Program, started
from tests.cli.test_snapshot_process import free_port
from tests.runtime.endpoint_rig import GOOD, HOST, EndpointRig, endpoint_rig

from warmclaim.cli import FAILED, OK, USAGE, main
from warmclaim.seams import SystemClock
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim
from warmclaim.testing.http_front import serve
from warmclaim.webhook.certificates import issue

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
BLIND = "--insecure-skip-tls-verify"
READER = "the ClusterRole agent-sandbox-diagnostics-reader"


def written(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


async def cli(*words: str) -> int:
    """The exit code; in a thread of its own, as in a process of its own."""
    return await asyncio.to_thread(main, list(words))


def refused(capsys: Capture) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("warmclaim: ")
    assert err.count("\n") == 1
    return err


async def taken(rig: EndpointRig, folder: Path, *words: str, scheme: str = "https") -> int:
    """The exit code of a snapshot; never of use, since the rig's are none."""
    url = f"{scheme}://127.0.0.1:{rig.diagnostics.port}"
    code = await cli("snapshot", "-o", str(folder / "s.zip"), "--url", url, *words)
    assert not (folder / "s.zip").exists()
    return code


class Secure:
    """A manager as a process, whose endpoints are all secure, and the token of who may read."""

    def __init__(self, kubeconfig: Path, metrics: str, diagnostics: str, token_file: str) -> None:
        self.kubeconfig, self.metrics, self.diagnostics = kubeconfig, metrics, diagnostics
        self.token_file = token_file

    async def explain(self, *words: str) -> int:
        command = ("explain", "claim", "default/c", "--kubeconfig", str(self.kubeconfig))
        return await cli(*command, "--address", self.metrics, *words)

    async def snapshot(self, path: Path, *words: str) -> int:
        return await cli("snapshot", "-o", str(path), "--url", self.diagnostics, *words)


@asynccontextmanager
async def secure_manager(folder: Path, *flags: str) -> AsyncGenerator[Secure]:
    server, metrics, diagnostics = FakeApiServer(), free_port(), free_port()
    server.reviews.users[GOOD] = "system:serviceaccount:ops:operator"
    server.cluster.put(a_claim("c", pool="nowhere"))
    given = (
        *("--leader-elect=false", "--enable-webhook=false", "--health-probe-bind-address=0"),
        *("--metrics-secure", f"--metrics-bind-address=127.0.0.1:{metrics}"),
        *("--diagnostics-secure", f"--diagnostics-bind-address=127.0.0.1:{diagnostics}"),
    )
    async with serve(server) as front:
        kubeconfig = front.write_kubeconfig(folder / "kubeconfig")
        program: Program
        async with started(*given, *flags, kubeconfig=kubeconfig) as program:
            await program.logs("leading")
            yield Secure(
                kubeconfig,
                f"127.0.0.1:{metrics}",
                f"https://127.0.0.1:{diagnostics}",
                written(folder / "token", f"{GOOD}\n"),
            )
            program.process.terminate()
            assert await program.ended() == 0
            assert GOOD not in str(program.logged) + str(program.plain)


async def test_with_a_token_both_are_told_by_a_manager_that_nobody_vouches_for(
    tmp_path: Path, capsys: Capture
) -> None:
    async with secure_manager(tmp_path) as manager:
        access = ("--token-file", manager.token_file, BLIND)
        async with asyncio.timeout(20):
            while "refused      reason=WarmPoolNotFound" not in capsys.readouterr().out:
                assert await manager.explain(*access) == FAILED
        assert await manager.snapshot(tmp_path / "s.zip", *access) == OK
    assert GOOD.encode() not in (tmp_path / "s.zip").read_bytes()


async def test_a_certificate_is_checked_by_who_vouches_for_it_and_its_name(
    tmp_path: Path, capsys: Capture
) -> None:
    issued = issue((HOST,), now_s=SystemClock().wall())
    written(tmp_path / "tls.crt", issued.pair.certificate)
    written(tmp_path / "tls.key", issued.pair.key)
    authority = written(tmp_path / "ca.crt", issued.authority)
    async with secure_manager(tmp_path, f"--metrics-cert-path={tmp_path}") as manager:
        access = ("--token-file", manager.token_file, "--ca-file", authority)
        assert await manager.snapshot(tmp_path / "s.zip", *access) == USAGE
        assert "IP address mismatch" in refused(capsys)
        assert await manager.explain(*access) == FAILED
        assert "--tls-server-name the name in it" in capsys.readouterr().out
        named = (*access, "--tls-server-name", HOST)
        assert await manager.snapshot(tmp_path / "s.zip", *named) == OK
        capsys.readouterr()
        assert await manager.explain(*named, "-o", "json") == FAILED
    told = json.loads(capsys.readouterr().out)
    assert "gap" not in {finding["topic"] for finding in told["findings"]}


async def test_who_sends_no_token_is_told_which(tmp_path: Path, capsys: Capture) -> None:
    async with secure_manager(tmp_path) as manager:
        assert await manager.explain(BLIND) == FAILED
        assert f"it answered 401; --token-file takes the token of an account with {READER}" in (
            capsys.readouterr().out
        )
        assert await manager.explain() == FAILED
        assert (
            "it closed the connection; one with secure endpoints takes no plain HTTP: --token-file"
            in (capsys.readouterr().out)
        )
        assert await manager.snapshot(tmp_path / "s.zip", BLIND) == USAGE
        assert "answers 401: " in (said := refused(capsys))
        assert "--token-file takes the token of an account" in said


async def test_a_token_that_is_no_good_is_said(tmp_path: Path, capsys: Capture) -> None:
    async with endpoint_rig() as rig:
        token = written(tmp_path / "token", "bad-token")
        assert await taken(rig, tmp_path, "--token-file", token, BLIND) == USAGE
    assert "kubectl create token makes a new one" in (said := refused(capsys))
    assert "bad-token" not in said


async def test_an_account_that_may_not_is_told_the_role(tmp_path: Path, capsys: Capture) -> None:
    def may(_: Any) -> bool:
        return False

    async with endpoint_rig(may=may) as rig:
        token = written(tmp_path / "token", GOOD)
        assert await taken(rig, tmp_path, "--token-file", token, BLIND) == USAGE
    assert f"the token's account may not get /get-snapshot: bind it to {READER}" in refused(capsys)


async def test_a_certificate_that_proves_nothing_is_not_taken(
    tmp_path: Path, capsys: Capture
) -> None:
    async with endpoint_rig() as rig:
        token = written(tmp_path / "token", GOOD)
        other = written(tmp_path / "ca.crt", issue((HOST,), now_s=rig.clock.wall()).authority)
        trust = ("--ca-file", other, "--tls-server-name", HOST)
        assert await taken(rig, tmp_path, "--token-file", token, *trust) == USAGE
        assert rig.reviews.bodies == [], "it went nowhere"
    assert "its certificate cannot be trusted (" in (said := refused(capsys))
    assert "--ca-file names who vouches for it" in said


async def test_a_manager_without_tls_is_said_and_gets_no_token(
    tmp_path: Path, capsys: Capture
) -> None:
    async with endpoint_rig(is_encrypted=False) as rig:
        token = written(tmp_path / "token", GOOD)
        access = ("--token-file", token, BLIND)
        assert await taken(rig, tmp_path, *access) == USAGE
        assert "it speaks no TLS" in refused(capsys)
        assert await taken(rig, tmp_path, *access, scheme="http") == USAGE
        assert "a token is not sent in the open" in refused(capsys)
        assert rig.reviews.bodies == []


def test_who_says_nothing_is_told_of(tmp_path: Path, capsys: Capture, monkeypatch: Patch) -> None:
    monkeypatch.setattr("warmclaim.cli.snapshot_fetch.HEAD_S_MAX", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert main(["snapshot", "-o", str(tmp_path / "s.zip"), "--url", url]) == USAGE
    assert f"{url}/get-snapshot: it gives no answer" in refused(capsys)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--token-file", "none"], "cannot read the token file none"),
        (["--token-file", "empty"], "the token file empty is empty"),
        (["--token-file", "two"], "holds more than one token"),
        (["--ca-file", "two"], "the CA file two holds no PEM certificate"),
        (["--ca-file", "none"], "cannot read the CA file none"),
        (["--ca-file", "two", BLIND], "cannot both be meant"),
        ([BLIND, "--url", "https://manager.example:8082"], "it is for loopback"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_asked(
    words: list[str], says: str, capsys: Capture, tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "empty", "\n")
    written(tmp_path / "two", "a b")
    assert main(["snapshot", "-o", "s.zip", *words]) == USAGE
    assert says in refused(capsys)
    if "--url" not in words:
        assert main(["explain", "claim", "a/b", *words]) == USAGE
        assert says in refused(capsys)
    assert not (tmp_path / "s.zip").exists()
