"""What people read: a tenant's text, short and on one line; a duration, as Go writes it."""

from __future__ import annotations

from typing import Final

_CHARS_MAX: Final = 80
_REFUSED: Final = " was refused ("


def shown(text: str) -> str:
    """At most 80 characters of it, with what cannot be printed escaped."""
    printable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:_CHARS_MAX])
    return printable if len(text) <= _CHARS_MAX else f"{printable}..."


def refusal_note(thing: str, status: int, reason: str, text: str) -> str:
    """That the API server did not let something be made or changed."""
    return f"{thing}{_REFUSED}{status} {reason}): {text}"


def tells_of_refusal(message: str) -> bool:
    """Whether a message has such a note in it."""
    return _REFUSED in message


def duration_text(seconds: float) -> str:
    """Seconds as Go prints a duration, in its largest units: "5m0s", "500ms", "1h0m0s"."""
    if seconds == 0:
        return "0"
    if abs(seconds) < 1:
        return f"{seconds * 1000:g}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, last = divmod(rest, 60)
    if hours:
        return f"{hours:g}h{minutes:g}m{last:g}s"
    return f"{minutes:g}m{last:g}s" if minutes else f"{last:g}s"
