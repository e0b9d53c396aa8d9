"""Reads the tables of docs/compatibility/: one row for each rule of the API.

A page is Markdown. Each of its tables has the columns rule, verdict and tests; tests are names as
pytest takes them, in backticks. A verdict is one of VERDICTS; all but `same` say how or why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VERDICTS = ("same", "better", "different")
HEADER = ["rule", "verdict", "tests"]
_TEST = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\(compatibility/([a-z-]+\.md)\)")


@dataclass(frozen=True, slots=True)
class Row:
    """One rule. `place` is file:line; `words` say how it is better or why it differs."""

    place: str
    rule: str
    verdict: str
    words: str
    tests: tuple[str, ...]


def pages(index: Path) -> list[Path]:
    """The pages that the index links to, in its order."""
    names = _LINK.findall(index.read_text(encoding="utf-8"))
    return [index.parent / "compatibility" / name for name in names]


def rows(text: str, name: str) -> Iterator[Row]:
    """The rows of a page. Raises ValueError, with the place, for a table of another form."""
    header_ahead = True
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|"):
            header_ahead = True
            continue
        place = f"{name}:{number}"
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if header_ahead and cells != HEADER:
            raise ValueError(f"{place}: a table begins with | {' | '.join(HEADER)} |")
        if header_ahead or not line.strip("|- "):
            header_ahead = False
            continue
        if len(cells) != len(HEADER):
            raise ValueError(f"{place}: {len(cells)} cells")
        rule, judged, tests = cells
        verdict, _, words = judged.partition(":")
        yield Row(place, rule, verdict.strip(), words.strip(), tuple(_TEST.findall(tests)))


def problem(row: Row) -> str | None:
    """What is wrong with a row by itself, None for nothing."""
    if row.verdict not in VERDICTS:
        return f"{row.place}: verdict {row.verdict!r} is none of {', '.join(VERDICTS)}"
    if not row.rule:
        return f"{row.place}: no rule"
    if (row.verdict == "same") is bool(row.words):
        return f"{row.place}: {row.verdict} with{'' if row.words else 'out'} a word about it"
    if not row.tests:
        return f"{row.place}: no test"
    return None
