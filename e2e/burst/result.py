"""What one profile's run came to, and how it is shown: a table for people, JSON lines for tools."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.burst.profiles import Profile
from e2e.burst.verdict import Problems

from warmclaim.loadtest.percentiles import PERCENTS, summary

_MIB = 1024 * 1024
_LIMIT, _CONTROLLER = "limit", "controller"


@dataclass(slots=True)
class LimitResult:
    """The run without a controller."""

    latencies_s: list[float]
    """One per claim: its creation sent, to its Ready seen."""
    fill_s: float
    late_s_max: float
    """How far the generator was behind its schedule at worst."""

    def pooled(self, other: LimitResult) -> LimitResult:
        """Both runs as one: a drift of the machine between them shows in neither percentile."""
        return LimitResult(
            self.latencies_s + other.latencies_s,
            min(self.fill_s, other.fill_s),
            max(self.late_s_max, other.late_s_max),
        )


@dataclass(slots=True)
class BurstFigures:
    """What was measured from the first claim to 5 s after the refill."""

    latencies_s: list[float]
    late_s_max: float
    refill_s: float
    """From the last claim's Ready to all members Ready again."""
    cpu_s: float
    """CPU of the controller process."""
    served_s: float
    """From the first claim to the last one's Ready, as the next two."""
    served_cpu_s: float
    served_core_wait_s: float
    """How long the controller's event loop waited for a core."""
    rss_bytes: int
    peak_rss_bytes: int
    writes: Counter[str]
    """The controller's, by verb and resource."""
    refused: Counter[str]
    """Its requests that got an error, by verb, resource and code."""


@dataclass(slots=True)
class ControllerResult:
    """The run of the controller under test."""

    burst: BurstFigures
    start_s: float
    """From the start of the process to /readyz 200."""
    fill_s: float
    """From the pool's creation to all members Ready."""
    clear_s: float
    """From the deletion of pool and claims to the end of the last pod."""
    problems: Problems
    log_tail: str


def ratios(limit: LimitResult, run: ControllerResult) -> dict[str, float]:
    """Each percentile of the run as a multiple of the limit's."""
    least = summary(limit.latencies_s)
    return {key: value / least[key] for key, value in summary(run.burst.latencies_s).items()}


def table(profile: Profile, limit: LimitResult, run: ControllerResult) -> str:
    """The figures of one profile in a few aligned lines."""
    burst, claims = run.burst, profile.claims
    lines = [
        f"{profile}",
        "  client latency" + "".join(f"{f'P{percent}':>9}" for percent in PERCENTS),
        row(_LIMIT, summary(limit.latencies_s), "ms"),
        row(_CONTROLLER, summary(burst.latencies_s), "ms"),
        row("ratio", ratios(limit, run), ""),
        f"  CPU per claim {burst.cpu_s / claims * 1000:.1f} ms, of it "
        f"{burst.served_cpu_s / claims * 1000:.1f} ms before the last Ready at "
        f"{burst.served_s:.1f} s ({burst.served_core_wait_s:.1f} s without a free core)",
        f"  RSS {burst.rss_bytes / _MIB:.0f} MiB (peak {burst.peak_rss_bytes / _MIB:.0f})",
        f"  start {run.start_s:.1f} s, fill {run.fill_s:.1f} s "
        f"({profile.pool / run.fill_s:.0f}/s), refill {burst.refill_s:.1f} s, "
        f"clear {run.clear_s:.1f} s",
        f"  generator late by at most {limit.late_s_max * 1000:.0f} ms ({_LIMIT}), "
        f"{burst.late_s_max * 1000:.0f} ms ({_CONTROLLER}); limit's fill {limit.fill_s:.1f} s",
        f"  writes per claim {burst.writes.total() / claims:.2f}: {_each(burst.writes, claims)}",
    ]
    if burst.refused:
        lines.append("  refused: " + ", ".join(f"{kind} {n}x" for kind, n in burst.refused.items()))
    return "\n".join(lines)


def row(name: str, row: Mapping[str, float], unit: str) -> str:
    """One line of percentiles: seconds shown as milliseconds, or plain ratios."""
    shown = (f"{value * 1000:9.1f}" if unit else f"{value:9.2f}" for value in row.values())
    return f"  {name:14}{''.join(shown)}  {unit}".rstrip()


def _each(writes: Mapping[str, int], claims: int) -> str:
    ordered = sorted(writes.items(), key=lambda item: -item[1])
    return ", ".join(f"{kind} {count / claims:.2f}" for kind, count in ordered)


def write_json(folder: Path, profile: Profile, limit: LimitResult, run: ControllerResult) -> Path:
    """Write one JSON line per run into `e2e-burst-<profile>.json`; returns the file's path."""
    asked: dict[str, Any] = {
        "profile": profile.name,
        "claims": profile.claims,
        "rate_per_s": profile.rate_per_s,
        "pool": profile.pool,
    }
    limit_line: dict[str, Any] = {
        "run": _LIMIT,
        "latency_s": summary(limit.latencies_s),
        "fill_s": limit.fill_s,
        "late_s_max": limit.late_s_max,
        "latencies_s": _rounded(limit.latencies_s),
    }
    burst = run.burst
    controller_line: dict[str, Any] = {
        "run": _CONTROLLER,
        "latency_s": summary(burst.latencies_s),
        "ratio": ratios(limit, run),
        "cpu_s_per_claim": burst.cpu_s / profile.claims,
        "served_s": burst.served_s,
        "served_cpu_s": burst.served_cpu_s,
        "served_core_wait_s": burst.served_core_wait_s,
        "rss_bytes": burst.rss_bytes,
        "peak_rss_bytes": burst.peak_rss_bytes,
        "writes": dict(burst.writes),
        "refused": dict(burst.refused),
        "start_s": run.start_s,
        "fill_s": run.fill_s,
        "refill_s": burst.refill_s,
        "clear_s": run.clear_s,
        "late_s_max": burst.late_s_max,
        "problems": {name: found for name, found in run.problems.items() if found},
        "latencies_s": _rounded(burst.latencies_s),
    }
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"e2e-burst-{profile.name}.json"
    lines = (json.dumps(asked | line) for line in (limit_line, controller_line))
    target.write_text("".join(f"{line}\n" for line in lines))
    return target


def _rounded(latencies_s: list[float]) -> list[float]:
    return [round(latency_s, 6) for latency_s in latencies_s]
