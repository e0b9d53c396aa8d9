"""The command line of a long run."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from warmclaim.testing.endurance import __doc__ as about
from warmclaim.testing.endurance.report import HEAD, problems, row, summary
from warmclaim.testing.endurance.run import TENTHS, Plan, Tenth, rss_bytes, run_endurance


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if memory stayed flat, 1 if it did not, 2 for arguments that make no run."""
    parser = _parser()
    given = parser.parse_args(arguments)
    plan = Plan(given.days, given.claim_every_s, given.seed)
    if not (given.days > 0 and given.claim_every_s > 0) or plan.claims < TENTHS:
        parser.error(f"--days and --claim-every-s must make at least {TENTHS} claims")
    try:
        rss_bytes()
    except OSError as error:
        parser.error(f"this system does not tell the memory of a process: {error}")
    print(f"{plan.claims:,} claims, virtual days: {plan.days:g}\n{HEAD}", flush=True)
    began_s, tenths = time.perf_counter(), list[Tenth]()

    def show(tenth: Tenth) -> None:
        tenths.append(tenth)
        print(row(len(tenths), tenth), flush=True)

    outcome = run_endurance(plan, show)
    print("\n".join(summary(outcome)))
    took_s, worked_s = time.perf_counter() - began_s, time.process_time()
    print(f"{took_s:.0f} s, {worked_s:.0f} s of them on a processor")
    found = problems(outcome)
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m warmclaim.testing.endurance",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    days = "virtual days of claims, besides a rest after each tenth (1)"
    every = "virtual seconds from one claim to the next (10)"
    parser.add_argument("--days", type=float, default=1.0, metavar="N", help=days)
    parser.add_argument("--claim-every-s", type=float, default=10.0, metavar="S", help=every)
    parser.add_argument("--seed", type=int, default=0, metavar="X", help="another chance (0)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
