"""A phase as one row of figures, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterator

from warmclaim.loadtest.result import Latency, PhaseResult

HEADS = ("phase", "s", "claims", "cold", "P50", "P90", "P99", "own", "CPU s", "MiB", "asked")
NOTE = (
    "P50, P90, P99: ms from the POST of a claim sent to Ready=True on the load generator's watch,"
    " by its clock; own: the P50 by the controller's, from its first sight of a claim. cold: claims"
    " that got a new sandbox. CPU s, MiB and asked (requests to the API server) are the"
    " controller's."
)
_MIB = 1024 * 1024


def cells(phase: PhaseResult) -> Iterator[str]:
    """A text for each of `HEADS`; empty where there is nothing to tell."""
    yield phase.name
    yield f"{phase.duration_s:.1f}"
    yield f"{phase.client.count if phase.client else 0} of {phase.sent}" if phase.sent else ""
    yield str(phase.cold) if phase.sent else ""
    yield from _percentiles(phase.client)
    yield "" if phase.controller is None else _ms(phase.controller.p50_ms)
    yield "" if phase.cpu_s is None else f"{phase.cpu_s:,.2f}"
    yield "" if phase.rss_bytes is None else f"{phase.rss_bytes / _MIB:,.0f}"
    yield f"{sum(phase.requests.values()):,}" if phase.requests_from else ""


def _percentiles(latency: Latency | None) -> tuple[str, str, str]:
    if latency is None:
        return ("", "", "")
    return (_ms(latency.p50_ms), _ms(latency.p90_ms), _ms(latency.p99_ms))


def _ms(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
