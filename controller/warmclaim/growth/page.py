"""Results as one page, and each plot as a picture for documents; both in the light and the dark."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, tostring

from warmclaim.growth.plots import Plot, plots
from warmclaim.growth.result import REAL, SIMULATED, Cost, R, Real, Result, Simulated, rows
from warmclaim.loadtest.report.charts import HEIGHT, LEFT, WIDTH, figure
from warmclaim.loadtest.report.elements import element, page_of

_TITLE_Y, _KEYS_Y, _KEY_HEIGHT, _KEY_WIDTH = 24, 46, 18, 290
_KEYS_ACROSS: Final = 2
_BOLD: Final = "font-size: 15px; font-weight: 600"


def written(results: Sequence[Result], machine: str, folder: Path) -> list[Path]:
    """Write growth.html, and an SVG for each plot. Raises OSError."""
    page = folder / "growth.html"
    page.write_bytes(page_of(_page(results, machine)))
    files = [page]
    for plot in plots(results):
        files.append(folder / f"growth-{plot.name}.svg")
        files[-1].write_bytes(picture(plot))
    return files


def picture(plot: Plot) -> bytes:
    """A plot as a file of its own, title and legend in it."""
    rows_of_keys = -(-len(plot.series) // _KEYS_ACROSS)
    top = _KEYS_Y + rows_of_keys * _KEY_HEIGHT
    height = top + HEIGHT
    moved = element("g", *list(plot.drawing()), transform=f"translate(0 {top})")
    root = element(
        "svg",
        element("style", _style()),
        element("rect", width=WIDTH, height=height, rx=8, style="fill: var(--panel)"),
        element("text", plot.title, x=LEFT, y=_TITLE_Y, class_="value", style=_BOLD),
        *_keys(plot),
        moved,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
    )
    text: bytes = tostring(root, encoding="utf-8")
    return text + b"\n"


def _keys(plot: Plot) -> list[Element]:
    made: list[Element] = []
    for number, one in enumerate(plot.series):
        x = LEFT + number % _KEYS_ACROSS * _KEY_WIDTH
        y = _KEYS_Y + number // _KEYS_ACROSS * _KEY_HEIGHT
        style = f"line c{one.colour}{' dashed' if one.is_dashed else ''}"
        made.append(element("line", x1=x, x2=x + 24, y1=y - 4, y2=y - 4, class_=style))
        made.append(element("text", one.name, x=x + 32, y=y, class_="value"))
    return made


def _style() -> str:
    return resources.files("warmclaim.loadtest.report").joinpath("page.css").read_text("utf-8")


def _page(results: Sequence[Result], machine: str) -> Element:
    title = "Growth: what a claim takes, by the number of sandboxes and pools"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", _style()),
    )
    drawn = [figure(one.title, one.about, one.series, one.drawing()) for one in plots(results)]
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
