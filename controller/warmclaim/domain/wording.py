"""How a tenant's text is shown in a condition or an event: short, and on one line."""

from __future__ import annotations

from typing import Final

_CHARS_MAX: Final = 80


def shown(text: str) -> str:
    """At most 80 characters of it, with what cannot be printed escaped."""
    printable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:_CHARS_MAX])
    return printable if len(text) <= _CHARS_MAX else f"{printable}..."
