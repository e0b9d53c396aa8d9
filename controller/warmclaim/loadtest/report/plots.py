"""The charts of a page, from the runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from warmclaim.loadtest.report.charts import Bars, Chart, Line, bars, lines
from warmclaim.loadtest.report.runs import Run, Sample
from warmclaim.loadtest.report.scales import Linear, linear, logarithmic
from warmclaim.loadtest.result import WINDOW_S

POINTS_MAX = 500
"""Of a line; more cannot be seen."""
KINDS_MAX = 16
_SECONDS = "seconds since the run began"


def latency(runs: Sequence[Run]) -> Chart | None:
    """Which part of the claims was Ready how soon; None where no run had claims."""
    series = list(_latencies(runs))
    if not series:
        return None
    all_ms = [x for one in series for x, _ in one.points]
    return Chart(
        "latency",
        "Claim latency",
        "Share of the claims that were Ready within a time: from the POST sent to Ready=True on the"
        " load generator's own watch, by its clock. Farther left is better.",
        series,
        lines(
            series,
            logarithmic(max(min(all_ms), 0.1), max(all_ms)),
            linear(100, 5),
            "milliseconds (logarithmic)",
            "% of the claims",
        ),
    )


def _latencies(runs: Sequence[Run]) -> Iterator[Line]:
    for run in runs:
        for phase in run.result.phases:
            found = sorted(
                one.ready_after_s * 1000
                for one in run.claims
                if one.phase == phase.name and one.ready_after_s is not None
            )
            if not found or phase.client is None:
                continue
            points = [(ms, 100 * rank / len(found)) for rank, ms in enumerate(found, 1)]
            points.insert(0, (found[0], 0.0))
            told = phase.client
            text = f"P50 {told.p50_ms:.1f} ms, P90 {told.p90_ms:.1f} ms, P99 {told.p99_ms:.1f} ms"
            name = f"{run.name}, {phase.name}"
            yield Line(
                f"{name}: {text}",
                _thinned(points),
                runs.index(run),
                is_stepped=True,
                told=f"{name}: {text}",
            )


def drift(runs: Sequence[Run]) -> Chart | None:
    """Percentiles of claims by when they were sent; None where no run sent them for long."""
    series: list[Line] = []
    for number, run in enumerate(runs):
        for phase in run.result.phases:
            name = f"{run.name}, {phase.name}"
            for percentile, is_dashed in (("p50_ms", True), ("p99_ms", False)):
                points = [
                    (one.at_s + WINDOW_S / 2, float(getattr(one.client, percentile)))
                    for one in phase.windows
                ]
                if points:
                    text = f"{name}: {percentile[:3].upper()}"
                    series.append(Line(text, points, number, is_dashed=is_dashed))
    return _over_time(
        "drift",
        "Latency over time",
        f"Percentiles of the claims sent in each {WINDOW_S:g} s. Flat is good: no claim pays for"
        " those before it.",
        series,
        "milliseconds",
    )


def claims(runs: Sequence[Run]) -> Chart | None:
    """Claims sent and Ready by then, over time."""
    series: list[Line] = []
    for number, run in enumerate(runs):
        if not run.claims:
            continue
        sent = sorted(one.at_s for one in run.claims)
        ready = sorted(
            one.at_s + one.ready_after_s for one in run.claims if one.ready_after_s is not None
        )
        series.append(Line(f"{run.name}, sent", _counted(sent), number, is_dashed=True))
        if ready:
            series.append(Line(f"{run.name}, Ready", _counted(ready), number, is_stepped=True))
    return _over_time(
        "claims",
        "Claims over time",
        "How many had been sent, and how many were Ready.",
        series,
        "claims",
    )


def pool(runs: Sequence[Run]) -> Chart | None:
    """Ready members of all pools over time."""
    series = [
        Line(run.name, _thinned([(one.at_s, one.members_ready) for one in run.samples]), number)
        for number, run in enumerate(runs)
        if run.samples
    ]
    return _over_time(
        "pool",
        "Pool depth",
        "Sandboxes that wait for a claim, Ready, in all pools together.",
        series,
        "members Ready",
    )


def cores(runs: Sequence[Run]) -> Chart | None:
    """The controller's CPU over time."""
    series = [
        Line(run.name, points, number, is_stepped=True)
        for number, run in enumerate(runs)
        if (points := _thinned(list(_cores(run.samples))))
    ]
    return _over_time(
        "cpu-over-time",
        "CPU over time",
        "What the controller's process used of a core, second by second.",
        series,
        "% of a core",
        step_min=0.0,
    )


def _cores(samples: Sequence[Sample]) -> Iterator[tuple[float, float]]:
    """Each point is of the second before it: shorter, the kernel's clock ticks would show."""
    seen = [(one.at_s, one.cpu_s) for one in samples if one.cpu_s is not None]
    first = 0
    for number, (at_s, cpu_s) in enumerate(seen):
        if at_s - seen[first][0] >= 1.0:
            began_s, before_s = seen[first]
            yield at_s, max(0.0, 100 * (cpu_s - before_s) / (at_s - began_s))
            first = number


def nodes(runs: Sequence[Run]) -> Chart | None:
    """How evenly the sandboxes lie on the nodes, when there were most."""
    series: list[Line] = []
    for number, run in enumerate(runs):
        fullest = max(run.result.phases, key=lambda one: sum(one.nodes.values()), default=None)
        if fullest is None or not fullest.nodes:
            continue
        counts = sorted(fullest.nodes.values(), reverse=True)
        points = [(float(rank), float(count)) for rank, count in enumerate(counts, 1)]
        points.append((len(counts) + 1.0, float(counts[-1])))
        name = f"{run.name}, end of {fullest.name}: {sum(counts)} on {len(counts)} nodes"
        series.append(Line(name, points, number, is_stepped=True))
    if not series:
        return None
    x, y = _axes(series, step_min=1.0)
    return Chart(
        "nodes",
        "Node spread",
        "Sandboxes on each node at the end of the phase with most of them, fullest node first."
        " Flat is even.",
        series,
        lines(series, x, y, "nodes, by how full they are", "sandboxes"),
    )


def requests(runs: Sequence[Run]) -> Chart | None:
    """Requests to the API server by verb and resource."""
    return _by_name(
        runs,
        _requests,
        "requests",
        "Requests by kind",
        "Requests to the API server from the first phase to the last, by verb and resource; by its"
        " audit log, or else by the controller's own metrics.",
        "requests",
    )


def _requests(run: Run) -> dict[str, float]:
    total: Counter[str] = Counter()
    for phase in run.result.phases:
        total.update(phase.requests)
    return {kind: float(count) for kind, count in total.items()}


def cpu(runs: Sequence[Run]) -> Chart | None:
    """The controller's CPU time in each phase."""
    return _by_name(
        runs,
        _cpu,
        "cpu-by-phase",
        "CPU by phase",
        "CPU time of the controller's process in each phase; phases differ in length.",
        "seconds of CPU",
        digits=2,
        is_ordered=False,
    )


def _cpu(run: Run) -> dict[str, float]:
    return {one.name: one.cpu_s for one in run.result.phases if one.cpu_s is not None}


def phases(runs: Sequence[Run]) -> Chart | None:
    """How long each phase took."""
    return _by_name(
        runs,
        lambda run: {one.name: one.duration_s for one in run.result.phases},
        "phases",
        "Length of the phases",
        "From a phase's first request until all its conditions held.",
        "seconds",
        digits=1,
        is_ordered=False,
    )


def _by_name(
    runs: Sequence[Run],
    values: Callable[[Run], dict[str, float]],
    file: str,
    title: str,
    about: str,
    label: str,
    *,
    digits: int = 0,
    is_ordered: bool = True,
) -> Chart | None:
    found = [Bars(run.name, values(run), number) for number, run in enumerate(runs)]
    found = [one for one in found if one.values]
    total: Counter[str] = Counter()
    # The run with most names first, so that what only it has stands in its order.
    for one in sorted(found, key=lambda one: -len(one.values)):
        for name, value in one.values.items():
            total[name] += math.ceil(value)
    names = [name for name, _ in total.most_common()] if is_ordered else list(total)
    if not names:
        return None
    if len(names) > KINDS_MAX:
        about += f" The {KINDS_MAX} most frequent of {len(names)}."
    return Chart(file, title, about, found, bars(names[:KINDS_MAX], found, label, digits))


def _over_time(
    file: str, title: str, about: str, series: Sequence[Line], label: str, step_min: float = 1.0
) -> Chart | None:
    if not series:
        return None
    x, y = _axes(series, step_min)
    return Chart(file, title, about, series, lines(series, x, y, _SECONDS, label))


def _axes(series: Sequence[Line], step_min: float) -> tuple[Linear, Linear]:
    across = max(x for one in series for x, _ in one.points)
    up = max(y for one in series for _, y in one.points)
    return linear(across or 1.0, 8), linear(up or 1.0, 6, step_min)


def _counted(moments: Sequence[float]) -> list[tuple[float, float]]:
    steps = [(at_s, float(count)) for count, at_s in enumerate(moments, 1)]
    return _thinned([(moments[0], 0.0), *steps])


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `POINTS_MAX` of them, evenly, the first and the last among them."""
    if len(points) <= POINTS_MAX:
        return list(points)
    step = (len(points) - 1) / (POINTS_MAX - 1)
    return [points[round(number * step)] for number in range(POINTS_MAX)]
