"""Runs on a terminal: a line for each phase, and what was wrong."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from warmclaim.loadtest.cells import HEADS, NOTE, cells
from warmclaim.loadtest.ratios import HEADS as RATIO_HEADS
from warmclaim.loadtest.ratios import Ratio, ratios
from warmclaim.loadtest.result import LIMIT, RunResult

SHOWN_MAX = 5


def page(runs: Sequence[RunResult]) -> RenderableType:
    """All runs, one below the other."""
    parts: list[RenderableType] = []
    for run in runs:
        parts.append(_table(run))
        parts += [Text(f"problem: {run.problem}", style="red")] if run.problem else []
        parts += [Text(f"broken: {text}", style="red") for text in run.breaches[:SHOWN_MAX]]
    parts.append(Text(NOTE, style="dim"))
    found = ratios(runs)
    return Group(*parts, *([_beside(found)] if found else []))


def _beside(found: Sequence[Ratio]) -> Table:
    title = "the controller as a multiple of the limit (medians)"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for head in RATIO_HEADS:
        table.add_column(head, justify="left" if head in RATIO_HEADS[:2] else "right")
    for one in found:
        table.add_row(*one.cells())
    return table


def _table(run: RunResult) -> Table:
    who = "no controller: the load generator writes" if run.serves == LIMIT else run.serves
    title = f"{run.profile}: {who}"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for head in HEADS:
        table.add_column(head, justify="left" if head == HEADS[0] else "right", no_wrap=True)
    for phase in run.phases:
        table.add_row(*cells(phase))
    return table
