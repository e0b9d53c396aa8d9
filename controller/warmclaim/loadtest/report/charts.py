"""Charts as SVG: lines over an axis, and bars beside their names.

Legends are HTML above the drawing, so no text can lie on a line. Colours are CSS variables, since
a page is read in the dark as well. A tooltip tells the values: hover over a line or a bar.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from warmclaim.loadtest.report.elements import element
from warmclaim.loadtest.report.scales import Scale, linear, shown

WIDTH, HEIGHT = 660, 330
LEFT, RIGHT, TOP, BOTTOM = 62, 28, 12, 48
COLOURS = 8
"""How many there are; then they come again, with dashed lines."""
BAR, BAR_GAP, GROUP_GAP = 14, 2, 12
MARK = 4
NAMES_WIDTH, VALUES_WIDTH = 222, 70
CHARACTERS_MAX = 29


@dataclass(frozen=True)
class Line:
    """One series. `colour` is a number; `told` is its tooltip; `is_marked` shows each point."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int
    is_dashed: bool = False
    is_stepped: bool = False
    is_marked: bool = False
    told: str = ""


@dataclass(frozen=True)
class Bars:
    """One run's values, by the names of the groups."""

    name: str
    values: dict[str, float]
    colour: int


@dataclass(frozen=True)
class Chart:
    """A drawing, a sentence on what it shows, and what its colours mean. `name` is its file's."""

    name: str
    title: str
    about: str
    legend: Sequence[Line | Bars]
    drawing: Element


def figure(chart: Chart) -> Element:
    """A chart as a part of a page."""
    keys = [
        element("li", element("i", class_=style(one)), one.name, class_="key")
        for one in chart.legend
    ]
    return element(
        "figure",
        element("figcaption", element("h2", chart.title), element("p", chart.about)),
        *([element("ul", *keys, class_="legend")] if keys else []),
        chart.drawing,
    )


def lines(series: Sequence[Line], x: Scale, y: Scale, x_label: str, y_label: str) -> Element:
    """A chart with two axes."""
    drawing = element("svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", class_="chart")
    for tick in y.ticks:
        at = _y(y, tick)
        drawing.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid"))
        drawing.append(element("text", shown(tick), x=LEFT - 8, y=at + 4, class_="tick end"))
    for tick in x.ticks:
        at = _x(x, tick)
        drawing.append(
            element("line", x1=at, x2=at, y1=TOP, y2=HEIGHT - BOTTOM, class_="grid faint")
        )
        drawing.append(element("text", shown(tick), x=at, y=HEIGHT - BOTTOM + 18, class_="tick"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    drawing.append(element("text", x_label, x=middle, y=HEIGHT - 8, class_="label"))
    height = (TOP + HEIGHT - BOTTOM) / 2
    turned = f"rotate(-90 14 {height:.0f})"
    drawing.append(element("text", y_label, x=14, y=height, transform=turned, class_="label"))
    for one in series:
        drawing.append(_path(one, x, y))
        drawing.extend(_marks(one, x, y))
    return drawing


def bars(groups: Sequence[str], runs: Sequence[Bars], label: str, digits: int = 0) -> Element:
    """A group of bars for each name, a bar in it for each run; values stand at their ends."""
    each = len(runs) * (BAR + BAR_GAP) + GROUP_GAP
    height = TOP + each * len(groups) + BOTTOM
    most = max((run.values.get(name, 0.0) for run in runs for name in groups), default=0.0)
    scale = linear(most or 1.0, 5)
    room = WIDTH - NAMES_WIDTH - VALUES_WIDTH
    drawing = element("svg", viewBox=f"0 0 {WIDTH} {height}", role="img", class_="chart")
    for tick in scale.ticks:
        at = NAMES_WIDTH + room * scale.share(tick)
        low = height - BOTTOM
        drawing.append(element("line", x1=at, x2=at, y1=TOP, y2=low, class_="grid faint"))
        drawing.append(element("text", shown(tick), x=at, y=low + 18, class_="tick"))
    drawing.append(element("text", label, x=NAMES_WIDTH + room / 2, y=height - 8, class_="label"))
    for number, name in enumerate(groups):
        top = TOP + GROUP_GAP / 2 + number * each
        middle = top + (each - GROUP_GAP) / 2 + 4
        short = name if len(name) <= CHARACTERS_MAX else f"{name[: CHARACTERS_MAX - 1]}…"
        drawing.append(element("text", short, x=NAMES_WIDTH - 8, y=middle, class_="tick end"))
        for place, run in enumerate(runs):
            value = run.values.get(name)
            if value is None:
                continue
            at, width = top + place * (BAR + BAR_GAP), room * scale.share(value)
            text = f"{value:,.{digits}f}"
            told = element("title", f"{run.name}, {name}: {text}")
            box = element("rect", told, x=NAMES_WIDTH, y=at, width=max(width, 1.0), height=BAR)
            box.set("class", f"fill c{run.colour % COLOURS}")
            drawing.append(box)
            end = NAMES_WIDTH + width + 5
            drawing.append(element("text", text, x=end, y=at + 11, class_="value"))
    return drawing


def _path(one: Line, x: Scale, y: Scale) -> Element:
    text, before = list[str](), 0.0
    for number, (across, up) in enumerate(one.points):
        at_x, at_y = _x(x, across), _y(y, up)
        if one.is_stepped and number:
            text.append(f"L{at_x:.1f} {before:.1f}")
        text.append(f"{'L' if number else 'M'}{at_x:.1f} {at_y:.1f}")
        before = at_y
    told = element("title", one.told or one.name)
    return element("path", told, d="".join(text), class_=f"line {style(one)}")


def _marks(one: Line, x: Scale, y: Scale) -> Iterator[Element]:
    for across, up in one.points if one.is_marked else ():
        told = element("title", f"{one.told or one.name}: {shown(across)}, {shown(up)}")
        classes = f"fill c{one.colour % COLOURS}"
        yield element("circle", told, cx=_x(x, across), cy=_y(y, up), r=MARK, class_=classes)


def style(one: Line | Bars) -> str:
    """Its classes in the style sheet."""
    is_dashed = isinstance(one, Line) and (one.is_dashed or one.colour >= COLOURS)
    return f"c{one.colour % COLOURS}{' dashed' if is_dashed else ''}"


def _x(scale: Scale, value: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * scale.share(value)


def _y(scale: Scale, value: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * scale.share(value)
