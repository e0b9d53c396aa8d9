"""Runs on a terminal: a line for each phase, and what was wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from warmclaim.loadtest.result import LIMIT, Latency, PhaseResult, RunResult

MIB = 1024 * 1024
SHOWN_MAX = 5
_HEADS = (
    "phase",
    "s",
    "claims",
    "cold",
    "P50",
    "P90",
    "P99",
    "own",
    "CPU s",
    "MiB",
    "asked",
)


def page(runs: Sequence[RunResult]) -> RenderableType:
    """All runs, one below the other."""
    parts: list[RenderableType] = []
    for run in runs:
        parts.append(_table(run))
        parts += [Text(f"problem: {run.problem}", style="red")] if run.problem else []
        parts += [Text(f"broken: {text}", style="red") for text in run.breaches[:SHOWN_MAX]]
    parts.append(
        Text(
            "P50, P90, P99: ms from the POST of a claim sent to Ready=True on the load generator's"
            " watch, by its clock; own: the P50 by the controller's. CPU s, MiB and asked (requests to"
            " the API server) are the controller's.",
            style="dim",
        )
    )
    return Group(*parts)


def _table(run: RunResult) -> Table:
    who = "no controller: the load generator writes" if run.serves == LIMIT else run.serves
    title = f"{run.profile}: {who}"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for head in _HEADS:
        table.add_column(head, justify="left" if head == "phase" else "right", no_wrap=True)
    for phase in run.phases:
        table.add_row(*_cells(phase))
    return table


def _cells(phase: PhaseResult) -> Iterable[str]:
    yield phase.name
    yield f"{phase.duration_s:.1f}"
    yield f"{phase.client.count if phase.client else 0} of {phase.sent}" if phase.sent else ""
    yield str(phase.cold) if phase.sent else ""
    yield from _percentiles(phase.client)
    yield "" if phase.controller is None else f"{phase.controller.p50_ms:.1f}"
    yield "" if phase.cpu_s is None else f"{phase.cpu_s:.2f}"
    yield "" if phase.rss_bytes is None else f"{phase.rss_bytes / MIB:.0f}"
    yield str(sum(phase.requests.values())) if phase.requests_from else ""


def _percentiles(latency: Latency | None) -> Iterable[str]:
    if latency is None:
        return ("", "", "")
    return (f"{value:.1f}" for value in (latency.p50_ms, latency.p90_ms, latency.p99_ms))
