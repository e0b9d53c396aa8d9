"""The table of budgets: what is not measured is not met; what was run is read as it is meant."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from e2e.bench.__main__ import main
from e2e.bench.budgets import Measured, Row, figures, judged
from e2e.bench.jobs import AT_50, AT_300, NEEDED, QUIETLY, REST, SUSTAINED, Done, jobs_for
from e2e.bench.table import NOT_MEASURED, cells
from e2e.bench.timeline import ClaimLine, SandboxLine, Timeline, cold_without_need, read
from e2e.burst.claim_requests import ClaimPath
from tests.bench.figures import findings

from warmclaim.loadtest.ratios import FILLED
from warmclaim.loadtest.result import (
    CONTROLLER,
    LIMIT,
    Latency,
    Milestone,
    PhaseResult,
    RunResult,
    Window,
)

SOURCE = Path(__file__).parent


def latency(p50_ms: float, p99_ms: float, count: int = 100) -> Latency:
    return Latency(count, p50_ms, p99_ms, p99_ms, p99_ms)


def a_phase(name: str, *, of_s: float = 10.0, ms: Latency | None = None) -> PhaseResult:
    sent, warm = (100, 100) if ms else (0, 0)
    filled = [Milestone(of_s / 2, FILLED)]
    return PhaseResult(
        name=name, kind=name, begun_s=0, ended_s=of_s, client=ms, sent=sent, warm=warm,
        milestones=filled,
    )  # fmt: skip


def a_run(serves: str, *phases: PhaseResult) -> RunResult:
    return RunResult(
        profile="p", about="", serves=serves, command="", started_at="", version="", machine="",
        phases=list(phases),
    )  # fmt: skip


def rows_of(budget: str, measured: Measured) -> list[Row]:
    return judged([budget], measured)


@pytest.mark.parametrize("budget", NEEDED)
def test_what_was_not_measured_is_told_so_and_is_not_met(budget: str) -> None:
    rows = rows_of(budget, Measured({}, None))
    assert rows
    for row in rows:
        assert (row.budget, row.figure, row.is_met) == (budget, None, False)
        assert row.note
        assert cells(row)[5] == NOT_MEASURED
    assert figures(rows) == {}


def test_latency_and_fill_are_multiples_of_the_limit() -> None:
    runs = [
        a_run(LIMIT, a_phase("deploy"), a_phase("burst", ms=latency(10, 20))),
        a_run(CONTROLLER, a_phase("deploy", of_s=16), a_phase("burst", ms=latency(18, 70))),
    ]
    done = {AT_50: Done("", "", runs), AT_300: Done("", "", runs)}
    found = [(row.figure, row.is_met) for row in rows_of("B1", Measured(done, None))]
    assert found == [(1.8, True), (3.5, False), (1.8, False), (3.5, False)]
    (fill,) = rows_of("B7", Measured(done, None))
    assert (fill.figure, fill.is_met) == (1.6, False)
    assert fill.share == pytest.approx(1.6 / 1.5)


def test_the_requests_of_a_claim_are_counted_from_the_audit_log() -> None:
    burst = a_phase("burst", ms=latency(1, 2))
    burst.requests = {"patch sandboxes": 250, "create pods": 350, "watch pods": 9, "list pods": 1}
    burst.requests_from = "audit log"
    paths = [ClaimPath("c", [], is_complete=True), ClaimPath("d", [])]
    done = Done("", "", [a_run(CONTROLLER, burst)], paths)
    rows = rows_of("B2", Measured({AT_50: done, QUIETLY: done}, None))
    assert [row.figure for row in rows] == [0, 0, 1, 6, 6]
    assert [row.is_met for row in rows] == [True, True, False, True, True]
    burst.requests_from = "metrics"
    assert rows_of("B2", Measured({AT_50: done}, None))[3].figure is None


def test_processor_time_and_memory_are_those_of_the_controllers_runs() -> None:
    deploy, burst = a_phase("deploy"), a_phase("burst", ms=latency(1, 2))
    deploy.rss_bytes, burst.cpu_s = 90 * 2**20, 0.4
    done = Done("", "", [a_run(LIMIT, burst), a_run(CONTROLLER, deploy, burst)])
    measured = Measured({AT_50: done, AT_300: done}, None)
    assert [row.figure for row in rows_of("B3", measured)] == [4.0, 4.0]
    assert [row.figure for row in rows_of("B5", measured)] == [90.0, None, None]


def test_rest_is_judged_by_the_phase_in_which_nothing_is_asked_for() -> None:
    rest, touched = a_phase("steady-state", of_s=120), a_phase("touched")
    rest.requests_from = touched.requests_from = "audit log"
    rest.cpu_s, touched.cpu_s, touched.requests = 0.6, 9.0, {"patch sandboxes/status": 9}
    done = Done("", "", [a_run(CONTROLLER, rest, touched)])
    rows = rows_of("B6", Measured({REST: done}, None))
    assert [(row.figure, row.is_met) for row in rows] == [(0, True), (0.5, True)]


def test_a_sustained_load_is_judged_window_by_window() -> None:
    phase = a_phase("sustained", ms=latency(1, 2))
    phase.windows = [
        Window(10.0 * number, latency(1, p99_ms, count))
        for number, (p99_ms, count) in enumerate([(10, 450), (12, 440), (30, 460), (900, 3)])
    ]
    lines = Timeline([ClaimLine(1, "c", "p", "warm", "s", 1, 0.1)], [])
    done = Done("", "", [a_run(CONTROLLER, phase)], [], [lines])
    rows = rows_of("B9", Measured({SUSTAINED: done}, None))
    assert [(row.figure, row.is_met) for row in rows] == [(0, True), (2.5, False)]


@pytest.mark.parametrize(
    ("ready_s", "pool", "given_to", "is_needless"),
    [
        (11.9, "p", "", True),
        (12.1, "p", "", False),
        (9.0, "p", "later", True),
        (11.0, "q", "", False),
        (11.0, "p", "earlier", False),
    ],
    ids=["soon", "too late", "a later claim's", "another pool's", "an earlier claim's"],
)
def test_a_cold_start_is_needless_where_a_member_would_have_come(
    ready_s: float, pool: str, given_to: str, is_needless: bool
) -> None:
    claims = [
        ClaimLine(9.5, "earlier", "p", "warm", "a", 1, 0.1),
        ClaimLine(10.0, "cold", "p", "cold", "cold", 1, 3.0),
        ClaimLine(10.5, "later", "p", "warm", "b", 1, 0.1),
    ]
    found = cold_without_need(Timeline(claims, [SandboxLine(ready_s, pool, given_to)]))
    assert [one.name for one in found] == ["cold"] * is_needless


def test_a_time_line_is_read_as_a_load_test_writes_it(tmp_path: Path) -> None:
    lines = [
        {"at_s": 1, "event": "sample", "members": 4},
        {"at_s": 2, "event": "claim", "phase": "burst", "name": "c", "pool": "p", "launch": "warm",
         "sandbox": "s", "versions_to_ready": 1, "ready_after_s": None, "node": "n"},
        {"at_s": 3, "event": "sandbox", "name": "s", "pool": "p", "claim": "c", "node": "n"},
    ]  # fmt: skip
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(map(msgspec.json.encode, lines)))
    found = read(tmp_path)
    assert found == Timeline(
        [ClaimLine(2, "c", "p", "warm", "s", 1, None)], [SandboxLine(3, "p", "c")]
    )


def test_a_budget_of_the_benchmarks_is_read_from_their_newest_file() -> None:
    bench = findings({"queue, 1,000 entries: take_us": 4.0, "queue, 100,000 entries: take_us": 16})
    rows = rows_of("B4", Measured({}, bench))
    assert [(row.figure, row.is_met) for row in rows] == [(4.0, True), (16, False)]
    assert bench.commit in rows[0].note
    growth = rows_of("B8", Measured({}, bench))
    assert {row.note for row in growth} == {"the last `make bench` did not measure it"}


def test_the_figures_that_are_read_are_those_that_benchmarks_write() -> None:
    """By their names, in the benchmarks' own words."""
    budgets = (SOURCE.parent / "e2e" / "bench" / "budgets.py").read_text()
    sources = "".join(one.read_text() for one in (SOURCE / "bench").glob("test_bench_*.py"))
    for table in re.findall(r'"(queue|growth|memory), ', budgets):
        assert f'"{table}, ' in sources
    assert '"cached sandbox and pod"' in sources
    for figure in ("take_us=", "cpu_ratio=", "p99_ratio=", "each_bytes=", "restart_s="):
        assert figure in sources
        assert figure.rstrip("=") in budgets


def test_only_what_a_budget_needs_is_run_and_once() -> None:
    assert [(job.name, job.pairs) for job in jobs_for(["B1", "B2", "B3"], 4)] == [
        *((AT_50, 4), (AT_300, 4), (QUIETLY, 0))
    ]
    assert [(job.name, job.pairs) for job in jobs_for(["B3"], 4)] == [(AT_50, 0), (AT_300, 0)]
    assert [(job.name, job.pairs) for job in jobs_for(["B3", "B7"], 4)] == [(AT_50, 0), (AT_300, 4)]
    assert jobs_for(["B4", "B8"], 4) == []
    assert {job.name for job in jobs_for(list(NEEDED), 1)} == {
        *(AT_50, AT_300, QUIETLY, REST, SUSTAINED)
    }


@pytest.mark.parametrize("words", [["--budgets", "B1,B77"], ["--pairs", "0"]])
def test_arguments_that_are_wrong_are_told(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("make e2e-bench: error: ")
