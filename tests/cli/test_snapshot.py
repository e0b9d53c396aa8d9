"""`warmclaim snapshot`, `inspect` and `load`: the way of a state from one machine to another."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.cli.snapshot_world import SnapshotWorld, snapshot_world

from warmclaim.api.resources import CLAIM, SANDBOX
from warmclaim.app.snapshot import Snapshots
from warmclaim.cli import OK, USAGE, main
from warmclaim.runtime.diagnostics import Outlet, ReaderLeftError
from warmclaim.streaming.snapshot import MEMBER_NAME, SnapshotText, ZipText

Capture = pytest.CaptureFixture[str]
SECRET = "hunter2"


def text_of(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(MEMBER_NAME)


def entries_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def stocked(world: SnapshotWorld) -> None:
    """Five warm sandboxes left after three claims, and one claim that waits."""
    world.fill(pool=5, env=SECRET)
    await world.until_ready(SANDBOX, 5)
    for number in range(3):
        world.claim(f"c{number}")
    await world.until_ready(CLAIM, 3)
    await world.until_ready(SANDBOX, 8)
    world.claim("lost", pool="nowhere")


async def recorded(path: Path) -> None:
    async with snapshot_world() as world:
        await stocked(world)
        assert await world.cli("snapshot", "-o", str(path), "--url", world.url) == OK


def test_a_state_goes_from_one_server_to_another(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "s.zip"
    asyncio.run(recorded(path))
    out, err = capsys.readouterr()
    assert "4 claims" in out
    assert err == ""
    assert path.stat().st_mode & 0o777 == 0o600
    assert SECRET.encode() not in text_of(path)

    assert main(["snapshot", "inspect", str(path), "-o", "json"]) == OK
    summary = json.loads(capsys.readouterr().out)
    pool = summary["pools"]["default/python"]
    assert (pool["wanted"], pool["ready"], sum(pool["nodes"].values())) == (5, 5, 5)
    assert (summary["claims"], summary["claimsWaiting"]) == (4, 1)
    assert summary["oldestWaiting"][0]["claim"] == "default/lost"
    assert summary["kinds"][str(SANDBOX)] == {"count": 8, "source": "api", "isWhole": True}
    assert summary["errors"] == []

    before = {value["metadata"]["name"]: value for value in objects(path, str(SANDBOX))}
    assert main(["snapshot", "load", str(path), "--check", "-o", "json"]) == OK
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["hasSettled"]
    assert outcome["handedOutTwice"] == []
    assert (outcome["claims"], outcome["claimsReady"]) == (4, 3)
    assert outcome["pools"] == {"default/python": [5, 5]}
    assert outcome["sandboxes"] == len(before) == 8


def objects(path: Path, kind: str) -> list[Any]:
    return list(json.loads(text_of(path))["rawObjects"][kind]["items"])


async def test_the_page_names_pools_waiting_claims_and_what_is_missing(
    tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "s.zip"
    async with snapshot_world() as world:
        await stocked(world)
        world.server.cluster.kinds.remove("events.k8s.io", "events")
        assert await world.cli("snapshot", "-o", str(path), "--url", world.url) == OK
    assert "not read: rawObjects events.events.k8s.io: 404" in capsys.readouterr().err
    assert main(["snapshot", "inspect", str(path)]) == OK
    out = capsys.readouterr().out
    for words in (
        "a-manager, leading",
        "default/python",
        "node-000 1",
        "8  sandboxes.agents.x-k8s.io",
        "default/lost",
        "WarmPoolNotFound",
        "not read: rawObjects events.events.k8s.io: 404",
    ):
        assert words in out


async def test_with_all_secrets_only_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "s.zip"
    async with snapshot_world() as world:
        world.fill(pool=1, env=SECRET)
        words = ("snapshot", "-o", str(path), "--url", world.url)
        assert await world.cli(*words, "--no-redact") == OK
        assert SECRET.encode() in text_of(path)
        assert await world.cli(*words, "--force") == OK
        assert SECRET.encode() not in text_of(path)


def refused(capsys: Capture) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("warmclaim: ")
    assert err.count("\n") == 1
    return err


async def test_a_file_that_is_there_stays(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "s.zip"
    path.write_bytes(b"mine")
    async with snapshot_world() as world:
        assert await world.cli("snapshot", "-o", str(path), "--url", world.url) == USAGE
    assert "is there already; --force replaces it" in refused(capsys)
    assert path.read_bytes() == b"mine"
    assert entries_of(tmp_path) == ["s.zip"]


async def test_a_file_that_came_meanwhile_stays(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, link = tmp_path / "s.zip", os.link

    def late(source: Path, target: Path) -> None:
        path.write_bytes(b"another's")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    async with snapshot_world() as world:
        assert await world.cli("snapshot", "-o", str(path), "--url", world.url) == USAGE
    assert "is there already" in refused(capsys)
    assert path.read_bytes() == b"another's"
    assert entries_of(tmp_path) == ["s.zip"]


async def test_a_snapshot_that_breaks_off_leaves_nothing_and_the_old_one(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(_: Snapshots, outlet: Outlet, is_redacted: bool) -> None:
        assert is_redacted
        await outlet.send(ZipText().begin())
        raise ReaderLeftError

    monkeypatch.setattr(Snapshots, "take", cut)
    path = tmp_path / "s.zip"
    path.write_bytes(b"old")
    async with snapshot_world() as world:
        words = ("snapshot", "-o", str(path), "--url", world.url, "--force")
        assert await world.cli(*words) == USAGE
    assert "broke off after" in refused(capsys)
    assert path.read_bytes() == b"old"
    assert entries_of(tmp_path) == ["s.zip"]


def test_where_no_manager_answers_it_is_said_with_what_to_do(
    tmp_path: Path, capsys: Capture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = tmp_path / "s.zip"
    assert main(["snapshot", "-o", str(path), "--url", f"http://127.0.0.1:{port}"]) == USAGE
    assert "--diagnostics-bind-address" in refused(capsys)
    assert entries_of(tmp_path) == []


async def test_an_answer_that_is_no_snapshot_is_said(tmp_path: Path, capsys: Capture) -> None:
    from warmclaim.testing.api import FakeApiServer
    from warmclaim.testing.http_front import serve

    async with serve(FakeApiServer()) as front:
        world = SnapshotWorld(FakeApiServer(), None, front.url)  # type: ignore[arg-type]
        path = tmp_path / "s.zip"
        assert await world.cli("snapshot", "-o", str(path), "--url", front.url) == USAGE
    assert "answers 404" in refused(capsys)
    assert entries_of(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--url", "localhost:8082"], "--url takes http://HOST:PORT"),
        (["--url", "ftp://a"], "--url takes http://HOST:PORT"),
        (["-o", "."], "is a folder"),
        (["-o", "none/s.zip"], "there is no folder none"),
    ],
)
def test_a_wrong_argument_is_said_before_anything_is_asked(
    words: list[str], says: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = words if "-o" in words else ["-o", "s.zip", *words]
    assert main(["snapshot", *given]) == USAGE
    assert says in refused(capsys)
    assert entries_of(tmp_path) == []


def zipped(text: bytes, name: str = MEMBER_NAME) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return data.getvalue()


def a_text(metadata: dict[str, Any], item: bytes = b'{"metadata":{"name":"p"}}') -> bytes:
    text = SnapshotText()
    begin = text.begin() + text.value("metadata") + json.dumps(metadata).encode()
    group = text.group("rawObjects", "pods", {"apiVersion": "v1", "kind": "Pod"}, "items")
    return begin + group + text.element() + item + text.end_group({"isWhole": True}) + text.end()


GOOD = {"formatVersion": 1, "program": "warmclaim"}
BAD = {
    "empty": (b"", "no snapshot"),
    "no ZIP": (b"{}", "no snapshot"),
    "a cut ZIP": (zipped(a_text(GOOD))[:-30], "no snapshot"),
    "a ZIP with a wrong byte": (zipped(a_text(GOOD)).replace(b"\x00\x00\x00", b"\x00\x01\x00"), ""),
    "a foreign ZIP": (zipped(b"hello", "readme.txt"), "a ZIP without snapshot.json"),
    "other JSON": (zipped(b'{"a": 1}'), "no whole snapshot"),
    "formatted anew": (zipped(json.dumps({"metadata": GOOD}, indent=2).encode()), "formatted anew"),
    "a cut text": (zipped(a_text(GOOD)[:-3]), "it is cut"),
    "an unknown format": (zipped(a_text({**GOOD, "formatVersion": 7})), "format 7"),
    "metadata of nobody": (zipped(a_text({"a": 1})), "no snapshot"),
}


@pytest.mark.parametrize("command", ["inspect", "load"])
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_snapshot_is_refused_on_one_line(
    command: str, name: str, tmp_path: Path, capsys: Capture
) -> None:
    data, says = BAD[name]
    path = tmp_path / "s.zip"
    path.write_bytes(data)
    assert main(["snapshot", command, str(path)]) == USAGE
    assert says in refused(capsys)


@pytest.mark.parametrize("command", ["inspect", "load"])
def test_a_file_that_cannot_be_read_is_said(command: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["snapshot", command, str(tmp_path / "none.zip")]) == USAGE
    assert "No such file" in refused(capsys)
    assert main(["snapshot", command, str(tmp_path)]) == USAGE
    assert "directory" in refused(capsys)


@pytest.mark.parametrize("item", [b'{"metadata":[]}', b"{}", b'{"metadata":{"name":1}}'])
def test_an_object_that_makes_no_sense_is_said(
    item: bytes, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "s.zip"
    path.write_bytes(zipped(a_text(GOOD, item)))
    assert main(["snapshot", "load", str(path), "--check"]) == USAGE
    assert "makes no sense" in refused(capsys)


def test_the_help_teaches(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["snapshot", "--help"]) == OK
    out = capsys.readouterr().out
    for words in ("--diagnostics-bind-address", "port-forward", "inspect", "load", "--no-redact"):
        assert words in out
