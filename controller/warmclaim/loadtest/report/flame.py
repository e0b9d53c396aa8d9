"""Folded stacks as a flame graph: wide is much time, outermost calls are at the bottom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element
from zlib import crc32

from warmclaim.loadtest.report.elements import element

WIDTH, ROW = 1360, 17
SHARE_MIN = 0.002
"""Narrower boxes are left out: nobody could read or hit them."""
DEPTH_MAX = 80
TRUNK_SHARE_MIN = 0.9
"""A call that so many stacks have in common is no news."""
_CHARACTER = 6.6
_HUES = 6


@dataclass
class Frame:
    """One call, and how often it was on a stack."""

    name: str
    count: int = 0
    calls: dict[str, Frame] = field(default_factory=dict[str, "Frame"])


def tree(stacks: Mapping[str, int]) -> Frame:
    """All stacks put together where they begin alike."""
    root = Frame("all")
    for stack, count in stacks.items():
        frame = root
        frame.count += count
        for name in stack.split(";")[:DEPTH_MAX]:
            frame = frame.calls.setdefault(name, Frame(name))
            frame.count += count
    return root


def _without_trunk(root: Frame) -> Frame:
    """What is above the calls that nearly all stacks have in common: twenty of them, from the
    command line to the event loop, would be the lower half of the drawing. What is not on them is
    left out; most of it are stacks that py-spy, which does not stop the process, saw torn."""
    frame = root
    while frame.calls:
        call = max(frame.calls.values(), key=lambda one: one.count)
        if call.count < TRUNK_SHARE_MIN * root.count:
            break
        frame = call
    return frame


def graph(stacks: Mapping[str, int]) -> Element:
    """The drawing."""
    root = _without_trunk(tree(stacks))
    boxes = list(_boxes(root, root.count, 0.0, 0))
    height = (max(depth for _, _, depth in boxes) + 1) * ROW
    drawing = element("svg", viewBox=f"0 0 {WIDTH} {height}", role="img", class_="flame")
    for frame, at, depth in boxes:
        width = WIDTH * frame.count / root.count
        y = height - (depth + 1) * ROW
        share = 100 * frame.count / root.count
        told = element("title", f"{frame.name}: {share:.1f} % ({frame.count} samples)")
        hue = f"h{crc32(frame.name.encode()) % _HUES}"
        drawing.append(
            element(
                "rect", told, x=at, y=y, width=max(width - 0.5, 0.5), height=ROW - 1, class_=hue
            )
        )
        fits = int(width / _CHARACTER) - 1
        if fits > 3:
            text = frame.name if len(frame.name) <= fits else f"{frame.name[: fits - 1]}…"
            drawing.append(element("text", text, x=at + 4, y=y + 12, class_="frame"))
    return drawing


def _boxes(frame: Frame, total: int, at: float, depth: int) -> Iterator[tuple[Frame, float, int]]:
    """Each frame, where it begins, and how deep it is."""
    yield frame, at, depth
    for call in sorted(frame.calls.values(), key=lambda one: one.name):
        if call.count / total >= SHARE_MIN:
            yield from _boxes(call, total, at, depth + 1)
        at += WIDTH * call.count / total
