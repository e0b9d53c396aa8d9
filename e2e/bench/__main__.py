"""`python -m e2e.bench`: is each performance budget met? One table, on a real control plane.

Runs the load test as a user would, on a control plane of its own, and reads what `make bench` has
measured. Nothing is asserted; the exit code is 1 where a run failed or broke a promise, 2 for an
argument that is wrong.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from e2e.bench.budgets import Measured, Row, figures, judged
from e2e.bench.jobs import LEASE_NAMESPACE, NEEDED, Done, Job, carry_out, jobs_for
from e2e.bench.table import table_of
from e2e.burst.rights import grant, grant_lease
from e2e.cluster import WARMCLAIM, ControlPlane, ControlPlaneError
from rich.console import Console
from tests.bench.figures import OUT, ROOT, Findings, commit, findings, newest


class Verdict(Findings, frozen=True, kw_only=True):
    """What is written: findings as `make bench` writes them, and the rows that they make."""

    budgets: list[Row]
    commands: dict[str, str]


def main(words: Sequence[str] | None = None) -> int:
    """Run what the budgets need; the exit code."""
    budgets, pairs = _arguments(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    jobs = jobs_for(budgets, pairs)
    tree = commit()
    folder = OUT / "e2e-bench" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{tree}"
    folder.mkdir(parents=True)
    try:
        done = _carried_out(jobs, folder)
    except KeyboardInterrupt:
        print("e2e-bench: stopped", file=sys.stderr)
        return 1
    except ControlPlaneError as error:
        print(f"e2e-bench: {error}", file=sys.stderr)
        return 2
    rows = judged(budgets, Measured(done, newest(OUT / "bench")))
    # The tree may have changed in the meantime; what was measured has not.
    found = msgspec.structs.replace(findings(figures(rows)), commit=tree)
    commands = {name: one.command for name, one in done.items()}
    _print(rows, found, commands)
    print(f"figures:   {_written(folder, found, rows, commands).relative_to(ROOT)}")
    print(f"runs:      {folder.relative_to(ROOT)}/*/page.html")
    return int(any(one.problem for one in done.values()))


def _arguments(words: Sequence[str] | None) -> tuple[list[str], int]:
    """Budgets and pairs. Ends the program with exit code 2 where they are wrong."""
    parser = argparse.ArgumentParser(prog="make e2e-bench", description=__doc__)
    parser.add_argument("--budgets", default="", help=f"of {', '.join(NEEDED)}; default: all")
    parser.add_argument("--pairs", type=int, default=5, help="of limit and controller (default 5)")
    chosen = parser.parse_args(words)
    listed: str = chosen.budgets
    budgets = [word for word in listed.split(",") if word] or list(NEEDED)
    unknown = sorted(set(budgets) - NEEDED.keys())
    if unknown:
        parser.error(f"BUDGETS: no {', '.join(unknown)}; there are {', '.join(NEEDED)}")
    pairs: int = chosen.pairs
    if not 1 <= pairs <= 100:
        parser.error("PAIRS: from 1 to 100")
    return budgets, pairs


def _carried_out(jobs: Sequence[Job], folder: Path) -> dict[str, Done]:
    """All jobs on one control plane; none is started where nothing needs it. Raises
    ControlPlaneError."""
    if not jobs:
        return {}
    done: dict[str, Done] = {}
    with ControlPlane() as cluster:
        grant(cluster.api, WARMCLAIM)
        grant_lease(cluster.api, WARMCLAIM, LEASE_NAMESPACE)
        for number, job in enumerate(jobs, 1):
            times = f"{job.pairs} pairs of limit and controller" if job.pairs else "one run"
            print(f"{number}/{len(jobs)} {job.name}: {times}", file=sys.stderr, flush=True)
            done[job.name] = carry_out(job, cluster, folder / job.name)
    return done


def _print(rows: Sequence[Row], found: Findings, commands: dict[str, str]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 180)
    console.print(table_of(rows, "Performance budgets"), highlight=False)
    print(f"machine:   {found.machine}")
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    print(f"commit:    {found.commit}; {versions}")
    for name, command in commands.items():
        print(f"{name + ':':11}{command}")


def _written(folder: Path, found: Findings, rows: list[Row], commands: dict[str, str]) -> Path:
    """The file, which `make bench-compare` reads, too."""
    verdict = Verdict(
        made_at=found.made_at,
        commit=found.commit,
        machine=found.machine,
        versions=found.versions,
        figures=found.figures,
        budgets=rows,
        commands=commands,
    )
    target = folder.with_name(f"{folder.name}.json")
    target.write_bytes(msgspec.json.format(msgspec.json.encode(verdict)) + b"\n")
    return target


if __name__ == "__main__":
    sys.exit(main())
