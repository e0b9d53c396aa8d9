"""The whole page: what was run, figures as tables, charts, flame graphs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from warmclaim.loadtest.cells import HEADS, NOTE, cells
from warmclaim.loadtest.ratios import HEADS as RATIO_HEADS
from warmclaim.loadtest.ratios import ratios
from warmclaim.loadtest.report import plots
from warmclaim.loadtest.report.charts import Chart, figure
from warmclaim.loadtest.report.elements import element, page_of, style_sheet
from warmclaim.loadtest.report.flame import graph
from warmclaim.loadtest.report.runs import Run
from warmclaim.loadtest.result import LIMIT

_CHARTS = (
    *(plots.latency, plots.drift, plots.claims, plots.pool, plots.cores),
    *(plots.nodes, plots.phases, plots.cpu, plots.requests),
)


def charts(runs: Sequence[Run]) -> list[Chart]:
    """Those that there is something to show in."""
    return [chart for draw in _CHARTS if (chart := draw(runs)) is not None]


def written(runs: Sequence[Run], file: Path) -> None:
    """Write the page. Raises OSError."""
    file.write_bytes(page_of(_root(runs)))


def _root(runs: Sequence[Run]) -> Element:
    names = ", ".join(dict.fromkeys(run.result.profile for run in runs))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"Load test: {names}"),
        element("style", style_sheet()),
    )
    drawn = [figure(chart) for chart in charts(runs)]
    body = element(
        "body",
        element("h1", f"Load test: {names}"),
        element("div", *(_about(run) for run in runs), class_="runs"),
        _figures(runs),
        *_ratios(runs),
        element("div", *drawn, class_="charts"),
        *_flames(runs),
        _milestones(runs),
    )
    return element("html", head, body, lang="en")


def _about(run: Run) -> Element:
    result = run.result
    served = "no controller: the load generator sends its writes" if result.serves == LIMIT else ""
    parts = [
        element("h2", run.name),
        element("p", result.about),
        element("p", served or result.command or "a controller that ran already", class_="small"),
        element("p", f"{result.started_at}; {result.machine}; {result.version}", class_="small"),
    ]
    for problem in [result.problem, *result.breaches[:10]]:
        if problem:
            parts.append(element("p", problem, class_="bad"))
    return element("section", *parts)


def _figures(runs: Sequence[Run]) -> Element:
    rows = [
        element("tr", *(element("td", cell) for cell in (run.name, *cells(phase))))
        for run in runs
        for phase in run.result.phases
    ]
    head = element("tr", *(element("th", name) for name in ("run", *HEADS)))
    table = element("table", element("thead", head), element("tbody", *rows))
    return element("div", table, element("p", NOTE, class_="small"), class_="wide")


def _ratios(runs: Sequence[Run]) -> Iterable[Element]:
    found = ratios([run.result for run in runs])
    if found:
        heading = element("h2", "The controller as a multiple of the limit (medians)")
        head = element("tr", *(element("th", name) for name in ("profile", *RATIO_HEADS)))
        rows = [
            element("tr", *(element("td", cell) for cell in (one.profile, *one.cells())))
            for one in found
        ]
        table = element("table", element("thead", head), element("tbody", *rows), class_="ratios")
        yield element("div", heading, table, class_="wide")


def _flames(runs: Sequence[Run]) -> Iterable[Element]:
    for run in runs:
        for phase, stacks in run.stacks.items():
            title = f"Flame graph: {run.name}, {phase}"
            about = (
                f"{sum(stacks.values()):,} samples of the controller while it used the CPU. Wide is"
                " much time; a call stands on its caller."
            )
            heading = element("figcaption", element("h2", title), element("p", about))
            yield element("figure", heading, graph(stacks), class_="wide")


def _milestones(runs: Sequence[Run]) -> Element:
    rows = [
        element("tr", *(element("td", cell) for cell in (run.name, phase.name, f"{at:.2f}", name)))
        for run in runs
        for phase in run.result.phases
        for at, name in [
            (phase.begun_s, "begins"),
            *((one.at_s, _told(one.name, one.told)) for one in phase.milestones),
        ]
    ]
    heads = ("run", "phase", "s since the run began", "milestone")
    head = element("tr", *(element("th", name) for name in heads))
    table = element("table", element("thead", head), element("tbody", *rows), class_="left")
    return element("details", element("summary", "Milestones"), table)


def _told(name: str, told: dict[str, float]) -> str:
    more = ", ".join(f"{value:g} {key}" for key, value in told.items())
    return f"{name} ({more})" if more else name
