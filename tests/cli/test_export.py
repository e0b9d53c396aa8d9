"""`warmclaim export` against an embedded API server over real HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from warmclaim.api.resources import CLAIM
from warmclaim.cli import FAILED, OK, USAGE, main
from warmclaim.seams import Request
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pod
from warmclaim.testing.http_front import serve
from warmclaim.testing.store import Commit

Capture = pytest.CaptureFixture[str]
DEV_FULL = Path("/dev/full")


class Rig:
    """An API server with claims of two namespaces."""

    def __init__(self, server: FakeApiServer, kubeconfig: Path) -> None:
        self.server, self.kubeconfig = server, kubeconfig

    async def export(self, *words: str) -> int:
        """The exit code; in a thread of its own, as in a process of its own."""
        return await asyncio.to_thread(
            main, ["export", *words, "--kubeconfig", str(self.kubeconfig)]
        )

    def put_claims(self, number: int, *, namespace: str = "default", filler_bytes: int = 0) -> None:
        for index in range(number):
            name = f"c{index:05}"
            merge = {"metadata": {"namespace": namespace, "annotations": {"x": "x" * filler_bytes}}}
            value = a_claim(name, merge=merge)
            self.server.cluster.store.put(str(CLAIM), f"{namespace}/{name}", value)


@asynccontextmanager
async def rig(folder: Path, *, token: str | None = None) -> AsyncGenerator[Rig]:
    server = FakeApiServer()
    async with serve(server, token=token) as front:
        yield Rig(server, front.write_kubeconfig(folder / "kubeconfig"))


async def listed(server: FakeApiServer) -> object:
    return json.loads((await server.handle(Request("GET", CLAIM.collection()))).body)["items"]


async def test_all_objects_come_as_one_list_over_many_pages(
    tmp_path: Path, capsys: Capture
) -> None:
    async with rig(tmp_path) as world:
        world.put_claims(1_200)
        assert await world.export("claims") == OK
        out, err = capsys.readouterr()
        told = json.loads(out)
        assert err == ""
        assert told["items"] == await listed(world.server)
        assert len(told["items"]) == 1_200
        assert (told["apiVersion"], told["kind"]) == (CLAIM.api_version, "SandboxClaimList")
        assert told["metadata"]["resourceVersion"] == str(world.server.cluster.store.rv)
        assert world.server.requests.count(verb="list") == 4


async def test_as_lines_each_is_an_object(tmp_path: Path, capsys: Capture) -> None:
    async with rig(tmp_path) as world:
        world.put_claims(700)
        assert await world.export("sandboxclaims", "-o", "jsonl") == OK
        lines = capsys.readouterr().out.splitlines()
        assert [json.loads(line) for line in lines] == await listed(world.server)


async def test_a_namespace_and_labels_choose(tmp_path: Path, capsys: Capture) -> None:
    async with rig(tmp_path) as world:
        world.put_claims(2)
        world.put_claims(3, namespace="other")
        assert await world.export("Claims", "-n", "other", "-o", "jsonl") == OK
        assert len(capsys.readouterr().out.splitlines()) == 3
        assert await world.export("SandboxClaim", "-l", "a=b", "-o", "jsonl") == OK
        assert capsys.readouterr().out == ""


async def test_of_nothing_the_list_is_empty_and_whole(tmp_path: Path, capsys: Capture) -> None:
    async with rig(tmp_path) as world:
        assert await world.export("pods") == OK
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["items"]) == ("PodList", [])


def refused(capsys: Capture) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("warmclaim: ")
    assert err.count("\n") == 1
    return err


async def test_what_is_no_kind_is_refused_with_those_that_are(
    tmp_path: Path, capsys: Capture
) -> None:
    async with rig(tmp_path) as world:
        assert await world.export("secrets") == USAGE
    assert "no kind 'secrets' to export; there are claims, sandboxes" in refused(capsys)


async def test_a_server_that_gives_nothing_is_said_on_one_line(
    tmp_path: Path, capsys: Capture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with rig(tmp_path, token="right") as world:
        text = world.kubeconfig.read_text()
        world.kubeconfig.write_text(text.replace("right", "wrong"))
        assert await world.export("claims") == USAGE
        assert "could not be read: 401 Unauthorized" in refused(capsys)
        url = text.partition("server: ")[2].partition("\n")[0]
        world.kubeconfig.write_text(text.replace(url, f"http://127.0.0.1:{port}"))
        assert await world.export("claims") == USAGE
        assert "could not be read" in refused(capsys)


@pytest.mark.parametrize("form", ["json", "jsonl"])
async def test_a_list_that_breaks_off_is_a_failure_and_its_output_no_list(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    async with rig(tmp_path) as world:
        world.put_claims(600, filler_bytes=1_000)
        fail_after(monkeypatch, 550)
        assert await world.export("claims", "-o", form) == FAILED
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert "broke off after 500 of sandboxclaims.extensions.agents.x-k8s.io: 500" in err
    assert "not the whole" in err
    if form == "json":
        with pytest.raises(json.JSONDecodeError):
            json.loads(out)


async def test_a_page_that_is_cut_is_a_failure(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig(tmp_path) as world:
        world.put_claims(400, filler_bytes=2_000)
        fail_after(monkeypatch, 350)
        assert await world.export("claims") == FAILED
    assert "broke off after" in capsys.readouterr().err


def fail_after(monkeypatch: pytest.MonkeyPatch, good: int) -> None:
    """The server cannot encode more than so many objects."""
    left = iter([True] * good)

    def encoded(_kind: object, commit: Commit, _version: str) -> bytes:
        if not next(left, False):
            raise RuntimeError("the database is gone")
        return commit.encoded

    monkeypatch.setattr("warmclaim.testing.resources.Kind.encoded", encoded)


async def test_a_reader_that_leaves_ends_it_without_a_word(tmp_path: Path) -> None:
    async with rig(tmp_path) as world:
        world.put_claims(2_000, filler_bytes=2_000)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "warmclaim", "export", "claims"),
            *("--kubeconfig", str(world.kubeconfig)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert (await process.stdout.read(14)).startswith(b'{"apiVersion"')
        process.stdout._transport.close()  # type: ignore[attr-defined]
        assert await process.stderr.read() == b""
        assert await process.wait() == FAILED


@pytest.mark.parametrize("number", [0, 1, 2_000])
async def test_a_full_disk_is_said_on_one_line(tmp_path: Path, number: int) -> None:
    async with rig(tmp_path) as world:
        world.put_claims(number, filler_bytes=500)
        with DEV_FULL.open("wb") as full:  # noqa: ASYNC230 - opening a device waits for nothing
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "warmclaim", "export", "claims"),
                *("--kubeconfig", str(world.kubeconfig)),
                stdout=full,
                stderr=asyncio.subprocess.PIPE,
            )
            _, err = await process.communicate()
    assert err == b"warmclaim: cannot write to stdout: No space left on device\n"
    assert process.returncode == FAILED


async def test_what_objects_hold_passes_as_it_is(tmp_path: Path, capsys: Capture) -> None:
    async with rig(tmp_path) as world:
        odd = {**a_pod("p"), "odd": ['"},{"metadata":{', "\\", "\u2028", 0.1, 2**63]}
        world.server.cluster.store.put("pods", "default/p", odd)
        assert await world.export("pods") == OK
    assert json.loads(capsys.readouterr().out)["items"][0]["odd"] == odd["odd"]


def test_the_help_teaches_kinds_examples_and_exit_codes(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["export", "--help"]) == OK
    out = capsys.readouterr().out
    for words in ("sandboxes, pools, templates", "-o jsonl | jq", "1 it broke off", "--selector"):
        assert words in out
