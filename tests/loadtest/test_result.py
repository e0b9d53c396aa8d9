"""What is computed of a run's claims."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.loadtest.recorded import a_run

from warmclaim.loadtest.ratios import Ratio, ratios
from warmclaim.loadtest.report import read
from warmclaim.loadtest.result import LIMIT, Latency, Window, latency_of, windows_of


def test_percentiles_are_values_that_were_measured_in_milliseconds() -> None:
    assert latency_of([0.004, 0.001, 0.003, 0.002]) == Latency(4, 2.0, 4.0, 4.0, 4.0)
    assert latency_of([number / 1000 for number in range(1, 201)]) == Latency(
        200, 100.0, 180.0, 198.0, 200.0
    )
    assert latency_of([]) is None


def test_windows_show_a_drift() -> None:
    claims = [(25.0, 0.004), (5.0, 0.001), (14.9, 0.003), (15.0, 0.002), (45.0, 0.005)]
    assert windows_of(claims) == [
        Window(5.0, Latency(2, 1.0, 3.0, 3.0, 3.0)),
        Window(15.0, Latency(1, 2.0, 2.0, 2.0, 2.0)),
        Window(25.0, Latency(1, 4.0, 4.0, 4.0, 4.0)),
        Window(45.0, Latency(1, 5.0, 5.0, 5.0, 5.0)),
    ]


def test_one_window_is_none() -> None:
    assert windows_of([(1.0, 0.1), (10.9, 0.2)]) == []
    assert windows_of([]) == []


def test_medians_of_both_sides_are_compared(tmp_path: Path) -> None:
    a_run(tmp_path / "limit-1", serves=LIMIT)
    a_run(tmp_path / "limit-2", serves=LIMIT, slowness=3)
    for number, slowness in enumerate((2, 4, 60)):
        a_run(tmp_path / f"controller-{number}", slowness=slowness)
    results = [run.result for run in read([str(tmp_path)])]
    found = ratios(results)
    assert found[0] == Ratio("100-at-50", "burst", "P50", 2, 100.0, 200.0, 2.0)
    assert [(one.what, one.ratio) for one in found] == [
        *(("P50", 2.0), ("P90", pytest.approx(2)), ("P99", pytest.approx(2)))
    ]
    assert ratios(results[:2]) == []
    results[0].problem = "the machine went away"
    assert ratios(results)[0].limit_ms == 150.0
