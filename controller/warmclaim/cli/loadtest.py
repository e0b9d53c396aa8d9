"""`warmclaim loadtest`: load in phases on a cluster, the result on this terminal and in files."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console

from warmclaim.cli import FAILED, OK, PROGRAM
from warmclaim.errors import UsageError
from warmclaim.kube.config import DEFAULT_KUBECONFIG, load_connection
from warmclaim.loadtest import profiler
from warmclaim.loadtest.process import command_of
from warmclaim.loadtest.profile import load
from warmclaim.loadtest.progress import shown
from warmclaim.loadtest.ratios import ratios
from warmclaim.loadtest.report import pictures, read, written
from warmclaim.loadtest.report.runs import Run
from warmclaim.loadtest.requests import Audit
from warmclaim.loadtest.result import CONTROLLER, LIMIT, RunResult
from warmclaim.loadtest.run import Plan, run
from warmclaim.loadtest.table import page
from warmclaim.seams import SystemClock, SystemRng

PAGE = "page.html"


@dataclass(frozen=True)
class Options:
    """What the command line says; "" for what it does not."""

    profile: str
    kubeconfig: str
    controller: str
    limit: bool
    repeat: int
    out: str
    audit_log: str
    audit_user: str
    metrics: str
    pid: int | None
    cpu_profile: bool
    as_json: bool


def run_loadtest(options: Options) -> int:
    """Run it; the result goes to stdout, progress to stderr, all else to files.

    Returns the exit code: failed if a run was not brought to its end or a promise was broken.
    Raises UsageError for what the user has to change.
    """
    plan = _plan(options)
    serves = ([LIMIT] if options.limit else []) + [CONTROLLER]
    folder = _folder(options.out or _default_name(plan.profile.name))
    results: list[RunResult] = []
    for number in range(1, options.repeat + 1):
        for who in serves:
            one = who if options.repeat == 1 else f"{who}-{number}"
            results.append(_one(replace(plan, serves=who, namespace=_namespace()), folder / one))
            if results[-1].problem:
                return _told(results, folder, options)
    return _told(results, folder, options)


def _plan(options: Options) -> Plan:
    profile = load(options.profile)
    if options.limit and not options.controller:
        raise UsageError(
            "--limit needs --controller: a controller that runs already would serve its claims"
        )
    kubeconfig = options.kubeconfig or os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG
    path = str(Path(kubeconfig).expanduser().absolute())
    command = None if not options.controller else command_of(options.controller, path)
    audit_log = Path(options.audit_log) if options.audit_log else None
    if audit_log is not None:
        Audit(audit_log, options.audit_user)
    if options.cpu_profile:
        profiler.found()
        if command is None and options.pid is None:
            raise UsageError("--cpu-profile needs --controller or --pid: of which process")
    connection = load_connection(
        options.kubeconfig or None, environ=os.environ, clock=SystemClock()
    )
    return Plan(
        profile=profile,
        connection=connection,
        namespace="",
        command=command,
        metrics=options.metrics,
        pid=options.pid,
        audit_log=audit_log,
        audit_user=options.audit_user,
        has_cpu_profile=options.cpu_profile,
    )


def _namespace() -> str:
    return f"warmclaim-loadtest-{SystemRng().token(8)}"


def _default_name(profile: str) -> str:
    return f"loadtest-{profile}-{datetime.fromtimestamp(SystemClock().wall(), UTC):%Y%m%d-%H%M%S}"


def _folder(name: str) -> Path:
    """An empty folder. Raises UsageError where something is in it, or it cannot be made."""
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"--out {name}: not empty; runs are not written over each other")
    except OSError as error:
        raise UsageError(f"--out {name}: {error.strerror}") from None
    return folder


def _one(plan: Plan, folder: Path) -> RunResult:
    import uvloop

    folder.mkdir()

    async def main() -> RunResult:
        # SIGINT is the runner's; what was made in the cluster must go however this ends.
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with shown(Console(stderr=True), f"{plan.profile.name} ({plan.serves})") as show:
            return await run(plan, folder, show)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(main())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        except UsageError:
            # Nothing was measured: what was made here must not stand in the next try's way.
            shutil.rmtree(folder)
            raise


def write_report(words: Sequence[str], output: str, folder: str = "") -> int:
    """Put the runs in these folders on one page, and its drawings into a folder, where one is
    named; returns the exit code.

    Raises UsageError for what is no run, and for a file that is there.
    """
    runs = read(words)
    file = Path(output)
    try:
        # Made here, so that nothing that came meanwhile is written over.
        file.open("xb").close()
        written(runs, file)
    except FileExistsError:
        raise UsageError(f"--output {output}: is there already; choose another name") from None
    except OSError as error:
        raise UsageError(f"--output {output}: {error.strerror}") from None
    drawn = _pictures(runs, folder) if folder else ""
    print(f"{len(runs)} runs on {output}{drawn}")
    return OK


def _pictures(runs: Sequence[Run], folder: str) -> str:
    try:
        files = pictures(runs, Path(folder))
    except FileExistsError as error:
        text = f"--pictures {folder}: {error.filename} is there already; choose another folder"
        raise UsageError(text) from None
    except OSError as error:
        raise UsageError(f"--pictures {folder}: {error.strerror}") from None
    return f", {len(files)} drawings in {folder}"


def _told(results: Sequence[RunResult], folder: Path, options: Options) -> int:
    written(read([str(folder)]), folder / PAGE)
    if options.as_json:
        told = {"folder": str(folder), "runs": results, "ratios": ratios(results)}
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(told)) + b"\n")
        sys.stdout.flush()
    else:
        console = Console()
        console.print(page(results))
        where = f"written to {folder}; look at {folder / PAGE}"
        console.print(where, highlight=False, soft_wrap=True)
    bad = [one for one in results if not one.is_good]
    for one in bad:
        problem = one.problem or one.breaches[0]
        print(f"{PROGRAM}: the run ({one.serves}) failed: {problem}", file=sys.stderr)
    return FAILED if bad else OK
