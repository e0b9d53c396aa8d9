"""The command line of the simulator."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from warmclaim.testing.sim.campaign import SeedResult, Summary, run_seeds
from warmclaim.testing.sim.case import Case, Regression, encoded, read_regression
from warmclaim.testing.sim.shrink import SHRINK_S_MAX, Shrinker
from warmclaim.testing.sim.simulation import Outcome, drawn_case, run_case

SHRUNK_MAX = 3
"""So many failing seeds of a campaign are shrunk; the others are named."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every promise held, 1 if one did not, 2 for a campaign that proves too little."""
    given = _parser().parse_args(arguments)
    if given.replay is not None:
        return _replay(read_regression(given.replay.read_bytes()).case, given)
    if given.seed is not None:
        return _replay(drawn_case(given.seed), given)
    return _campaign(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m warmclaim.testing.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, metavar="N", help="how many seeds")
    parser.add_argument("--first", type=int, default=0, metavar="K", help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--seed", type=int, metavar="X", help="run this one, print its schedule")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run a regression file")
    parser.add_argument("--trace", action="store_true", help="with one run: print every line")
    parser.add_argument("--shrink-s", type=float, default=SHRINK_S_MAX, metavar="S",
                        help="seconds to shrink a failing run; 0 not to")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/sim"), metavar="DIR",
                        help="where shrunk runs are written")  # fmt: skip
    return parser


def _campaign(given: argparse.Namespace) -> int:
    seeds = range(given.first, given.first + given.seeds)
    summary = run_seeds(seeds, jobs=given.jobs, on_result=_show_progress)
    print(file=sys.stderr)
    print(summary.report())
    for result in summary.failures[:SHRUNK_MAX]:
        if given.shrink_s and not result.failure.startswith("simulator"):
            _explain(run_case(drawn_case(result.seed)), given)
    if summary.failures:
        print("failing seeds:", *(result.seed for result in summary.failures))
        return 1
    if thin := summary.thin():
        print(thin)
        return 2
    return 0


def _show_progress(result: SeedResult, summary: Summary) -> None:
    if result.failure:
        print(f"\nseed {result.seed}: {result.failure}", file=sys.stderr)
    line = f"\r{summary.seeds} seeds, {len(summary.failures)} failed, {summary.wall_s:.0f} s"
    print(line, end="", file=sys.stderr, flush=True)


def _replay(case: Case, given: argparse.Namespace) -> int:
    outcome = run_case(case, has_words=given.trace)
    if given.trace:
        print("\n".join(outcome.lines))
    else:
        print("\n".join(schedule(case, outcome)))
    print(f"digest {outcome.digest}, {outcome.claims} claims, {outcome.commits} commits")
    if outcome.breach is None:
        print(f"every promise held; converged {outcome.converged_s:.0f} s after the last fault")
        return 0
    _explain(outcome, given)
    return 1


def schedule(case: Case, outcome: Outcome) -> list[str]:
    """Options, actions and faults of a run, one a line."""
    options = msgspec.to_builtins(case.options)
    return [
        *(f"option {name} = {value}" for name, value in options.items()),
        *(f"{action.at:9.3f} s  {action.do} {action.target} {action.x}" for action in case.actions),
        *(f"fault {fault.name} {fault.x} at {key}" for key, fault in outcome.struck.items()),
    ]


def _explain(outcome: Outcome, given: argparse.Namespace) -> None:
    """Say what failed, shrink it, write it down."""
    breach, seed = outcome.breach, outcome.case.options.seed
    if breach is None:
        print(f"seed {seed} does not fail again")
        return
    print(f"seed {seed}: {breach}")
    if not given.shrink_s:
        return
    shrinker = Shrinker(breach.promise, limit_s=given.shrink_s)
    case = shrinker.shrink(outcome)
    shrunk = run_case(case)
    print(f"shrunk in {shrinker.runs} runs to:")
    print("\n".join(schedule(case, shrunk)))
    print(shrunk.breach)
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / f"{breach.promise.lower()}-{seed}.json"
    path.write_bytes(encoded(Regression(str(shrunk.breach), case)))
    print(f"written to {path}; keep it under tests/sim/regressions/")


if __name__ == "__main__":
    sys.exit(main())
