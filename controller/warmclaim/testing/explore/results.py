"""What became of the points of an exploration, one by one and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from warmclaim.testing.sim.simulation import Outcome

Verdict = Literal["", "unsafe", "stuck", "differs", "missed"]
VERDICTS: Final[tuple[Verdict, ...]] = ("unsafe", "stuck", "differs", "missed")

_LIVENESS: Final = ("liveness", "stability", "L2")


class Result(NamedTuple):
    """What came of a point. `verdict` "" if all was well; `cpu_s` is processor time.

    "unsafe": a promise of safety did not hold, or the manager failed by itself; "stuck": not as
    desired in time, or not for good; "differs": another end than the oracle explains; "missed":
    what the point is about did not happen, so nothing was tried.
    """

    point: str
    verdict: Verdict
    text: str
    cpu_s: float

    @property
    def row(self) -> tuple[str, str]:
        """Scenario and context: the first two words of each point's name."""
        scenario, context = self.point.split("/")[:2]
        return scenario, context


def judged(outcome: Outcome, disturbed_s: float, converge_s: float) -> tuple[Verdict, str]:
    """Whether the promises held, and all was as desired `converge_s` after the moment
    `disturbed_s`, both in virtual seconds."""
    if outcome.breach is not None:
        is_late = outcome.breach.promise in _LIVENESS
        return "stuck" if is_late else "unsafe", str(outcome.breach)
    late_s = outcome.healed_s + outcome.converged_s - disturbed_s - converge_s
    return ("stuck", f"{late_s:.1f} s too late") if late_s > 0 else ("", "")


@dataclass(slots=True)
class Row:
    """Counts for one scenario in one context; `cpu_s` is processor time."""

    points: int = 0
    verdicts: Counter[str] = field(default_factory=Counter[str])
    cpu_s: float = 0.0


@dataclass(slots=True)
class Tally:
    """All results so far. `wall_s` is set by whoever runs them."""

    rows: dict[tuple[str, str], Row] = field(default_factory=dict[tuple[str, str], Row])
    failures: list[Result] = field(default_factory=list[Result])
    wall_s: float = 0.0

    def add(self, result: Result) -> None:
        """Count one point."""
        row = self.rows.setdefault(result.row, Row())
        row.points += 1
        row.cpu_s += result.cpu_s
        if result.verdict:
            row.verdicts[result.verdict] += 1
            self.failures.append(result)

    @property
    def points(self) -> int:
        return sum(row.points for row in self.rows.values())

    @property
    def cpu_s(self) -> float:
        return sum(row.cpu_s for row in self.rows.values())

    def lines(self) -> Iterable[str]:
        """A table with a line for each scenario and context, and one for all."""
        yield _line("scenario", "context", "points", *VERDICTS, "seconds", "points/s")
        for (scenario, context), row in self.rows.items():
            yield _line(scenario, context, *_figures(row))
        total = Row(self.points, Counter(f.verdict for f in self.failures), self.cpu_s)
        yield _line("all", "", *_figures(total))
        yield f"seconds of processor time; {self.wall_s:.1f} s on the wall"

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "points": self.points,
            "cpu_s": round(self.cpu_s, 3),
            "wall_s": round(self.wall_s, 3),
            "rows": [
                {
                    "scenario": scenario,
                    "context": context,
                    "points": row.points,
                    **{verdict: row.verdicts[verdict] for verdict in VERDICTS},
                    "cpu_s": round(row.cpu_s, 3),
                }
                for (scenario, context), row in self.rows.items()
            ],
            "failures": [failure._asdict() for failure in self.failures],
        }


def _figures(row: Row) -> tuple[str, ...]:
    rate = row.points / row.cpu_s if row.cpu_s else 0.0
    counts = (row.points, *(row.verdicts[verdict] for verdict in VERDICTS))
    return (*map(str, counts), f"{row.cpu_s:.1f}", f"{rate:.1f}")


def _line(*cells: str) -> str:
    scenario, context, *figures = cells
    return f"{scenario:20} {context:8}" + "".join(f"{figure:>9}" for figure in figures)
