"""Figures beside their budgets, as a table."""

from __future__ import annotations

from collections.abc import Iterable

from e2e.bench.budgets import Row
from rich.table import Table

NOT_MEASURED = "not measured"


def table_of(rows: Iterable[Row], title: str) -> Table:
    """One line for each row, in their order."""
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for head in ("", "what", "budget", "figure", "of it", "met", "how"):
        table.add_column(head, justify="right" if head in ("budget", "figure", "of it") else "left")
    for row in rows:
        table.add_row(*cells(row))
    return table


def cells(row: Row) -> tuple[str, ...]:
    """A row of the table."""
    bound = f"{row.bound:g} {row.unit}".strip()
    if row.figure is None:
        return (row.budget, row.what, bound, "", "", NOT_MEASURED, row.note)
    share = "" if row.share is None else f"{row.share:.2f}"
    met = "met" if row.is_met else "NOT MET"
    return (row.budget, row.what, bound, f"{row.figure:,.2f}", share, met, row.note)
