"""The history as a database: what each question answers, and that nothing else can be asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import fs
from tests.archive.spools import HOUR_US, NOON_US, ROWS, a_row, a_writer, fill

from warmclaim.archive import history as database
from warmclaim.archive.convert import convert_closed
from warmclaim.archive.history import History
from warmclaim.archive.questions import CLAIMS, QUESTIONS
from warmclaim.archive.spool_reader import spooled
from warmclaim.archive.target import Target, open_target
from warmclaim.domain.claim_history import ClaimEnd, ClaimRow
from warmclaim.errors import UsageError

NOON = datetime(2026, 9, 25, 12)


class Place:
    """A spool and an archive."""

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "spool"
        self.archive = folder / "archive"
        self.archive.mkdir()

    @property
    def target(self) -> Target:
        return open_target(str(self.archive))

    def archived(self, rows: Iterable[ClaimRow]) -> None:
        fill(self.spool, rows)
        convert_closed(self.spool, self.target)

    def open(self) -> History:
        return History(self.spool if self.spool.exists() else None, self.target)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.open() as found:
            return list(map(tuple, found.ask(sql).rows()))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def served(
    uid: str, latency_ms: float, *, pool: str = "python", at_us: int = NOON_US, **values: Any
) -> ClaimRow:
    """A claim that was Ready at `at_us`, so long after it was seen."""
    seen_us = at_us - round(latency_ms * 1000)
    known: dict[str, Any] = {"launch_type": "warm", "pool": pool, "seen_us": seen_us}
    return a_row(uid, end_us=at_us + 60_000_000, ready_us=at_us, **{**known, **values})


class TestWhereRowsLie:
    def test_open_hours_closed_ones_and_the_archive_are_one_table(self, place: Place) -> None:
        place.archived([a_row("archived")])
        fill(place.spool, [a_row("closed")])
        a_writer(place.spool).write([a_row("open", end_us=NOON_US + HOUR_US)])
        assert place.ask("SELECT uid, date FROM claims ORDER BY uid") == [
            ("archived", date(2026, 9, 25)),
            ("closed", date(2026, 9, 25)),
            ("open", date(2026, 9, 25)),
        ]

    def test_a_row_on_its_way_from_one_to_the_other_counts_once(self, place: Place) -> None:
        rows = [a_row(f"u{n}", end_us=NOON_US + n * 12 * HOUR_US) for n in range(6)]
        place.archived(rows)
        fill(place.spool, [*rows[:4], a_row("new")])  # as if it had not been deleted yet
        assert place.ask("SELECT count(*), count(DISTINCT uid) FROM claims") == [(7, 7)]

    def test_what_is_archived_while_the_spool_is_read_is_not_missed(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(place.spool, [a_row(f"u{n}", node=f"n{n}") for n in range(5)])
        real = spooled

        def read_slowly(spool: Path, skipped: Any) -> Iterable[ClaimRow]:
            rows = real(spool, skipped)
            yield next(rows)
            convert_closed(place.spool, place.target)
            yield from rows

        monkeypatch.setattr(database, "spooled", read_slowly)
        assert place.ask("SELECT count(*), count(DISTINCT uid) FROM claims") == [(5, 5)]

    @pytest.mark.parametrize("question", [CLAIMS, *(each.name for each in QUESTIONS)])
    def test_nothing_at_all_has_no_rows(self, place: Place, question: str) -> None:
        assert place.ask(f"FROM {question}") == []

    @settings(
        max_examples=10,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(rows=st.lists(ROWS, max_size=8), are_archived=st.booleans())
    def test_any_rows_can_be_asked_of(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        rows: list[ClaimRow],
        are_archived: bool,
    ) -> None:
        place = Place(tmp_path_factory.mktemp("any"))
        if are_archived:
            place.archived(rows)
        else:
            fill(place.spool, rows)
        assert place.ask("SELECT count(*) FROM claims") == [(len(rows),)]
        with place.open() as found:
            for question in (CLAIMS, *(each.name for each in QUESTIONS)):
                assert len(list(found.ask(f"FROM {question}").rows())) >= 0

    def test_an_archive_of_an_older_version_lacks_columns_only(self, place: Place) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        place.archived([a_row("u")])
        (file,) = place.archive.rglob("*.parquet")
        old = parquet.read_table(str(file), columns=["uid", "name"])
        parquet.write_table(
            old, str(file), compression="zstd", compression_level=1, row_group_size=10
        )
        assert isinstance(old, pa.Table)
        assert place.ask("SELECT uid, pool, created, latency_ms FROM claims") == [
            ("u", None, None, None)
        ]


class TestQuestions:
    def test_latency_by_hour_and_pool(self, place: Place) -> None:
        early = [served(f"a{n}", n, pool="a") for n in range(1, 101)]
        late = [served("b", 7.3, pool="b", at_us=NOON_US + HOUR_US)]
        waiting = [a_row("never"), a_row("half", ready_us=NOON_US)]
        place.archived([*early, *late, *waiting])
        assert place.ask("FROM latency") == [
            (NOON, "team", "a", 100, 50.5, 90.1, 99.0, 100.0),
            (NOON + timedelta(hours=1), "team", "b", 1, 7.3, 7.3, 7.3, 7.3),
        ]

    def test_warm_share(self, place: Place) -> None:
        place.archived([
            *(served(f"w{n}", 5) for n in range(3)),
            served("c", 900, launch_type="cold"),
            a_row("unknown"),
            a_row("refused", outcome=ClaimEnd.REFUSED, launch_type="cold"),
        ])  # fmt: skip
        day = date(2026, 9, 25)
        assert place.ask("FROM warm_share") == [(day, "team", "python", 4, 3, 0.75)]

    def test_refusals_of_claims_and_of_candidates(self, place: Place) -> None:
        end = datetime.fromtimestamp(NOON_US / 1e6, UTC).replace(tzinfo=None)
        place.archived([
            a_row("ok", candidates_refused={"stale": 2, "ghost": 1}),
            a_row("r", outcome=ClaimEnd.REFUSED, reason="TemplateNotFound"),
            a_row("s", outcome=ClaimEnd.REFUSED, reason="TemplateNotFound"),
            a_row("w", outcome=ClaimEnd.ABANDONED, candidates_refused={"stale": 1}),
        ])  # fmt: skip
        assert place.ask("FROM refusals") == [
            ("candidate", "stale", "team", "python", 3, end),
            ("claim refused", "TemplateNotFound", "team", "python", 2, end),
            ("candidate", "ghost", "team", "python", 1, end),
            ("claim abandoned", "nothing was said", "team", "python", 1, end),
        ]

    def test_the_slowest_with_their_stages(self, place: Place) -> None:
        staged = served(
            "slow", 500, picked_us=NOON_US - 400_000, reserved_us=NOON_US - 100_000,
            published_us=NOON_US, attempts=3, conflicts=2, pool_waiting=9, node="n7",
        )  # fmt: skip
        place.archived([staged, *(served(f"u{n:02}", n) for n in range(30)), a_row("never")])
        rows = place.ask("FROM slowest")
        assert rows[0] == (
            "team", "claim-slow", "python", "warm", 500.0, 100.0, 300.0, 100.0, 3, 2, 9, "n7", NOON
        )  # fmt: skip
        assert [row[4] for row in rows[1:]] == [float(n) for n in range(29, 10, -1)]

    def test_node_spread_is_of_warm_sandboxes(self, place: Place) -> None:
        counts: dict[str, Any] = {"best_node_waiting": 5, "second_node_waiting": 3}
        place.archived([
            *(served(f"a{n}", 5, node="n1", **counts) for n in range(3)),
            served("b", 5, node="n2", best_node_waiting=4, second_node_waiting=4),
            served("cold", 5, node="n3", launch_type="cold"),
            served("nowhere", 5, node=""),
        ])  # fmt: skip
        assert place.ask("FROM node_spread") == [("team", "python", 2, 4, 3, 1, 1.5)]


@pytest.fixture
def found(place: Place) -> Iterable[History]:
    place.archived([a_row("u")])
    fill(place.spool, [a_row("v")])
    with place.open() as history:
        yield history


class TestWhatCannotBeAsked:
    @pytest.mark.parametrize(
        "sql",
        [
            "", "-- nothing", "SELECT 1; SELECT 2", "DROP VIEW claims", "DELETE FROM spooled",
            "INSERT INTO spooled SELECT * FROM spooled", "CREATE TABLE t AS SELECT 1",
            "COPY claims TO '{}/out.csv'", "EXPORT DATABASE '{}/out'", "ATTACH '{}/out.db'",
            "INSTALL httpfs", "SET enable_external_access = true", "PRAGMA version",
        ],
    )  # fmt: skip
    def test_what_is_no_question_changes_nothing(
        self, found: History, tmp_path: Path, sql: str
    ) -> None:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(UsageError, match="answers one SELECT at a time"):
            found.ask(sql.format(tmp_path))
        assert sorted(tmp_path.rglob("*")) == before
        assert list(found.ask("SELECT count(*) FROM claims").rows()) == [(2,)]

    @pytest.mark.parametrize(
        ("sql", "problem"),
        [
            ("SELECT", "SELECT clause without selection list"),
            ("FROM latenzy", 'Table with name latenzy does not exist! Did you mean "latency"'),
            ("SELECT naem FROM claims", '"naem" not found'),
            ("SELECT 1 / 'x'", "Could not convert"),
            ("SELECT * FROM '/etc/passwd'", "/etc/passwd"),
            ("SELECT * FROM read_csv('/etc/passwd')", "disabled by configuration"),
            ("SELECT * FROM read_text('http://example.org')", "disabled by configuration"),
            ("SELECT * FROM place", "place does not exist"),
        ],
    )
    def test_a_wrong_question_is_told_in_one_line(
        self, found: History, place: Place, sql: str, problem: str
    ) -> None:
        assert place  # a name of Python's that SQL must not find
        with pytest.raises(UsageError) as caught:
            list(found.ask(sql).rows())
        assert problem in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_more_than_memory_holds_is_refused_and_not_written_to_disk(
        self, place: Place, tmp_path: Path
    ) -> None:
        before = sorted(tmp_path.rglob("*"))
        sorts = "SELECT max(i) FROM (FROM range(100000000) AS r(i) ORDER BY hash(i) LIMIT 9999999)"
        found = History(None, place.target, memory_bytes_max=32 * 2**20)
        with found, pytest.raises(UsageError, match="Out of Memory"):
            list(found.ask(sorts).rows())
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_file_that_is_no_parquet_is_named(self, place: Place) -> None:
        place.archived([a_row("u", end_us=NOON_US + n * 24 * HOUR_US) for n in range(2)])
        broken = sorted(place.archive.rglob("*.parquet"))[1]
        broken.write_bytes(b"PAR1 and no more")
        with place.open() as found, pytest.raises(UsageError, match=broken.name):
            list(found.ask("SELECT max(uid) FROM claims").rows())

    def test_a_spool_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="there is no such directory"):
            History(tmp_path / "nowhere", None)


def test_an_archive_that_is_no_directory_is_asked_through_its_file_system(tmp_path: Path) -> None:
    filesystem = fs._MockFileSystem()  # pyright: ignore[reportPrivateUsage]
    filesystem.create_dir("bucket/claims")
    target = Target(filesystem, "bucket/claims")
    fill(tmp_path / "spool", [a_row(f"u{n}", node=f"n{n}") for n in range(3)])
    convert_closed(tmp_path / "spool", target)
    with History(None, target) as found:
        assert found.archived_files == 1
        asked = found.ask("SELECT count(*) FROM claims WHERE date = '2026-09-25' AND node <> 'n1'")
        assert list(asked.rows()) == [(2,)]
