"""`warmclaim loadtest` and its sub-command: their options and help."""

from __future__ import annotations

from typing import Annotated

import typer

from warmclaim.cli import OK
from warmclaim.cli.output import Output

_EPILOG = """\
[bold]Profiles[/bold]  tiny, 100-at-50, 300-at-300, 300-at-once, 750-at-75, sustained-45,
1000-at-rest, 0-1000-0; or a YAML file of your own.

[bold]Examples[/bold]

  [cyan]warmclaim loadtest --profile tiny --metrics 127.0.0.1:8080[/cyan]

  [cyan]warmclaim loadtest --profile 100-at-50 --limit --controller \\ [/cyan]
  [cyan]  "warmclaim run --kubeconfig={kubeconfig} --leader-elect=false \\ [/cyan]
  [cyan]  --health-probe-bind-address={health} --metrics-bind-address={metrics}"[/cyan]

[bold]Exit codes[/bold]  0 done; 1 a run was not brought to its end, or a promise of the API was
broken; 2 the cluster cannot be used, or an argument is wrong.
"""

# What may be said to it; each is one option.
_Profile = Annotated[
    str, typer.Option(metavar="NAME|FILE", help="What is asked for, in which phases.")
]
_Kubeconfig = Annotated[
    str,
    typer.Option(metavar="FILE", help="How to reach the API; as for [cyan]run[/cyan]."),
]
_Controller = Annotated[
    str,
    typer.Option(
        metavar="CMD",
        help="Start this controller and stop it at the end; without it, one runs already."
        " {kubeconfig}, {health} and {metrics} are put in.",
    ),
]
_Limit = Annotated[
    bool,
    typer.Option("--limit", help="First without a controller: its writes are sent blindly."),
]
_Repeat = Annotated[int, typer.Option(min=1, max=100, help="Run all of it so often.")]
_Out = Annotated[
    str, typer.Option(metavar="DIR", help="Where the files go; a new folder, if not said.")
]
_AuditLog = Annotated[
    str,
    typer.Option(metavar="FILE", help="The API server's, to count requests by."),
]
_AuditUser = Annotated[
    str, typer.Option(metavar="USER", help="Count only this user's requests in it.")
]
_Metrics = Annotated[
    str,
    typer.Option(metavar="HOST:PORT", help="Where a controller that runs serves metrics."),
]
_Pid = Annotated[
    int | None, typer.Option(help="Its process, if on this machine, for CPU and memory.")
]
_CpuProfile = Annotated[
    bool,
    typer.Option("--cpu-profile", help="With a flame graph of each phase, by py-spy."),
]
_Output = Annotated[
    Output, typer.Option("--output", "-o", help="Result for people or for programs.")
]

loadtest = typer.Typer(rich_markup_mode="rich")


@loadtest.callback(invoke_without_command=True, no_args_is_help=True, epilog=_EPILOG)
def load(
    context: typer.Context,
    profile: _Profile = "tiny",
    kubeconfig: _Kubeconfig = "",
    controller: _Controller = "",
    limit: _Limit = False,
    repeat: _Repeat = 1,
    out: _Out = "",
    audit_log: _AuditLog = "",
    audit_user: _AuditUser = "",
    metrics: _Metrics = "",
    pid: _Pid = None,
    cpu_profile: _CpuProfile = False,
    output: _Output = Output.TEXT,
) -> int:
    """Put load on a cluster in phases, and say what it came to.

    Everything is made in a namespace of its own, which is deleted at the end, also after Ctrl-C.
    """
    if context.invoked_subcommand is not None:
        return OK
    from warmclaim.cli.loadtest import Options, run_loadtest

    return run_loadtest(
        Options(
            profile=profile,
            kubeconfig=kubeconfig,
            controller=controller,
            limit=limit,
            repeat=repeat,
            out=out,
            audit_log=audit_log,
            audit_user=audit_user,
            metrics=metrics,
            pid=pid,
            cpu_profile=cpu_profile,
            as_json=output is Output.JSON,
        )
    )


@loadtest.command()
def report(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Folders of runs, or of several each.")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The page; not written over.")
    ] = "loadtest.html",
    pictures: Annotated[
        str,
        typer.Option(metavar="DIR", help="Folder for each drawing as an SVG; not written over."),
    ] = "",
) -> int:
    """Compare runs on one page: HTML with drawings in it, no scripts, no other files."""
    from warmclaim.cli.loadtest import write_report

    return write_report(runs, output, pictures)
