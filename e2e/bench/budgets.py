"""The budgets of performance, and what was measured of each. Pure.

A budget that was not measured says so, and why; it is never met.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import msgspec
from e2e.bench.jobs import AT_50, AT_300, NEEDED, QUIETLY, REST, SUSTAINED, Done
from e2e.bench.timeline import cold_without_need
from tests.bench.figures import Findings

from warmclaim.loadtest.ratios import ratios
from warmclaim.loadtest.result import PhaseResult

BENCH = "`make bench`"
MIB = 1024 * 1024
_GROWN = "growth, large beside small"
_WRITES = ("create", "update", "patch", "delete", "deletecollection")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure beside its bound: what is above it is not met."""

    budget: str
    what: str
    bound: float
    unit: str
    figure: float | None = None
    note: str = ""
    """How the figure came about, or why there is none."""

    @property
    def share(self) -> float | None:
        """The figure as a multiple of the bound; None without one, or where nothing is allowed."""
        return None if self.figure is None or not self.bound else self.figure / self.bound

    @property
    def is_met(self) -> bool:
        """False where it was not measured."""
        return self.figure is not None and self.figure <= self.bound


@dataclass(frozen=True)
class Measured:
    """All that there is to judge by."""

    jobs: Mapping[str, Done]
    bench: Findings | None
    """The newest file of `make bench`."""

    def of(self, name: str) -> Done:
        """What the job came to."""
        return self.jobs.get(name, Done())


def judged(budgets: Collection[str], measured: Measured) -> list[Row]:
    """A row for each figure of these budgets, in their order."""
    return [row for name in NEEDED if name in budgets for row in _RULES[name](measured)]


# --- B1, B7: beside the limit


def _beside_limit(
    measured: Measured, job: str, phase: str, bounds: Mapping[str, tuple[str, float]]
) -> Iterator[Row]:
    done = measured.of(job)
    found = {one.what: one for one in ratios(done.runs) if one.phase == phase}
    for what, (budget, bound) in bounds.items():
        one = found.get(what)
        row = Row(budget=budget, what=f"{job}: {what} by the limit's", bound=bound, unit="x")
        if one is None:
            yield msgspec.structs.replace(row, note=done.problem or "no limit beside it")
        else:
            note = f"{one.controller_ms:,.1f} by {one.limit_ms:,.1f} ms, {one.runs} pairs"
            yield msgspec.structs.replace(row, figure=one.ratio, note=note)


def _latency(measured: Measured) -> Iterator[Row]:
    yield from _beside_limit(measured, AT_50, "burst", {"P50": ("B1", 2.0), "P99": ("B1", 3.0)})
    yield from _beside_limit(measured, AT_300, "burst", {"P50": ("B1", 1.5), "P99": ("B1", 1.5)})


def _fill(measured: Measured) -> Iterator[Row]:
    yield from _beside_limit(measured, AT_300, "deploy", {"filled": ("B7", 1.5)})


# --- what the controller's runs tell


def _row(
    done: Done,
    budget: str,
    what: str,
    bound: float,
    unit: str,
    values: Iterable[float],
    *,
    by: Callable[[Sequence[float]], float] = median,
) -> Row:
    """The median, or the worst, of the values of all runs."""
    found = list(values)
    row = Row(budget=budget, what=what, bound=bound, unit=unit)
    if not found:
        return msgspec.structs.replace(row, note=done.problem or "the runs do not tell")
    how = "median" if by is median else "worst"
    note = f"{how} of {len(found)}" if len(found) > 1 else ""
    problem = f"; {done.problem}" if done.problem else ""
    return msgspec.structs.replace(row, figure=by(found), note=f"{note}{problem}".lstrip("; "))


def _requests(measured: Measured) -> Iterator[Row]:
    done = measured.of(AT_50)
    path = [one for one in done.paths if one.is_complete]
    writes, reads = (one.writes for one in path), (one.reads for one in path)
    lists = (_count(one, ("list",)) for one in done.phases("burst"))
    yield _row(done, "B2", "writes on a warm claim's way to Ready", 2, "", writes, by=max)
    yield _row(done, "B2", "reads on it", 0, "", reads, by=max)
    yield _row(done, "B2", "lists during the claims", 0, "", lists, by=max)
    yield _row(done, "B2", "writes for a claim, refill included", 10, "", _writes_each(done))
    quiet = measured.of(QUIETLY)
    what = "the same without claim events and annotations"
    yield _row(quiet, "B2", what, 8, "", _writes_each(quiet))


def _writes_each(done: Done) -> Iterator[float]:
    for phase in done.phases("burst"):
        if phase.warm and phase.requests_from == "audit log":
            yield _count(phase, _WRITES) / phase.warm


def _count(phase: PhaseResult, verbs: Sequence[str]) -> int:
    counts = phase.requests.items()
    return sum(count for kind, count in counts if kind.partition(" ")[0] in verbs)


def _cpu(measured: Measured) -> Iterator[Row]:
    for name in (AT_50, AT_300):
        done = measured.of(name)
        phases = (one for one in done.phases("burst") if one.warm and one.cpu_s is not None)
        each_ms = [(one.cpu_s or 0.0) / one.warm * 1000 for one in phases]
        yield _row(done, "B3", f"{name}: processor time for a claim", 5, "ms", each_ms)


def _memory(measured: Measured) -> Iterator[Row]:
    done = measured.of(AT_300)
    sizes = [one.rss_bytes / MIB for one in done.phases("deploy") if one.rss_bytes is not None]
    yield _row(done, "B5", "resident memory with 600 sandboxes", 100, "MiB", sizes)
    for what, key in (
        ("each further sandbox with its pod, cached", "memory, cached sandbox and pod: bytes"),
        ("the same, resident, with all that is kept of it", f"{_GROWN}: each_bytes"),
    ):
        yield _benched(measured, "B5", what, 3072, "bytes", key)


def _rest(measured: Measured) -> Iterator[Row]:
    done = measured.of(REST)
    phases = [one for one in done.phases("steady-state") if one.requests_from == "audit log"]
    writes = [_count(one, _WRITES) for one in phases]
    shares = [100 * one.cpu_s / one.duration_s for one in phases if one.cpu_s is not None]
    yield _row(done, "B6", "writes at rest, 1,000 sandboxes for 2 min", 0, "", writes)
    yield _row(done, "B6", "share of a core at rest", 1, "%", shares)


def _sustained(measured: Measured) -> Iterator[Row]:
    done = measured.of(SUSTAINED)
    needless = [len(cold_without_need(one)) for one in done.timelines if one.claims]
    yield _row(done, "B9", "cold though a member came within 2 s", 0, "", needless)
    flat: list[float] = []
    for phase in done.phases("sustained"):
        p99_ms = [one.client.p99_ms for one in phase.windows if one.client.count >= _WINDOW_MIN]
        flat += [max(p99_ms) / median(p99_ms)] if len(p99_ms) > 1 else []
    what = "worst P99 of 10 s by that of the middle one"
    yield _row(done, "B9", what, FLAT, "x", flat)


FLAT = 2.0
"""As much as the worst window may stand out: growth shows as well as a single bad moment."""
_WINDOW_MIN = 100
"""A window of fewer claims, such as the rest after the last whole one, has no P99."""


# --- what `make bench` has measured


def _benched(measured: Measured, budget: str, what: str, bound: float, unit: str, key: str) -> Row:
    row = Row(budget=budget, what=what, bound=bound, unit=unit)
    if measured.bench is None:
        return msgspec.structs.replace(row, note=f"{BENCH} has not been run here")
    figure = measured.bench.figures.get(key)
    if figure is None:
        return msgspec.structs.replace(row, note=f"the last {BENCH} did not measure it")
    source = f"{BENCH} of {measured.bench.made_at}, commit {measured.bench.commit}"
    return msgspec.structs.replace(row, figure=figure, note=source)


def _pick(measured: Measured) -> Iterator[Row]:
    for entries, bound in ((1_000, 10.0), (100_000, 15.0)):
        key = f"queue, {entries:,} entries: take_us"
        yield _benched(measured, "B4", f"a pick from {entries:,}", bound, "us", key)


def _growth(measured: Measured) -> Iterator[Row]:
    for what, key in (("processor time", "cpu_ratio"), ("P99", "p99_ratio")):
        what = f"{what} for a claim, pool 10,000 by pool 300 (embedded API server)"
        yield _benched(measured, "B8", what, 1.3, "x", f"{_GROWN}: {key}")
    what = "restart with 10,000 to the first claim Ready"
    yield _benched(measured, "B8", what, 10, "s", "growth, pool 10,000: restart_s")


_RULES: dict[str, Callable[[Measured], Iterable[Row]]] = {
    "B1": _latency,
    "B2": _requests,
    "B3": _cpu,
    "B4": _pick,
    "B5": _memory,
    "B6": _rest,
    "B7": _fill,
    "B8": _growth,
    "B9": _sustained,
}


def figures(rows: Iterable[Row]) -> dict[str, float]:
    """Those that were measured, named for a comparison with another run's."""
    found: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        if row.figure is not None:
            found[f"{row.budget}, {row.what}: {row.unit or 'count'}"] = row.figure
    return dict(found)
