"""What a run came to, in words: a table, and whether memory stayed flat."""

from __future__ import annotations

from typing import Final

from warmclaim.testing.endurance.run import TENTHS, Outcome, Tenth

GROWTH_MAX: Final = 1.02
"""The RSS after the last tenth, by that after the second. In the first, caches fill."""

HEAD: Final = "tenth   RSS MiB   Python blocks   cached objects   remembered   server's MiB"

_MIB: Final = 1024 * 1024


def row(number: int, tenth: Tenth) -> str:
    """A line of the table under `HEAD`; tenths count from 1."""
    return (
        f"{number:5}{tenth.rss_bytes / _MIB:10.1f}{tenth.blocks:16,}{tenth.views:17,}"
        f"{sum(tenth.kept.values()):13,}{tenth.server_bytes / _MIB:15.2f}"
    )


def growth(outcome: Outcome) -> float:
    """The RSS after the last tenth, by that after the second."""
    return outcome.tenths[-1].rss_bytes / outcome.tenths[1].rss_bytes


def problems(outcome: Outcome) -> list[str]:
    """What must not be, one line each; none where memory stayed flat."""
    found = list(outcome.faults)
    if (by := growth(outcome)) > GROWTH_MAX:
        found.append(f"RSS grew to {by:.3f} times that of the second tenth, {GROWTH_MAX} allowed")
    return found


def summary(outcome: Outcome) -> list[str]:
    """What happened, what is left of it, and how much memory grew."""
    did = ", ".join(f"{count:,} {what}" for what, count in outcome.did.items())
    left = ", ".join(f"{count} {what}" for what, count in outcome.tenths[-1].kept.items() if count)
    return [
        did,
        f"remembered in the end, by both managers: {left or 'nothing'}",
        f"RSS of tenth {TENTHS} by that of tenth 2: {growth(outcome):.3f}",
    ]
