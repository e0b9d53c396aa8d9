"""Many seeds, in one process or several, and what they came to."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from warmclaim.testing.jobs import spread
from warmclaim.testing.sim.options import CLASSES
from warmclaim.testing.sim.simulation import drawn_case, run_case

MEAN_FAULTS_MIN: Final = 20
MEAN_CLAIMS_MIN: Final = 30
MEAN_COMMITS_MIN: Final = 200
_CHUNK: Final = 8


@dataclass(frozen=True, slots=True)
class SeedResult:
    """One seed's figures; `failure` "" if every promise held. `cpu_s` is processor time."""

    seed: int
    failure: str
    digest: str
    faults: Counter[str]
    claims: int
    commits: int
    cpu_s: float


@dataclass(slots=True)
class Summary:
    """Figures of a whole campaign; `wall_s` is what the clock on the wall said."""

    seeds: int = 0
    claims: int = 0
    commits: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter[str])
    failures: list[SeedResult] = field(default_factory=list[SeedResult])

    def add(self, result: SeedResult) -> None:
        """Count one seed."""
        self.seeds += 1
        self.claims += result.claims
        self.commits += result.commits
        self.cpu_s += result.cpu_s
        self.faults += result.faults
        if result.failure:
            self.failures.append(result)

    @property
    def rate(self) -> float:
        """Seeds for each second of one core."""
        return self.seeds / self.cpu_s if self.cpu_s else 0.0

    def missing(self) -> list[str]:
        """The classes of faults that never struck."""
        return [name for name in CLASSES if not self.faults[name]]

    def thin(self) -> str:
        """Why the campaign proves too little, or ""."""
        means = (
            ("faults", sum(self.faults.values()), MEAN_FAULTS_MIN),
            ("claims", self.claims, MEAN_CLAIMS_MIN),
            ("commits", self.commits, MEAN_COMMITS_MIN),
        )
        for word, total, least in means:
            if total < least * self.seeds:
                return f"a mean of {total / self.seeds:.1f} {word} for each seed, {least} wanted"
        return ""

    def report(self) -> str:
        """All of it in words, one fault class a line."""
        lines = [
            f"seeds {self.seeds}, failed {len(self.failures)}",
            f"claims {self.claims}, commits {self.commits}, faults {sum(self.faults.values())}",
            f"{self.wall_s:.1f} s on the wall, {self.cpu_s:.1f} s of processor time, "
            f"{self.rate:.2f} seeds for each core-second",
            *(f"  {name:18} {self.faults[name]}" for name in sorted({*CLASSES, *self.faults})),
        ]
        return "\n".join(lines)


def run_seed(seed: int) -> SeedResult:
    """Run one seed. An error of the simulator itself is a failure, too."""
    began = time.process_time()
    try:
        outcome = run_case(drawn_case(seed))
    except Exception:
        text = "simulator: " + traceback.format_exc(limit=-3)
        return SeedResult(seed, text, "", Counter(), 0, 0, time.process_time() - began)
    return SeedResult(
        seed,
        str(outcome.breach or ""),
        outcome.digest,
        outcome.faults,
        outcome.claims,
        outcome.commits,
        time.process_time() - began,
    )


def run_seeds(
    seeds: Iterable[int], *, jobs: int = 1, on_result: Callable[[SeedResult, Summary], None]
) -> Summary:
    """Run them all; `on_result` hears of each as it ends, in order of seeds."""
    summary, began = Summary(), time.perf_counter()
    for result in spread(run_seed, seeds, jobs=jobs, together=_CHUNK):
        summary.add(result)
        summary.wall_s = time.perf_counter() - began
        on_result(result, summary)
    return summary
