"""Every crash of one scenario is survived; and the exploration finds what is broken on purpose.

WARMCLAIM_CRASH_SCENARIO names the scenario, WARMCLAIM_CRASH_EVERY takes every N-th point only.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from warmclaim.api.claim import Claim
from warmclaim.api.sandbox import Sandbox
from warmclaim.controllers.claim_records import ClaimRecord
from warmclaim.controllers.claim_sight import ClaimSight
from warmclaim.domain.adoption import ClaimFacts, Read
from warmclaim.testing.explore import crash_points
from warmclaim.testing.explore.books import Books
from warmclaim.testing.explore.contexts import CONTEXTS
from warmclaim.testing.explore.oracle import differences
from warmclaim.testing.explore.points import Crash, Explorer, Point
from warmclaim.testing.explore.results import Result, Tally
from warmclaim.testing.explore.scenarios import SCENARIOS
from warmclaim.testing.sim.simulation import run_case

SCENARIO = os.environ.get("WARMCLAIM_CRASH_SCENARIO", "burst-above-pool")
EVERY = int(os.environ.get("WARMCLAIM_CRASH_EVERY", "1"))
JOBS = min(2, os.cpu_count() or 1)
SCENARIOS_MIN, SINGLE_POINTS_MIN = 12, 10_800


class _Report(msgspec.Struct):
    """What the command prints with `-o json`."""

    points: int
    rows: list[dict[str, str | float]]
    failures: list[dict[str, str | float]]


def _explored(capsys: pytest.CaptureFixture[str], *arguments: str) -> _Report:
    """The command's report; its exit code has to agree with it."""
    code = crash_points.main([*arguments, "-o", "json"])
    report = msgspec.json.decode(capsys.readouterr().out, type=_Report)
    assert code == (1 if report.failures else 0)
    return report


def _planned(scenario: Sequence[str], *, context: Sequence[str]) -> list[str]:
    """All single points."""
    plan = crash_points.plan(Namespace(scenario=scenario, context=context, pairs=False))
    assert not plan.failures
    return list(plan.points)


@pytest.mark.timeout(1800)
def test_every_crash_of_a_scenario_is_survived(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--scenario", SCENARIO, "--every", str(EVERY), "--jobs", str(JOBS))
    report = _explored(capsys, *options)
    assert report.failures == []
    assert {row["context"] for row in report.rows} == set(CONTEXTS)
    planned = _planned([SCENARIO], context=list(CONTEXTS))
    assert report.points == len(planned[::EVERY])


@pytest.mark.timeout(180)
def test_pairs_of_crashes_are_survived(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--scenario", "small-scale", "--context", "quiet", "--pairs", "--every", "100")
    report = _explored(capsys, *options)
    assert report.failures == []
    single = len(_planned(["small-scale"], context=["quiet"]))
    assert report.points * 100 > 5 * single  # many more than one crash each


@pytest.mark.timeout(180)
def test_the_scenarios_have_the_points_that_are_wanted() -> None:
    large = [name for name, scenario in SCENARIOS.items() if not scenario.is_small]
    assert len(large) >= SCENARIOS_MIN
    assert len(_planned(large, context=list(CONTEXTS))) >= SINGLE_POINTS_MIN
    small = [name for name, scenario in SCENARIOS.items() if scenario.is_small]
    assert len(small) == 4
    for name in small:
        assert len(_planned([name], context=["quiet"])) <= 3 * 30


def test_a_point_twice_gives_the_same_trace() -> None:
    point = Point("small-burst", "two", (Crash(20, "seen"),))
    assert Explorer().traced(point).lines == Explorer().traced(point).lines


@pytest.mark.parametrize(
    "text", ["small-burst", "small-burst/loud/1/seen", "x/quiet", "small-burst/quiet/1/after"]
)
def test_what_names_no_point_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (each has another text)
        Point.parsed(text)


def test_a_point_is_found_again_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    name = "small-burst/quiet/9/applied"
    assert str(Point.parsed(name)) == name
    assert crash_points.main(["--point", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("crash of m0" in line for line in lines)
    assert lines[-1].startswith(f"{name}: well")


# ------------------------------------------------------- broken on purpose


def _forget_reservations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim knows the reservation that this process made, and none from before it."""
    facts = ClaimSight.facts

    def remembered(
        self: ClaimSight, claim: Claim, record: ClaimRecord, reads: frozenset[Read]
    ) -> ClaimFacts:
        found = facts(self, claim, record, reads)
        is_known = claim.published or record.reserved_s is not None
        return found if is_known else replace(found, owned=())

    monkeypatch.setattr(ClaimSight, "facts", remembered)


def test_reservations_kept_in_memory_only_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _forget_reservations(monkeypatch)
    explorer = Explorer()
    without = Point("small-burst", "quiet")
    assert explorer.run(without).verdict == ""  # only a crash shows it
    results = [explorer.run(point) for point in explorer.points_after(without)]
    found = Counter(result.verdict for result in results)
    assert found["differs"] + found["stuck"] + found["unsafe"] >= 3
    positions = {result.point.rpartition("/")[2] for result in results if result.verdict}
    assert positions >= {"applied", "seen"}


def test_a_scenario_that_fails_without_a_crash_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    crash_points.reset()
    monkeypatch.setattr(ClaimSight, "_owned", _nothing)
    try:
        report = _explored(capsys, "--scenario", "small-burst", "--context", "quiet")
    finally:
        crash_points.reset()
    assert [failure["point"] for failure in report.failures] == ["small-burst/quiet"]


def _nothing(_sight: ClaimSight, _claim: Claim) -> list[Sandbox]:
    return []


# --------------------------------------------------------------- the oracle


def _books(scenario: str) -> Books:
    books = Books()
    run_case(CONTEXTS["quiet"].case(SCENARIOS[scenario], {}), observers=[books])
    return books


def test_the_same_run_has_no_differences() -> None:
    assert list(differences(_books("small-cold"), _books("small-cold"), frozenset())) == []


def test_what_a_crash_does_not_explain_is_a_difference() -> None:
    reference = _books("small-burst")
    books = _books("small-burst")
    books.made += 1
    assert [*differences(books, reference, frozenset())] == [
        "5 sandboxes were made, 4 in the reference, 0 explained"
    ]
    books = _books("small-burst")
    books.surplus += 1
    assert any("surplus" in text for text in differences(books, reference, frozenset()))


def test_a_claim_that_is_gone_explains_its_sandbox() -> None:
    reference, books = _books("small-burst"), _books("small-burst")
    books.made += 1
    books.handed["a claim that was deleted"] = {"its sandbox"}
    assert list(differences(books, reference, frozenset())) == []


def test_another_end_is_a_difference() -> None:
    reference, books = _books("small-burst"), _books("small-burst")
    pool = next(key for key in books.live if key[1] == "ns-0/pool-0")
    books.live[pool] = {**books.live[pool], "status": {"replicas": 1}}
    assert any("ns-0/pool-0" in text for text in differences(books, reference, frozenset()))


def test_an_unknown_shape_is_a_difference_unless_it_is_the_cold_one() -> None:
    warm, cold = _books("small-burst"), _books("small-cold")
    shapes = frozenset(cold.claims_shapes().values())
    texts = list(differences(cold, warm, frozenset()))
    assert any("like none in the reference" in text for text in texts)
    assert not any("like none" in text for text in differences(cold, warm, shapes))


def test_the_table_counts_by_scenario_and_context() -> None:
    tally = Tally()
    tally.add(Result("a/quiet/1/seen", "", "", 0.5))
    tally.add(Result("a/quiet/2/seen", "stuck", "L1", 0.5))
    tally.add(Result("b/two/0/seen", "unsafe", "S1", 1.0))
    assert (tally.points, tally.cpu_s) == (3, 2.0)
    rows = [line.split() for line in tally.lines()][1:4]
    assert rows[0] == ["a", "quiet", "2", "0", "1", "0", "0", "1.0", "2.0"]
    assert rows[1] == ["b", "two", "1", "1", "0", "0", "0", "1.0", "1.0"]
    assert rows[2] == ["all", "3", "1", "1", "0", "0", "2.0", "1.5"]
