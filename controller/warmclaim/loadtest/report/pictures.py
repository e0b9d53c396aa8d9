"""Charts and flame graphs as files of their own, for documents and tickets; light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from errno import EEXIST
from os import strerror
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, tostring

from warmclaim.loadtest.report import flame
from warmclaim.loadtest.report.charts import LEFT, Bars, Chart, Line, style
from warmclaim.loadtest.report.elements import element, style_sheet
from warmclaim.loadtest.report.page import charts
from warmclaim.loadtest.report.runs import Run

_TITLE_Y, _KEYS_Y, _KEY_HEIGHT, _KEY_WIDTH = 24, 46, 18, 290
_KEY_CHARACTERS_MAX: Final = 40
"""Where all keys are shorter, two stand in a row."""
_BOLD: Final = "font-size: 15px; font-weight: 600"


def pictures(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write an SVG for each chart and each flame graph. Raises OSError; FileExistsError before
    anything is written over."""
    made = {f"{chart.name}.svg": picture(chart) for chart in charts(runs)}
    for run in runs:
        for phase, stacks in run.stacks.items():
            title = f"Processor time of the controller: {run.name}, {phase}"
            chart = Chart("flame", title, "", (), flame.graph(stacks))
            made[f"flame-{run.name.replace('/', '-')}-{phase}.svg"] = picture(chart)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in made]
    for file in files:
        if file.exists():
            raise FileExistsError(EEXIST, strerror(EEXIST), str(file))
    for file in files:
        with file.open("xb") as stream:
            stream.write(made[file.name])
    return files


def picture(chart: Chart) -> bytes:
    """A chart as a whole file, title and legend in it."""
    _, _, *size = chart.drawing.attrib["viewBox"].split()
    width, height = map(float, size)
    across = 2 if all(len(one.name) <= _KEY_CHARACTERS_MAX for one in chart.legend) else 1
    top = _KEYS_Y + -(-len(chart.legend) // across) * _KEY_HEIGHT
    attributes = {"transform": f"translate(0 {top})", "class": chart.drawing.get("class", "")}
    moved = Element("g", attributes)
    moved.extend(chart.drawing)
    root = element(
        "svg",
        element("style", style_sheet()),
        element("rect", width=width, height=top + height, rx=8, style="fill: var(--panel)"),
        element("text", chart.title, x=LEFT, y=_TITLE_Y, class_="value", style=_BOLD),
        *_keys(chart.legend, across),
        moved,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {top + height:g}",
        role="img",
    )
    text: bytes = tostring(root, encoding="utf-8")
    return text + b"\n"


def _keys(legend: Sequence[Line | Bars], across: int) -> Iterator[Element]:
    for number, one in enumerate(legend):
        x = LEFT + number % across * _KEY_WIDTH
        y = _KEYS_Y + number // across * _KEY_HEIGHT
        yield element("line", x1=x, x2=x + 24, y1=y - 4, y2=y - 4, class_=f"line {style(one)}")
        yield element("text", one.name, x=x + 32, y=y, class_="value")
