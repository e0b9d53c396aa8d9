"""What has to be run for which budget, and running it: `warmclaim loadtest`, as a user would."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from e2e.bench.timeline import Timeline, read
from e2e.burst.claim_requests import ClaimPath, Handed, claim_paths
from e2e.burst.run import controller_command
from e2e.cluster import ADMIN, WARMCLAIM, ControlPlane

from warmclaim.loadtest.record import SUMMARY
from warmclaim.loadtest.result import CONTROLLER, PhaseResult, RunResult

LEASE_NAMESPACE = "default"
QUIET = ("--disable-claim-events", "--disable-claim-observability-annotations")
AT_50, AT_300, QUIETLY, REST, SUSTAINED = "100-at-50", "300-at-300", "quiet", "rest", "sustained"
NEEDED = {
    "B1": (AT_50, AT_300),
    "B2": (AT_50, QUIETLY),
    "B3": (AT_50, AT_300),
    "B4": (),
    "B5": (AT_300,),
    "B6": (REST,),
    "B7": (AT_300,),
    "B8": (),
    "B9": (SUSTAINED,),
}
"""The jobs that each budget reads; B4, B8 and a part of B5 are measured by `make bench`."""
_BESIDE_LIMIT = frozenset({"B1", "B7"})


@dataclass(frozen=True)
class Job:
    """One call of the load test. `pairs` counts those of limit and controller; 0 runs the
    controller alone, once."""

    name: str
    profile: str
    pairs: int = 0
    flags: tuple[str, ...] = ()
    has_lease: bool = False

    def command(self, cluster: ControlPlane, folder: Path) -> list[str]:
        """Its command line."""
        elected = f"--leader-elect=true --leader-election-namespace={LEASE_NAMESPACE}"
        lease = {"lease": elected} if self.has_lease else {}
        return [
            *(sys.executable, "-m", "warmclaim", "loadtest", "--profile", self.profile),
            *("--kubeconfig", str(cluster.kubeconfig(ADMIN))),
            *("--controller", controller_command(cluster, *self.flags, **lease)),
            *("--audit-log", str(cluster.audit_log.path), "--audit-user", WARMCLAIM),
            *(("--limit", "--repeat", str(self.pairs)) if self.pairs else ()),
            *("--out", str(folder), "-o", "json"),
        ]


@dataclass
class Done:
    """What a job came to."""

    command: str = ""
    problem: str = "not asked for"
    """Why there is nothing, or not all; empty where all is there."""
    runs: list[RunResult] = field(default_factory=list[RunResult])
    paths: list[ClaimPath] = field(default_factory=list[ClaimPath])
    """Of every claim that a controller served in the run."""
    timelines: list[Timeline] = field(default_factory=list[Timeline])
    """Of the controllers' runs."""

    def phases(self, name: str) -> list[PhaseResult]:
        """The phase of this name in all runs of a controller."""
        runs = (one for one in self.runs if one.serves == CONTROLLER)
        return [phase for run in runs for phase in run.phases if phase.name == name]


def jobs_for(budgets: Collection[str], pairs: int) -> list[Job]:
    """Each that one of the budgets needs, once."""
    pairs = pairs if _BESIDE_LIMIT & set(budgets) else 0
    all_jobs = (
        Job(AT_50, AT_50, pairs if "B1" in budgets else 0),
        Job(AT_300, AT_300, pairs),
        Job(QUIETLY, AT_50, flags=QUIET),
        Job(REST, "1000-at-rest", has_lease=True),
        Job(SUSTAINED, "sustained-45"),
    )
    needed = {name for budget in budgets for name in NEEDED[budget]}
    return [job for job in all_jobs if job.name in needed]


def carry_out(job: Job, cluster: ControlPlane, folder: Path) -> Done:
    """Run it; what goes wrong is the result's problem. Its progress and errors go to stderr."""
    words = job.command(cluster, folder)
    shown = shlex.join([Path(words[0]).name, *words[1:]])
    done, mark = Done(shown), cluster.audit_mark()
    code = _ended(words)
    done.runs, done.timelines = [], []
    for path in sorted(folder.glob(f"*/{SUMMARY}")):
        run = msgspec.json.decode(path.read_bytes(), type=RunResult)
        done.runs.append(run)
        if run.serves == CONTROLLER:
            done.timelines.append(read(path.parent))
            done.paths += _paths(cluster, mark, run, done.timelines[-1])
    broken = (one.problem or "; ".join(one.breaches[:3]) for one in done.runs if not one.is_good)
    failed = f"it ended with exit code {code}" if code else ""
    done.problem = next(broken, failed)
    return done


def _ended(words: Sequence[str]) -> int:
    """The exit code of this program. What stops us stops it first: it stops its controller."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            raise


def _paths(
    cluster: ControlPlane, mark: int, run: RunResult, timeline: Timeline
) -> Iterator[ClaimPath]:
    """What each claim that was Ready had cost by then, from the audit log."""
    cluster.audit_settle()
    events = [one for one in cluster.audit_events(mark) if one.namespace == run.namespace]
    handed = (
        Handed(one.name, one.sandbox, one.versions_to_ready)
        for one in timeline.claims
        if one.ready_after_s is not None and one.launch == "warm"
    )
    yield from claim_paths(events, handed, WARMCLAIM)
