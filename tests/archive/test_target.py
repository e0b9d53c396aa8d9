"""Where an archive may be: a directory, an S3 server, a store without a rename; what it keeps."""

from __future__ import annotations

from collections.abc import Generator
from datetime import date
from pathlib import Path

import pytest
from pyarrow import fs, parquet
from tests.archive.s3 import S3, an_s3_server
from tests.archive.spools import NOON_US, a_row, fill, read_back

from warmclaim.archive.convert import convert_closed
from warmclaim.archive.retention import Retired, oldest_kept, retain
from warmclaim.archive.target import Target, open_target, shown
from warmclaim.errors import UsageError

TODAY = date(2026, 9, 25)
DAY_US = 24 * 3600 * 1_000_000


@pytest.fixture(scope="module")
def s3() -> Generator[S3]:
    with an_s3_server() as server:
        yield server


@pytest.fixture(params=["local", "memory", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    if request.param == "s3":
        server: S3 = request.getfixturevalue("s3")
        name = f"bucket-{abs(hash(tmp_path))}"
        server.make_bucket(name)
        return open_target(server.url(f"{name}/some/prefix"))
    if request.param == "memory":
        return Target(fs._MockFileSystem(), "archive")  # pyright: ignore[reportPrivateUsage]
    (tmp_path / "target").mkdir()
    return open_target(str(tmp_path / "target"))


def spooled_days(spool: Path, days: int, rows: int = 1) -> None:
    fill(
        spool,
        [
            a_row(f"{day}-{number}", end_us=NOON_US - day * DAY_US)
            for day in range(days)
            for number in range(rows)
        ],
    )


def stored(target: Target) -> list[str]:
    return [file.name for day in target.days() for file in target.files(day)]


def found_uids(target: Target) -> list[str]:
    """Read through the file system of the target itself."""
    filesystem, base = target._fs, target._base  # pyright: ignore[reportPrivateUsage]
    tables = [
        parquet.read_table(f"{base}/{name}", filesystem=filesystem) for name in stored(target)
    ]
    return sorted(uid for table in tables for uid in table["uid"].to_pylist())


def test_every_kind_of_target_gets_whole_files(target: Target, tmp_path: Path) -> None:
    spooled_days(tmp_path / "spool", 3, rows=4)
    done = convert_closed(tmp_path / "spool", target)
    assert sorted(done.files) == stored(target)
    assert target.days() == [date(2026, 9, day) for day in (23, 24, 25)]
    sizes = [file.size_bytes for day in target.days() for file in target.files(day)]
    assert sum(sizes) == done.size_bytes
    assert len(found_uids(target)) == 12
    assert read_back(tmp_path / "spool") == []


class Stopped(BaseException):
    """The run ends here."""


@pytest.mark.parametrize("is_after", [False, True])
def test_a_run_that_ends_around_an_upload_is_ended_by_the_next(
    target: Target, is_after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is stopped, then repeated; the second is stopped, then repeated."""
    spooled_days(tmp_path / "spool", 2, rows=3)
    put = Target.put
    uploads = iter([True, False, True, False])

    def stopping(self: Target, work: Path, name: str) -> None:
        must_stop = next(uploads)
        if is_after or not must_stop:
            put(self, work, name)
        if must_stop:
            raise Stopped

    monkeypatch.setattr(Target, "put", stopping)
    for _ in range(2):
        with pytest.raises(Stopped):
            convert_closed(tmp_path / "spool", target)
    convert_closed(tmp_path / "spool", target)
    assert list(uploads) == []
    assert found_uids(target) == ["0-0", "0-1", "0-2", "1-0", "1-1", "1-2"]
    assert read_back(tmp_path / "spool") == []


def test_a_server_that_is_gone_loses_nothing(tmp_path: Path) -> None:
    with an_s3_server() as server:
        server.make_bucket("bucket")
        target = open_target(server.url("bucket/x"))
        spooled_days(tmp_path / "spool", 1)
    with pytest.raises(OSError, match=r"(?i)connect"):
        convert_closed(tmp_path / "spool", target)
    assert len(read_back(tmp_path / "spool")) == 1


def test_a_target_must_be_there(tmp_path: Path, s3: S3) -> None:
    (tmp_path / "file").write_text("x")
    for text, problem in (
        (str(tmp_path / "nothing"), "is not there; make it first"),
        (str(tmp_path / "file"), "is no directory; make it first"),
        ("nonsense://x/y", "Unrecognized filesystem"),
        (s3.url("no-such-bucket/x"), "no-such-bucket is not there"),
    ):
        with pytest.raises(UsageError, match=problem) as caught:
            open_target(text)
        assert "not-a-secret" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file"]


def test_credentials_are_never_told(s3: S3) -> None:
    s3.make_bucket("quiet")
    assert str(open_target(s3.url("quiet/x"))) == "s3:quiet/x"
    assert shown("s3://key:secret@bucket/x") == "s3://bucket/x"


def test_days_beyond_those_to_keep_go(target: Target, tmp_path: Path) -> None:
    spooled_days(tmp_path / "spool", 5)
    convert_closed(tmp_path / "spool", target)
    sizes = [file.size_bytes for day in target.days()[:3] for file in target.files(day)]
    assert retain(target, today=TODAY, days_max=2) == Retired(3, sum(sizes))
    assert {name[:15] for name in stored(target)} == {"date=2026-09-24", "date=2026-09-25"}
    assert retain(target, today=TODAY, days_max=2) == Retired()


def test_the_oldest_go_until_the_rest_fits(target: Target, tmp_path: Path) -> None:
    spooled_days(tmp_path / "spool", 4)
    convert_closed(tmp_path / "spool", target)
    files = [file for day in target.days() for file in target.files(day)]
    kept = sum(file.size_bytes for file in files[2:])
    assert retain(target, today=TODAY, size_bytes_max=kept).files == 2
    assert stored(target) == [file.name for file in files[2:]]
    assert retain(target, today=TODAY, size_bytes_max=kept - 1).files == 1
    assert retain(target, today=TODAY, size_bytes_max=0).files == 1
    assert stored(target) == []


def test_an_older_file_that_would_fit_goes_with_those_beyond_the_limit(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    target = open_target(str(tmp_path / "target"))
    for day, size in ((25, 10), (24, 100), (23, 1)):
        folder = tmp_path / "target" / f"date=2026-09-{day}"
        folder.mkdir()
        (folder / f"claims-2026-09-{day}T00-{'0' * 16}-0.parquet").write_bytes(b"x" * size)
    assert retain(target, today=TODAY, size_bytes_max=50) == Retired(2, 101)
    assert [day.day for day in target.days()] == [25]


def test_only_files_that_an_archive_run_named_are_ever_deleted(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    target = open_target(str(tmp_path / "target"))
    spooled_days(tmp_path / "spool", 1)
    convert_closed(tmp_path / "spool", target)
    (ours,) = (tmp_path / "target").rglob("*.parquet")
    name = ours.name
    others = [
        ours.with_name("other.parquet"),
        ours.with_name(f"{name}.bak"),
        ours.with_name(f"x{name}"),
        tmp_path / "target" / name,
        tmp_path / "target" / "date=2026-99-99" / name,
        tmp_path / "target" / "date=2026-09-25x" / name,
        tmp_path / "target" / "deep" / "date=2026-09-25" / name,
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    (ours.parent / f"claims-2026-09-25T00-{'0' * 16}-0.parquet").mkdir()
    assert retain(target, today=date(2030, 1, 1), days_max=1, size_bytes_max=0).files == 1
    assert not ours.exists()
    assert [path.read_text() for path in others] == ["mine"] * len(others)


def test_keeping_longer_than_there_are_years_keeps_all() -> None:
    assert oldest_kept(TODAY, 1) == TODAY
    assert oldest_kept(TODAY, 10**9) == date.min
