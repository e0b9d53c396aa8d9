"""Elements of HTML and SVG."""

from __future__ import annotations

from importlib import resources
from xml.etree.ElementTree import Element, tostring


def element(tag: str, *content: Element | str, **attributes: object) -> Element:
    """An element with its children and texts. In names of attributes `_` is written for `-`, and a
    last `_` is dropped: `class_`, `stroke_width`. Numbers get two decimals at most."""
    made = Element(tag, {_name(name): _text(value) for name, value in attributes.items()})
    for one in content:
        if isinstance(one, Element):
            made.append(one)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + one
        else:
            made.text = (made.text or "") + one
    return made


def style_sheet() -> str:
    """Of pages and pictures; both follow the reader into the dark."""
    return resources.files("warmclaim.loadtest.report").joinpath("page.css").read_text("utf-8")


def page_of(root: Element) -> bytes:
    """A whole HTML document."""
    text: bytes = tostring(root, encoding="utf-8", method="html")
    return b"<!doctype html>\n" + text + b"\n"


def _name(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
