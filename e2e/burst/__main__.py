"""`python -m e2e.burst`: pairs of runs, limit and controller in turn, and the ratio of medians.

For figures that are to be compared or published: one pair says little on a machine that does
anything else. Starts a control plane of its own; nothing is asserted, breaches are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop
from e2e.burst.profiles import PROFILES, Profile
from e2e.burst.result import ControllerResult, LimitResult, row, table
from e2e.burst.rights import grant
from e2e.burst.run import run_controller, run_limit
from e2e.burst.verdict import shown
from e2e.cluster import WARMCLAIM, ControlPlane

from warmclaim.loadtest.percentiles import summary

Pair = tuple[LimitResult, ControllerResult]


def medians(pairs: Sequence[Pair]) -> str:
    """The median over all pairs of each percentile, of limit and controller, and their ratio."""
    limits = [summary(limit.latencies_s) for limit, _ in pairs]
    runs = [summary(run.burst.latencies_s) for _, run in pairs]
    limit = {key: statistics.median(one[key] for one in limits) for key in limits[0]}
    run = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
    ratio = {key: run[key] / limit[key] for key in run}
    rows = (row("limit", limit, "ms"), row("controller", run, "ms"), row("ratio", ratio, ""))
    return "\n".join((f"  medians of {len(pairs)} pairs", *rows))


def run_pairs(cluster: ControlPlane, profile: Profile, count: int, log_dir: Path) -> list[Pair]:
    """Run limit and controller in turn; prints each pair."""
    pairs: list[Pair] = []
    for number in range(count):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            limit = runner.run(run_limit(cluster, profile))
            run = runner.run(run_controller(cluster, profile, log_dir / f"{profile.name}-{number}"))
        pairs.append((limit, run))
        print(table(profile, limit, run), flush=True)
        for promise, found in run.problems.items():
            if found:
                print(f"  BROKEN: {promise}\n{shown(found)}", flush=True)
    return pairs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; the exit code is 0, or 1 when a promise was broken."""
    by_name = {profile.name: profile for profile in PROFILES}
    parser = argparse.ArgumentParser(prog="python -m e2e.burst", description=__doc__)
    parser.add_argument("--profile", choices=by_name, action="append", help="default: all")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs (default 5)")
    chosen = parser.parse_args(arguments)
    is_broken = False
    with tempfile.TemporaryDirectory() as folder, ControlPlane() as cluster:
        grant(cluster.api, WARMCLAIM)
        for name in chosen.profile or by_name:
            pairs = run_pairs(cluster, by_name[name], chosen.pairs, Path(folder))
            print(medians(pairs), flush=True)
            is_broken |= any(any(run.problems.values()) for _, run in pairs)
    return int(is_broken)


if __name__ == "__main__":
    sys.exit(main())
