"""Figures that a run of the tests has measured: told at its end, and kept in out/e2e/.

A figure is never asserted: the machine is shared. What is a promise stands in the tests.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
from e2e.bench.budgets import Row, figures
from e2e.bench.table import table_of
from rich.console import Console
from tests.bench.figures import OUT, ROOT, Findings, findings

FOLDER = OUT / "e2e"
_WIDTH_CHARS = 160


class Told(Findings, frozen=True, kw_only=True):
    """The file: findings as `make bench` writes them, so that two can be compared, and the rows."""

    rows: list[Row]


class RunFigures:
    """Of one run of pytest."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(
        self, group: str, what: str, figure: float, bound: float, unit: str, note: str = ""
    ) -> None:
        """A figure beside its budget; what is above `bound` is not met."""
        row = Row(budget=group, what=what, bound=bound, unit=unit, figure=figure, note=note)
        self.rows.append(row)

    def text(self) -> str:
        """The table, wide enough for a log; empty where nothing was measured."""
        if not self.rows:
            return ""
        console = Console(width=_WIDTH_CHARS, no_color=True)
        with console.capture() as captured:
            console.print(table_of(self.rows, "measured in this run"), highlight=False)
        return captured.get()

    def write(self, folder: Path = FOLDER) -> Path:
        """Keep them in a file named by the moment and the commit; returns it."""
        found = findings(figures(self.rows))
        told = Told(
            made_at=found.made_at,
            commit=found.commit,
            machine=found.machine,
            versions=found.versions,
            figures=found.figures,
            rows=self.rows,
        )
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{found.commit}.json"
        target.write_bytes(msgspec.json.format(msgspec.json.encode(told)) + b"\n")
        return target


def where(file: Path) -> str:
    """A file of the checkout, as one would type it there."""
    return str(file.relative_to(ROOT))
