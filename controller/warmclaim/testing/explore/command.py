"""What the commands of the explorations have in common."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from warmclaim.testing.explore.contexts import CONTEXTS
from warmclaim.testing.explore.results import Result, Tally
from warmclaim.testing.explore.scenarios import SCENARIOS
from warmclaim.testing.jobs import spread
from warmclaim.testing.sim.simulation import Outcome

_TOGETHER = 16  # neighbours share what a process has learnt
_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """Which points to run, by name; and what went wrong already without any."""

    points: Sequence[str]
    failures: Sequence[Result] = ()


@dataclass(frozen=True, slots=True)
class Exploration:
    """One kind of points. `plan` says which there are for the arguments given, `run` runs one
    (in any process), `trace` runs one with every line of its trace."""

    name: str
    about: str
    plan: Callable[[argparse.Namespace], Plan]
    run: Callable[[str], Result]
    trace: Callable[[str], Outcome]
    contexts: Sequence[str] = tuple(CONTEXTS)
    has_pairs: bool = False


def main(exploration: Exploration, arguments: Sequence[str] | None = None) -> int:
    """0 if every point went well, 1 if one did not."""
    given = _parser(exploration).parse_args(arguments)
    if given.point:
        return _replay(exploration, given.point)
    tally, began = Tally(), time.perf_counter()
    plan = exploration.plan(given)
    for failure in plan.failures:
        tally.add(failure)
        _complain(failure)
    points = plan.points[:: given.every]
    for result in spread(exploration.run, points, jobs=given.jobs, together=_TOGETHER):
        tally.add(result)
        tally.wall_s = time.perf_counter() - began
        _show(tally, len(points), result)
    print(file=sys.stderr)
    if given.output == "json":
        print(msgspec.json.format(msgspec.json.encode(tally.as_json()), indent=1).decode())
    else:
        print("\n".join(tally.lines()))
    return 1 if tally.failures else 0


def _parser(exploration: Exploration) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {exploration.name}",
                                     description=exploration.about)  # fmt: skip
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=list(SCENARIOS),
                        metavar="NAME", help="these and no others")  # fmt: skip
    parser.add_argument("--context", nargs="+", choices=exploration.contexts,
                        default=list(exploration.contexts), metavar="NAME",
                        help="of " + ", ".join(exploration.contexts))  # fmt: skip
    if exploration.has_pairs:
        parser.add_argument("--pairs", action="store_true",
                            help="for small scenarios also every pair")  # fmt: skip
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th point only")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--point", metavar="POINT", help="run this one, print its trace")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return parser


def _replay(exploration: Exploration, point: str) -> int:
    print("\n".join(exploration.trace(point).lines))
    result = exploration.run(point)
    print(f"{point}: {result.verdict or 'well'} {result.text}")
    return 1 if result.verdict else 0


def _show(tally: Tally, planned: int, result: Result) -> None:
    if result.verdict and len(tally.failures) <= _SHOWN_MAX:
        _complain(result)
    line = f"\r{tally.points} of {planned} points, {len(tally.failures)} failed"
    print(f"{line}, {tally.wall_s:.0f} s", end="", file=sys.stderr, flush=True)


def _complain(result: Result) -> None:
    print(f"\n{result.point}: {result.verdict} {result.text}", file=sys.stderr)
