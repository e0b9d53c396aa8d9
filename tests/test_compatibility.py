"""docs/compatibility.md keeps its word: each rule has a verdict, and tests that exist and run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from tests.compatibility.pages import Row, pages, problem, rows

ROOT = Path(__file__).resolve().parent.parent
INDEX = ROOT / "docs" / "compatibility.md"
PAGES = pages(INDEX)
HEAD = "| rule | verdict | tests |\n|---|---|---|\n"


@cache
def all_rows() -> list[Row]:
    """Of all pages, in their order."""
    return [row for page in PAGES for row in rows(page.read_text(encoding="utf-8"), page.name)]


def inventory(files: list[str], out: Path) -> dict[str, str]:
    """Each test in the files, with why it may not run."""
    command = [sys.executable, "-m", "tests.compatibility.inventory", str(out), *files]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found: dict[str, str] = json.loads(out.read_text(encoding="utf-8"))
    return found


def missing(named: str, found: dict[str, str]) -> str | None:
    """Why a named test shows nothing, None if it does. A name without brackets is all of its
    parameters."""
    fitting = [why for name, why in found.items() if named in (name, name.partition("[")[0])]
    if not fitting:
        return f"{named} is not collected"
    return next((f"{named}: {why}" for why in fitting if why), None)


def test_the_index_lists_every_page_and_each_once() -> None:
    assert sorted(set(PAGES)) == sorted(PAGES)
    assert {page.name for page in PAGES} == {
        p.name for p in (ROOT / "docs/compatibility").iterdir()
    }


def test_every_rule_has_a_verdict_and_tests() -> None:
    assert [text for text in map(problem, all_rows()) if text] == []


def test_no_rule_is_listed_twice_on_a_page() -> None:
    rules = Counter((row.place.partition(":")[0], row.rule) for row in all_rows())
    assert [rule for rule, count in rules.items() if count > 1] == []


@pytest.mark.timeout(300)  # it collects half of the tests
def test_every_named_test_exists_and_runs(tmp_path: Path) -> None:
    named = {test: row.place for row in all_rows() for test in row.tests}
    files = sorted({test.partition("::")[0] for test in named})
    found = inventory(files, tmp_path / "found")
    problems = [(place, missing(test, found)) for test, place in named.items()]
    assert [f"{place}: {text}" for place, text in problems if text] == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("| r | open | `t.py::t` |", "verdict 'open' is none of"),
        ("| r |  | `t.py::t` |", "verdict '' is none of"),
        ("| r | better | `t.py::t` |", "better without a word"),
        ("| r | different: | `t.py::t` |", "different without a word"),
        ("| r | same: but | `t.py::t` |", "same with a word"),
        ("| r | same | t.py::t |", "no test"),
        ("|  | same | `t.py::t` |", "no rule"),
    ],
)
def test_a_row_that_says_too_little_is_found(line: str, said: str) -> None:
    (row,) = rows(HEAD + line, "page.md")
    assert (problem(row) or "").startswith(f"page.md:3: {said}")


def test_a_row_is_read_as_it_is_written() -> None:
    (row,) = rows("# x\n\n" + HEAD + "| r | better: no read | `a.py::b` `c.py::D::e` |\n", "p.md")
    assert row == Row("p.md:5", "r", "better", "no read", ("a.py::b", "c.py::D::e"))
    assert problem(row) is None


@pytest.mark.parametrize("text", ["| a | b |\n", HEAD + "| a | same |\n"], ids=["head", "row"])
def test_a_table_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^p\.md:\d: "):
        list(rows(text, "p.md"))


def test_a_test_that_is_gone_or_left_out_is_found(tmp_path: Path) -> None:
    file = tmp_path / "test_some.py"
    file.write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_runs(n): pass\n"
        "@pytest.mark.skip(reason='x')\n"
        "def test_skipped(): pass\n"
        "@pytest.mark.xfail\n"
        "def test_failing(): pass\n"
        "def test_leaves(): pytest.skip('x')\n"
    )
    found = inventory([str(file)], tmp_path / "found")
    names = {name.partition("[")[0].rpartition("::")[2]: name.partition("[")[0] for name in found}
    problems = {short: missing(name, found) for short, name in names.items()}
    assert {short: (text or "").partition(": ")[2] for short, text in problems.items()} == {
        "test_runs": "",
        "test_skipped": "marked skip",
        "test_failing": "marked xfail",
        "test_leaves": "calls pytest.skip(...)",
    }
    assert missing(names["test_runs"] + "[1]", found) is None
    assert missing(names["test_runs"] + "[3]", found) == f"{names['test_runs']}[3] is not collected"
    assert missing("gone.py::test_gone", found) == "gone.py::test_gone is not collected"
