"""The plots: each a figure over the number of sandboxes, a line for each number of pools."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from warmclaim.growth.result import R, Real, Result, Simulated
from warmclaim.loadtest.report.charts import Chart, Line, lines
from warmclaim.loadtest.report.scales import linear, logarithmic

SANDBOXES: Final = "sandboxes that wait, in all pools (logarithmic)"
_MS, _MIB, _KIB = 1e3, 1 / 1024**2, 1 / 1024


@dataclass(frozen=True)
class Plot:
    """What becomes a chart; `name` is its file's."""

    name: str
    title: str
    about: str
    series: Sequence[Line]
    label: str

    def chart(self) -> Chart:
        """Drawn."""
        across = [x for one in self.series for x, _ in one.points]
        up = max(y for one in self.series for _, y in one.points)
        x = logarithmic(min(across), max(max(across), min(across) * 2))
        drawing = lines(self.series, x, linear(up or 1.0), SANDBOXES, self.label)
        return Chart(f"growth-{self.name}", self.title, self.about, self.series, drawing)


def plots(results: Sequence[Result]) -> list[Plot]:
    """Those for which there are figures."""
    simulated = [one for one in results if isinstance(one, Simulated)]
    real = [one for one in results if isinstance(one, Real)]
    return [*(_of_simulated(simulated) if simulated else ()), *(_of_real(real) if real else ())]


def _of_simulated(results: Sequence[Simulated]) -> Iterator[Plot]:
    yield Plot(
        "simulated-cpu",
        "Processor time on virtual time",
        "What the manager's own tasks take for a claim until its pool is full again (solid), and"
        " until the claim is Ready (dashed). Flat is good.",
        [
            *_by_pools(results, lambda one: one.claim * _MS, "made and refilled"),
            *_by_pools(results, lambda one: one.path_p50 * _MS, "to Ready, P50", is_dashed=True),
        ],
        "ms of a processor for each claim",
    )
    yield Plot(
        "simulated-memory",
        "Memory on virtual time",
        "What the manager adds to the process, by the sandboxes that are there. It falls to what a"
        " sandbox with its pod takes, as what a manager has anyhow is shared by more.",
        _by_pools(results, lambda one: one.memory_bytes * _KIB),
        "KiB for each sandbox",
    )


def _of_real(results: Sequence[Real]) -> Iterator[Plot]:
    yield Plot(
        "real-latency",
        "Latency in real time",
        "From the POST of a claim to Ready on a client's watch, by its clock: P50 (solid) and P99"
        " (dashed). Manager, embedded API server and load share the machine.",
        [
            *_by_pools(results, lambda one: one.p50 * _MS, "P50"),
            *_by_pools(results, lambda one: one.p99 * _MS, "P99", is_dashed=True),
        ],
        "milliseconds",
    )
    yield Plot(
        "real-cpu",
        "Processor time in real time",
        "What the manager's process takes for each claim, refill and all that comes after included."
        " Flat is good.",
        _by_pools(results, lambda one: one.claim * _MS),
        "ms of a processor for each claim",
    )
    yield Plot(
        "real-memory",
        "Memory in real time",
        "RSS of the manager's process after the claims.",
        _by_pools(results, lambda one: one.memory_bytes * _MIB),
        "MiB",
    )


def _by_pools(
    results: Sequence[R], value: Callable[[R], float], what: str = "", *, is_dashed: bool = False
) -> list[Line]:
    series: list[Line] = []
    for colour, pools in enumerate(sorted({one.pools for one in results})):
        found = sorted((float(one.sandboxes), value(one)) for one in results if one.pools == pools)
        name = f"{pools:,} pool{'s' * (pools > 1)}"
        name = f"{name}, {what}" if what else name
        series.append(Line(name, found, colour, is_dashed=is_dashed, is_marked=True))
    return series
