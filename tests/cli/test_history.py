"""`warmclaim history` as users and scripts run it."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

import pytest
from tests.archive.s3 import CREDENTIALS, an_s3_server
from tests.archive.spools import NOON_US, a_row, fill

from warmclaim.archive import extra
from warmclaim.archive.convert import convert_closed
from warmclaim.archive.questions import QUESTIONS
from warmclaim.archive.target import open_target
from warmclaim.cli import FAILED, OK, USAGE, history, main

Capture = pytest.CaptureFixture[str]
DEV_FULL = Path("/dev/full")


@pytest.fixture
def spool(tmp_path: Path) -> str:
    """Two claims, one of them served in 12.5 ms."""
    served: dict[str, Any] = {
        "seen_us": NOON_US - 12_500,
        "ready_us": NOON_US,
        "launch_type": "warm",
    }
    fill(tmp_path / "spool", [a_row("s", **served), a_row("w", candidates_refused={"stale": 1})])
    return str(tmp_path / "spool")


def test_without_a_question_the_views_are_listed(capsys: Capture) -> None:
    assert main(["history"]) == OK
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed[1:]] == ["claims", *(q.name for q in QUESTIONS)]
    assert main(["history", "-o", "json"]) == OK
    assert json.loads(capsys.readouterr().out)[1]["view"] == "latency"


def test_the_name_of_a_view_is_a_question(spool: str, capsys: Capture) -> None:
    assert main(["history", " latency ", "--spool", spool]) == OK
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["hour", "namespace", "pool", "claims", "p50_ms", "p90_ms", "p99_ms",
                            "max_ms"]  # fmt: skip
    assert row.split()[2:6] == ["team", "python", "1", "12.5"]


def test_json_is_an_array_of_objects(spool: str, capsys: Capture) -> None:
    sql = "SELECT uid, ready, candidates_refused, date FROM claims ORDER BY uid"
    assert main(["history", sql, "--spool", spool, "-o", "json"]) == OK
    assert json.loads(capsys.readouterr().out) == [
        {
            "uid": "s",
            "ready": "2026-09-25T12:00:00",
            "candidates_refused": {},
            "date": "2026-09-25",
        },
        {"uid": "w", "ready": None, "candidates_refused": {"stale": 1}, "date": "2026-09-25"},
    ]
    assert main(["history", "FROM claims LIMIT 0", "--spool", spool, "-o", "json"]) == OK
    assert json.loads(capsys.readouterr().out) == []


def test_csv_has_nothing_for_null_and_json_for_a_map(spool: str, capsys: Capture) -> None:
    sql = "SELECT name, ready, candidates_refused FROM claims ORDER BY uid"
    assert main(["history", sql, "--spool", spool, "-o", "csv"]) == OK
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [
        ["name", "ready", "candidates_refused"],
        ["claim-s", "2026-09-25 12:00:00.000", "{}"],
        ["claim-w", "", '{"stale": 1}'],
    ]


def test_spool_and_archive_are_asked_together(spool: str, tmp_path: Path, capsys: Capture) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    convert_closed(Path(spool), open_target(str(archive)))
    fill(Path(spool), [a_row("new")])
    asked = ["history", "SELECT uid FROM claims ORDER BY uid", "-o", "csv"]
    assert main([*asked, "--spool", spool, "--archive", str(archive)]) == OK
    assert capsys.readouterr().out.split() == ["uid", "new", "s", "w"]
    assert main([*asked, "--archive", str(archive)]) == OK
    assert capsys.readouterr().out.split() == ["uid", "s", "w"]


def test_a_table_is_cut_and_says_so(
    spool: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "TABLE_ROWS_MAX", 5)
    sql = "SELECT range AS number, '[bold]' AS text FROM range({})"
    assert main(["history", sql.format(6), "--spool", spool]) == OK
    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines()[1:]] == [[f"{n}", "[bold]"] for n in range(5)]
    assert err == "warmclaim: the first 5 rows; -o csv and -o json write all\n"
    assert main(["history", sql.format(5), "--spool", spool]) == OK
    assert capsys.readouterr().err == ""


def test_lines_that_are_no_rows_are_told_and_the_others_count(spool: str, capsys: Capture) -> None:
    (file,) = Path(spool).rglob("*.jsonl")
    file.write_bytes(b"nonsense\n" + file.read_bytes())
    assert main(["history", "SELECT count(*) FROM claims", "--spool", spool, "-o", "csv"]) == OK
    out, err = capsys.readouterr()
    assert out.split() == ["count_star()", "2"]
    assert err == "warmclaim: 1 lines of the spool cannot be read\n"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["FROM claims"], "say where the history is: --spool DIR, --archive DIR|URL, or both"),
        (["FROM claims", "--spool", "{}/no"], "spool {}/no: there is no such directory"),
        (["FROM claims", "--archive", "{}/no"], "archive {}/no: there is no such directory"),
        (["FROM claims", "--archive", "nfs://x/y"], "target nfs://x/y: "),
        (["FROM claims", "--spool", "{}"], "no claim has ended yet in {}"),
        (["FROM claims", "--archive", "{}"], "no claim has ended yet in {}"),
        (["FROM claimz", "--spool", "{}/spool"], "Table with name claimz does not exist!"),
        (["DROP VIEW claims", "--spool", "{}/spool"], "answers one SELECT at a time"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    words: list[str], problem: str, spool: str, tmp_path: Path, capsys: Capture
) -> None:
    assert spool
    if words[-1] == "{}":
        tmp_path = tmp_path / "empty"
        tmp_path.mkdir()
    assert main(["history", *(word.format(tmp_path) for word in words)]) == USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert problem.format(tmp_path) in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("package", ["duckdb", "pyarrow"])
def test_a_missing_package_is_told_with_how_to_get_it(
    package: str, spool: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:

    def is_here(name: str) -> bool:
        return name != package

    monkeypatch.setattr(extra, "is_here", is_here)
    assert main(["history", "latency", "--spool", spool]) == USAGE
    needed = f"warmclaim history needs {package}: pip install 'warmclaim[archive]'"
    assert capsys.readouterr().err == f"warmclaim: {needed}\n"


def run(*words: str, stdout: int) -> Popen[bytes]:
    command = (sys.executable, "-m", "warmclaim", "history", *words)
    return Popen(command, stdout=stdout, stderr=PIPE, stdin=DEVNULL)


@pytest.mark.skipif(not DEV_FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout_is_told_in_one_line(spool: str) -> None:
    with DEV_FULL.open("wb") as full, run("claims", "--spool", spool, stdout=full.fileno()) as it:
        _, err = it.communicate()
    assert it.returncode == FAILED
    assert err.decode() == "warmclaim: cannot write to stdout: No space left on device\n"


def test_a_reader_that_has_seen_enough_is_no_error_to_speak_of(spool: str) -> None:
    sql = "SELECT range FROM range(10000000)"
    with run(sql, "--spool", spool, "-o", "csv", stdout=PIPE) as it:
        assert it.stdout is not None
        assert it.stdout.readline() == b"range\n"
        it.stdout.close()
        assert it.wait(30) == FAILED
        assert it.stderr is not None
        assert it.stderr.read() == b""


def test_a_bucket_is_asked_by_its_url_and_its_credentials_are_never_told(
    spool: str, capsys: Capture
) -> None:
    with an_s3_server() as server:
        server.make_bucket("bucket")
        url = server.url("bucket/claims")
        assert main(["history", "latency", "--archive", url]) == USAGE
        assert "no claim has ended yet in s3://bucket/claims" in (said := capsys.readouterr().err)
        assert CREDENTIALS not in said
        convert_closed(Path(spool), open_target(url))
        assert main(["history", "SELECT uid FROM claims", "--archive", url, "-o", "csv"]) == OK
        assert sorted(capsys.readouterr().out.split()) == ["s", "uid", "w"]
