"""Scenario limits, percentiles, distributions, the result as JSON and as a page."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.cli.demo_objects import a_result

from warmclaim.errors import UsageError
from warmclaim.testing.demo import scenario as objects
from warmclaim.testing.demo.figures import Bar, latency_of, percentile, spread_of
from warmclaim.testing.demo.history import problems
from warmclaim.testing.demo.progress import Moment, PlainLines, Stage, display
from warmclaim.testing.demo.report import page
from warmclaim.testing.demo.result import Result, encoded
from warmclaim.testing.demo.scenario import Scenario


def text_of(result: Result, columns: int) -> str:
    screen = io.StringIO()
    Console(file=screen, width=columns).print(page(result))
    return screen.getvalue()


def test_the_default_scenario_is_within_its_limits() -> None:
    Scenario().check()


def test_more_sandboxes_than_the_nodes_have_room_for_are_refused() -> None:
    Scenario(pool=100, burst=10, nodes=1).check()
    with pytest.raises(UsageError, match="need room for 111 sandboxes, --nodes 1 has it for 110"):
        Scenario(pool=101, burst=10, nodes=1).check()


@pytest.mark.parametrize("option", ["pool", "burst", "nodes", "qps"])
@pytest.mark.parametrize("number", [0, -1, 100_000])
def test_a_number_out_of_its_limits_is_refused(option: str, number: int) -> None:
    with pytest.raises(UsageError, match=rf"^--{option} must be from 1 to \d+, not {number}$"):
        Scenario(**{option: number}).check()


def test_claims_are_due_at_the_asked_rate() -> None:
    scenario = Scenario(burst=3, qps=50)
    assert scenario.claim_names == ("demo-0", "demo-1", "demo-2")
    assert [scenario.due_s(number) for number in range(3)] == [0.0, 0.02, 0.04]


def test_the_objects_point_at_each_other() -> None:
    pool, claim = objects.pool(Scenario(pool=7)), objects.claim("c1")
    assert pool["spec"]["replicas"] == 7
    assert pool["spec"]["sandboxTemplateRef"]["name"] == objects.template()["metadata"]["name"]
    assert claim["spec"]["warmPoolRef"]["name"] == pool["metadata"]["name"]


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_is_a_value_that_occurred_with_enough_at_or_below(
    values: list[float], percent: float
) -> None:
    ordered = sorted(values)
    found = percentile(ordered, percent)
    assert found in ordered
    assert sum(value <= found for value in ordered) >= percent / 100 * len(ordered) - 1e-9


def test_percentiles_are_of_the_nearest_rank_in_milliseconds() -> None:
    latency = latency_of([number / 1000 for number in range(100, 0, -1)])
    assert latency is not None
    assert (latency.p50, latency.p90, latency.p99, latency.max) == (50, 90, 99, 100)
    assert latency_of([]) is None


@given(st.lists(st.sampled_from([f"n{number}" for number in range(8)])), st.integers(1, 6))
def test_a_spread_counts_every_sandbox_and_every_node_once(names: list[str], most: int) -> None:
    spread = spread_of([*names, ""], 8)
    assert spread.total == len(names)
    assert sum(spread.nodes_by_count.values()) == 8
    assert spread.min <= spread.median <= spread.max
    bars = spread.bars(most)
    assert sum(bar.nodes for bar in bars) == 8
    assert len(bars) <= most


def test_nodes_without_a_sandbox_count() -> None:
    spread = spread_of(["a", "a", "b"], 4)
    assert (spread.min, spread.median, spread.max) == (0, 0, 2)
    assert spread.bars(5) == [Bar(0, 0, 2), Bar(1, 1, 1), Bar(2, 2, 1)]
    assert spread.bars(2) == [Bar(0, 1, 3), Bar(2, 2, 1)]


def test_the_json_is_rounded_and_has_the_warm_and_cold_claims() -> None:
    document = json.loads(encoded(a_result(served=99, warm=97, problems=("one is missing",))))
    assert document["ok"] is False
    assert document["problems"] == ["one is missing"]
    assert document["claims"] == {"sent": 100, "served": 99, "warm": 97, "cold": 2}
    assert document["latency_ms"]["p50"] == 12.346
    assert document["writes_per_claim"]["total"] == 4.2
    assert document["writes_per_claim"]["by"][1] == {
        "verb": "patch",
        "resource": "sandboxes.agents.x-k8s.io",
        "per_claim": 1.0,
    }
    assert document["sandboxes_per_node"]["warm_before"]["nodes_by_count"] == {"2": 100}


@pytest.mark.parametrize("columns", [80, 120])
def test_the_page_fits_and_says_what_was_seen(columns: int) -> None:
    text = text_of(a_result(), columns)
    assert max(map(len, text.splitlines())) <= columns
    assert "P50 12  P90 18  P99 32 ms, from a claim's POST to Ready" in text
    assert "P50 3  P90 4  P99 8 ms of it" in text
    assert "Starting a sandbox takes 0.3 to 1 s here" in " ".join(text.split())
    assert "warm, before the burst    2       2    2  2 ████████████████████████ 100 nodes" in text
    assert "1.00  patch sandboxes         hand-over: its owner becomes the claim" in text
    assert "All 100 claims were handed a sandbox that was already running" in text


def test_the_page_tells_cold_claims_from_warm_ones() -> None:
    text = " ".join(text_of(a_result(warm=60), 80).split())
    assert "60 of 100 claims were handed a sandbox that was already running, 40 had to" in text


def test_the_page_ends_with_what_the_history_tells() -> None:
    assert "warmclaim history latency" in text_of(a_result(), 80)
    assert "2026-11-22T16:00:00  demo     101" in text_of(a_result(), 80)
    assert "pip install 'warmclaim[archive]'" in text_of(replace(a_result(), history=None), 80)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"claims": 60}, {"claims": 41}], []),
        ([{"claims": 100}], ["the history tells of 100 claims, 101 were served"]),
        ([], ["the history tells of 0 claims, 101 were served"]),
        (None, []),
    ],
    ids=["all, in two hours", "one is missing", "nothing", "it cannot be asked"],
)
def test_a_history_that_misses_a_claim_is_a_problem(
    rows: list[dict[str, int]] | None, problem: list[str]
) -> None:
    assert problems(None if rows is None else tuple(rows), served=101) == problem


def test_the_page_of_a_bad_run_says_so() -> None:
    text = text_of(a_result(served=0, warm=0, problems=("nobody was served",)), 80)
    assert "WRONG: nobody was served" in text
    assert "This is not how it should be" in text
    assert "All" not in text


def moment(stage: Stage, elapsed_s: float) -> Moment:
    return Moment(stage, elapsed_s, warm=3, pool=4, served=1, burst=2, latency_s=0.0123)


def test_without_a_terminal_each_stage_is_one_line_and_a_long_one_speaks_again() -> None:
    screen = io.StringIO()
    lines = PlainLines(Console(file=screen, width=80))
    lines.show(moment(Stage.START, 0.0))
    for at in (1.0, 1.1, 5.9, 6.0, 6.1):
        lines.show(moment(Stage.FILL, at))
    lines.show(moment(Stage.BURST, 6.2))
    assert screen.getvalue().splitlines() == [
        "  0.0 s  starting the manager",
        "  1.0 s  filling the pool: 3 of 4 sandboxes warm",
        "  6.0 s  filling the pool: 3 of 4 sandboxes warm",
        "  6.2 s  sending claims: 1 of 2 claims served, 3 of 4 sandboxes warm",
    ]


def test_the_page_says_how_the_refill_went() -> None:
    assert "full again 1.8 s after the last claim was served" in text_of(a_result(), 80)
    late = replace(a_result(), refill_s=None)
    assert "filled in 3.2 s, not full again before the demo ended" in text_of(late, 80)
    unserved = text_of(replace(late, served=99), 80)
    assert "filled in 3.2 s" in unserved
    assert "full again" not in unserved


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_two_bars_are_drawn_and_wiped_away(columns: int) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=columns, force_terminal=True, color_system=None)
    with display(console) as shown:
        shown.show(moment(Stage.BURST, 5.2))
        drawn = screen.getvalue()
    assert "pool" in drawn
    assert "3/4" in drawn
    assert "sending claims, 5 s" in drawn
    assert "1/2" in drawn
    assert "12 ms" in drawn
    assert "\x1b[2K" in screen.getvalue()[len(drawn) :]
