"""The page as a browser lays it out, in the light and in the dark: asked from headless Chromium.

A probe is put into a copy of the page; it measures every text and writes what it found into the
document, which the browser prints.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from typing import Any

import pytest
from tests.loadtest.recorded import a_run

from warmclaim.loadtest.report import read, written
from warmclaim.loadtest.result import LIMIT

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.timeout(120),
    # Where the tests must be whole, a missing browser is a failure.
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"),
        reason="no chromium: apt-get install chromium",
    ),
]
SCHEMES = {"dark": 0, "light": 1}
CONTRAST_MIN = 4.5
"""What people with moderately low vision need for text of this size."""
PROBE = """
const box = one => { const b = one.getBoundingClientRect();
  return {left: b.left, right: b.right, top: b.top, bottom: b.bottom}; };
const texts = within => [...within.querySelectorAll('text')].map(one =>
  ({text: one.textContent, colour: getComputedStyle(one).fill, ...box(one)}));
const figures = [...document.querySelectorAll('figure')].map(one => ({
  title: one.querySelector('h2').textContent,
  keys: [...one.querySelectorAll('.key')].map(key => ({text: key.textContent,
    colour: getComputedStyle(key.firstChild).borderTopColor, ...box(key)})),
  lines: [...one.querySelectorAll('.line')].map(line => getComputedStyle(line).stroke),
  labels: [...one.querySelectorAll('text.label')].map(label => label.textContent),
  ticks: [...one.querySelectorAll('text.tick')].map(tick => tick.textContent),
  panel: getComputedStyle(one).backgroundColor,
  drawing: box(one.querySelector('svg')),
  texts: texts(one.querySelector('svg')),
}));
const found = {figures, width: document.documentElement.scrollWidth, window: innerWidth,
  rows: [...document.querySelectorAll('.wide tbody tr')].map(row =>
    [...row.cells].map(cell => cell.textContent))};
const said = document.createElement('pre');
said.id = 'probe';
said.textContent = JSON.stringify(found);
document.body.append(said);
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of three runs, one of them ten times slower."""
    folder = tmp_path_factory.mktemp("page")
    a_run(folder / "runs" / "limit", serves=LIMIT)
    a_run(folder / "runs" / "controller-1", slowness=2)
    a_run(folder / "runs" / "controller-2", slowness=20)
    file = folder / "page.html"
    written(read([str(folder / "runs")]), file)
    return file.read_text()


@pytest.fixture(scope="module", params=[(s, w) for s in SCHEMES for w in (1440, 700)], ids=str)
def seen(
    request: pytest.FixtureRequest, page: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What the probe found, in a colour scheme and a width of the window."""
    scheme, width = request.param
    folder = tmp_path_factory.mktemp("browser")
    file = folder / "page.html"
    file.write_text(page.replace("</body>", f"<script>{PROBE}</script></body>"))
    assert CHROMIUM is not None, "the browser is missing: apt-get install chromium"
    ended = subprocess.run(
        [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *(f"--user-data-dir={folder / 'profile'}", f"--window-size={width},2000"),
            f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    probed = re.search(r'<pre id="probe">(.*?)</pre>', ended.stdout, re.DOTALL)
    assert probed, ended.stderr[-2000:]
    return {"scheme": scheme, **json.loads(html.unescape(probed[1]))}


def test_every_chart_is_there_with_axes_and_units(seen: dict[str, Any]) -> None:
    labels = {one["title"]: one["labels"] for one in seen["figures"]}
    seconds = "seconds since the run began"
    assert labels == {
        "Claim latency": ["milliseconds (logarithmic)", "% of the claims"],
        "Latency over time": [seconds, "milliseconds"],
        "Claims over time": [seconds, "claims"],
        "Pool depth": [seconds, "members Ready"],
        "CPU over time": [seconds, "% of a core"],
        "Node spread": ["nodes, by how full they are", "sandboxes"],
        "Length of the phases": ["seconds"],
        "CPU by phase": ["seconds of CPU"],
        "Requests by kind": ["requests"],
        "Flame graph: controller-1, burst": [],
        "Flame graph: controller-2, burst": [],
    }


def test_rendered_values_are_those_of_the_runs(seen: dict[str, Any]) -> None:
    figures = {one["title"]: one for one in seen["figures"]}
    assert [key["text"] for key in figures["Claim latency"]["keys"]] == [
        "limit, burst: P50 50.0 ms, P90 90.0 ms, P99 99.0 ms",
        "controller-1, burst: P50 100.0 ms, P90 180.0 ms, P99 198.0 ms",
        "controller-2, burst: P50 1000.0 ms, P90 1800.0 ms, P99 1980.0 ms",
    ]
    assert figures["Claim latency"]["ticks"][-4:] == ["200", "500", "1,000", "2,000"]
    values = [text["text"] for text in figures["CPU by phase"]["texts"]]
    assert [one for one in values if one in ("1.50", "15.00")] == ["1.50", "15.00"] * 2
    burst = ["limit", "burst", "7.0", "100 of 100", "1", "50.0", "90.0", "99.0", "", "", "", ""]
    assert burst in seen["rows"]


def test_no_text_lies_on_another_or_leaves_its_drawing(seen: dict[str, Any]) -> None:
    assert seen["width"] <= seen["window"]
    for figure in seen["figures"]:
        for texts in (figure["texts"], figure["keys"]):
            for number, one in enumerate(texts):
                for other in texts[:number]:
                    assert not _overlap(one, other), (figure["title"], one, other)
        drawing = figure["drawing"]
        for one in figure["texts"]:
            assert drawing["left"] - 1 <= one["left"], (figure["title"], one)
            assert one["right"] <= drawing["right"] + 1, (figure["title"], one)
            assert drawing["top"] - 1 <= one["top"], (figure["title"], one)
            assert one["bottom"] <= drawing["bottom"] + 1, (figure["title"], one)


def test_every_text_can_be_read_on_its_ground(seen: dict[str, Any]) -> None:
    for figure in seen["figures"]:
        if figure["title"].startswith("Flame"):
            continue  # its texts lie on boxes of their own colours
        ground = _luminance(figure["panel"])
        assert (ground < 0.1) == (seen["scheme"] == "dark")
        for one in figure["texts"]:
            assert _contrast(_luminance(one["colour"]), ground) >= CONTRAST_MIN, one


def test_legend_and_lines_have_the_same_colours_and_each_run_its_own(seen: dict[str, Any]) -> None:
    figures = {one["title"]: one for one in seen["figures"]}
    for title in ("Claim latency", "Claims over time", "Pool depth", "Node spread"):
        figure = figures[title]
        assert [key["colour"] for key in figure["keys"]] == figure["lines"]
    assert len(set(figures["Pool depth"]["lines"])) == 3


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    across = min(one["right"], other["right"]) - max(one["left"], other["left"])
    down = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
    # Boxes of letters without descenders touch; a pixel and a half is no overlap to an eye.
    return bool(across > 1.5 and down > 1.5)


def _luminance(colour: str) -> float:
    """Of `rgb(r, g, b)`, as WCAG has it: 0 is black, 1 is white."""
    parts = [int(one) / 255 for one in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
