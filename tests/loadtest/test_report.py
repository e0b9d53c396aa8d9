"""The page: which runs it takes, what its charts say, and that a run cannot change it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.loadtest.recorded import SHARP, a_run

from warmclaim.cli import OK, USAGE, main
from warmclaim.errors import UsageError
from warmclaim.loadtest.cells import HEADS
from warmclaim.loadtest.record import STACKS
from warmclaim.loadtest.report import read
from warmclaim.loadtest.report.flame import graph, tree
from warmclaim.loadtest.report.plots import POINTS_MAX, claims, latency
from warmclaim.loadtest.report.runs import RUNS_MAX
from warmclaim.loadtest.report.scales import linear, logarithmic, shown
from warmclaim.loadtest.result import LIMIT
from warmclaim.loadtest.table import page

Capture = pytest.CaptureFixture[str]


class TestScales:
    @given(st.floats(1e-6, 1e12), st.integers(1, 10))
    def test_a_linear_axis_reaches_its_values_with_few_round_ticks(
        self, most: float, ticks_max: int
    ) -> None:
        scale = linear(most, ticks_max)
        assert scale.end >= most * (1 - 1e-8)
        assert len(scale.ticks) <= ticks_max + 1
        assert scale.ticks[0] == 0
        assert scale.share(scale.ticks[-1]) == pytest.approx(1)

    @given(st.floats(1e-3, 1e9), st.floats(1, 1e6))
    def test_a_logarithmic_axis_holds_its_values(self, least: float, factor: float) -> None:
        scale = logarithmic(least, least * factor)
        assert scale.begin <= least * 1.00001
        assert scale.end >= least * factor * 0.99999
        assert scale.share(scale.begin) == 0
        assert scale.share(scale.end) == pytest.approx(1)
        assert list(scale.ticks) == sorted(set(scale.ticks))

    def test_ticks_as_people_write_them(self) -> None:
        assert linear(230).ticks == (0, 50, 100, 150, 200, 250)
        assert linear(2, step_min=1).ticks == (0, 1, 2)
        assert logarithmic(3, 180).ticks == (2, 5, 10, 20, 50, 100, 200)
        assert [shown(one) for one in (0, 0.5, 20, 1000)] == ["0", "0.5", "20", "1,000"]


class TestRuns:
    def test_a_folder_of_runs_stands_for_all_of_them_the_limit_first(self, tmp_path: Path) -> None:
        a_run(tmp_path / "controller")
        a_run(tmp_path / "limit", serves=LIMIT)
        assert [run.name for run in read([str(tmp_path)])] == ["limit", "controller"]

    def test_names_tell_runs_apart(self, tmp_path: Path) -> None:
        words = [str(a_run(tmp_path / name / "controller")) for name in ("a", "b")]
        assert [run.name for run in read(words)] == ["a/controller", "b/controller"]
        again = read([words[0], words[0]])
        assert [run.name for run in again] == ["a/controller (1)", "a/controller (2)"]

    def test_what_is_no_run_is_refused_in_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no run is in there"):
            read([str(tmp_path)])
        run = a_run(tmp_path / "run")
        (run / "events.jsonl").write_text("{\n")
        with pytest.raises(UsageError, match=r"events\.jsonl: "):
            read([str(run)])
        (run / "events.jsonl").unlink()
        with pytest.raises(UsageError, match=r"events\.jsonl: No such file"):
            read([str(run)])
        summary = run / "summary.json"
        summary.write_text(summary.read_text().replace('"format":1', '"format":9'))
        with pytest.raises(UsageError, match="format 9, this program reads 1"):
            read([str(run)])
        with pytest.raises(UsageError, match=f"{RUNS_MAX + 1} runs are too many"):
            read([str(run)] * (RUNS_MAX + 1))


class TestCharts:
    def test_the_latency_chart_says_the_percentiles(self, tmp_path: Path) -> None:
        chart = latency(read([str(a_run(tmp_path / "run"))]))
        assert chart is not None
        told = [one.text for one in chart.drawing.iter("title")]
        assert told == ["run, burst: P50 50.0 ms, P90 90.0 ms, P99 99.0 ms"]

    def test_without_claims_there_is_no_such_chart(self, tmp_path: Path) -> None:
        run = a_run(tmp_path / "run")
        events = run / "events.jsonl"
        lines = events.read_text().splitlines(keepends=True)
        events.write_text("".join(one for one in lines if '"claim"' not in one))
        assert latency(read([str(run)])) is None
        assert claims(read([str(run)])) is None

    def test_a_long_line_is_thinned_and_keeps_its_ends(self, tmp_path: Path) -> None:
        run = a_run(tmp_path / "run")
        line = '{"at_s":%s,"event":"claim","phase":"burst","ready_after_s":0.5}\n'
        with (run / "events.jsonl").open("a") as file:
            file.writelines(line % (10 + number / 100) for number in range(3000))
        chart = claims(read([str(run)]))
        assert chart is not None
        path = chart.drawing.findall(".//path")[0].get("d", "")
        assert path.count("L") == POINTS_MAX - 1
        assert path.endswith(" 72.8")  # 3,100 of 4,000, on a height of 270 from 12 on

    def test_a_flame_graph_counts_each_call_once(self) -> None:
        stacks = {"a;b": 3, "a;c": 1, "d": 4}
        root = tree(stacks)
        assert (root.count, root.calls["a"].count, root.calls["a"].calls["b"].count) == (8, 4, 3)
        told = [one.text for one in graph(stacks).iter("title")]
        assert told[:3] == [
            "all: 100.0 % (8 samples)",
            "a: 50.0 % (4 samples)",
            "b: 37.5 % (3 samples)",
        ]

    def test_what_nearly_all_stacks_have_in_common_is_left_out(self) -> None:
        stacks = {"start;main;loop;work": 30, "start;main;loop": 62, "loop;work": 8}
        told = [one.text for one in graph(stacks).iter("title")]
        assert told == ["loop: 100.0 % (92 samples)", "work: 32.6 % (30 samples)"]

    def test_nothing_is_left_out_where_two_threads_share_the_work(self) -> None:
        stacks = {"start;main;loop": 80, "thread;write": 20}
        told = [one.text for one in graph(stacks).iter("title")]
        assert [one.split(":")[0] for one in told if one] == [
            "all", "start", "main", "loop", "thread", "write",
        ]  # fmt: skip

    def test_threads_that_wait_are_not_in_it(self, tmp_path: Path) -> None:
        folder = a_run(tmp_path / "run")
        waiting = "run (logs.py:3);get (queue.py:9);Condition.wait (threading.py:295)"
        working = "run (logs.py:3);write (logs.py:7)"
        file = folder / STACKS.format(phase="burst")
        file.write_text(f"{waiting} 40\n{waiting.replace('Condition.', '')} 2\n{working} 3\n")
        (run,) = read([str(folder)])
        assert run.stacks == {"burst": {working: 3}}


class TestTable:
    def test_nothing_is_cut_off_on_a_narrow_terminal(self, tmp_path: Path) -> None:
        run = read([str(a_run(tmp_path / "run", slowness=20))])[0]
        run.result.breaches = ["sandbox a was given to two claims"]
        console = Console(width=80, file=StringIO(), record=True)
        console.print(page([run.result]))
        lines = console.export_text().splitlines()
        assert "…" not in "".join(lines)
        assert lines[1].split() == " ".join(HEADS).split()
        assert lines[3].split()[6:9] == ["1,000", "1,800", "1,980"]
        assert "broken: sandbox a was given to two claims" in lines


class TestCommand:
    def test_the_page_is_one_file_in_which_a_run_is_only_text(
        self, tmp_path: Path, capsys: Capture
    ) -> None:
        a_run(tmp_path / "runs" / "limit", serves=LIMIT)
        a_run(tmp_path / "runs" / "controller", slowness=3)
        page = tmp_path / "page.html"
        assert main(["loadtest", "report", str(tmp_path / "runs"), "-o", str(page)]) == OK
        assert capsys.readouterr().out == f"2 runs on {page}\n"
        text = page.read_text()
        assert "<script" not in text
        assert "src=" not in text
        assert "@import" not in text
        assert "url(" not in text
        assert SHARP.split("&")[0].replace("<", "&lt;").replace(">", "&gt;") in text

    def test_each_drawing_is_a_picture_of_its_own(self, tmp_path: Path, capsys: Capture) -> None:
        a_run(tmp_path / "runs" / "limit", serves=LIMIT)
        a_run(tmp_path / "runs" / "controller", slowness=3)
        page, folder = tmp_path / "page.html", tmp_path / "pictures"
        command = ["loadtest", "report", str(tmp_path / "runs"), "-o", str(page)]
        assert main([*command, "--pictures", str(folder)]) == OK
        files = sorted(folder.iterdir())
        assert capsys.readouterr().out == f"2 runs on {page}, {len(files)} drawings in {folder}\n"
        assert len(files) == page.read_text().count("<figure")
        assert {"latency.svg", "pool.svg", "requests.svg"} < {file.name for file in files}
        for file in files:
            root = parse(file).getroot()
            assert root is not None
            assert root.tag == "{http://www.w3.org/2000/svg}svg"
            assert "prefers-color-scheme: dark" in file.read_text()
        latency = (folder / "latency.svg").read_text()
        assert "limit, burst: P50" in latency
        assert "controller, burst: P50" in latency

    def test_no_picture_is_written_over(self, tmp_path: Path, capsys: Capture) -> None:
        run = str(a_run(tmp_path / "run"))
        folder = tmp_path / "pictures"
        folder.mkdir()
        (folder / "pool.svg").write_text("mine")
        page = str(tmp_path / "page.html")
        words = ["loadtest", "report", run, "-o", page, "--pictures", str(folder)]
        assert main(words) == USAGE
        assert "pool.svg is there already; choose another folder" in capsys.readouterr().err
        assert [file.name for file in folder.iterdir()] == ["pool.svg"]
        assert (folder / "pool.svg").read_text() == "mine"

    def test_nothing_is_written_over(self, tmp_path: Path, capsys: Capture) -> None:
        run = a_run(tmp_path / "run")
        page = tmp_path / "page.html"
        page.write_text("mine")
        assert main(["loadtest", "report", str(run), "-o", str(page)]) == USAGE
        assert "is there already; choose another name" in capsys.readouterr().err
        assert page.read_text() == "mine"
        nowhere = str(tmp_path / "none" / "page.html")
        assert main(["loadtest", "report", str(run), "-o", nowhere]) == USAGE
        assert "No such file or directory" in capsys.readouterr().err
