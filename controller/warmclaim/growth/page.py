"""Results as one page, and each plot as a picture for documents; both in the light and the dark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from warmclaim.growth.plots import plots
from warmclaim.growth.result import REAL, SIMULATED, Cost, R, Real, Result, Simulated, rows
from warmclaim.loadtest.report.charts import figure
from warmclaim.loadtest.report.elements import element, page_of, style_sheet
from warmclaim.loadtest.report.pictures import picture


def written(results: Sequence[Result], machine: str, folder: Path) -> list[Path]:
    """Write growth.html, and an SVG for each plot. Raises OSError."""
    page = folder / "growth.html"
    page.write_bytes(page_of(_page(results, machine)))
    files = [page]
    for plot in plots(results):
        chart = plot.chart()
        files.append(folder / f"{chart.name}.svg")
        files[-1].write_bytes(picture(chart))
    return files


def _page(results: Sequence[Result], machine: str) -> Element:
    title = "Growth: what a claim takes, by the number of sandboxes and pools"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", style_sheet()),
    )
    drawn = [figure(one.chart()) for one in plots(results)]
    simulated = [one for one in results if isinstance(one, Simulated)]
    real = [one for one in results if isinstance(one, Real)]
    body = element(
        "body",
        element("h1", title),
        element("p", machine, class_="small"),
        *_table("On virtual time", simulated, SIMULATED),
        *_table("In real time, over HTTP", real, REAL),
        element("div", *drawn, class_="charts"),
    )
    return element("html", head, body, lang="en")


def _table(title: str, results: Sequence[R], costs: Sequence[Cost]) -> list[Element]:
    if not results:
        return []
    heads, lines = rows(results, costs)
    head = element("tr", *(element("th", text) for text in heads))
    body = [element("tr", *(element("td", text) for text in line)) for line in lines]
    table = element("table", element("thead", head), element("tbody", *body))
    return [element("div", element("h2", title), table, class_="wide")]
