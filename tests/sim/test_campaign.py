"""What a campaign makes of its seeds: means, classes, the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from warmclaim.testing.sim import __main__ as command
from warmclaim.testing.sim.campaign import SeedResult, Summary
from warmclaim.testing.sim.options import CLASSES

ALL = Counter(dict.fromkeys(CLASSES, 1))


def _result(
    faults: Counter[str], claims: int = 40, commits: int = 300, failure: str = ""
) -> SeedResult:
    return SeedResult(7, failure, "", faults, claims, commits, 0.1)


def _summary(*results: SeedResult) -> Summary:
    summary = Summary()
    for result in results:
        summary.add(result)
    return summary


@pytest.mark.parametrize(
    ("result", "word"),
    [
        (_result(Counter(a=19)), "faults"),
        (_result(ALL, claims=29), "claims"),
        (_result(ALL, commits=199), "commits"),
    ],
)
def test_a_campaign_of_too_little_is_thin(result: SeedResult, word: str) -> None:
    assert word in _summary(result).thin()
    assert _summary(_result(ALL)).thin() == ""


def test_a_class_that_never_struck_is_missing() -> None:
    faults = ALL.copy()
    del faults["server.freeze"]
    assert _summary(_result(faults)).missing() == ["server.freeze"]
    assert _summary(_result(faults), _result(ALL)).missing() == []


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (_result(ALL), 0),
        (_result(ALL, failure="simulator: planted"), 1),
        (_result(Counter(a=19)), 2),
    ],
)
def test_the_exit_code_says_it(
    result: SeedResult, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_seeds(_: object, *, jobs: int, on_result: Callable[..., None]) -> Summary:
        summary = _summary(result)
        on_result(result, summary)
        return summary

    monkeypatch.setattr(command, "run_seeds", run_seeds)
    assert command.main(["--seeds", "1"]) == code
