"""A manager that keeps a history: what it says at its start, what it tells, what it archives."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.archive.spools import a_row, fill
from tests.cli.test_run_process import ALONE, Program, started

from warmclaim.api.claim import Claim
from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import CLAIM
from warmclaim.app import App, Outside
from warmclaim.archive.spool_reader import Skipped, spooled
from warmclaim.cli import USAGE, main, managehistory
from warmclaim.cli.managehistory import archive_command, open_history, said_by
from warmclaim.errors import UsageError
from warmclaim.kube.client import ApiClient
from warmclaim.seams import SystemClock, SystemRng
from warmclaim.settings import HistorySettings, LeaseSettings, Settings
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pool, a_template, as_view
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.http_front import serve
from warmclaim.testing.transport import InProcessTransport

CLOCK, RNG = SystemClock(), SystemRng()


@asynccontextmanager
async def served(folder: Path, *flags: str) -> AsyncGenerator[tuple[FakeApiServer, Program]]:
    """A manager process that keeps its history in `folder`, on a server with a pool of four."""
    server = FakeApiServer()
    server.cluster.put(a_template("python"))
    server.cluster.put(a_pool("pool", template="python", replicas=4))
    async with serve(server) as front, FakeNodes(server.cluster, count=2):
        kubeconfig = front.write_kubeconfig(folder / "kubeconfig")
        flags = (*ALONE, f"--claim-history-dir={folder}/history", *flags)
        async with started(*flags, kubeconfig=kubeconfig) as program:
            yield server, program


async def until(holds: Callable[[], bool], limit_s: float = 20.0) -> None:
    async with asyncio.timeout(limit_s):
        while not holds():  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.05)


def is_ready(server: FakeApiServer, name: str) -> bool:
    found = server.cluster.store.get(str(CLAIM), f"default/{name}")
    return found is not None and as_view(found.object, Claim).is_ready


def told(folder: Path) -> list[str]:
    """Names of the claims in the spool."""
    spool = folder / "history/spool"
    return sorted(row.name for row in spooled(spool, Skipped())) if spool.exists() else []


async def asked(sql: str, *where: str) -> list[dict[str, Any]]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "warmclaim", "history", sql, "-o", "json", *where),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await child.communicate()
    assert child.returncode == 0
    return json.loads(out)  # type: ignore[no-any-return]


async def test_claims_that_are_gone_can_be_asked_about_a_second_later(tmp_path: Path) -> None:
    async with served(tmp_path) as (server, program):
        await program.logs("starting")
        names = [f"c{number}" for number in range(6)]
        for name in names:
            server.cluster.put(a_claim(name, pool="pool"))
        await until(lambda: all(is_ready(server, name) for name in names))
        assert told(tmp_path) == []
        hand = ApiClient(InProcessTransport(server), clock=CLOCK)
        for name in names[:5]:
            await hand.delete(CLAIM, ObjectKey("default", name))
        await until(lambda: told(tmp_path) == names[:5])
        rows = await asked("FROM claims ORDER BY name", "--spool", str(tmp_path / "history/spool"))
        program.process.terminate()
        assert await program.ended() == 0
    assert [row["name"] for row in rows] == names[:5]
    assert {row["outcome"] for row in rows} == {"served"}
    assert all(row["node"] and row["sandbox"] and row["latency_ms"] > 0 for row in rows)
    assert {row["launch_type"] for row in rows} <= {"warm", "cold"}
    assert told(tmp_path) == names[:5]


async def test_past_hours_are_archived_while_it_leads(tmp_path: Path) -> None:
    fill(tmp_path / "history/spool", [a_row("old")])
    archive = tmp_path / "history/archive"
    async with served(tmp_path, "--claim-history-archive-interval=200ms") as (_, program):
        await until(lambda: bool(list(archive.rglob("*.parquet"))))
        program.process.terminate()
        assert await program.ended() == 0
    assert told(tmp_path) == []
    rows = await asked("SELECT uid FROM claims", "--archive", str(archive))
    assert rows == [{"uid": "old"}]


def test_a_folder_that_cannot_be_made_is_told_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    flags = [f"--claim-history-dir={tmp_path}/file/history", "--leader-elect=false"]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "{clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}],"
        " contexts: [{name: x, context: {cluster: c, user: u}}], users: [{name: u, user: {}}],"
        " current-context: x}"
    )
    assert main(["run", f"--kubeconfig={kubeconfig}", *flags]) == USAGE
    problem = f"--claim-history-dir {tmp_path}/file/history: Not a directory"
    assert problem in capsys.readouterr().err


class TestArchiving:
    def test_the_flags_say_where_and_how_much(self, tmp_path: Path) -> None:
        command = archive_command(HistorySettings(directory="/h"))[4:]
        assert command == [
            "archive", "--spool", "/h/spool", "--to", "/h/archive", "--keep-days", "90",
            "--keep-size", str(10 * 2**30),
        ]  # fmt: skip
        unbounded = HistorySettings("/h", "s3://b/c", keep_days_max=0, keep_bytes_max=0)
        assert archive_command(unbounded)[5:] == ["--spool", "/h/spool", "--to", "s3://b/c"]

    async def test_a_child_that_fails_says_why_in_its_last_line(self) -> None:
        code = "import sys; sys.exit('x' * 9000 + '\\nwarmclaim: no')"
        assert await said_by([sys.executable, "-c", code]) == "warmclaim: no"
        assert await said_by([sys.executable, "-c", "raise SystemExit(3)"]) == "exit code 3"
        assert await said_by([sys.executable, "-c", "print('fine')"]) == ""
        assert "No such file" in await said_by(["/nowhere/python"])

    async def test_one_that_takes_too_long_is_ended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(managehistory, "ARCHIVE_S_MAX", 0.1)
        sleeps = [sys.executable, "-c", "import time; time.sleep(60)"]
        assert await said_by(sleeps) == "not within 0.1 s"

    async def test_a_stop_ends_the_child_too(self, tmp_path: Path) -> None:
        pid = tmp_path / "pid"
        code = f"import os, time, pathlib; pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))"
        running = asyncio.create_task(said_by([sys.executable, "-c", f"{code}; time.sleep(60)"]))
        await until(lambda: pid.exists() and bool(pid.read_text()))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)

    async def test_a_failure_is_counted_and_logged_and_the_next_look_comes(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings = HistorySettings(str(tmp_path), str(tmp_path / "nowhere"), archive_every_s=0.01)
        app = an_app()
        history = open_history(settings, "me", CLOCK, RNG)
        assert history is not None
        history.attach(app)
        stop = asyncio.Event()
        running = asyncio.create_task(app.run(stop))
        await until(lambda: value(app, "warmclaim_history_conversion_failures_total") >= 2)
        stop.set()
        await running
        history.close()
        assert value(app, "warmclaim_history_conversions_total") >= 2
        assert "claim history was not archived" in caplog.text
        said = [record for record in caplog.records if record.name == managehistory.__name__]
        (problem,) = {record.__dict__["fields"]["problem"] for record in said}
        assert "nowhere is not there" in problem


def an_app() -> App:
    transport = InProcessTransport(FakeApiServer(), user_agent="m")
    outside = Outside(transport, CLOCK, RNG, "m0", "default")
    return App(Settings(lease=LeaseSettings(enabled=False)), outside, CollectorRegistry())


def value(app: App, name: str, **labels: str) -> float:
    found = app.metrics.registry.get_sample_value(name, labels)
    assert found is not None, name
    return found


def test_without_pyarrow_it_says_so_once_and_spools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def is_here(_: str) -> bool:
        return False

    monkeypatch.setattr(managehistory, "is_here", is_here)
    app = an_app()
    history = open_history(HistorySettings(str(tmp_path)), "me", CLOCK, RNG)
    assert history is not None
    history.attach(app)
    history.spool.append(a_row("u"))
    history.close()
    assert [record.message for record in caplog.records] == [
        "claim history is spooled and not archived: pip install 'warmclaim[archive]'"
    ]
    assert [row.uid for row in spooled(tmp_path / "spool", Skipped())] == ["u"]
    assert value(app, "warmclaim_history_rows_total") == 1
    assert value(app, "warmclaim_history_rows_dropped_total", cause="disk-full") == 0


def test_no_folder_no_history(tmp_path: Path) -> None:
    assert open_history(HistorySettings(), "me", CLOCK, RNG) is None
    with pytest.raises(UsageError, match="--claim-history-dir /dev/null/x: Not a directory"):
        open_history(HistorySettings("/dev/null/x"), "me", CLOCK, RNG)
