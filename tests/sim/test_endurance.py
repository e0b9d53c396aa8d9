"""A day of claims in a minute or two; and that a run which leaks does not pass."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from warmclaim.controllers.blueprints import Blueprints
from warmclaim.controllers.claim_journal import ClaimJournal
from warmclaim.controllers.claim_records import ClaimRecords
from warmclaim.controllers.pool_members import PoolMemories
from warmclaim.testing.endurance.__main__ import main
from warmclaim.testing.endurance.report import GROWTH_MAX, problems, row, summary
from warmclaim.testing.endurance.run import TENTHS, Outcome, Plan, Tenth, run_endurance

SMALL = Plan(days=0.005)
"""43 claims."""

MIB = 1024 * 1024


@pytest.mark.timeout(600)
def test_g14_memory_is_flat_after_a_day() -> None:
    """In a process of its own: what other tests left behind is not its memory."""
    command = [sys.executable, "-m", "warmclaim.testing.endurance", "--days", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("\n") == 2 + TENTHS + 4
    assert "24 leaders cut off" in ended.stdout
    assert "12 histories lost" in ended.stdout
    assert "rows of history" in ended.stdout


def test_a_run_that_forgets_has_no_faults() -> None:
    seen: list[Tenth] = []
    outcome = run_endurance(SMALL, seen.append)
    assert outcome.faults == ()
    assert outcome.tenths == tuple(seen)
    assert len(seen) == TENTHS
    assert outcome.did["claims served"] > 35


def _nothing(*_: Any) -> None:
    """What forgets nothing."""


@pytest.mark.parametrize(
    ("leak", "what"),
    [
        ((ClaimRecords, "drop"), "claim records"),
        ((ClaimJournal, "_changed"), "claim journal"),
        ((Blueprints, "_changed"), "blueprints"),
        ((PoolMemories, "forget"), "pool memories"),
    ],
)
def test_what_is_not_forgotten_is_found(
    leak: tuple[type, str], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*leak, _nothing)
    found = run_endurance(SMALL).faults
    assert found
    assert all(fault.startswith("tenth") for fault in found)
    assert any(what in fault for fault in found), found


def _outcome(*rss_mib: float, faults: tuple[str, ...] = ()) -> Outcome:
    blank = Tenth(rss_bytes=0, blocks=1, kept={"a": 1, "b": 0}, views=2, server_bytes=MIB)
    tenths = tuple(replace(blank, rss_bytes=int(mib * MIB)) for mib in rss_mib)
    return Outcome(tenths, faults, Counter({"claims served": 1234}))


@pytest.mark.parametrize(
    ("rss_mib", "is_flat"),
    [((10, 100, 150, 100), True), ((10, 100, 100, 102), True), ((10, 100, 100, 102.1), False)],
)
def test_the_last_tenth_is_held_against_the_second(
    rss_mib: tuple[float, ...], is_flat: bool
) -> None:
    assert (not problems(_outcome(*rss_mib))) is is_flat


def test_what_was_seen_is_a_problem_and_all_is_said() -> None:
    outcome = _outcome(100, 100, 100 * GROWTH_MAX, faults=("tenth 1: L8: 3 claim records",))
    assert problems(outcome) == ["tenth 1: L8: 3 claim records"]
    assert summary(outcome) == [
        "1,234 claims served",
        "remembered in the end, by both managers: 1 a",
        "RSS of tenth 10 by that of tenth 2: 1.020",
    ]
    assert row(3, outcome.tenths[0]).split() == ["3", "100.0", "1", "2", "1", "1.00"]


@pytest.mark.parametrize(
    "arguments",
    [["--days", "0"], ["--days", "-1"], ["--claim-every-s", "0"], ["--days", "0.0001"],
     ["--days", "nan"], ["--claim-every-s", "inf"]],
)  # fmt: skip
def test_arguments_that_make_no_run_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    assert "must make at least 10 claims" in capsys.readouterr().err


def test_a_system_without_proc_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise FileNotFoundError("/proc/self/statm")

    refused: Callable[[], int] = fail
    monkeypatch.setattr("warmclaim.testing.endurance.__main__.rss_bytes", refused)
    with pytest.raises(SystemExit) as ended:
        main(["--days", "1"])
    assert ended.value.code == 2
    assert "does not tell the memory of a process" in capsys.readouterr().err
