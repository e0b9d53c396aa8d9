"""docs/security.md keeps its word: each attack has a row, and the tests that it names run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.test_compatibility import inventory, missing

PAGE = Path(__file__).resolve().parent.parent / "docs" / "security.md"
ATTACKS = [f"G{number}" for number in range(1, 23)]
_ROW = re.compile(r"\| (G\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")


def rows(text: str) -> dict[str, list[str]]:
    """The tests of each attack, by its number. Raises ValueError for one that is told twice."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if row := _ROW.fullmatch(line):
            if row[1] in found:
                raise ValueError(f"{row[1]} is told twice")
            found[row[1]] = re.findall(r"`([^`]+::[^`]+)`", row[4])
    return found


def test_every_attack_has_a_row_and_tests() -> None:
    found = rows(PAGE.read_text(encoding="utf-8"))
    assert list(found) == ATTACKS
    assert [attack for attack, tests in found.items() if not tests] == []


def test_a_test_named_after_the_attack_is_among_them() -> None:
    for attack, tests in rows(PAGE.read_text(encoding="utf-8")).items():
        assert any(f"test_{attack.lower()}_" in test for test in tests), attack


@pytest.mark.timeout(300)
def test_every_named_test_exists_and_runs(tmp_path: Path) -> None:
    named = {
        test: attack
        for attack, tests in rows(PAGE.read_text(encoding="utf-8")).items()
        for test in tests
    }
    found = inventory(sorted({test.partition("::")[0] for test in named}), tmp_path / "found")
    problems = [(attack, missing(test, found)) for test, attack in named.items()]
    assert [f"{attack}: {text}" for attack, text in problems if text] == []


def test_a_row_that_is_told_twice_is_refused() -> None:
    row = "| G1 | a | b | `t.py::t` |\n"
    assert rows(row) == {"G1": ["t.py::t"]}
    with pytest.raises(ValueError, match="G1 is told twice"):
        rows(row * 2)
